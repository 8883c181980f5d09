"""Whatever both sides do, in any order and on a server that fails, both end as a simple model says."""

import itertools
import shutil
import uuid
from collections.abc import Iterator
from typing import Any

import fiftyone as fo
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from fiftyone_tator.sync.dataset import CONFLICT_TAG
from fiftyone_tator.tator_client import TatorError

EXAMPLES, STEPS = 8, 30
BOXES = 28
"""So many that a change of all of them goes in bulk, and a move of all of them by creations."""
ATTRIBUTES = {"label": "Label", "score": "score", "notes": "notes", "verified": "verified", "count": "count"}
START = {"label": "crab", "score": 0.5, "notes": "", "verified": False, "count": 1, "box": (0.25, 0.25, 0.5, 0.25)}
SIDES = ("leave", "ours", "theirs")

values = {
    "label": st.sampled_from(["crab", "it's", "100 %", "kelp"]),
    "score": st.sampled_from([0.25, 0.5, 1.0]),
    "notes": st.sampled_from(["", "a", "q\"uo'te", "100 %", "two\nlines"]),
    "verified": st.booleans(),
    "count": st.integers(0, 3),
    "box": st.tuples(*[st.sampled_from([0.1, 0.25, 0.3])] * 2, *[st.sampled_from([0.2, 0.25, 0.5])] * 2),
}
box = st.integers(0, 3) | st.integers(0, BOXES - 1)
edit = st.sampled_from(sorted(values)).flatmap(lambda name: st.tuples(st.just(name), values[name]))
clash = st.sampled_from(sorted(values)).flatmap(
    lambda name: st.tuples(st.tuples(st.just(name), values[name]), st.tuples(st.just(name), values[name]))
)
how = st.sampled_from(["new mark", "in place", "in bulk"])
troubles = st.sampled_from([
    ("fail", "before"), ("fail", "after"), ("empty", "after"), ("cut", "before"), ("drop-connection", "after"),
    ("drop-connection", "before"), ("throttle", "before"),
])  # fmt: skip


def faults(*calls: str) -> Any:
    return st.none() | st.tuples(st.sampled_from(calls), troubles, st.sampled_from([0, 0, 1, 3]))


push_faults = faults(
    "PATCH /rest/Localizations", "PATCH /rest/Localization", "POST /rest/Localizations", "DELETE /rest/Localizations",
    "PUT /rest/Localizations", "* /rest/Localizations",
)  # fmt: skip
import_faults = faults("GET /rest/Localizations", "PUT /rest/Localizations", "PUT /rest/Medias", "GET /rest")
push = st.fixed_dictionaries(
    {"conflicts": st.sampled_from(SIDES), "history": st.sampled_from(["keep", "in_place"]), "deletions": st.booleans()}
)
step = st.one_of(
    st.tuples(st.just("edit_here"), box, edit),
    st.tuples(st.just("edit_there"), box, edit, how),
    st.tuples(st.just("clash"), box, clash, how, st.sampled_from(["", "", "ours", "theirs"])),
    st.tuples(st.just("clash"), box, clash, how, st.sampled_from(["", "", "ours", "theirs"])),
    st.tuples(st.just("edit_all_here"), edit),
    st.tuples(st.sampled_from(["delete_here", "delete_there"]), box),
    st.tuples(st.sampled_from(["create_here", "create_there"]), edit),
    st.tuples(st.just("tag"), box, st.sampled_from(["ours", "theirs"])),
    st.tuples(st.just("push"), push, push_faults),
    st.tuples(st.just("push"), push, push_faults),
    st.tuples(st.just("bring"), import_faults),
)

_names = (f"random-{number}" for number in itertools.count())


class Model:
    """One localization: what was agreed on, what we say, what they say; None where it is not."""

    def __init__(self, base: Any = None, ours: Any = None, theirs: Any = None) -> None:
        self.base, self.ours, self.theirs = base, ours, theirs
        self.tags: set[str] = set()
        self.flagged = self.unsure = False

    def edited(self) -> bool:
        return bool(self.ours != self.base)

    def bring(self) -> None:
        """What an import does."""
        self.unsure = False
        if self.base is None:
            if self.ours is None and self.theirs is not None:
                self.base, self.ours, self.tags, self.flagged = dict(self.theirs), dict(self.theirs), set(), False
        elif self.theirs is None:
            if self.ours is None or self.tags == {"theirs"} or not (self.edited() or self.tags):
                self.base = self.ours = None
            else:
                self.flagged = True
        elif self.ours is not None:
            decided = self.tags == {"theirs"}
            # A row that was written anew with the same values is looked at, one that was not is not.
            self.unsure = decided and self.theirs == self.base
            self.flagged = self.merge("theirs" if decided else "leave", send=False)
            self.tags = set() if decided and not self.unsure else self.tags

    def merge(self, side: str, *, send: bool) -> bool:
        """Value by value; gives whether a conflict is left."""
        left = False
        for name in START:
            base, ours, theirs = self.base[name], self.ours[name], self.theirs[name]
            if ours == theirs:
                self.base[name] = ours
            elif ours == base or (theirs != base and side == "theirs"):
                self.ours[name] = self.base[name] = theirs
            elif send and (theirs == base or side == "ours"):
                self.theirs[name] = self.base[name] = ours
            elif theirs != base:
                left = True
        return left

    def push(self, conflicts: str, deletions: bool) -> None:
        """What a push does."""
        side = next(iter(self.tags)) if len(self.tags) == 1 else conflicts
        if self.ours is None:
            self._delete(conflicts, deletions)
        elif self.base is None:
            self.theirs, self.base = dict(self.ours), dict(self.ours)
        elif not (self.edited() or self.flagged):
            return
        elif self.theirs is not None:
            self.flagged = self.merge(side, send=True)
            self.tags = self.tags if self.flagged else set()
        elif side == "theirs":
            self.base = self.ours = None
        elif side == "ours":
            self.theirs, self.base, self.flagged, self.tags = dict(self.ours), dict(self.ours), False, set()
        else:
            self.flagged = True

    def _delete(self, side: str, deletions: bool) -> None:
        if self.base is None:
            return
        if self.theirs is None:
            self.base = None
        elif deletions and (self.theirs == self.base or side == "ours"):
            self.base = self.theirs = None
        elif deletions and side == "theirs":
            self.base = None


class World:
    """A project and a dataset, and the model of both.

    Args:
        house: the project, which all examples share
    """

    def __init__(self, house: Any) -> None:
        self.house, self.name, self.steps = house, next(_names), 0
        self.version = house.version(f"v {self.name}")
        self.models: dict[str, Model] = {}
        elements = house.boxes(*(self._spec(str(uuid.uuid4()), START) for _ in range(BOXES)))
        self.models = {element: Model(theirs=dict(START)) for element in elements}
        self.new: list[tuple[Any, Model]] = []
        self.bring(None)

    def _spec(self, element: str, row: dict[str, Any]) -> dict[str, Any]:
        x, y, width, height = row["box"]
        attributes = {ATTRIBUTES[name]: value for name, value in row.items() if name != "box"}
        media = self.house.medias[len(self.models) % 2]
        spec: dict[str, Any] = self.house.spec(
            media, version=self.version, elemental_id=element, x=x, y=y, width=width, height=height,
            attributes=attributes,
        )  # fmt: skip
        return spec

    def _pick(self, number: int) -> tuple[str, Model]:
        return list(self.models.items())[number]

    # there, by tator-py

    def edit_there(self, number: int, edit: Any, how: str) -> None:
        (element, model), (name, value), api = self._pick(number), edit, self.house.api
        if model.theirs is None:
            return
        model.theirs[name] = value
        change: dict[str, Any] = {"attributes": {ATTRIBUTES[name]: value}} if name != "box" else {}
        if name == "box":
            change = dict(zip(("x", "y", "width", "height"), value, strict=True))
        elif how == "in bulk" and not set("'%\n") & set(str(value)):
            bulk = {"elemental_ids": [element], "in_place": 1, **change}
            api.update_localization_list(self.house.project, localization_bulk_update=bulk, version=[self.version])
            return
        change |= {"in_place": 1} if how == "in place" else {}
        api.update_localization_by_elemental_id(self.version, element, localization_update=change)

    def delete_there(self, number: int) -> None:
        element, model = self._pick(number)
        if model.theirs is not None:
            model.theirs = None
            self.house.api.delete_localization_list(
                self.house.project, localization_bulk_delete={"elemental_ids": [element]}, version=[self.version]
            )

    def create_there(self, edit: Any) -> None:
        element, row = str(uuid.uuid4()), {**START, **dict([edit])}
        spec = self._spec(element, row)
        spec["media_id"] = spec.pop("media")
        body = [{key: value for key, value in spec.items() if key not in ("project", "created_by")} | {"frame": 0}]
        self.house.api.create_localization_list(self.house.project, body=body)
        self.models[element] = Model(theirs=row)

    # here

    def edit_here(self, number: int, edit: Any) -> None:
        element, model = self._pick(number)
        if model.ours is not None:
            self._set([element], *edit)

    def edit_all_here(self, edit: Any) -> None:
        self._set([element for element, model in self.models.items() if model.ours is not None], *edit)

    def _set(self, elements: list[str], name: str, value: Any) -> None:
        dataset = self.house.dataset(self.name)
        field = {"label": "ground_truth.label", "score": "ground_truth.confidence"}.get(name, name)
        by_id = {}
        for place, element in enumerate(elements):
            mine = (0.01 * place, *value[1:]) if name == "box" and len(elements) > 1 else value
            self.models[element].ours[name] = mine
            by_id[self._sample(dataset, element)] = list(mine) if name == "box" else mine
        if by_id:
            dataset.set_values(field, by_id, key_field="id")

    def _sample(self, dataset: Any, element: str) -> str:
        (found,) = dataset.match(fo.ViewField("elemental_id") == element).values("id")
        return str(found)

    def clash(self, number: int, edits: Any, how: str, side: str) -> None:
        """Both change the same value; somebody may have decided already."""
        self.edit_there(number, edits[0], how)
        self.edit_here(number, edits[1])
        if side:
            self.tag(number, side)

    def delete_here(self, number: int) -> None:
        element, model = self._pick(number)
        if model.ours is not None:
            dataset = self.house.dataset(self.name)
            dataset.delete_samples([self._sample(dataset, element)])
            model.ours, model.tags, model.flagged = None, set(), False

    def create_here(self, edit: Any) -> None:
        row = {**START, **dict([edit])}
        sample = fo.Sample(filepath=str(self.house.picture_file(self.house.medias[0])))
        sample["ground_truth"] = fo.Classification(label=row["label"], confidence=row["score"])
        sample["box"], sample["media_id"], sample["version"] = list(row["box"]), self.house.medias[0], f"v {self.name}"
        for name in ("notes", "verified", "count"):
            sample[name] = row[name]
        self.house.dataset(self.name).add_sample(sample)
        self.new.append((sample.id, Model(ours=row)))

    def tag(self, number: int, side: str) -> None:
        element, model = self._pick(number)
        if model.ours is not None and side not in model.tags:
            dataset = self.house.dataset(self.name)
            model.tags.add(side)
            sample = dataset[self._sample(dataset, element)]
            sample.tags.append(f"tator:{side}")
            sample.save()

    # between both

    def push(self, options: dict[str, Any], fault: Any) -> None:
        self._try(lambda client: self.house.push(client, name=self.name, **options), fault)
        dataset = self.house.dataset(self.name)
        for id_, model in self.new:
            self.models[dataset[id_].elemental_id] = model
        self.new = []
        for model in self.models.values():
            model.push(options["conflicts"], options["deletions"])

    def bring(self, fault: Any) -> None:
        name, root = self.name, self.house.root / self.name
        self._try(lambda client: self.house.run(client, dataset_name=name, versions=[f"v {name}"], root=root), fault)
        tags = dict(zip(*self.house.dataset(name).values(["elemental_id", "tags"]), strict=True))
        for element, model in self.models.items():
            model.bring()
            if model.unsure and "tator:theirs" not in tags[element]:
                model.tags = set()

    def _try(self, work: Any, fault: Any) -> None:
        faults = self.house.tator.faults
        if fault is not None:
            match, (kind, when), after = fault
            faults.arm(match, kind, when=when, after=after)
            try:
                work(self.house.hasty)
            except TatorError as error:
                assert len(str(error)) > 20
            else:
                return
            finally:
                faults.clear()
        work(self.house.client())

    # in the end

    def check(self) -> None:
        """Both sides are as the model says."""
        there = {element: model.theirs for element, model in self.models.items() if model.theirs is not None}
        assert self._theirs() == there
        here = {element: model for element, model in self.models.items() if model.ours is not None}
        ours = {sample.elemental_id: sample for sample in self.house.dataset(self.name) if sample.elemental_id}
        assert {element: _row(sample) for element, sample in ours.items()} == {e: m.ours for e, m in here.items()}
        flagged = {element for element, sample in ours.items() if CONFLICT_TAG in sample.tags}
        assert flagged == {element for element, model in here.items() if model.flagged}
        tags = {element: {f"tator:{side}" for side in model.tags} for element, model in here.items()}
        assert {element: {*sample.tags} - {CONFLICT_TAG} for element, sample in ours.items()} == tags
        assert len(self.house.dataset(self.name)) == len(ours) + len(self.new)

    def _theirs(self) -> dict[str, Any]:
        kind = self.house.types["Box"]
        pages = self.house.client().iter_localizations(self.house.project, types=[kind], versions=[self.version])
        rows = [row for page in pages for row in page]
        found = {
            str(row.elemental_id): {
                **{name: row.attributes[attribute] for name, attribute in ATTRIBUTES.items()},
                "box": (row.x, row.y, row.width, row.height),
            }
            for row in rows
        }
        assert len(found) == len(rows)
        return found

    def forget(self) -> None:
        fo.delete_dataset(self.name)
        shutil.rmtree(self.house.root / self.name)


def _row(sample: Any) -> dict[str, Any]:
    truth = sample.ground_truth
    rest = {name: sample[name] for name in ("notes", "verified", "count")}
    return {"label": truth.label, "score": truth.confidence, **rest, "box": tuple(sample.box)}


@pytest.fixture(scope="module")
def place(shared_house: Any) -> Iterator[Any]:
    shared_house.medias = [shared_house.media(f"img_{number}.png") for number in range(2)]
    shared_house.api = shared_house.client().sdk().api
    shared_house.hasty = shared_house.client(retries=0)
    yield shared_house


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(story=st.lists(step, min_size=STEPS, max_size=STEPS))
def test_both_sides_end_as_the_model_says(place: Any, story: Any) -> None:
    world = World(place)
    for name, *arguments in story:
        getattr(world, name)(*arguments)
        if name in ("push", "bring"):
            world.check()
    for _ in range(2):
        # What only a tag holds against a deletion is shown by an import and decided by the next push.
        world.push({"conflicts": "ours", "deletions": True}, None)
        world.bring(None)
    world.check()
    assert all(model.ours == model.theirs == model.base for model in world.models.values())
    before = place.stored(world.name)
    assert place.push(name=world.name, deletions=True).as_json()["changed"] == 0
    assert place.stored(world.name) == before
    world.forget()
