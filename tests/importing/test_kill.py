"""An import that was killed and is run again ends as one that was not."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from fiftyone_tator.sync.dataset import CONFLICT_TAG

MOMENTS = 14
"""Moments of death, spread evenly over a run's requests, writes and changes of files."""
REMOVALS = {"removal-1": 1, "removal-2": 2, "removal-3": 3}
"""Datasets whose import dies before it removes the first, second or third crop."""


def finish(house: Any, name: str, root: Path) -> Any:
    """Runs an import to its end and gives all that is there then."""
    house.run(dataset_name=name, root=root)
    everything = house.everything(name)
    fo.delete_dataset(name)
    shutil.rmtree(root)
    return everything


def settle(house: Any) -> list[str]:
    """Fills a project with what an import treats in different ways; gives the elemental ids of eight plain boxes."""
    house.version("Model")
    media = [house.media(f"img_{number}.png") for number in range(4)]
    plain = house.boxes(*(house.spec(media[n // 2], x=0.1 * n, attributes={"count": n}) for n in range(8)))
    model = house.versions["Model"]
    house.boxes(
        house.spec(media[0], elemental_id=plain[0], version=model, x=0.0, y=0.0),
        house.spec(media[1], x=2.0),
        house.spec(house.media("broken.png", b"no picture", size=(64, 48))),
    )
    return plain


@pytest.fixture(scope="module")
def settled(shared_house: Any) -> Any:
    settle(shared_house)
    return shared_house


@pytest.fixture(scope="module")
def clean(settled: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All that an import makes that nobody kills."""
    root = tmp_path_factory.mktemp("clean")
    settled.run(dataset_name="clean", root=root)
    return settled.everything("clean")


@pytest.fixture(scope="module")
def steps(settled: Any, mortal: Any, clean: Any, tmp_path_factory: pytest.TempPathFactory) -> int:
    """The number of steps of a first import."""
    told = mortal.run(settled, dataset_name="counted", root=tmp_path_factory.mktemp("counted"))
    assert settled.everything("counted") == clean
    return int(told["step"])


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_first_import_that_was_killed_is_completed(
    settled: Any, mortal: Any, clean: Any, steps: int, tmp_path: Path, moment: int
) -> None:
    told = mortal.run(settled, dataset_name="killed", root=tmp_path / "data", die_at=1 + moment * steps // MOMENTS)
    assert told["signal"] == 9
    assert finish(settled, "killed", tmp_path / "data") == clean, told["died"]


def test_an_import_that_was_killed_again_and_again_is_completed(
    settled: Any, mortal: Any, clean: Any, steps: int, tmp_path: Path
) -> None:
    for moment in (0.5, 0.75, 0.6, 0.9):
        mortal.run(settled, dataset_name="killed", root=tmp_path / "data", die_at=int(steps * moment))
    assert finish(settled, "killed", tmp_path / "data") == clean


@pytest.mark.parametrize("last", ["insert samples.", "update datasets", "delete tator_sync.leases"])
def test_an_import_killed_just_before_its_important_writes_is_completed(
    settled: Any, mortal: Any, clean: Any, tmp_path: Path, last: str
) -> None:
    told = mortal.run(settled, dataset_name="killed", root=tmp_path / "data", die_on=last, die_at=1)
    assert told["signal"] == 9
    assert finish(settled, "killed", tmp_path / "data") == clean


# ---------------------------------------------------------------------- importing again


def edit_here(house: Any, name: str, plain: list[str]) -> None:
    relabelled, conflicting, deleted, edited = plain[:4]
    for element in (relabelled, conflicting, edited):
        sample = house.sample(element, name)
        sample.ground_truth.label = "ours"
        sample.save()
    dataset = house.dataset(name)
    dataset.delete_samples(dataset.match(fo.ViewField("elemental_id") == deleted))


def edit_there(house: Any, plain: list[str], picture: Any) -> None:
    _, conflicting, deleted, edited, changed, moved, gone, _ = plain
    for element in (conflicting, deleted, changed):
        house.edit(element, Label="theirs", notes="theirs")
    house.edit(moved, geometry={"x": 0.0, "width": 0.3})
    house.delete(edited, gone)
    media = [
        row[0] for row in house.tator.store.rows("select id from media where project = ? order by id", (house.project,))
    ]
    house.alter_media(media[0], name="renamed.png", attributes={"Station": "M9"})
    house.replace_picture(media[2], picture(77))
    house.box(media[1], attributes={"Label": "new"})
    house.box(house.media("new.png"))


@pytest.fixture(scope="module")
def changed(
    tator: Any, house_of: Any, mortal: Any, picture: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """Datasets that were imported and edited before Tator changed, one for each moment, and what they shall become."""
    house = house_of(tmp_path_factory.mktemp("again"))
    plain = settle(house)
    names = ["wanted", "wanted-counted", *(f"again-{moment}" for moment in range(MOMENTS)), *REMOVALS]
    for name in names:
        house.run(dataset_name=name, root=house.root / name)
        edit_here(house, name, plain)
    edit_there(house, plain, picture)
    house.result = house.run(dataset_name="wanted", root=house.root / "wanted")
    house.wanted = house.everything("wanted")
    house.steps = mortal.run(house, dataset_name="wanted-counted", root=house.root / "wanted-counted")["step"]
    house.plain = plain
    yield house


def test_the_second_import_adds_changes_and_removes(changed: Any) -> None:
    result = changed.result
    assert (result.created, result.removed, result.conflicts, result.deleted_here) == (2, 1, 2, 1)
    tags = {d["elemental_id"]: d["tags"] for d in changed.wanted["documents"].values()}
    assert tags[changed.plain[1]] == tags[changed.plain[3]] == [CONFLICT_TAG]


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_second_import_that_was_killed_is_completed(changed: Any, mortal: Any, moment: int) -> None:
    name = f"again-{moment}"
    told = mortal.run(
        changed, dataset_name=name, root=changed.root / name, die_at=1 + moment * changed.steps // MOMENTS
    )
    assert told["signal"] == 9
    assert finish(changed, name, changed.root / name) == changed.wanted, told["died"]


@pytest.mark.parametrize(("name", "removal"), REMOVALS.items())
def test_no_crop_is_left_over_when_an_import_dies_before_removing_it(
    changed: Any, mortal: Any, name: str, removal: int
) -> None:
    crops = changed.root / name / f"project_{changed.project}" / "crops"
    told = mortal.run(changed, dataset_name=name, root=changed.root / name, die_on=f"os.remove {crops}", die_at=removal)
    assert told["signal"] == 9
    assert finish(changed, name, changed.root / name) == changed.wanted


# ---------------------------------------------------------------------- many localizations


@pytest.fixture
def half(house: Any, mortal: Any, tmp_path: Path) -> Any:
    """A dataset of 1,500 localizations, whose import died when 1,000 samples were written and 500 base rows more."""
    media = [house.media(f"dense_{number}.png") for number in range(3)]
    house.boxes(*(house.spec(media[n // 500], x=0.0002 * n, attributes={"count": n}) for n in range(1_500)))
    told = mortal.run(house, dataset_name="killed", root=tmp_path / "data", die_on="insert samples.", die_at=2)
    assert told["signal"] == 9
    assert (len(house.dataset("killed")), len(house.base("killed"))) == (1_000, 1_500)
    return house


def test_a_large_import_killed_between_two_blocks_is_completed(half: Any, tmp_path: Path) -> None:
    half.run(dataset_name="large")
    assert finish(half, "killed", tmp_path / "data") == half.everything("large")


def test_what_is_deleted_here_after_a_kill_stays_deleted(half: Any, tmp_path: Path) -> None:
    dataset = half.dataset("killed")
    deleted = set(dataset.limit(3).values("elemental_id"))
    dataset.delete_samples(dataset.limit(3))
    result = half.run(dataset_name="killed", root=tmp_path / "data")
    assert (result.created, result.unchanged, result.deleted_here) == (500, 997, 3)
    assert not deleted & set(half.dataset("killed").values("elemental_id"))
