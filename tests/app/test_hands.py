"""Work by hand in the App: select in the grid or open a sample, press a button, see what it did."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

NAME = "hands"

PROGRAM = """
import sys

import fiftyone as fo
import fiftyone.operators as foo

name, demo = sys.argv[1:]
foo.get_operator("@tator/sync/import_from_tator")(demo, versions=["Baseline"], dataset_name=name, max_samples=20)
elsewhere = fo.Dataset("elsewhere", persistent=True)
elsewhere.add_samples([fo.Sample(filepath=path) for path in fo.load_dataset(name).values("filepath")])
"""


@pytest.fixture(scope="session")
def app(apps: dict[str, Any]) -> Any:
    """The App that knows one server."""
    return apps["one"]


def table_of(app: Any) -> Any:
    """The samples in the App's database."""
    import fiftyone.core.odm as foo

    database = foo.get_db_conn().client[app.database]
    return database[database["datasets"].find_one({"name": NAME})["sample_collection_name"]]


@pytest.fixture(scope="module")
def samples(app: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], list[dict[str, Any]]]:
    """Imports twenty samples into the App's database; gives them as MongoDB has them, in the order of the grid."""
    env = {**os.environ, **app.env, "FIFTYONE_TATOR_DIR": str(tmp_path_factory.mktemp("hands"))}
    command = [sys.executable, "-c", PROGRAM, NAME, "Demo: galaxies, coins and cells"]
    subprocess.run(command, env=env, check=True, cwd=tmp_path_factory.mktemp("cwd"))
    return lambda: list(table_of(app).find().sort("_id", 1))


@pytest.fixture
def table(app: Any, samples: Any) -> Any:
    return table_of(app)


class Grid:
    """The App with a dataset, as a person uses it."""

    def __init__(self, page: Any, app: Any) -> None:
        self.page, self.app = page, app
        self.kept: dict[str, str] = {}

    def leave(self) -> None:
        """Takes back what the App's server would keep for the next page."""
        for operator, mutation in self.kept.items():
            with self.page.expect_response(lambda answer, name=mutation: name in (answer.request.post_data or "")):
                self.page.evaluate(f"__foo__.executeOperator('@voxel51/operators/{operator}')")

    def open(self, name: str = NAME) -> "Grid":
        self.page.goto(f"{self.app.url}/datasets/{name}")
        self.page.get_by_text("20 samples").wait_for()
        return self

    def crop(self, number: int) -> Any:
        return self.page.locator("[data-cy=looker]").nth(number)

    def select(self, *numbers: int) -> "Grid":
        self.kept["clear_selected_samples"] = "setSelected"
        for number in numbers:
            self.crop(number).hover()
            self.crop(number).locator("label").click()
        self.page.locator("[data-cy=action-manage-selected]").get_by_text(str(len(numbers))).wait_for()
        return self

    def button(self, name: str) -> Any:
        return self.page.locator(f"[data-item-id='@tator/sync/{name}']")

    def sees(self, text: str) -> "Grid":
        self.page.get_by_text(text).first.wait_for()
        return self

    def relabel(self, label: str) -> None:
        self.page.get_by_role("combobox").last.fill(label)
        self.page.get_by_role("button", name="Relabel", exact=True).click()

    def shows(self, number: int, label: str) -> "Grid":
        self.crop(number).locator("[data-cy=tag-ground_truth]").get_by_text(label, exact=True).wait_for()
        return self

    def expand(self, number: int) -> Any:
        """Opens a sample; gives what is then over the grid."""
        self.crop(number).click()
        self.kept["close_sample"] = "setSample"
        modal = self.page.locator("[data-cy=modal]")
        modal.wait_for()
        return modal

    def icon(self, name: str) -> Any:
        """The button at the open sample, which lies over the one of the grid."""
        return self.page.locator(".material-icons").get_by_text(name, exact=True).last


@pytest.fixture
def grid(page: Any, app: Any, samples: Any) -> Iterator[Grid]:
    # Where the window is narrower, the last buttons are in a menu.
    page.set_viewport_size({"width": 1800, "height": 900})
    found = Grid(page, app)
    yield found
    found.leave()


def test_selected_samples_get_the_label_that_is_typed(grid: Grid, samples: Any) -> None:
    before = samples()
    grid.open().select(1, 2).button("relabel_selected").click()
    grid.sees("Label for 2 samples").relabel("Nebula")
    grid.sees("2 samples are now labelled Nebula.").shows(1, "Nebula").shows(2, "Nebula")
    after = samples()
    assert [sample["ground_truth"]["label"] for sample in after[1:3]] == ["Nebula", "Nebula"]
    assert [a["last_modified_at"] > b["last_modified_at"] for a, b in zip(after, before, strict=True)] == [
        number in (1, 2) for number in range(20)
    ]


def test_a_label_in_use_can_be_chosen(grid: Grid, page: Any, samples: Any) -> None:
    grid.open().select(3).button("relabel_selected").click()
    grid.sees("Label for 1 sample")
    page.get_by_role("combobox").last.click()
    page.get_by_role("option", name="Spiral galaxy").click()
    page.get_by_role("button", name="Relabel", exact=True).click()
    grid.sees("1 sample is now labelled Spiral galaxy.").shows(3, "Spiral galaxy")
    assert samples()[3]["ground_truth"]["label"] == "Spiral galaxy"


def test_selected_samples_are_verified_with_one_click(grid: Grid, samples: Any, picture: Callable[[str], None]) -> None:
    number = next(number for number, sample in enumerate(samples()) if not sample["verified"])
    grid.open().select(number).button("verify_selected").click()
    grid.sees("1 sample is now verified.")
    assert samples()[number]["verified"] is True
    picture("verified")


def test_the_open_sample_is_relabelled_and_verified(grid: Grid, samples: Any, table: Any) -> None:
    table.update_one({"_id": samples()[4]["_id"]}, {"$set": {"verified": False}})
    modal = grid.open().select(5).expand(4)
    grid.icon("new_label").click()
    grid.sees("Label for 1 sample").relabel("Comet")
    grid.sees("1 sample is now labelled Comet.")
    # The label of the open sample is painted; the grid behind it is kept in step.
    grid.shows(4, "Comet")
    grid.icon("verified").click()
    grid.sees("1 sample is now verified.")
    modal.get_by_text("True", exact=True).first.wait_for()
    assert [sample["ground_truth"]["label"] for sample in samples()[4:6]] == ["Comet", "Faint galaxy"]


@pytest.fixture
def asked(page: Any, wait_for: Callable[..., Any]) -> Callable[[str], None]:
    """Waits until a tab asks for an address; what Tator makes of it, such as a page to log in, is Tator's business."""
    urls: list[str] = []
    page.context.on("request", lambda request: urls.append(request.url))

    def wait(url: str) -> None:
        def seen() -> bool:
            page.evaluate("1")  # lets the browser's events in
            return url in urls

        wait_for(seen, f"{url} to be opened")

    return wait


def test_a_sample_opens_in_tator_in_a_new_tab(grid: Grid, page: Any, samples: Any, asked: Any) -> None:
    grid.open().select(6)
    with page.context.expect_page() as tab:
        grid.button("open_in_tator").click()
    assert tab.value.evaluate("window.opener") is None
    grid.expand(7)
    with page.context.expect_page():
        grid.icon("open_in_new").click()
    asked(samples()[6]["tator_url"])
    asked(samples()[7]["tator_url"])


def test_several_samples_get_a_page_of_links_to_tator(grid: Grid, page: Any, samples: Any, asked: Any) -> None:
    grid.open().select(8, 9).button("open_in_tator").click()
    links = page.get_by_role("link", name=" in hubble_01.jpg")
    links.nth(1).wait_for()
    assert [link.get_attribute("href") for link in links.all()] == [s["tator_url"] for s in samples()[8:10]]
    with page.context.expect_page():
        links.nth(1).click()
    asked(samples()[9]["tator_url"])


def test_without_a_selection_the_app_says_what_to_do(grid: Grid, samples: Any) -> None:
    before = samples()
    grid.open().button("verify_selected").click()
    grid.sees("No sample is selected. Select some in the grid, or open one.")
    grid.button("relabel_selected").click()
    grid.page.get_by_role("button", name="Relabel", exact=True).wait_for()
    assert grid.page.get_by_role("combobox").count() == 0
    assert samples() == before


def test_the_conflicts_are_shown_or_that_there_are_none(grid: Grid, page: Any, samples: Any, table: Any) -> None:
    grid.open().button("show_conflicts").click()
    grid.sees("No sample is in conflict with Tator.")
    ids = {"_id": {"$in": [sample["_id"] for sample in samples()[:3]]}}
    table.update_many(ids, {"$addToSet": {"tags": "tator:conflict"}})
    try:
        grid.button("show_conflicts").click()
        grid.sees("3 samples are in conflict with Tator.")
        page.get_by_text("3 samples", exact=True).wait_for()
        page.locator("[data-cy=btn-clear-view-bar]").click()
        page.get_by_text("20 samples").wait_for()
    finally:
        table.update_many(ids, {"$pull": {"tags": "tator:conflict"}})


def test_a_dataset_from_elsewhere_has_no_buttons_and_is_refused_in_words(grid: Grid, page: Any) -> None:
    grid.open()
    grid.button("verify_selected").wait_for()
    grid.open("elsewhere")
    grid.button("verify_selected").wait_for(state="detached")
    assert page.locator("[data-item-id^='@tator/sync/relabel']").count() == 0
    page.keyboard.press("`")
    page.get_by_placeholder("Search operations by name...").fill("open in tator")
    page.get_by_text("Open in Tator", exact=True).first.click()
    page.get_by_role("button", name="Execute").or_(page.get_by_text("does not come from Tator")).first.click()
    grid.sees("Dataset 'elsewhere' does not come from Tator.")
