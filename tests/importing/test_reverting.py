"""Edits are shown and taken back without asking Tator, and what Tator has since comes with the next import."""

from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import pytest

from fiftyone_tator.operators.running import OperatorFailed
from fiftyone_tator.sync.dataset import CONFLICT_TAG
from fiftyone_tator.sync.reverting import changes, revert

FIELDS = ("ground_truth", "verified", "count", "quality", "notes", "box", "geo", "embedding")


@pytest.fixture
def boxes(house: Any) -> list[str]:
    """Four boxes, imported."""
    media = house.media("img.png")
    made = house.boxes(*(house.spec(media, x=0.1 * n, attributes={"count": n}) for n in range(4)))
    house.run()
    return list(made)


def edit(house: Any, element: str) -> Any:
    sample = house.sample(element)
    sample.ground_truth.label, sample.ground_truth.confidence = "eel", 0.9
    sample["verified"], sample["count"], sample["quality"], sample["notes"] = True, 9, None, "ours"
    sample["box"], sample["embedding"] = [0.5, 0.5, 0.125, 0.125], [1.0, 2.0, 3.0]
    sample["geo"] = fo.GeoLocation(point=[1.0, 2.0])
    sample.save()
    return sample


def test_a_sample_that_was_edited_in_every_field_is_as_it_was_imported(house: Any, boxes: list[str]) -> None:
    before = {field: house.documents()["Baseline", boxes[0]].get(field) for field in FIELDS}
    edit(house, boxes[0])
    assert revert(house.dataset()).as_json() == {"samples": 1, "restored": 0, "left_out": []}
    assert {field: house.documents()["Baseline", boxes[0]].get(field) for field in FIELDS} == before
    assert house.push().looked_at == 0


def test_only_the_chosen_samples_are_reverted(house: Any, boxes: list[str]) -> None:
    samples = [edit(house, element) for element in boxes[:2]]
    operator = foo.get_operator("@tator/sync/revert_to_tator")
    assert operator(house.dataset(), selected=[samples[0].id]).result["samples"] == 1
    assert [house.sample(element).ground_truth.label for element in boxes[:2]] == ["crab", "eel"]


def test_what_changed_in_tator_meanwhile_comes_with_the_next_import(house: Any, boxes: list[str]) -> None:
    edit(house, boxes[0])
    house.edit(boxes[0], Label="cod")
    assert house.run().conflicts == 1
    revert(house.dataset())
    assert CONFLICT_TAG in house.sample(boxes[0]).tags
    house.run()
    sample = house.sample(boxes[0])
    assert (sample.ground_truth.label, sample.tags, sample["tator_conflict"]) == ("cod", [], None)


def test_deletions_are_taken_back_when_asked_for(house: Any, boxes: list[str]) -> None:
    dataset = house.dataset()
    dataset.delete_samples(dataset.match(fo.ViewField("elemental_id") == boxes[0]))
    assert changes(dataset).deleted == 1
    assert revert(dataset).restored == 0
    assert revert(dataset, deletions=True).restored == 1
    assert house.run().created == 1
    assert house.sample(boxes[0]).ground_truth.label == "crab"


def test_a_sample_that_tator_never_had_is_left_alone(house: Any, boxes: list[str]) -> None:
    dataset = house.dataset()
    path = house.sample(boxes[0]).filepath
    dataset.add_sample(fo.Sample(filepath=path, ground_truth=fo.Classification(label="new")))
    done = revert(dataset)
    assert [group["reason"] for group in done.as_json()["left_out"]] == ["Tator has no localization of it"]
    assert len(dataset) == 5


def test_the_edits_are_counted_by_kind(house: Any, boxes: list[str]) -> None:
    dataset = house.dataset()
    edit(house, boxes[0])
    dataset.delete_samples(dataset.match(fo.ViewField("elemental_id") == boxes[1]))
    dataset.add_sample(fo.Sample(filepath=house.sample(boxes[0]).filepath))
    found = foo.get_operator("@tator/sync/show_changes")(dataset).result
    assert found == {"edited": 1, "created": 1, "strange": 0, "deleted": 1}
    assert dict(changes(dataset).summary.flows) == {("crab", "eel"): 1}


def test_a_dataset_without_its_base_is_refused_with_the_way_out(house: Any, boxes: list[str]) -> None:
    house.dataset().clone("a-copy", persistent=True)
    house.made.append("a-copy")
    with pytest.raises(OperatorFailed, match="option rebuild"):
        foo.get_operator("@tator/sync/revert_to_tator")(fo.load_dataset("a-copy"))
