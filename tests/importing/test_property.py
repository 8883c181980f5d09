"""Whatever people change there and here, an import loses no change and brings back nothing that was deleted."""

import itertools
import shutil
import uuid
from typing import Any

import fiftyone as fo
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from fiftyone_tator.sync.dataset import CONFLICT_TAG

FIELDS = ("label", "score", "notes", "verified", "quality")
ATTRIBUTE = {"label": "Label"}
BOXES = 5

values = {
    "label": st.sampled_from(["crab", "it's", "100 %", ""]),
    "score": st.sampled_from([0.25, 0.5, 1.0]),
    "notes": st.sampled_from(["", "a", "b/c"]),
    "verified": st.booleans(),
    "quality": st.sampled_from(["good", "fair"]),
}
edit = st.sampled_from(FIELDS).flatmap(lambda name: st.tuples(st.just(name), values[name]))
change = st.one_of(edit, edit, edit, st.just(("deleted", None)))
# Per round and side what happens to which box.
side = st.lists(st.tuples(st.integers(0, BOXES - 1), change), max_size=6)
rounds = st.lists(st.tuples(side, side), min_size=1, max_size=3)

_names = (f"property-{number}" for number in itertools.count())


class World:
    """A project and a dataset, and what should be in the dataset.

    Args:
        house: the project, which all examples share
    """

    def __init__(self, house: Any) -> None:
        self.house, self.name = house, next(_names)
        self.version = f"v {self.name}"
        house.version(self.version)
        self.elements = [str(uuid.uuid4()) for _ in range(BOXES)]
        house.boxes(
            *(
                house.spec(house.medias[n % 2], version=house.versions[self.version], elemental_id=element, x=0.1 * n)
                for n, element in enumerate(self.elements)
            )
        )
        start = {"label": "crab", "score": 0.5, "notes": "", "verified": False, "quality": "good"}
        self.theirs: list[dict[str, Any] | None] = [dict(start) for _ in self.elements]
        self.base: list[dict[str, Any] | None] = [dict(start) for _ in self.elements]
        self.ours: list[dict[str, Any] | None] = [dict(start) for _ in self.elements]
        self.run()

    def run(self, compare: str = "full") -> Any:
        root = self.house.root / self.name
        return self.house.run(dataset_name=self.name, versions=[self.version], root=root, compare=compare)

    def change_there(self, box: int, name: str, value: Any) -> None:
        element, row = self.elements[box], self.theirs[box]
        if row is None:
            return
        if name == "deleted":
            self.house.delete(element, version=self.version)
            self.theirs[box] = None
        else:
            self.house.edit(element, self.version, **{ATTRIBUTE.get(name, name): value})
            row[name] = value

    def change_here(self, box: int, name: str, value: Any) -> None:
        row = self.ours[box]
        if row is None:
            return
        sample = self.house.sample(self.elements[box], self.name)
        if name == "deleted":
            self.house.dataset(self.name).delete_samples(sample)
            self.ours[box] = None
            return
        row[name] = value
        if name in ("label", "score"):
            setattr(sample.ground_truth, {"label": "label", "score": "confidence"}[name], value)
        else:
            sample[name] = value
        sample.save()

    def merge(self) -> set[int]:
        """What an import should do; gives the boxes in conflict."""
        conflicts = set()
        for box in range(BOXES):
            base, ours, theirs = self.base[box], self.ours[box], self.theirs[box]
            if base is None:
                continue
            if theirs is None:
                if ours is not None and any(ours[name] != base[name] for name in FIELDS):
                    conflicts.add(box)
                else:
                    self.base[box] = self.ours[box] = None
                continue
            if ours is None:
                continue
            for name in FIELDS:
                if ours[name] == base[name]:
                    ours[name] = base[name] = theirs[name]
                elif ours[name] == theirs[name]:
                    base[name] = theirs[name]
                elif theirs[name] != base[name]:
                    conflicts.add(box)
        return conflicts

    def check(self, tagged: set[int]) -> None:
        found = {}
        dataset = self.house.dataset(self.name)
        for sample in dataset:
            truth = sample.ground_truth
            found[sample.elemental_id] = {
                "label": truth.label,
                "score": truth.confidence,
                **{name: sample[name] for name in ("notes", "verified", "quality")},
            }
            assert (CONFLICT_TAG in sample.tags) == (self.elements.index(sample.elemental_id) in tagged)
        wanted = {self.elements[box]: row for box, row in enumerate(self.ours) if row is not None}
        assert found == wanted

    def forget(self) -> None:
        fo.delete_dataset(self.name)
        shutil.rmtree(self.house.root / self.name)


@pytest.fixture(scope="module")
def place(shared_house: Any) -> Any:
    shared_house.medias = [shared_house.media(f"img_{number}.png") for number in range(2)]
    return shared_house


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(story=rounds)
def test_every_change_of_one_side_arrives_and_conflicts_keep_ours(place: Any, story: Any) -> None:
    world = World(place)
    tagged: set[int] = set()
    for there, here in story:
        for box, (name, value) in there:
            world.change_there(box, name, value)
        for box, (name, value) in here:
            world.change_here(box, name, value)
        tagged |= world.merge()
        world.run()
        world.check(tagged)
    before = place.stored(world.name)
    again = world.run()
    assert place.stored(world.name) == before
    assert (again.created, again.updated, again.removed) == (0, 0, 0)
    world.forget()


pulls = st.lists(st.tuples(side, side, st.sampled_from(["auto", "changes", "full"])), min_size=1, max_size=4)


def values_of(world: World) -> dict[str, Any]:
    """What people see of a dataset, in a form to compare."""
    kept = ("ground_truth", "notes", "verified", "quality", "tags", "tator_conflict", "box", "tator_modified_at")
    documents = world.house.documents(world.name)
    return {e: {name: d.get(name) for name in kept} for (_, e), d in documents.items()}


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(story=pulls)
def test_reading_changes_in_between_ends_as_comparing_everything_each_time(place: Any, story: Any) -> None:
    world = World(place)
    twin = Twin(world)
    for there, here, compare in story:
        for box, (name, value) in there:
            world.change_there(box, name, value)
        for box, (name, value) in here:
            if world.elements[box] in world.house.dataset(world.name).values("elemental_id"):
                world.change_here(box, name, value)
                twin.change_here(box, name, value)
        world.run(compare=compare)
        twin.run()
        assert values_of(world) == values_of(twin)
    world.forget()
    twin.forget()


class Twin(World):
    """Another dataset of a world's project."""

    def __init__(self, world: World) -> None:
        self.house, self.name, self.version, self.elements = world.house, next(_names), world.version, world.elements
        self.theirs, self.ours = [None] * BOXES, [dict(row or {}) for row in world.ours]
        self.run()
