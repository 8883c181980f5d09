"""The push in the App: what its form says beforehand, what comes of it, and where it is not to be had."""

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from fiftyone_tator.sandbox.seed import add_members, image_files
from fiftyone_tator.sandbox.seed import picture as a_picture
from fiftyone_tator.tator_client import Tator

ATTRIBUTES = (
    {"name": "Label", "dtype": "string", "default": "unknown"},
    {"name": "quality", "dtype": "enum", "choices": ["good", "fair", "bad"], "default": "good"},
)

# Eight boxes, of which four are crabs. Three crabs become eels, one of them a cod in Tator meanwhile; one kelp gets a
# quality that Tator does not know, another one is deleted. One process does so for one project after the other.
PROGRAM = """
import json, os, sys

import fiftyone as fo
import fiftyone.operators as foo

from fiftyone_tator.tator_client import Tator

tator = Tator(os.environ["FIFTYONE_TATOR_URL"].split(",")[0], os.environ["FIFTYONE_TATOR_TOKEN"].split(",")[0])
for line in sys.stdin:
    project, name = line.split()
    foo.get_operator("@tator/sync/import_from_tator")(int(project), dataset_name=name)
    dataset = fo.load_dataset(name)
    crabs = dataset.match({"ground_truth.label": "crab"})
    kelps = dataset.match({"ground_truth.label": "kelp"})
    (version,) = (int(v) for v, n in dataset.info["tator"]["versions"].items() if n == "Baseline")
    tator.update_localization(version, crabs.first()["elemental_id"], attributes={"Label": "cod"})
    eels = crabs.values("id")[:3]
    dataset.set_values("ground_truth.label", dict.fromkeys(eels, "eel"), key_field="id")
    dataset.set_values("quality", {kelps.first().id: "terrible"}, key_field="id")
    dataset.delete_samples(kelps.last())
    dataset.clone(name + "-copy", persistent=True)
    print(json.dumps(eels), flush=True)
"""


@dataclass
class Reef:
    """A project of its own and its dataset, in which much was edited on both sides.

    Args:
        name: the dataset's
        project: the project's id
        version: the id of its version Baseline
        proposals: the id of its version Proposals
        kind: the id of its localization type
        eels: ids of the samples that became eels here, in the order of the grid; the first is in conflict
        tator: the sandbox
        app: the App
    """

    name: str
    project: int
    version: int
    proposals: int
    kind: int
    eels: list[str]
    tator: Any
    app: Any

    def labels(self, version: int | None = None) -> list[str]:
        """The labels in Tator, in the order of the alphabet."""
        with Tator(self.tator.url, self.tator.tokens["editor"]) as client:
            pages = client.iter_localizations(self.project, types=[self.kind], versions=[version or self.version])
            return sorted(row.attributes["Label"] for page in pages for row in page)

    def samples(self) -> list[dict[str, Any]]:
        """The samples as MongoDB has them."""
        rows = self.app.collections()
        (dataset,) = [row for row in rows["datasets"] if row["name"] == self.name]
        return sorted(rows[dataset["sample_collection_name"]], key=lambda sample: sample["_id"])


_numbers = itertools.count()

UNTOUCHED = ["cod", "crab", "crab", "crab", "kelp", "kelp", "kelp", "kelp"]


@pytest.fixture(scope="module")
def diver(app: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int, str], list[str]]]:
    """Imports a project and edits what came; gives the ids of the samples that became eels."""
    folder = tmp_path_factory.mktemp("reefs")
    env = {**os.environ, **app.env, "FIFTYONE_TATOR_DIR": str(folder)}
    command, pipe = [sys.executable, "-c", PROGRAM], subprocess.PIPE
    with subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True, cwd=folder) as process:
        assert process.stdin is not None and process.stdout is not None

        def dive(project: int, name: str) -> list[str]:
            process.stdin.write(f"{project} {name}\n")
            process.stdin.flush()
            # What FiftyOne says of itself at first is no list.
            return list(json.loads(next(line for line in process.stdout if line.startswith("["))))

        yield dive


@pytest.fixture
def reef(app: Any, tator: Any, diver: Callable[[int, str], list[str]]) -> Reef:
    store, seeded = tator.store, tator.seeded
    name = f"reef-{next(_numbers)}"
    project = store.add_project(name, seeded.organization, created_by=seeded.users["admin"])
    add_members(store, project, seeded.users)
    versions = [store.add_version(project, name) for name in ("Baseline", "Proposals")]
    media_type = store.add_media_type(project, "Image", "image")
    kind = store.add_localization_type(project, "Box", "box", [media_type], attribute_types=ATTRIBUTES)
    media = store.add_media(
        project, media_type, "reef.jpg", image_files(a_picture(), 512, 384), width=512, height=384, attributes={}
    )
    box = {"project": project, "type": kind, "media": media, "version": versions[0], "width": 0.1, "height": 0.2}
    store.add_localizations(
        [
            {
                **box,
                "x": 0.1 * number,
                "y": 0.2,
                "created_by": seeded.users["editor"],
                "attributes": {"Label": "crab" if number % 2 else "kelp", "quality": "good"},
            }
            for number in range(8)
        ]
    )
    return Reef(name, project, *versions, kind, diver(project, name), tator, app)


def test_the_form_says_what_would_go_to_tator_before_anything_does(reef: Reef, push: Any, picture: Any) -> None:
    before = reef.samples()
    push.visit(reef.app, reef.name, 7).open().sees("2 localizations change in Tator: label").sees(
        "1 localization is in conflict"
    )
    push.sees("1 localization stays in Tator").sees("1 sample holds something that cannot be sent")
    push.sees("'terrible' is none of the project's choices: good, fair, bad")
    flow, conflict = push.tables()
    assert flow == ["crab", "eel", "2"]
    assert conflict[1:] == ["label", "'eel'", "'cod'"]
    picture("push-form")
    assert reef.labels() == UNTOUCHED
    assert reef.samples() == before


def test_pushing_shows_what_tator_took_over_and_the_rest_with_the_reason(
    reef: Reef, push: Any, page: Any, app: Any, picture: Any, leaks: Callable[..., list[str]]
) -> None:
    push.visit(reef.app, reef.name, 7).open().sees("2 localizations change").submit()
    push.sees(f"{reef.name}: 2 changed, 1 in conflict (tagged tator:conflict), 1 deleted here only, 1 not sent")
    flow, conflict, failure = push.tables()
    assert flow == ["crab", "eel", "2"]
    assert conflict[1:] == ["label", "'eel'", "'cod'"]
    assert "'terrible' is none of the project's choices" in failure[1]
    picture("push-result")
    page.get_by_role("button", name="Done").click()
    assert reef.labels() == ["cod", "crab", "eel", "eel", "kelp", "kelp", "kelp", "kelp"]
    tagged = [str(sample["_id"]) for sample in reef.samples() if "tator:conflict" in sample["tags"]]
    assert tagged == reef.eels[:1]
    push.open().sees("1 localization is in conflict")
    assert not page.get_by_text("change in Tator").is_visible()
    assert leaks(app, page=page.content()) == []


def test_a_dry_run_from_the_form_writes_nothing(reef: Reef, push: Any) -> None:
    before = reef.samples()
    push.visit(reef.app, reef.name, 7).open().sees("2 localizations change").flips("More options", "Dry run").submit(
        "Try"
    )
    push.sees(f"{reef.name}: nothing was written; this is what a push would do").sees("2 localizations change")
    assert reef.labels() == UNTOUCHED
    assert reef.samples() == before


def test_the_preview_follows_what_is_chosen_and_warns_of_what_is_lost(reef: Reef, push: Any, page: Any) -> None:
    push.visit(reef.app, reef.name, 7).open().sees("2 localizations change")
    push.flips("FiftyOne's value wins").sees("3 localizations change in Tator: label")
    push.flips("Delete in Tator what was deleted here").sees("1 localization will be deleted in Tator")
    push.flips("More options", "Change marks in place").sees("This loses history")
    push.submit().sees(f"{reef.name}: 3 changed, 1 deleted, 1 not sent")
    assert reef.labels() == ["crab", "eel", "eel", "eel", "kelp", "kelp", "kelp"]


def test_changes_can_be_proposed_in_another_version(reef: Reef, push: Any, page: Any) -> None:
    push.visit(reef.app, reef.name, 7).open().sees("2 localizations change").flips(
        "Propose the changes in another version"
    )
    page.get_by_role("combobox").last.click()
    page.get_by_role("option").filter(has_text="Proposals").click()
    push.sees("3 localizations go to version Proposals as a proposal: label")
    push.submit().sees("Written to version Proposals")
    assert (reef.labels(), reef.labels(reef.proposals)) == (UNTOUCHED, ["eel", "eel", "eel"])


def test_only_the_selection_is_pushed_unless_somebody_chooses_the_dataset(reef: Reef, push: Any, page: Any) -> None:
    push.visit(reef.app, reef.name, 7)
    place = [str(sample["_id"]) for sample in reef.samples()].index(reef.eels[1])
    crop = page.locator("[data-cy=looker]").nth(place)
    crop.hover()
    crop.locator("label").click()
    page.locator("[data-cy=action-manage-selected]").get_by_text("1").wait_for()
    push.open().sees("1 localization changes in Tator: label").sees("What was edited of 1 selected sample")
    assert not page.get_by_text("Delete in Tator what was deleted here").is_visible()
    push.flips("Dataset").sees("2 localizations change").flips("Selection").sees("1 localization changes")
    push.submit().sees(f"{reef.name}: 1 changed")
    assert reef.labels() == ["cod", "crab", "crab", "eel", "kelp", "kelp", "kelp", "kelp"]


def test_where_nothing_can_be_pushed_the_form_says_why_and_cannot_be_sent(
    reef: Reef, push: Any, page: Any, tator: Any
) -> None:
    def closed(reason: str) -> None:
        push.open().sees("This dataset cannot be pushed").sees(reason)
        button = page.get_by_role("button", name="Push", exact=True)
        push.wait_for(lambda: not button.is_enabled(), "the form to be closed")
        assert not page.get_by_text("Where both sides changed a value").is_visible()

    push.visit(reef.app, f"{reef.name}-copy", 7)
    closed("Import once more with the option rebuild")
    with tator.store.write() as db:
        change = "update membership set permission = 'View Only' where project = ? and user = ?"
        db.execute(change, (reef.project, tator.seeded.users["editor"]))
    push.visit(reef.app, reef.name, 7)
    closed("Ask its owner for the level Can Edit; your edits stay here until then.")


def test_a_server_that_fails_is_told_in_the_form_and_in_place_of_the_result(
    reef: Reef, push: Any, page: Any, tator: Any
) -> None:
    push.visit(reef.app, reef.name, 7).open().sees("2 localizations change")
    tator.faults.arm("PUT /rest/Localizations", "fail", status=403, times=0)
    push.submit().sees("The push stopped")
    assert "Traceback" not in page.inner_text("body")
    tator.faults.arm("* /rest/Project", "fail", status=403, times=0)
    page.get_by_role("button", name="Done").click()
    push.open().sees("This dataset cannot be pushed")
    assert "Traceback" not in page.inner_text("body")


@pytest.fixture
def runs(app: Any, reef: Reef) -> Iterator[Callable[[], dict[str, Any]]]:
    """The last delegated run of a push."""

    def find() -> dict[str, Any]:
        rows = [row for row in app.collections().get("delegated_ops", ()) if row["operator"].endswith("push_to_tator")]
        return max(rows, key=lambda row: row["queued_at"])

    yield find


def test_a_scheduled_push_is_done_by_a_worker(
    reef: Reef, push: Any, worker: Any, runs: Any, wait_for: Any, app: Any, leaks: Callable[..., list[str]]
) -> None:
    push.visit(reef.app, reef.name, 7).open().sees("2 localizations change").submit("Schedule").sees(
        "Operation successfully scheduled"
    )
    run = wait_for(lambda: runs()["result"] and runs(), worker)
    assert run["run_state"] == "completed"
    assert (run["result"]["result"]["changed"], run["result"]["result"]["failed"]) == (2, 1)
    assert reef.labels().count("eel") == 2
    assert leaks(app) == []


LATER = """
import sys

import fiftyone as fo
import fiftyone.operators as foo

dataset = fo.load_dataset(sys.argv[1])
foo.get_operator("@tator/sync/push_to_tator")(dataset, selected=sys.argv[2:], delegate=True)
"""


def test_python_leaves_the_push_of_a_selection_to_a_worker(
    reef: Reef, worker: Any, runs: Any, wait_for: Any, app: Any
) -> None:
    command = [sys.executable, "-c", LATER, reef.name, reef.eels[1]]
    subprocess.run(command, env={**os.environ, **app.env}, check=True, capture_output=True)
    run = wait_for(lambda: runs()["result"] and runs(), worker)
    assert run["result"]["result"]["changed"] == 1
    assert reef.labels() == ["cod", "crab", "crab", "eel", "kelp", "kelp", "kelp", "kelp"]
    assert re.match("Push .* to Tator", run["label"])
