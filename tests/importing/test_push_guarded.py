"""A push writes over nothing that it did not look at, and one strange localization stops no other."""

from collections.abc import Callable
from typing import Any

import fiftyone.core.odm as foo
import pytest
from bson import ObjectId

from fiftyone_tator.sync import deleting, journal
from fiftyone_tator.sync.dataset import CONFLICT_TAG
from fiftyone_tator.sync.push_results import PushResult

DOT = ({"name": "Label", "dtype": "string", "default": "unknown"},)


@pytest.fixture
def boxes(house: Any) -> list[str]:
    """Four boxes on one picture, imported."""
    house.type("Dot", "dot", DOT)
    media = house.media("img.png")
    made = house.boxes(*(house.spec(media, x=0.1 * n, attributes={"count": n, "notes": f"n{n}"}) for n in range(4)))
    house.run(types=["Box"])
    return list(made)


def relabel(house: Any, *elements: str, label: str = "eel") -> None:
    house.dataset().set_values("ground_truth.label", dict.fromkeys(elements, label), key_field="elemental_id")


def remove(house: Any, *elements: str) -> None:
    dataset = house.dataset()
    dataset.delete_samples(dataset.select_by("elemental_id", list(elements)))


def put_dot(house: Any, element: str) -> None:
    """Makes a localization's newest mark a dot."""
    version = house.versions["Baseline"]
    spec = {"type": house.types["Dot"], "media_id": house.sample(element).media_id, "version": version, "frame": 0}
    place = {"x": 0.5, "y": 0.5, "elemental_id": element, "attributes": {"Label": "dot"}}
    house.client().create_localizations(house.project, [{**spec, **place}])
    assert house.row(element).type == house.types["Dot"]


# ---------------------------------------------------------------------- marks of another type


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("conflicts", ["leave", "ours", "theirs"])
def test_a_mark_of_another_type_stops_only_its_own_localization(
    house: Any, boxes: list[str], conflicts: str, dry_run: bool
) -> None:
    put_dot(house, boxes[0])
    relabel(house, boxes[0], boxes[1])
    result = house.push(conflicts=conflicts, dry_run=dry_run)
    assert (result.changed, result.failed, result.removed, result.conflicts) == (1, 1, 0, 0)
    (failure,) = result.failures
    assert failure["elemental_id"] == boxes[0]
    assert "somebody put a mark of another type in its place in Tator. Delete that mark" in failure["reason"]
    assert house.row(boxes[0]).attributes == {"Label": "dot"}
    assert house.sample(boxes[0]).ground_truth.label == "eel"
    assert house.row(boxes[1]).attributes["Label"] == ("crab" if dry_run else "eel")


def test_a_mark_of_another_type_is_deleted_by_nobody(house: Any, boxes: list[str]) -> None:
    put_dot(house, boxes[0])
    remove(house, boxes[0], boxes[1])
    result = house.push(deletions=True)
    assert (result.deleted, result.failed) == (1, 1)
    assert (house.row(boxes[0]).attributes, house.row(boxes[1])) == ({"Label": "dot"}, None)


def test_a_mark_of_another_type_that_comes_while_a_push_runs_stays(house: Any, boxes: list[str]) -> None:
    relabel(house, *boxes[:2])
    meanwhile(house, "read_localizations", lambda: put_dot(house, boxes[0]))
    result = house.push()
    assert (result.changed, result.failed) == (1, 1)
    assert house.row(boxes[0]).attributes == {"Label": "dot"}


def test_an_import_leaves_a_sample_whose_mark_is_of_a_type_that_it_does_not_take(house: Any, boxes: list[str]) -> None:
    put_dot(house, boxes[0])
    result = house.run(types=["Box"])
    assert (result.removed, result.unchanged, len(house.dataset())) == (0, 3, 4)
    assert house.sample(boxes[0]).ground_truth.label == "crab"


def test_after_an_import_of_both_types_its_edits_travel_again(house: Any, boxes: list[str]) -> None:
    put_dot(house, boxes[0])
    house.run(types=["Box", "Dot"])
    assert house.sample(boxes[0]).localization_type == "Dot"
    relabel(house, boxes[0])
    result = house.push()
    assert (result.changed, result.failed) == (1, 0)
    assert house.row(boxes[0]).attributes == {"Label": "eel"}


# ---------------------------------------------------------------------- edits between reading and writing


def meanwhile(house: Any, call: str, edit: Callable[[], Any]) -> None:
    """Has somebody edit right after the first call of the next push."""
    client = house.client()
    original, done = getattr(client, call), []

    def hooked(*args: Any, **options: Any) -> Any:
        answer = original(*args, **options)
        if not done:
            done.append(True)
            edit()
        return answer

    setattr(client, call, hooked)


def test_what_somebody_edits_before_its_batch_is_not_deleted(
    house: Any, boxes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "_BATCH", 1)
    remove(house, *boxes)
    last = max(boxes)
    meanwhile(house, "delete_localizations", lambda: house.edit(last, Label="precious"))
    result = house.push(deletions=True)
    assert (result.deleted, result.conflicts, result.failed) == (3, 1, 0)
    assert house.row(last).attributes["Label"] == "precious"
    assert house.push(deletions=True, conflicts="ours").deleted == 1


def test_what_somebody_deletes_before_its_batch_is_forgotten(
    house: Any, boxes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "_BATCH", 1)
    remove(house, *boxes)
    meanwhile(house, "delete_localizations", lambda: house.delete(max(boxes)))
    result = house.push(deletions=True)
    assert (result.deleted, result.forgotten, result.failed) == (3, 1, 0)
    assert house.base() == {}


# ---------------------------------------------------------------------- fields that do not travel


@pytest.fixture
def disputed(house: Any, boxes: list[str]) -> Any:
    """A sample whose label and notes both sides changed."""
    sample = house.sample(boxes[0])
    sample.notes, sample.ground_truth.label = "mine", "eel"
    sample.save()
    house.edit(boxes[0], notes="theirs", Label="cod")
    return sample


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_side_decides_only_for_the_fields_that_travel(house: Any, disputed: Any, dry_run: bool) -> None:
    result = house.push(fields=["label"], conflicts="theirs", dry_run=dry_run)
    assert (result.changed, result.conflicts) == (0, 1)
    assert [each["field"] for each in result.undecided] == ["notes"]
    disputed.reload()
    assert disputed.notes == "mine"
    if not dry_run:
        assert (disputed.ground_truth.label, disputed.tags) == ("cod", [CONFLICT_TAG])
        assert disputed.tator_conflict == "notes: 'mine' here, 'theirs' in Tator"


def test_our_side_too_decides_only_for_the_fields_that_travel(house: Any, disputed: Any) -> None:
    result = house.push(fields=["label"], conflicts="ours")
    assert (result.changed, result.conflicts) == (1, 1)
    disputed.reload()
    row = house.row(disputed.elemental_id)
    assert (row.attributes["Label"], row.attributes["notes"]) == ("eel", "theirs")
    assert (disputed.notes, disputed.tags) == ("mine", [CONFLICT_TAG])


def test_a_samples_own_tag_decides_for_all_its_fields(house: Any, disputed: Any) -> None:
    disputed.tags.append("tator:theirs")
    disputed.save()
    assert house.push(fields=["label"]).conflicts == 0
    disputed.reload()
    assert (disputed.ground_truth.label, disputed.notes, disputed.tags) == ("cod", "theirs", [])


def test_a_sample_with_an_edit_that_does_not_travel_stays_though_tator_deleted_it(house: Any, boxes: list[str]) -> None:
    sample = house.sample(boxes[0])
    sample.notes = "mine"
    sample.save()
    house.delete(boxes[0])
    assert house.push(fields=["label"], conflicts="theirs").removed == 0
    sample.reload()
    assert (sample.notes, sample.tags) == ("mine", [CONFLICT_TAG])
    assert house.push(conflicts="theirs").removed == 1


# ---------------------------------------------------------------------- what is told, and what is forgotten


def test_what_is_edited_while_a_push_takes_theirs_over_is_told_without_an_import(house: Any, boxes: list[str]) -> None:
    relabel(house, boxes[0])
    house.edit(boxes[0], notes="theirs")
    meanwhile(house, "update_localization", lambda: relabel(house, boxes[0], label="ray"))
    (note,) = house.push().notes.as_json()
    assert note["reason"] == "Somebody edited them here meanwhile; what changed in Tator comes with the next import"


def test_ten_thousand_failures_are_named() -> None:
    result = PushResult("fish")
    for number in range(10_001):
        result.fail("fish", 1, str(number), ["it was not changed"])
    assert (result.failed, len(result.failures)) == (10_001, 10_000)


@pytest.mark.parametrize("collection", [journal.COLLECTION, journal.PROPOSALS])
def test_what_pushes_of_deleted_datasets_left_is_forgotten(house: Any, boxes: list[str], collection: str) -> None:
    table, gone = foo.get_db_conn()[collection], ObjectId()
    own = {"dataset": house.dataset()._doc.id, "state": "done", "version": 1, "elemental_id": "kept"}
    table.insert_many([own, {**own, "dataset": gone, "state": "out", "_id": ObjectId()}])
    house.push()
    assert (table.count_documents({"dataset": gone}), table.count_documents({"elemental_id": "kept"})) == (0, 1)
    table.delete_many({"elemental_id": "kept"})
