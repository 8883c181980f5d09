"""The import in the App, from the operator browser to the crops."""

import re
from collections.abc import Callable
from typing import Any

import pytest

GROUPS = ["TAGS", "LABELS", "ATTRIBUTES", "WHERE", "MEDIA", "HISTORY", "METADATA", "PLUMBING"]

DRAWN = """() => [...document.querySelectorAll("[data-cy=looker] canvas[canvas-loaded=true]")].filter(canvas => {
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return new Set(data).size > 16;
}).length >= 8"""


@pytest.fixture(scope="session")
def app(apps: dict[str, Any]) -> Any:
    """The App that knows one server, and has no dataset before the first of these tests."""
    return apps["fresh"]


def test_an_import_runs_from_an_app_without_datasets_to_the_crops(
    form: Any, page: Any, app: Any, tator: Any, picture: Callable[[str], None], leaks: Callable[..., list[str]]
) -> None:
    page.goto(app.url)
    page.get_by_text("No datasets yet").wait_for()
    form.again().project().sees("2,246 boxes on 36 images; 276 on 1 video are left out")
    assert form.field("Dataset").input_value() == "tator_project_2"
    assert form.field("Label attribute").inner_text() == "Label"
    picture("import-form")

    tator.faults.arm("GET /objects", "slow", seconds=1.5, after=12, times=6)
    form.submit()
    progress = page.get_by_text(re.compile(r"Cutting crops: [\d,]+ of 2,522, [\d,]+ a (second|minute), .* left"))
    progress.wait_for()
    picture("import-progress")

    page.wait_for_url("**/datasets/tator_project_2")
    form.sees("tator_project_2: 2,246 new, 276 left out").sees("Crops are made of images only")
    page.get_by_role("button", name="Import", exact=True).wait_for(state="hidden")
    page.wait_for_function(DRAWN)
    picture("import-result")
    page.get_by_role("button", name="Done").click()
    page.get_by_text("2,246 samples").wait_for()
    groups = page.locator("[data-cy^=sidebar-group-entry-]").all()
    assert [group.get_attribute("data-cy").rsplit("-")[-1] for group in groups] == GROUPS
    page.mouse.move(0, 0)
    picture("crops")
    assert leaks(app, page=page.content()) == []


def test_what_is_typed_and_chosen_is_what_is_imported(form: Any, page: Any, app: Any) -> None:
    form.open(app).project().pick("Versions", "Baseline").pick("Localization types", "Object", "Centre")
    form.field("Classes").fill("Star")
    form.field("Classes").press("Enter")
    form.field("Dataset").fill("stars")
    form.field("Sample limit").fill("5")
    page.get_by_text("More options").click()
    form.field("Longest side, pixels").fill("64")
    form.field("Padding, part of the size").fill("0.5")
    form.pick("Format", "png").sees("the first 5 are imported")
    form.submit()
    form.sees(re.compile("^stars: 5 new"))
    (dataset,) = [row for row in app.collections()["datasets"] if row["name"] == "stars"]
    samples = app.collections()[dataset["sample_collection_name"]]
    assert {sample["ground_truth"]["label"] for sample in samples} == {"Star"}
    assert {sample["version"] for sample in samples} == {"Baseline"}
    assert {sample["filepath"].rsplit(".", 1)[1] for sample in samples} == {"png"}
    assert max(max(sample["metadata"]["width"], sample["metadata"]["height"]) for sample in samples) <= 64


def test_what_is_typed_survives_the_answers_that_come_meanwhile(form: Any, page: Any, app: Any, tator: Any) -> None:
    form.open(app).project().sees("2,246 boxes")
    tator.faults.arm("* /rest/LocalizationCount", "slow", seconds=0.7, times=0)
    form.field("Dataset").fill("")
    form.field("Dataset").press_sequentially("typed_slowly", delay=120)
    form.field("Sample limit").press_sequentially("1234", delay=400)
    form.sees("the first 1,234 are imported")
    assert form.field("Dataset").input_value() == "typed_slowly"
    assert form.field("Sample limit").input_value() == "1234"


def test_the_form_of_a_dataset_from_tator_comes_up_filled_in(form: Any, page: Any, app: Any) -> None:
    form.open(app).project().pick("Versions", "Baseline")
    form.field("Dataset").fill("again")
    form.field("Sample limit").fill("3")
    form.sees("the first 3 are imported").submit()
    form.sees("again: 3 new")
    page.get_by_role("button", name="Done").click()
    form.again().sees("It exists, and is brought up to date")
    assert form.field("Dataset").input_value() == "again"
    assert page.get_by_role("button", name="Baseline").is_visible()
    form.field("Sample limit").fill("3")
    form.sees("the first 3 are imported").submit()
    form.sees(re.compile("^again: 3 unchanged"))


def test_a_config_file_fills_in_what_nobody_touched(form: Any, page: Any, app: Any, scratch: Any) -> None:
    file = scratch / "options.yml"
    file.write_text("max_samples: 7\ncrop_size: 48\nversions: [Baseline]\n")
    form.open(app).project()
    form.field("Dataset").fill("from_file")
    page.get_by_text("More options").click()
    form.field("Padding, part of the size").fill("0.25")
    form.field("Config file").fill(str(file))
    form.sees("the first 7 are imported")
    assert form.field("Longest side, pixels").input_value() == "48"
    assert form.field("Padding, part of the size").input_value() == "0.25"
    form.submit()
    form.sees(re.compile("^from_file: 7 new"))
