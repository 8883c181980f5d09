"""A push takes nothing for an edit or a deletion that is none: what a dead import left, a field that is gone."""

from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest
from bson import ObjectId

from fiftyone_tator.media.folders import ProjectFolder
from fiftyone_tator.sync.errors import Busy
from fiftyone_tator.sync.lease import Lease
from fiftyone_tator.sync.merging import AgreedMedias
from fiftyone_tator.sync.origin import Origin
from fiftyone_tator.sync.results import ImportResult
from fiftyone_tator.sync.reverting import changes, revert
from fiftyone_tator.sync.writing import Writer


@pytest.fixture
def boxes(house: Any) -> list[str]:
    """Four boxes on one picture, imported."""
    media = house.media("img.png")
    made = house.boxes(*(house.spec(media, x=0.1 * n, attributes={"count": n, "notes": f"n {n}"}) for n in range(4)))
    house.run()
    return list(made)


def relabel(house: Any, element: str, label: str = "eel") -> None:
    house.dataset().set_values("ground_truth.label", {element: label}, key_field="elemental_id")


def test_what_a_dead_import_did_not_come_to_insert_was_deleted_by_nobody(
    house: Any, boxes: list[str], mortal: Any
) -> None:
    more = house.boxes(*(house.spec(house.media("more.png"), x=0.1 * n) for n in range(3)))
    told = mortal.run(house, die_on="insert samples.", die_at=1)
    assert (told["signal"], len(house.base()), len(house.dataset())) == (9, 7, 4)
    for dry_run in (True, False):
        result = house.push(deletions=True, dry_run=dry_run)
        assert (result.deleted, result.deleted_here) == (0, 0)
    assert changes(house.dataset()).deleted == 0
    assert all(house.row(element) is not None for element in more)
    assert house.run().created == 3


@pytest.mark.parametrize("how", ["deleted", "renamed"])
def test_a_field_that_is_gone_empties_nothing_in_tator_and_comes_back(house: Any, boxes: list[str], how: str) -> None:
    dataset = house.dataset()
    if how == "deleted":
        dataset.delete_sample_field("notes")
    else:
        dataset.rename_sample_field("notes", "remarks")
    relabel(house, boxes[0])
    result = house.push(everything=True)
    assert (result.changed, result.failed, result.fields) == (1, 0, {"label": 1})
    assert "field was deleted" in result.notes.as_json()[0]["reason"]
    assert [house.row(element).attributes["notes"] for element in boxes] == ["n 0", "n 1", "n 2", "n 3"]
    house.run(compare="auto")
    assert house.dataset().values("notes") == ["n 0", "n 1", "n 2", "n 3"]
    assert house.push(everything=True).changed == 0


def test_labels_and_boxes_that_are_gone_come_back_too(house: Any, boxes: list[str]) -> None:
    dataset = house.dataset()
    dataset.delete_sample_field("ground_truth")
    dataset.delete_sample_field("box")
    dataset.set_values("count", {boxes[0]: 9}, key_field="elemental_id")
    assert house.push().fields == {"count": 1}
    house.run()
    assert set(house.dataset().values("ground_truth.label")) == {"crab"}
    assert house.sample(boxes[1])["box"] == [0.1, 0.25, 0.5, 0.25]
    assert house.push(everything=True).changed == 0


def test_a_sample_that_was_put_back_stands_for_its_localization_again(house: Any, boxes: list[str]) -> None:
    dataset = house.dataset()
    again = house.sample(boxes[0]).copy()
    dataset.delete_samples(dataset.match(fo.ViewField("elemental_id") == boxes[0]))
    again.ground_truth.label = "eel"
    dataset.add_sample(again)
    result = house.push(deletions=True)
    assert (result.deleted, result.changed, result.failed) == (0, 1, 0)
    assert house.row(boxes[0]).attributes["Label"] == "eel"
    assert (len(house.base()), house.push().looked_at) == (4, 0)


def test_edits_are_not_taken_back_while_somebody_pushes(house: Any, boxes: list[str]) -> None:
    relabel(house, boxes[0])
    dataset = house.dataset()
    with (
        Lease(Origin.of(dataset).database, dataset.name, purpose="pushing"),
        pytest.raises(Busy, match="Somebody is pushing"),
    ):
        revert(dataset)
    assert house.sample(boxes[0]).ground_truth.label == "eel"
    assert revert(dataset).samples == 1


def test_a_sample_that_is_edited_between_reading_and_removing_it_stays(house: Any, boxes: list[str]) -> None:
    """The writer is told what was read; by then somebody had edited the sample."""
    origin = Origin.of(house.dataset())
    base = origin.store.find([origin.identity(origin.samples.find_one({"elemental_id": boxes[0]}))])
    (row,) = base.values()
    as_read = {row.sample: origin.samples.find_one({"_id": row.sample})}
    relabel(house, boxes[0])
    result = ImportResult("x")
    folder = ProjectFolder.of(house.root, house.project, house.tator.url)
    agreed = AgreedMedias(origin.store, origin.values)
    Writer(house.dataset(), origin.store, agreed, folder, ObjectId(), result).remove([row], as_read)
    assert (result.removed, result.notes.as_json()[0]["examples"]) == (0, [boxes[0]])
    assert house.sample(boxes[0]).ground_truth.label == "eel"
    assert Path(house.sample(boxes[0]).filepath).exists()
    assert len(house.base()) == 4
