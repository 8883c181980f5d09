"""One writer a dataset."""

import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
import pytest

from fiftyone_tator.sync.errors import Busy
from fiftyone_tator.sync.lease import COLLECTION, Lease


@pytest.fixture
def leases() -> Any:
    return foo.get_db_conn()[COLLECTION]


def test_a_second_import_says_who_is_importing(village: Any) -> None:
    began, go_on = threading.Event(), threading.Event()

    def wait(progress: object) -> None:
        began.set()
        assert go_on.wait(60)

    first = threading.Thread(target=village.run, kwargs={"report": wait})
    first.start()
    try:
        assert began.wait(60)
        with pytest.raises(Busy, match=rf"Somebody is importing on dataset '{village.made[0]}'.*process {os.getpid()}"):
            village.run()
    finally:
        go_on.set()
        first.join()
    assert len(village.dataset()) == 6
    assert village.run().unchanged == 6


def test_imports_into_two_datasets_of_one_project_do_not_hinder_each_other(village: Any) -> None:
    client = village.client()
    barrier = threading.Barrier(2)
    failures: list[BaseException] = []
    met = threading.local()

    def meet(progress: object) -> None:
        if not hasattr(met, "once"):
            met.once = True
            barrier.wait(60)

    def work(name: str) -> None:
        try:
            village.run(client, dataset_name=name, report=meet)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for name in ("one", "two"):
        assert len(village.documents(name)) == 6
        assert village.run(dataset_name=name).unchanged == 6
    assert village._crops(village.dataset("one")) != village._crops(village.dataset("two"))


def test_the_lease_of_a_process_that_died_is_taken_over_at_once(village: Any, mortal: Any, leases: Any) -> None:
    told = mortal.run(village, die_on="insert samples.", die_at=1)
    assert told["signal"] == 9
    assert leases.find_one({"_id": village.made[0]})["expires"] > now()
    assert village.run().created == 6


def now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)


@pytest.fixture
def held(village: Any, leases: Any) -> Callable[..., Any]:
    """Writes a lease of somebody else's."""

    def write(**changes: Any) -> str:
        name = str(village.options().dataset_name)
        with Lease(foo.get_db_conn(), name, purpose="pushing"):
            document = leases.find_one({"_id": name})
        leases.insert_one({**document, "token": "theirs", **changes})
        return name

    return write


def test_a_lease_of_another_machine_is_respected_until_it_ends(village: Any, held: Any, leases: Any) -> None:
    name = held(host="elsewhere", pid=1)
    with pytest.raises(Busy, match=r"pushing.*process 1 on elsewhere"):
        village.run()
    leases.update_one({"_id": name}, {"$set": {"expires": now() - timedelta(seconds=1)}})
    assert village.run().created == 6


def test_a_process_with_the_number_of_a_dead_one_is_another_one(village: Any, held: Any) -> None:
    held(process_started=1.0)
    assert village.run().created == 6


def test_a_lease_is_given_back_and_renewed_only_by_its_holder(village: Any, leases: Any) -> None:
    name = village.options().dataset_name
    with Lease(foo.get_db_conn(), name, purpose="importing"):
        leases.update_one({"_id": name}, {"$set": {"token": "theirs"}})
    assert leases.find_one({"_id": name})["token"] == "theirs"
    leases.delete_one({"_id": name})


def test_a_lease_is_renewed_while_it_is_held(village: Any, leases: Any) -> None:
    name = village.options().dataset_name
    with Lease(foo.get_db_conn(), name, purpose="importing", seconds=0.3):
        first = leases.find_one({"_id": name})["expires"]
        deadline = now() + timedelta(seconds=20)
        while leases.find_one({"_id": name})["expires"] <= first:
            assert now() < deadline
    assert leases.find_one({"_id": name}) is None


def test_a_lease_outlives_a_database_that_refuses_renewals_for_a_while() -> None:
    client = foo.get_db_conn().client
    database = client["tator_lease_test"]
    try:
        with Lease(database, "drowsy", purpose="importing", seconds=0.3) as lease:
            database.command("collMod", COLLECTION, validator={"purpose": "none of ours"})
            ends = database[COLLECTION].find_one({"_id": "drowsy"})["expires"]
            lease.check()
            while now() <= ends:
                assert not lease.lost
            with pytest.raises(Busy, match=r"could not be renewed in time.*do the same again"):
                lease.check()
            database.command("collMod", COLLECTION, validator={})
            deadline = now() + timedelta(seconds=20)
            while database[COLLECTION].find_one({"_id": "drowsy"})["expires"] <= ends:
                assert now() < deadline
            lease.check()
    finally:
        client.drop_database("tator_lease_test")


def test_who_lost_the_lease_is_told_by_its_renewals_too(village: Any, leases: Any) -> None:
    name = village.options().dataset_name
    with Lease(foo.get_db_conn(), name, purpose="importing", seconds=0.3) as lease:
        leases.delete_one({"_id": name})
        deadline = now() + timedelta(seconds=20)
        while not lease.lost:
            assert now() < deadline
        with pytest.raises(Busy, match="do the same again"):
            lease.check()


def test_an_import_that_lost_its_lease_stops_and_says_who_has_it(village: Any, leases: Any) -> None:
    def take_over(progress: Any) -> None:
        if progress.stage == "Cutting crops":
            leases.update_one({"_id": village.made[0]}, {"$set": {"token": "theirs", "pid": 7, "host": "elsewhere"}})

    with pytest.raises(Busy, match=r"process 7 on elsewhere is importing there now\. Nothing is lost"):
        village.run(report=take_over)
    assert leases.find_one_and_delete({"_id": village.made[0]})["token"] == "theirs"
    assert village.run().conflicts == 0
    assert len(village.dataset()) == 6


def test_a_dataset_that_was_renamed_is_still_one_dataset(village: Any, leases: Any) -> None:
    village.run()
    dataset = village.dataset()
    with Lease(foo.get_db_conn(), dataset.name, purpose="importing"):
        dataset.name = f"{dataset.name}-renamed"
        village.made[0] = dataset.name
        with pytest.raises(Busy, match=rf"Somebody is importing on dataset '{dataset.name}'"):
            village.push()
        assert leases.find_one({"_id": dataset.name}) is None, "who could not write hinders nobody"
    assert village.push().changed == 0
    assert leases.find_one({"_id": dataset._doc.id}) is None


def test_a_dataset_that_a_first_import_makes_is_leased_with_it(village: Any) -> None:
    stages: list[str] = []

    def rename(progress: Any) -> None:
        if progress.stage == "Cutting crops" and not stages:
            stages.append(progress.stage)
            dataset = village.dataset()
            dataset.name = f"{dataset.name}-renamed"
            with pytest.raises(Busy, match="Somebody is importing"):
                village.push(name=dataset.name)
            dataset.name = village.made[0]

    assert village.run(report=rename).created == 6
    assert stages


def test_an_import_stops_when_somebody_writes_to_the_dataset_that_it_made(village: Any, leases: Any) -> None:
    name = str(village.options().dataset_name)
    with Lease(foo.get_db_conn(), name, purpose="importing") as lease:
        document = leases.find_one({"_id": name})
        id = fo.Dataset(name)._doc.id
        leases.insert_one({**document, "_id": id, "token": "theirs", "pid": 7, "host": "elsewhere"})
        with pytest.raises(Busy, match="process 7 on elsewhere is importing"):
            lease.check()
    assert leases.find_one_and_delete({"_id": id})["token"] == "theirs"


def test_both_leases_of_a_process_that_died_are_taken_over(village: Any, mortal: Any, leases: Any) -> None:
    village.run()
    sample = village.dataset().first()
    sample.ground_truth.label = "eel"
    sample.save()
    assert mortal.push(village, die_on="PATCH", die_at=1)["signal"] == 9
    assert leases.count_documents({"_id": {"$in": [village.made[0], village.dataset()._doc.id]}}) == 2
    assert village.push().changed == 1
