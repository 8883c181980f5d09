"""A push that was killed is finished by the next one, and Tator holds each change once."""

from typing import Any

import fiftyone.core.odm as foo
import pytest

from fiftyone_tator.sync.recovering import finish_pushes
from fiftyone_tator.tests.importing.scene import GROUP, MOVED, NEW, OPTIONS, OURS, SINGLE, Scene, check

MOMENTS = 16
"""Moments of death, spread evenly over a push's requests and writes."""


@pytest.fixture(scope="module")
def made(shared_house: Any) -> Scene:
    return Scene(shared_house)


@pytest.fixture(scope="module")
def clean(made: Scene, mortal: Any) -> Any:
    """What a push makes that nobody kills."""
    told = mortal.push(made.house, **OPTIONS)
    journal = foo.get_db_conn()["tator_sync.journal"]
    ways = journal.distinct("way", {"dataset": made.house.dataset()._doc.id})
    return {**made.everything(), "marks": made.marks(), "told": told["result"], "steps": told["step"], "ways": ways}


@pytest.fixture
def scene(made: Scene, clean: Any) -> Scene:
    made.restore()
    return made


def test_a_push_does_all_that_was_edited(clean: Any) -> None:
    told = clean["told"]
    assert (told["changed"], told["created"], told["deleted"], told["removed"]) == (53, 1, 1, 1)
    assert (told["conflicts"], told["already"], told["failed"]) == (3, 1, 0)
    assert sorted(clean["ways"]) == ["bulk", "creation", "delete", "single"]


def finish(scene: Scene, clean: Any) -> None:
    """Pushes once more: the end is that of a push that nobody killed, and then nothing is left to do."""
    house = scene.house
    house.push(**OPTIONS)
    check(scene, clean)
    again = house.push(**OPTIONS)
    assert (again.changed, again.created, again.deleted, again.failed, again.conflicts) == (0, 0, 0, 0, 3)
    assert scene.marks() == clean["marks"]


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_push_that_was_killed_is_finished_by_the_next(scene: Scene, mortal: Any, clean: Any, moment: int) -> None:
    told = mortal.push(scene.house, die_at=1 + moment * clean["steps"] // MOMENTS, **OPTIONS)
    assert told["signal"] == 9
    finish(scene, clean)


@pytest.mark.parametrize("write", range(1, 18))
def test_a_push_killed_before_a_write_to_the_journal_is_finished(
    scene: Scene, mortal: Any, clean: Any, write: int
) -> None:
    told = mortal.push(scene.house, die_on="tator_sync.journal", die_at=write, **OPTIONS)
    assert told["signal"] == 9
    finish(scene, clean)


AGAIN = (GROUP[0], GROUP[1], MOVED[0], SINGLE[0], OURS, NEW)


@pytest.mark.parametrize("write", [4, 5, 7, 8, 10, 11, 13, 14])
def test_what_is_edited_again_after_a_kill_arrives(scene: Scene, mortal: Any, clean: Any, write: int) -> None:
    mortal.push(scene.house, die_on="tator_sync.journal", die_at=write, **OPTIONS)
    scene.edit("ground_truth.label", dict.fromkeys(AGAIN, "ray"))
    scene.edit("box", {MOVED[1]: [0.7, 0.7, 0.2, 0.2], NEW: [0.6, 0.6, 0.2, 0.2]})
    scene.edit("notes", {SINGLE[1]: "new", MOVED[3]: "new"})
    result = scene.house.push(**OPTIONS)
    assert (result.failed, result.conflicts) == (0, 3)
    there, ours = scene.theirs(), scene.ours()
    assert {there[number]["Label"] for number in AGAIN} == {"ray"}
    assert {ours[number]["ground_truth"]["label"] for number in AGAIN} == {"ray"}
    assert [there[number]["x"] for number in (MOVED[1], NEW)] == [0.7, 0.6]
    assert [there[number]["notes"] for number in (SINGLE[1], MOVED[3])] == ["new", "new"]
    scene.check_track()
    scene.check_journal()
    assert all(count <= clean["marks"][number] + 1 for number, count in scene.marks().items())
    assert scene.house.push(**OPTIONS).changed == 0


@pytest.mark.parametrize("write", [4, 5, 7, 10, 13, 16])
def test_an_import_after_a_kill_changes_nothing_of_it(scene: Scene, mortal: Any, clean: Any, write: int) -> None:
    mortal.push(scene.house, die_on="tator_sync.journal", die_at=write, **OPTIONS)
    import_and_finish(scene, clean)


@pytest.mark.parametrize("write", [4, 10, 11])
def test_what_a_killed_push_created_is_adopted_before_an_import(
    scene: Scene, mortal: Any, clean: Any, write: int
) -> None:
    mortal.push(scene.house, die_on="tator_sync.journal", die_at=write, **OPTIONS)
    finish_pushes(scene.house.client("viewer" if write == 4 else "editor"), scene.house.dataset())
    import_and_finish(scene, clean)


def import_and_finish(scene: Scene, clean: Any) -> None:
    scene.house.run()
    scene.house.push(**OPTIONS)
    assert scene.theirs() == clean["theirs"]
    assert scene.marks() == clean["marks"]
    assert scene.base() == clean["base"]
    labels = {number: document["ground_truth"]["label"] for number, document in scene.ours().items()}
    assert labels == {number: document["ground_truth"]["label"] for number, document in clean["ours"].items()}
    scene.check_track()
    scene.check_journal()


PROPOSING = {"version": "Model", "conflicts": "ours"}
DELETED_THERE = 2
"""Edited localizations that Tator has no more, so that nothing can be proposed of them."""


def versions_and_marks(scene: Scene) -> dict[Any, Any]:
    """What Tator has of each localization in each version, and in how many marks."""
    sql = """select elemental_id, version, max(mark), max(json_extract(attributes, '$.Label')), max(x) from localization
        where project = ? group by elemental_id, version"""
    return {
        (scene.name(row[0]), row[1]): tuple(row[2:])
        for row in scene.house.tator.store.rows(sql, (scene.house.project,))
    }


@pytest.fixture(scope="module")
def proposed(made: Scene, clean: Any) -> Any:
    """What a push makes that nobody kills and that proposes what belongs to the other version."""
    made.restore()
    assert made.house.push(**PROPOSING).failed == DELETED_THERE
    return versions_and_marks(made)


@pytest.mark.parametrize("write", range(3, 9))
def test_proposals_that_were_killed_are_made_once(scene: Scene, mortal: Any, proposed: Any, write: int) -> None:
    scene.restore()
    told = mortal.push(scene.house, die_on="tator_sync.journal", die_at=write, **PROPOSING)
    assert told["signal"] == 9
    scene.house.push(**PROPOSING)
    assert versions_and_marks(scene) == proposed
    scene.check_journal()
    again = scene.house.push(**PROPOSING)
    assert (again.changed, again.created, again.failed) == (0, 0, DELETED_THERE)
