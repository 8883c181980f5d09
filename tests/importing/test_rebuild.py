"""A dataset that lost what was agreed on with Tator gets it back, and neither side is overwritten."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from fiftyone_tator.sync.base import COLLECTION
from fiftyone_tator.sync.dataset import CONFLICT_TAG, dataset_id
from fiftyone_tator.sync.errors import InvalidOption, NotFromTator

Elements = Callable[[Any], list[str]]
Copy = Callable[[Any], str]


def clone(house: Any) -> str:
    name: str = house.options(dataset_name="a-clone").dataset_name
    house.dataset(house.made[0]).clone(name, persistent=True)
    return name


def exported(house: Any) -> str:
    """Exports the dataset, deletes it and all files of it, and loads it under another name."""
    name: str = house.options(dataset_name="loaded-again").dataset_name
    folder = str(house.root / "export")
    house.dataset(house.made[0]).export(export_dir=folder, dataset_type=fo.types.FiftyOneDataset)
    fo.delete_dataset(house.made[0])
    shutil.rmtree(house.folder / "crops")
    fo.Dataset.from_dir(dataset_dir=folder, dataset_type=fo.types.FiftyOneDataset, name=name, persistent=True)
    return name


def bereft(house: Any) -> str:
    """The dataset itself, without its base."""
    import fiftyone.core.odm as foo

    name: str = house.made[0]
    foo.get_db_conn()[COLLECTION].delete_many({"dataset": dataset_id(house.dataset(name))})
    return name


COPIES: dict[str, Copy] = {"clone": clone, "exported": exported, "bereft": bereft}


@pytest.fixture(params=COPIES)
def copy(request: pytest.FixtureRequest) -> Copy:
    return COPIES[request.param]


def relabel(sample: Any, label: str = "mine") -> None:
    sample.ground_truth.label = label
    sample.save()


def counts(result: Any) -> dict[str, int]:
    numbers = result.as_json()
    names = ("created", "updated", "removed", "unchanged", "conflicts", "deleted_here", "filtered")
    return {name: numbers[name] for name in names if numbers[name]}


def notes(result: Any) -> dict[str, list[str]]:
    return {group["reason"]: group["examples"] for group in result.as_json()["notes"]}


def conflicts(house: Any, name: str) -> dict[str, str]:
    dataset = house.dataset(name)
    assert set(dataset.match_tags(CONFLICT_TAG).values("id")) == set(dataset.exists("tator_conflict").values("id"))
    return {sample.elemental_id: sample.tator_conflict for sample in dataset.exists("tator_conflict")}


def test_without_the_option_a_dataset_without_base_is_left_alone_and_the_option_is_offered(
    village: Any, copy: Copy
) -> None:
    village.run()
    name = copy(village)
    before = village.stored(name)
    with pytest.raises(NotFromTator, match=rf"{name}.*Import with the option rebuild"):
        village.run(dataset_name=name)
    assert village.stored(name) == before


def test_a_dataset_in_which_nobody_did_anything_becomes_as_if_it_had_been_imported(
    village: Any, copy: Copy, tmp_path: Path
) -> None:
    village.run()
    name = copy(village)
    result = village.run(dataset_name=name, rebuild=True)
    assert (conflicts(village, name), result.created, result.removed, notes(result)) == ({}, 0, 0, {})
    village.run(dataset_name="afresh", root=tmp_path / "afresh")
    rebuilt, afresh = village.everything(name), village.everything("afresh")
    assert {key: rebuilt[key] for key in ("documents", "base", "crops", "schema", "indexes")} == {
        key: afresh[key] for key in ("documents", "base", "crops", "schema", "indexes")
    }
    assert counts(village.run(dataset_name=name)) == {"unchanged": 6}
    assert village.run(dataset_name=name, compare="auto").compared == "changes"


def test_what_differs_is_a_conflict_that_shows_both_values(village: Any, elements: Elements, copy: Copy) -> None:
    village.run()
    ours, theirs, moved, *_ = elements(village)
    relabel(village.sample(ours))
    village.edit(theirs, notes="theirs")
    village.edit(moved, geometry={"x": 0.125})
    name = copy(village)
    result = village.run(dataset_name=name, rebuild=True)
    assert (result.conflicts, result.created, result.removed) == (3, 0, 0)
    for again in ({}, {"rebuild": True}):
        told = conflicts(village, name)
        assert set(told) == {ours, theirs, moved}
        assert told[ours] == "label: 'mine' here, 'crab' in Tator"
        assert told[theirs] == "notes: '' here, 'theirs' in Tator"
        assert told[moved].startswith("geometry: ")
        assert village.sample(ours, name).ground_truth.label == "mine"
        assert village.sample(theirs, name).notes == ""
        assert village.sample(moved, name).box[0] == 0.25
        assert counts(village.run(dataset_name=name, **again)) == {"conflicts": 3, "unchanged": 3}
    relabel(village.sample(ours, name), "crab")
    village.edit(theirs, notes="")
    village.run(dataset_name=name)
    assert set(conflicts(village, name)) == {moved}


def test_a_value_beside_a_conflict_follows_tator_again(village: Any, elements: Elements, copy: Copy) -> None:
    village.run()
    first = elements(village)[0]
    relabel(village.sample(first))
    name = copy(village)
    village.run(dataset_name=name, rebuild=True)
    village.edit(first, notes="theirs")
    village.run(dataset_name=name)
    sample = village.sample(first, name)
    assert (sample.ground_truth.label, sample.notes, sample.tags) == ("mine", "theirs", [CONFLICT_TAG])


def test_a_localization_that_was_deleted_in_tator_is_a_conflict_and_its_sample_stays(
    village: Any, elements: Elements, copy: Copy
) -> None:
    village.run()
    first, second, *_ = elements(village)
    village.delete(first)
    name = copy(village)
    for options in ({"rebuild": True}, {}, {"compare": "auto"}):
        village.run(dataset_name=name, **options)
        assert conflicts(village, name) == {first: "It was deleted in Tator, and changed here"}
    assert Path(village.sample(first, name).filepath).is_file()
    village.delete(second)
    assert village.run(dataset_name=name, compare="auto").removed == 1


def test_a_sample_of_which_tator_knows_nothing_is_named_and_left_alone(
    village: Any, elements: Elements, copy: Copy
) -> None:
    village.run()
    first = elements(village)[0]
    with village.tator.store.write() as db:
        db.execute("delete from localization where elemental_id = ?", (first,))
    name = copy(village)
    result = village.run(dataset_name=name, rebuild=True)
    assert notes(result) == {
        "Tator has no such localization, not even a deleted one; the sample was left as it is": [f"img_0.png, {first}"]
    }
    assert conflicts(village, name) == {}
    assert village.sample(first, name).tags == []
    assert counts(village.run(dataset_name=name)) == {"unchanged": 5}


def test_of_two_samples_of_one_localization_the_first_is_kept_up_to_date(
    village: Any, elements: Elements, copy: Copy
) -> None:
    village.run()
    name = copy(village)
    first = elements(village)[0]
    original = village.sample(first, name)
    second = original.copy()
    second.filepath = str(village.root / "another.jpg")
    shutil.copy(original.filepath, second.filepath)
    village.dataset(name).add_sample(second)
    result = village.run(dataset_name=name, rebuild=True)
    assert notes(result) == {
        "Another sample is the same localization already; only the first one is kept up to date": [
            f"img_0.png, {first}"
        ]
    }
    village.edit(first, notes="theirs")
    village.run(dataset_name=name)
    dataset = village.dataset(name)
    assert dataset[original.id].notes == "theirs"
    assert dataset[second.id].notes == ""


def test_rows_that_are_missing_are_added_and_those_that_are_there_stay(
    village: Any, elements: Elements, database: Any
) -> None:
    village.run()
    first, second, third, *_ = elements(village)
    for element in (first, second):
        relabel(village.sample(element))
    database[COLLECTION].delete_many({"elemental_id": {"$in": [second, third]}})
    result = village.run()
    assert counts(result) == {"unchanged": 4}
    assert [group["count"] for group in result.as_json()["left_out"]] == [2]
    assert len(village.dataset()) == 6
    village.run(rebuild=True)
    assert conflicts(village, village.made[0]) == {second: "label: 'mine' here, 'kelp' in Tator"}
    assert counts(village.run()) == {"conflicts": 1, "unchanged": 5}


def test_versions_and_types_that_are_not_chosen_are_rebuilt_all_the_same(village: Any, elements: Elements) -> None:
    media = village.tator.store.row("select min(id) from media where project = ?", (village.project,))[0]
    village.version("Model")
    village.type("Dot", "dot", [{"name": "Label", "dtype": "string"}])
    village.box(media, version=village.versions["Model"], elemental_id=elements(village)[0])
    spec = village.spec(media, type=village.types["Dot"], width=None, height=None)
    village.boxes({**spec, "attributes": {"Label": "dot"}})
    village.run(types=["Box", "Dot"])
    name = clone(village)
    result = village.run(dataset_name=name, rebuild=True, versions=["Baseline"])
    assert (conflicts(village, name), result.created, len(village.base(name))) == ({}, 0, 8)
    assert counts(village.run(dataset_name=name, types=["Box", "Dot"])) == {"unchanged": 8}


def test_a_rename_since_the_last_import_is_no_difference(village: Any, copy: Copy) -> None:
    village.run()
    name = copy(village)
    with village.tator.store.write() as db:
        db.execute("update version set name = 'Gold' where name = 'Baseline' and project = ?", (village.project,))
        db.execute(
            "update localization_type set name = 'Animal' where project = ? and dtype = 'box'", (village.project,)
        )
    village.run(dataset_name=name, rebuild=True)
    assert conflicts(village, name) == {}
    assert village.dataset(name).distinct("version") == ["Gold"]
    assert village.dataset(name).distinct("localization_type") == ["Animal"]


def test_a_clone_gets_crops_of_its_own_and_leaves_those_of_its_original(village: Any, elements: Elements) -> None:
    village.run()
    original = village.made[0]
    before = village.everything(original)
    name = clone(village)
    village.run(dataset_name=name, rebuild=True)
    folder = os.path.dirname(os.path.dirname(village.sample(elements(village)[0], name).filepath))
    assert os.path.basename(folder) == "crops_a-clone"
    assert village.everything(original) == before
    village.delete(elements(village)[0])
    assert village.run(dataset_name=name).removed == 1
    assert village.everything(original) == before
    assert village.run(dataset_name=original).removed == 1


def test_rebuilding_with_a_sample_limit_is_refused(village: Any) -> None:
    village.run()
    name = clone(village)
    with pytest.raises(InvalidOption, match="Leave max_samples out"):
        village.run(dataset_name=name, rebuild=True, max_samples=2)


def test_the_option_does_no_harm_where_nothing_is_missing(village: Any) -> None:
    assert village.run(rebuild=True).created == 6
    before = village.stored()
    assert counts(village.run(rebuild=True)) == {"unchanged": 6}
    assert village.stored() == before


MOMENTS = 8


@pytest.fixture(scope="module")
def copies(shared_house: Any, mortal: Any) -> Any:
    """Clones to kill a rebuilding of, all alike; what each shall become, and after how many steps."""
    house = shared_house
    house.version("Model")
    media = [house.media(f"img_{number}.png") for number in range(3)]
    plain = house.boxes(*(house.spec(media[n // 3], x=0.1 * n) for n in range(8)))
    house.box(media[0], version=house.versions["Model"], elemental_id=plain[0])
    house.run(dataset_name="original")
    relabel(house.sample(plain[1]))
    house.edit(plain[2], notes="theirs")
    house.delete(plain[3])
    for name in ("wanted", *(f"copy-{moment}" for moment in range(MOMENTS))):
        house.dataset("original").clone(house.options(dataset_name=name).dataset_name, persistent=True)
    house.steps = mortal.run(house, dataset_name="wanted", root=house.root / "wanted", rebuild=True)["step"]
    house.wanted = house.everything("wanted")
    assert len(conflicts(house, "wanted")) == 3
    return house


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_rebuilding_that_was_killed_is_completed_by_the_next(copies: Any, mortal: Any, moment: int) -> None:
    name, at = f"copy-{moment}", 1 + moment * copies.steps // MOMENTS
    told = mortal.run(copies, dataset_name=name, root=copies.root / name, rebuild=True, die_at=at)
    assert told["signal"] == 9
    try:
        copies.run(dataset_name=name, root=copies.root / name)
    except NotFromTator:
        copies.run(dataset_name=name, root=copies.root / name, rebuild=True)
    assert copies.everything(name) == copies.wanted, told["died"]
