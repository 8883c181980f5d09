"""Samples that were added here become localizations; deletions travel when they shall; proposals change no original."""

from typing import Any

import fiftyone as fo
import pytest

from fiftyone_tator.sync.dataset import CONFLICT_TAG


@pytest.fixture
def boxes(house: Any) -> list[str]:
    """Four boxes on one picture, imported."""
    media = house.media("img.png")
    made = house.boxes(*(house.spec(media, x=0.1 * n, attributes={"count": n}) for n in range(4)))
    house.run()
    return list(made)


def remove(house: Any, *elements: str) -> None:
    dataset = house.dataset()
    dataset.delete_samples(dataset.select_by("elemental_id", list(elements)))


def relabel(house: Any, element: str, label: str) -> None:
    sample = house.sample(element)
    sample.ground_truth.label = label
    sample.save()


def add(house: Any, element: str, **fields: Any) -> Any:
    """Adds a sample on the picture of another one."""
    other = house.sample(element)
    values = {
        "media_id": other["media_id"],
        "box": [0.5, 0.5, 0.25, 0.25],
        "ground_truth": fo.Classification(label="new", confidence=0.75),
        **fields,
    }
    sample = fo.Sample(filepath=other.filepath, **values)
    house.dataset().add_sample(sample)
    return sample


# ---------------------------------------------------------------------- created here


def test_a_sample_that_was_added_here_becomes_a_localization(house: Any, boxes: list[str]) -> None:
    sample = add(house, boxes[0], notes="added", count=5)
    result = house.push()
    assert (result.created, result.failed) == (1, 0)
    sample.reload()
    row = house.row(sample["elemental_id"])
    assert (row.x, row.y, row.width, row.height) == (0.5, 0.5, 0.25, 0.25)
    assert (row.attributes["Label"], row.attributes["score"], row.attributes["count"]) == ("new", 0.75, 5)
    assert row.attributes["quality"] == "good", "what nobody set is the type's default"
    assert sample["quality"] == "good"
    assert sample["tator_url"].startswith(house.tator.url)
    assert house.push().looked_at == 0


def test_the_next_import_cuts_a_crop_for_it_and_makes_no_second_sample(house: Any, boxes: list[str]) -> None:
    sample = add(house, boxes[0])
    house.push()
    house.run()
    assert len(house.dataset()) == 5
    assert house.sample(house.dataset()[sample.id]["elemental_id"]).id == sample.id
    assert len(house.crops()) == 5


def test_a_sample_without_what_tator_needs_is_named_with_what_is_missing(house: Any, boxes: list[str]) -> None:
    add(house, boxes[0], media_id=None)
    add(house, boxes[0], box=None)
    add(house, boxes[0], ground_truth=None)
    add(house, boxes[0], box=[0.5, 0.5, 0.75, -0.25])
    relabel(house, boxes[1], "eel")
    result = house.push()
    assert (result.changed, result.created, result.failed) == (1, 0, 4)
    reasons = " ".join(failure["reason"] for failure in result.failures)
    for part in ("set media_id", "holds no geometry", "the label was removed", "beyond the picture"):
        assert part in reasons


def test_a_copy_of_a_sample_is_refused_and_not_taken_for_the_original(house: Any, boxes: list[str]) -> None:
    dataset = house.dataset()
    original = house.sample(boxes[0])
    copy = original.copy()
    copy.ground_truth.label = "copy"
    dataset.add_sample(copy)
    result = house.push()
    assert (result.changed, result.failed) == (0, 1)
    assert "same elemental id" in result.failures[0]["reason"]
    assert house.row(boxes[0]).attributes["Label"] == "crab"


# ---------------------------------------------------------------------- deleted here


def test_deletions_stay_here_unless_they_are_to_travel(house: Any, boxes: list[str]) -> None:
    remove(house, boxes[0])
    result = house.push()
    assert (result.deleted, result.deleted_here) == (0, 1)
    assert house.row(boxes[0]) is not None
    assert house.push(deletions=True).deleted == 1
    assert house.row(boxes[0]) is None
    assert house.push(deletions=True).deleted == 0
    assert house.run().deleted_here == 0


def test_a_deletion_that_both_made_is_forgotten(house: Any, boxes: list[str]) -> None:
    remove(house, boxes[0])
    house.delete(boxes[0])
    result = house.push(deletions=True)
    assert (result.deleted, result.forgotten) == (0, 1)
    assert len(house.base()) == 3


@pytest.mark.parametrize(("side", "there"), [("leave", True), ("ours", False), ("theirs", True)])
def test_a_deletion_here_against_a_change_there(house: Any, boxes: list[str], side: str, there: bool) -> None:
    remove(house, boxes[0])
    house.edit(boxes[0], Label="cod")
    result = house.push(deletions=True, conflicts=side)
    assert (house.row(boxes[0]) is not None) is there
    assert (result.deleted, result.conflicts) == (int(side == "ours"), int(side == "leave"))
    house.run()
    assert len(house.dataset()) == (4 if side == "theirs" else 3)


def test_deletions_do_not_travel_with_a_part_of_the_samples(house: Any, boxes: list[str]) -> None:
    remove(house, boxes[0])
    assert house.push(deletions=True, samples=[house.sample(boxes[1])._id]).deleted == 0


# ---------------------------------------------------------------------- deleted there


@pytest.mark.parametrize("side", ["leave", "ours", "theirs"])
def test_a_change_here_against_a_deletion_there(house: Any, boxes: list[str], side: str) -> None:
    relabel(house, boxes[0], "eel")
    house.delete(boxes[0])
    result = house.push(conflicts=side)
    row = house.row(boxes[0])
    if side == "leave":
        assert (row, result.conflicts, house.sample(boxes[0]).tags) == (None, 1, [CONFLICT_TAG])
    elif side == "ours":
        assert (row.attributes["Label"], row.attributes["count"], house.sample(boxes[0]).tags) == ("eel", 0, [])
    else:
        assert (row, result.removed, len(house.dataset())) == (None, 1, 3)


# ---------------------------------------------------------------------- proposals


def test_a_proposal_goes_to_another_version_and_changes_no_original(house: Any, boxes: list[str]) -> None:
    house.version("Review")
    relabel(house, boxes[0], "eel")
    result = house.push(version="Review")
    assert (result.changed, result.version) == (1, "Review")
    assert house.row(boxes[0]).attributes["Label"] == "crab"
    proposed = house.row(boxes[0], "Review")
    assert (proposed.attributes["Label"], proposed.attributes["count"], proposed.x) == ("eel", 0, 0.0)
    assert house.row(boxes[1], "Review") is None


def test_the_same_proposal_is_made_once_and_a_new_edit_moves_it(house: Any, boxes: list[str]) -> None:
    house.version("Review")
    relabel(house, boxes[0], "eel")
    house.push(version="Review")
    result = house.push(version="Review")
    assert (result.changed, result.already, house.marks(boxes[0], "Review")) == (0, 1, 1)
    relabel(house, boxes[0], "cod")
    assert house.push(version="Review").changed == 1
    assert house.row(boxes[0], "Review").attributes["Label"] == "cod"


def test_what_others_made_of_a_proposal_is_not_written_over(house: Any, boxes: list[str]) -> None:
    house.version("Review")
    relabel(house, boxes[0], "eel")
    house.push(version="Review")
    house.edit(boxes[0], "Review", Label="their eel")
    relabel(house, boxes[0], "cod")
    result = house.push(version="Review")
    assert (result.changed, result.failed) == (0, 1)
    assert house.row(boxes[0], "Review").attributes["Label"] == "their eel"
    assert house.push(version="Review", conflicts="ours").changed == 1
    assert house.row(boxes[0], "Review").attributes["Label"] == "cod"


def test_what_was_proposed_can_still_be_pushed_to_the_original(house: Any, boxes: list[str]) -> None:
    house.version("Review")
    relabel(house, boxes[0], "eel")
    house.push(version="Review")
    assert house.push().changed == 1
    assert house.row(boxes[0]).attributes["Label"] == "eel"
