"""Whatever an import writes, the samples that somebody edited are found by their times, and no others."""

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
import pytest

from fiftyone_tator.sync.dataset import CONFLICT_TAG, dataset_id
from fiftyone_tator.sync.stamps import Stamps

Elements = Callable[[Any], list[str]]


def touched(house: Any) -> set[str]:
    """The elemental ids of the samples that somebody touched since we wrote them."""
    dataset = house.dataset()
    database = foo.get_db_conn()
    samples = database[dataset._sample_collection_name]
    ids = [id for block in Stamps(database, dataset_id(dataset), samples).touched() for id in block]
    return {found["elemental_id"] for found in samples.find({"_id": {"$in": ids}})}


def relabel(sample: Any, label: str = "mine") -> None:
    sample.ground_truth.label = label
    sample.save()


def only(house: Any, element: str) -> Any:
    return house.dataset().match(fo.ViewField("elemental_id") == element)


EDITS: dict[str, Callable[[Any, str], Any]] = {
    "save": lambda house, element: relabel(house.sample(element)),
    "set_values": lambda house, element: only(house, element).set_values("notes", ["mine"]),
    "tags": lambda house, element: only(house, element).tag_samples("look again"),
    "label tags": lambda house, element: only(house, element).tag_labels("look again"),
    "set_field": lambda house, element: only(house, element).set_field("count", 7).save(),
    "merge": lambda house, element: house.dataset().merge_samples(
        [fo.Sample(house.sample(element).filepath, notes="merged")], insert_new=False
    ),
}


def rename_all(house: Any) -> None:
    with house.tator.store.write() as db:
        db.execute("update version set name = 'Gold' where name = 'Baseline' and project = ?", (house.project,))
        db.execute("update localization_type set name = 'Animal' where project = ? and dtype = 'box'", (house.project,))


def change_everything(house: Any, elements: Elements) -> None:
    """Changes in Tator of every kind that reaches samples."""
    first, second, third, fourth, *_ = elements(house)
    house.edit(first, Label="theirs", notes="theirs")
    house.edit(second, geometry={"x": 0.3})
    house.delete(third)
    house.alter_media(house.sample(fourth).media_id, name="renamed.png", attributes={"Station": "M9"})
    house.box(house.media("new.png"))
    rename_all(house)


def test_after_a_first_import_no_sample_is_touched(village: Any) -> None:
    village.run()
    assert touched(village) == set()


@pytest.mark.parametrize("compare", ["changes", "full"])
def test_after_an_import_of_every_kind_of_change_no_sample_is_touched(
    village: Any, elements: Elements, compare: str
) -> None:
    village.run()
    change_everything(village, elements)
    result = village.run(compare=compare).as_json()
    assert (result["created"], result["removed"]) == (1, 1)
    assert touched(village) == set()


def test_after_crops_were_made_anew_no_sample_is_touched(village: Any) -> None:
    village.run()
    shutil.rmtree(village.folder / "crops")
    village.run()
    village.run(crop_size=16)
    assert touched(village) == set()


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_by_any_route_is_found_and_nothing_else(village: Any, elements: Elements, edit: str) -> None:
    village.run()
    third = elements(village)[2]
    EDITS[edit](village, third)
    assert touched(village) == {third}


@pytest.mark.parametrize("edit", ["save", "set_values"])
def test_an_edit_is_found_after_an_import_that_changed_the_others(village: Any, elements: Elements, edit: str) -> None:
    village.run()
    *_, last = elements(village)
    EDITS[edit](village, last)
    change_everything(village, elements)
    village.run()
    assert touched(village) == {last}


def test_an_edit_beside_which_theirs_was_merged_is_found(village: Any, elements: Elements) -> None:
    village.run()
    first = elements(village)[0]
    relabel(village.sample(first))
    village.edit(first, notes="theirs", geometry={"x": 0.3})
    village.run()
    sample = village.sample(first)
    assert (sample.ground_truth.label, sample.notes, sample.box[0]) == ("mine", "theirs", 0.3)
    assert touched(village) == {first}


def test_a_conflict_is_found_until_both_sides_agree(village: Any, elements: Elements) -> None:
    village.run()
    first = elements(village)[0]
    relabel(village.sample(first))
    village.edit(first, Label="theirs")
    for _ in range(2):
        village.run()
        assert touched(village) == {first}
    assert village.sample(first).tags == [CONFLICT_TAG]
    village.edit(first, Label="mine")
    village.run()
    assert touched(village) == set()


def test_a_deletion_there_of_what_was_edited_here_is_found(village: Any, elements: Elements) -> None:
    village.run()
    first = elements(village)[0]
    relabel(village.sample(first))
    village.delete(first)
    village.run()
    assert touched(village) == {first}


def test_an_edit_that_tator_made_too_is_not_found_any_more(village: Any, elements: Elements) -> None:
    village.run()
    first = elements(village)[0]
    relabel(village.sample(first), "both")
    village.edit(first, Label="both")
    village.run()
    assert touched(village) == set()


@pytest.mark.parametrize("compare", ["changes", "full"])
def test_an_edit_made_while_an_import_runs_is_found(
    village: Any, elements: Elements, edited_meanwhile: Callable[..., Any], compare: str
) -> None:
    village.run()
    first, second, *_ = elements(village)
    village.edit(first, geometry={"x": 0.3}, score=0.125)
    village.edit(second, notes="theirs")
    edited_meanwhile(first, relabel, compare=compare)
    assert touched(village) == {first}
    village.run(compare=compare)
    sample = village.sample(first)
    assert (sample.ground_truth.label, sample.ground_truth.confidence, sample.box[0]) == ("mine", 0.125, 0.3)
    assert touched(village) == {first}


def test_a_rename_hides_no_edit(village: Any, elements: Elements) -> None:
    village.run()
    first = elements(village)[0]
    relabel(village.sample(first))
    rename_all(village)
    village.run()
    assert village.dataset().distinct("version") == ["Gold"]
    assert touched(village) == {first}


def test_an_import_after_which_nothing_happened_leaves_no_time_behind(village: Any, database: Any) -> None:
    village.run()
    id = dataset_id(village.dataset())
    before = database["tator_sync.stamps"].count_documents({"dataset": id})
    for compare in ("changes", "full"):
        village.run(compare=compare)
    assert database["tator_sync.stamps"].count_documents({"dataset": id}) == before


def test_a_crop_that_is_cut_anew_for_an_edited_sample_hides_no_edit(village: Any, elements: Elements) -> None:
    village.run()
    first = elements(village)[0]
    relabel(village.sample(first))
    Path(village.sample(first).filepath).unlink()
    village.run()
    assert Path(village.sample(first).filepath).is_file()
    assert touched(village) == {first}


# ---------------------------------------------------------------------- tools that touch what nobody edits


@pytest.fixture
def tool(village: Any) -> tuple[Stamps, Any, dict[Any, datetime]]:
    """Stamps, samples, and their times after a tool saved sample by sample, an hour ago."""
    village.run()
    dataset = village.dataset()
    samples = foo.get_db_conn()[dataset._sample_collection_name]
    hour_ago = datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0) - timedelta(hours=1)
    times = {id: hour_ago + timedelta(milliseconds=n) for n, id in enumerate(samples.distinct("_id"))}
    for id, at in times.items():
        samples.update_one({"_id": id}, {"$set": {"last_modified_at": at}})
    return Stamps(foo.get_db_conn(), dataset_id(dataset), samples), samples, times


def test_what_a_tool_saved_sample_by_sample_is_looked_at_once_and_leaves_one_stamp(village: Any, tool: Any) -> None:
    stamps, samples, _ = tool
    assert (village.push().looked_at, village.push().looked_at) == (6, 0)
    assert len(samples.distinct("last_modified_at")) == 1
    assert stamps.known() == samples.distinct("last_modified_at")


def test_what_is_touched_after_it_was_looked_at_keeps_its_time(village: Any, tool: Any) -> None:
    stamps, samples, times = tool
    first = samples.find_one()["elemental_id"]
    relabel(village.sample(first))
    assert stamps.restamp(times) == set()
    assert touched(village) == {first}


def test_a_time_of_this_moment_is_left_alone(village: Any, tool: Any) -> None:
    stamps, _, times = tool
    assert stamps.restamp(times, max(times.values())) == set()
    assert len(touched(village)) == 6


def test_a_sample_with_the_time_of_an_edited_one_gets_a_stamp_all_the_same(village: Any, tool: Any) -> None:
    _, samples, times = tool
    samples.update_many({}, {"$set": {"last_modified_at": min(times.values())}})
    first = samples.find_one()["elemental_id"]
    samples.update_one({"elemental_id": first}, {"$set": {"ground_truth.label": "mine"}})
    result = village.push(dry_run=True)
    assert (result.looked_at, result.changed) == (6, 1)
    village.edit(first, Label="theirs")
    assert village.push().conflicts == 1
    assert touched(village) == {first}


def test_a_time_that_many_samples_have_becomes_a_stamp_itself(
    village: Any, tool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fiftyone_tator.sync.stamps._WORTH_A_STAMP", 6)
    stamps, samples, times = tool
    at = min(times.values())
    samples.update_many({}, {"$set": {"last_modified_at": at}})
    assert (village.push().looked_at, village.push().looked_at) == (6, 0)
    assert stamps.known() == samples.distinct("last_modified_at") == [at]
