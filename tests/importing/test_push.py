"""What was edited here is in Tator afterwards, and nothing else is."""

from datetime import datetime
from typing import Any

import fiftyone as fo
import pytest

from fiftyone_tator.sync.dataset import CONFLICT_TAG


@pytest.fixture
def boxes(house: Any) -> list[str]:
    """Six boxes on two pictures, imported."""
    media = [house.media(f"img_{number}.png") for number in range(2)]
    made = house.boxes(*(house.spec(media[n // 3], x=0.1 * n, attributes={"count": n}) for n in range(6)))
    house.run()
    return list(made)


def relabel(house: Any, element: str, label: str) -> None:
    sample = house.sample(element)
    sample.ground_truth.label = label
    sample.save()


def test_a_push_without_edits_writes_nothing(house: Any, boxes: list[str], tator: Any) -> None:
    tator.faults.forget()
    result = house.push()
    assert (result.looked_at, result.changed, result.failed) == (0, 0, 0)
    assert {request["method"] for request in tator.faults.requests()} == {"GET"}


def test_a_new_label_arrives_as_a_new_mark_and_is_agreed_on(house: Any, boxes: list[str]) -> None:
    relabel(house, boxes[0], "eel")
    result = house.push()
    assert (result.changed, result.failed, result.flows) == (1, 0, [("crab", "eel", 1)])
    row = house.row(boxes[0])
    assert (row.attributes["Label"], row.mark) == ("eel", 1)
    assert house.push().looked_at == 0
    assert house.run().updated == 0


def test_every_type_of_value_arrives(house: Any, boxes: list[str]) -> None:
    sample = house.sample(boxes[0])
    sample.ground_truth.label = "it's 100 % سمكة"
    sample.ground_truth.confidence = 0.125
    sample["verified"], sample["count"], sample["quality"] = True, 7, "bad"
    sample["seen_at"] = datetime(2026, 5, 4, 3, 2, 1, 987000)
    sample["embedding"] = [1.0, 2.0, -0.5]
    sample["geo"] = fo.GeoLocation(point=[-122.5, 36.25])
    sample["notes"] = "line\none"
    sample.save()
    assert house.push().as_json()["problems"] == []
    attributes = house.row(boxes[0]).attributes
    assert attributes["Label"] == "it's 100 % سمكة"
    assert (attributes["score"], attributes["verified"], attributes["count"]) == (0.125, True, 7)
    assert (attributes["quality"], attributes["embedding"]) == ("bad", [1.0, 2.0, -0.5])
    assert datetime.fromisoformat(attributes["seen_at"]).replace(tzinfo=None) == datetime(2026, 5, 4, 3, 2, 1, 987000)
    assert (attributes["geo"], attributes["notes"]) == ([-122.5, 36.25], "line\none")


def test_a_moved_box_moves_in_tator(house: Any, boxes: list[str]) -> None:
    sample = house.sample(boxes[1])
    sample["box"] = [0.5, 0.25, 0.25, 0.125]
    sample.save()
    assert house.push().changed == 1
    row = house.row(boxes[1])
    assert (row.x, row.y, row.width, row.height) == (0.5, 0.25, 0.25, 0.125)


def test_a_dry_run_says_the_same_and_writes_nothing(house: Any, boxes: list[str], tator: Any) -> None:
    relabel(house, boxes[0], "eel")
    relabel(house, boxes[1], "")
    before = house.stored()
    dry = house.push(dry_run=True)
    assert house.row(boxes[0]).mark == 0
    assert house.stored() == before
    wet = house.push()
    assert (dry.changed, dry.failed, dry.flows) == (wet.changed, wet.failed, wet.flows) == (1, 1, [("crab", "eel", 1)])


def test_what_only_they_changed_is_not_sent_back(house: Any, boxes: list[str]) -> None:
    house.edit(boxes[0], notes="theirs")
    relabel(house, boxes[0], "eel")
    assert house.push().changed == 1
    row = house.row(boxes[0])
    assert (row.attributes["Label"], row.attributes["notes"]) == ("eel", "theirs")
    assert house.sample(boxes[0])["notes"] == "theirs"


def test_a_conflict_is_left_and_tagged_with_both_values(house: Any, boxes: list[str]) -> None:
    house.edit(boxes[0], Label="cod")
    relabel(house, boxes[0], "eel")
    result = house.push()
    assert (result.changed, result.conflicts) == (0, 1)
    assert (result.undecided[0]["here"], result.undecided[0]["there"]) == ("'eel'", "'cod'")
    sample = house.sample(boxes[0])
    assert CONFLICT_TAG in sample.tags
    assert sample["tator_conflict"] == "label: 'eel' here, 'cod' in Tator"
    assert house.row(boxes[0]).attributes["Label"] == "cod"


@pytest.mark.parametrize(("side", "label"), [("ours", "eel"), ("theirs", "cod")])
def test_a_conflict_takes_the_chosen_side(house: Any, boxes: list[str], side: str, label: str) -> None:
    house.edit(boxes[0], Label="cod")
    relabel(house, boxes[0], "eel")
    house.push()
    house.push(conflicts=side)
    sample = house.sample(boxes[0])
    assert (sample.ground_truth.label, house.row(boxes[0]).attributes["Label"]) == (label, label)
    assert (sample.tags, sample["tator_conflict"]) == ([], None)


@pytest.mark.parametrize(("side", "label"), [("ours", "eel"), ("theirs", "cod")])
def test_a_tag_decides_one_conflict_and_goes(house: Any, boxes: list[str], side: str, label: str) -> None:
    for element in boxes[:2]:
        house.edit(element, Label="cod")
        relabel(house, element, "eel")
    sample = house.sample(boxes[0])
    sample.tags.append(f"tator:{side}")
    sample.save()
    assert house.push().conflicts == 1
    sample = house.sample(boxes[0])
    assert (sample.ground_truth.label, house.row(boxes[0]).attributes["Label"], sample.tags) == (label, label, [])
    assert house.sample(boxes[1]).tags == [CONFLICT_TAG]


@pytest.mark.parametrize(("side", "label"), [("ours", "eel"), ("theirs", "cod")])
def test_a_tag_decides_a_conflict_that_was_shown(house: Any, boxes: list[str], side: str, label: str) -> None:
    house.edit(boxes[0], Label="cod")
    relabel(house, boxes[0], "eel")
    house.push()
    sample = house.sample(boxes[0])
    sample.tags.append(f"tator:{side}")
    sample.save()
    house.push()
    sample = house.sample(boxes[0])
    assert (sample.ground_truth.label, house.row(boxes[0]).attributes["Label"], sample.tags) == (label, label, [])


def test_both_changed_alike_writes_nothing_and_is_agreed_on(house: Any, boxes: list[str]) -> None:
    house.edit(boxes[0], Label="eel")
    relabel(house, boxes[0], "eel")
    result = house.push()
    assert (result.already, result.changed, house.marks(boxes[0])) == (1, 0, 2)
    assert house.push().looked_at == 0


def test_an_import_decides_what_was_tagged_theirs(house: Any, boxes: list[str]) -> None:
    for element in boxes[:3]:
        house.edit(element, Label="cod")
        relabel(house, element, "eel")
    house.edit(boxes[0], Label="their cod")
    house.delete(boxes[1])
    house.run()
    house.dataset().select_by("elemental_id", boxes[:2]).tag_samples("tator:theirs")
    house.run()
    decided = house.sample(boxes[0])
    assert (decided.ground_truth.label, decided.tags, decided["tator_conflict"]) == ("their cod", [], None)
    assert boxes[1] not in house.dataset().values("elemental_id")
    assert house.sample(boxes[2]).tags == [CONFLICT_TAG]
