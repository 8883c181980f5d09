"""New localizations are made once, under names that the dataset knows; proposals say all that a sample says."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
import pytest

from fiftyone_tator.sync.errors import Busy
from fiftyone_tator.tator_client import ServerFailed, TatorError


@pytest.fixture
def boxes(house: Any) -> list[str]:
    """Four boxes of version Baseline, imported; version Scratch was not."""
    media = house.media("img.png")
    made = house.boxes(*(house.spec(media, x=0.1 * n, attributes={"count": 7, "notes": "n"}) for n in range(4)))
    house.version("Scratch")
    house.run(versions=["Baseline"])
    return list(made)


@pytest.fixture
def around(house: Any) -> Iterator[Callable[..., None]]:
    """Lets a function stand in for a method of the client; it gets the method and what the method was called with."""
    client, names = house.client(), set()

    def put(name: str, function: Any) -> None:
        original = getattr(client, name)
        names.add(name)
        setattr(client, name, lambda *args, **options: function(original, *args, **options))

    yield put
    for name in names:
        client.__dict__.pop(name, None)


def add(house: Any, element: str, count: int = 1, **fields: Any) -> Any:
    """Adds samples on the picture of another one; gives the last."""
    other = house.sample(element)
    values = {"media_id": other["media_id"], "box": [0.5, 0.5, 0.25, 0.25], **fields}
    label = fo.Classification(label="new", confidence=0.75)
    samples = [fo.Sample(filepath=other.filepath, ground_truth=label.copy(), **values) for _ in range(count)]
    house.dataset().add_samples(samples)
    return samples[-1]


def put(house: Any, element: str, **fields: Any) -> None:
    sample = house.sample(element)
    for name, value in fields.items():
        sample[name] = value
    sample.save()


def relabel(sample: Any, label: str) -> None:
    sample.reload()
    sample.ground_truth.label = label
    sample.save()


def clear(house: Any, sample: Any) -> None:
    """Takes a sample's elemental id from it, which FiftyOne itself refuses to do."""
    table = foo.get_db_conn()[house.dataset()._sample_collection_name]
    change = {"$set": {"elemental_id": None}, "$currentDate": {"last_modified_at": True}}
    assert table.update_one({"_id": sample._id}, change).modified_count
    sample.reload()


def count(house: Any) -> int:
    """How many boxes Tator shows."""
    version, kind = house.versions["Baseline"], house.types["Box"]
    return int(house.client().count_localizations(house.project, version=version, type=kind))


def rename(house: Any, table: str, id: int) -> None:
    with house.tator.store.write() as db:
        db.execute(f"update {table} set name = 'Renamed' where id = ?", (id,))


def drop(house: Any, attribute: str) -> None:
    """Takes an attribute from the type Box in Tator."""
    kind = house.types["Box"]
    data = json.loads(house.tator.store.row("select data from localization_type where id = ?", (kind,))[0])
    data["attribute_types"] = [each for each in data["attribute_types"] if each["name"] != attribute]
    with house.tator.store.write() as db:
        db.execute("update localization_type set data = ? where id = ?", (json.dumps(data), kind))


# ---------------------------------------------------------------------- once


def lose(house: Any, around: Callable[..., None]) -> Callable[[], Any]:
    """Pushes, and nobody knows whether the creation arrived; gives what lets it arrive."""
    late: list[Callable[[], Any]] = []

    def fail(original: Any, *args: Any, **options: Any) -> None:
        late.append(lambda: original(*args, **options))
        raise ServerFailed("timeout", outcome_unknown=True)

    around("create_each", fail)
    with pytest.raises(TatorError):
        house.push()
    del house.client().create_each
    return late[0]


def test_a_creation_that_arrives_late_is_the_one_that_was_tried_again(house: Any, boxes: Any, around: Any) -> None:
    sample = add(house, boxes[0])
    arrive = lose(house, around)
    assert house.push().created == 1
    arrive()
    assert count(house) == 5
    sample.reload()
    assert house.marks(sample["elemental_id"]) == 2
    house.run()
    assert len(house.dataset()) == 5


def test_what_an_import_brought_of_a_late_creation_is_not_written_over(house: Any, boxes: Any, around: Any) -> None:
    sample = add(house, boxes[0])
    arrive = lose(house, around)
    house.push(fields=["notes"], samples=[house.sample(boxes[1])._id])
    arrive()
    house.run(versions=["Baseline"])
    assert len(house.dataset()) == 6
    result = house.push()
    assert (result.created, result.failed, count(house)) == (0, 1, 5)
    assert "remove one of the two" in result.failures[0]["reason"]
    house.dataset().delete_samples([sample.id])
    assert (house.push().failed, count(house)) == (0, 5)


def test_a_sample_whose_localization_was_deleted_is_made_anew_as_another_one(house: Any, boxes: list[str]) -> None:
    sample = add(house, boxes[0])
    had: list[str] = []
    for _ in range(3):
        assert house.push().created == 1
        sample.reload()
        had.append(sample["elemental_id"])
        house.delete(had[-1])
        clear(house, sample)
    assert len(set(had)) == 3
    assert house.push().created == 1
    assert count(house) == 5


def test_what_was_deleted_in_tator_before_anything_was_agreed_on_stays_deleted(
    house: Any, boxes: Any, around: Any
) -> None:
    sample = add(house, boxes[0])
    arrive = lose(house, around)
    arrive()
    sql = "select elemental_id from localization where project = ? order by id desc limit 1"
    first = house.tator.store.row(sql, (house.project,))[0]
    house.delete(first)
    assert house.push().created == 1
    sample.reload()
    assert sample["elemental_id"] != first
    assert house.row(first) is None


def test_a_sample_is_of_one_localization(house: Any, boxes: list[str]) -> None:
    sample = house.sample(boxes[0])
    clear(house, sample)
    assert house.push().created == 1
    sample.reload()
    new = sample["elemental_id"]
    assert new != boxes[0]
    house.edit(boxes[0], Label="cod")
    house.run()
    sample.reload()
    assert (sample["elemental_id"], sample.ground_truth.label) == (new, "crab")
    assert (len(house.dataset()), house.sample(boxes[0]).ground_truth.label) == (5, "cod")
    house.dataset().delete_samples([sample.id])
    assert house.push(deletions=True).deleted == 1
    assert (house.row(new), house.row(boxes[0]).attributes["Label"]) == (None, "cod")


@pytest.mark.parametrize("version", [None, "Scratch"])
def test_a_lease_that_was_lost_ends_what_is_created_between_two_batches(
    house: Any, boxes: Any, around: Any, monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    monkeypatch.setattr("fiftyone_tator.sync.journal._MOST", 2)
    if version is None:
        add(house, boxes[0], 5)
    else:
        house.dataset().set_values("ground_truth.label", ["eel"] * 4)
    leases, calls = foo.get_db_conn()["tator_sync.leases"], []

    def lose_it(original: Any, *args: Any, **options: Any) -> Any:
        calls.append(1)
        leases.update_one({"_id": house.made[0]}, {"$set": {"token": "somebody else"}})
        time.sleep(0.6)
        return original(*args, **options)

    around("create_each", lose_it)
    try:
        with pytest.raises(Busy):
            house.push(version=version)
    finally:
        leases.delete_one({"_id": house.made[0]})
    assert len(calls) == 1


# ---------------------------------------------------------------------- names


def test_a_new_sample_may_go_to_a_version_that_was_not_imported(house: Any, boxes: list[str]) -> None:
    sample = add(house, boxes[0])
    assert house.push(version="Scratch").created == 1
    relabel(sample, "again")
    assert (sample["version"], sorted(house.info()["versions"].values())) == ("Scratch", ["Baseline", "Scratch"])
    result = house.push()
    assert (result.changed, result.failed) == (1, 0)
    assert house.row(sample["elemental_id"], "Scratch").attributes["Label"] == "again"


def test_a_version_that_is_called_like_another_one_gets_a_name_of_its_own(house: Any, boxes: list[str]) -> None:
    rename(house, "version", house.versions["Baseline"])
    other = house.tator.store.add_version(house.project, "Baseline")
    sample = add(house, boxes[0])
    assert house.push(version=other).created == 1
    relabel(sample, "again")
    assert sample["version"] == f"Baseline ({other})"
    assert house.push().changed == 1


@pytest.mark.parametrize("table", ["version", "localization_type"])
def test_a_new_sample_says_the_names_of_the_dataset_until_an_import(house: Any, boxes: list[str], table: str) -> None:
    rename(house, table, house.versions["Baseline"] if table == "version" else house.types["Box"])
    sample = add(house, boxes[0], localization_type="Box", version="Baseline")
    assert house.push().created == 1
    relabel(sample, "again")
    assert (sample["version"], sample["localization_type"]) == ("Baseline", "Box")
    result = house.push()
    assert (result.changed, result.failed, result.fields) == (1, 0, {"label": 1})
    assert house.push().looked_at == 0
    house.run(versions=["Renamed" if table == "version" else "Baseline"])
    sample.reload()
    assert sample["version" if table == "version" else "localization_type"] == "Renamed"
    assert len(house.dataset()) == 5


# ---------------------------------------------------------------------- proposals


def test_a_proposal_says_that_a_value_was_cleared(house: Any, boxes: list[str]) -> None:
    put(house, boxes[0], count=5)
    house.push(version="Scratch")
    put(house, boxes[0], count=None)
    result = house.push(version="Scratch")
    assert (result.changed, result.already, result.failed) == (1, 0, 0)
    assert house.row(boxes[0], "Scratch").attributes["count"] is None
    result = house.push(version="Scratch")
    assert (result.changed, result.already, result.failed) == (0, 1, 0)
    put(house, boxes[0], count=6)
    assert house.push(version="Scratch").changed == 1
    assert house.row(boxes[0], "Scratch").attributes["count"] == 6


def test_a_proposal_keeps_what_is_empty_in_its_original(house: Any, boxes: list[str]) -> None:
    house.client().update_localization(house.versions["Baseline"], boxes[0], null_attributes=["count"])
    house.run(versions=["Baseline"])
    put(house, boxes[0], notes="mine")
    assert house.push(version="Scratch").changed == 1
    proposed = house.row(boxes[0], "Scratch").attributes
    assert (proposed["count"], proposed["notes"]) == (None, "mine")


def test_a_proposal_that_was_cut_off_before_its_empty_values_is_completed(house: Any, boxes: Any, around: Any) -> None:
    def fail(original: Any, *args: Any, **options: Any) -> None:
        raise ServerFailed("timeout", outcome_unknown=True)

    put(house, boxes[0], count=None)
    around("update_each", fail)
    with pytest.raises(TatorError):
        house.push(version="Scratch")
    del house.client().update_each
    assert house.row(boxes[0], "Scratch").attributes["count"] == 0
    result = house.push(version="Scratch")
    assert (result.recovered, result.already, result.failed) == (1, 1, 0)
    assert (house.row(boxes[0], "Scratch").attributes["count"], house.marks(boxes[0], "Scratch")) == (None, 1)


def test_what_a_type_has_no_more_holds_up_no_proposal_and_no_revival(house: Any, boxes: list[str]) -> None:
    drop(house, "notes")
    for element in boxes[:2]:
        relabel(house.sample(element), "eel")
    result = house.push(version="Scratch")
    assert (result.changed, result.failed) == (2, 0)
    assert house.push(version="Scratch").already == 2
    house.delete(boxes[1])
    result = house.push(conflicts="ours")
    assert (result.changed, result.failed) == (2, 0)
    assert house.row(boxes[1]).attributes["Label"] == "eel"


def test_a_proposal_of_what_was_deleted_in_tator_is_named(house: Any, boxes: list[str]) -> None:
    relabel(house.sample(boxes[0]), "eel")
    house.delete(boxes[0])
    result = house.push(version="Scratch")
    assert (result.changed, result.failed) == (0, 1)
    assert "deleted in Tator" in result.failures[0]["reason"]
    assert "conflicts: ours" in result.failures[0]["reason"]
    assert house.push(conflicts="ours").changed == 1
