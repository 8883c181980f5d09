"""Reading what a push is about: the samples that somebody touched, their base, theirs, and what each asks for."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId

from fiftyone_tator.sync.base import BaseRow, Identity
from fiftyone_tator.sync.dataset import CONFLICT_TAG
from fiftyone_tator.sync.edits import Edits, Touched
from fiftyone_tator.sync.mapping import LABEL
from fiftyone_tator.sync.merging import Merger
from fiftyone_tator.sync.origin import Origin, side_of
from fiftyone_tator.sync.outgoing import Change, make_change
from fiftyone_tator.sync.plan import Difference, Existence, Side, plan
from fiftyone_tator.sync.push_options import PushOptions, chosen_fields
from fiftyone_tator.sync.target import Target
from fiftyone_tator.tator_client import Localization, Tator

_OTHER_TYPE = (
    "somebody put a mark of {} in its place in Tator. Delete that mark there, or give it an elemental id of its own"
)


@dataclass(slots=True)
class Planned:
    """One localization, and what it asks for.

    Args:
        base: what was agreed on
        ours: the sample's document; None if somebody deleted it
        theirs: the row in Tator; None if it is deleted there
        difference: of the three
        side: what to do where both sides changed
        change: what goes out
        problems: why something cannot go out, each the end of a sentence
        decides: the fields that the side decides; all if None
    """

    base: BaseRow
    ours: dict[str, Any] | None
    theirs: Localization | None
    difference: Difference
    side: Side
    change: Change = field(default_factory=Change)
    problems: list[str] = field(default_factory=list)
    decides: frozenset[str] | None = None

    @property
    def is_other(self) -> bool:
        """Whether Tator has a mark of another localization type in its place: then there is nothing to compare."""
        return _is_other(self.base, self.theirs)

    @property
    def taken(self) -> frozenset[str]:
        """The fields that take over what Tator says."""
        return self.difference.takes() | (self._decided if self.side == "theirs" else frozenset())

    @property
    def left(self) -> dict[str, tuple[Any, Any]]:
        """The fields that stay in conflict, with our value and theirs."""
        decided = frozenset[str]() if self.side == "leave" else self._decided
        return {name: sides for name, sides in self.difference.conflicts.items() if name not in decided}

    @property
    def is_undecided(self) -> bool:
        """Whether something stays in conflict until a person decides."""
        return bool(self.left) or (self.side == "leave" and self.difference.is_conflict)

    @property
    def _decided(self) -> frozenset[str]:
        conflicts = frozenset(self.difference.conflicts)
        return conflicts if self.decides is None else conflicts & self.decides

    @property
    def revives(self) -> bool:
        """Whether what was deleted in Tator is created again: it was edited here, or shown as a conflict."""
        shown = CONFLICT_TAG in ((self.ours or {}).get("tags") or ())
        gone = self.difference.existence is Existence.DELETED_THERE
        return self.side == "ours" and (bool(self.change) or (gone and shown))

    @property
    def name(self) -> str:
        """What it is, in words."""
        where = f"media {self.theirs.media}" if self.theirs else "deleted media"
        return f"{(self.ours or {}).get('media_name') or where}, {self.base.elemental_id}"


@dataclass(slots=True)
class Block:
    """Some of the samples that somebody touched.

    Args:
        touched: what is edited among them
        planned: what was edited, with theirs
    """

    touched: Touched
    planned: list[Planned] = field(default_factory=list)


class Planner:
    """Plans a push, block by block.

    Args:
        client: the session with the server
        origin: the dataset
        target: the project
        options: of the push
    """

    def __init__(self, client: Tator, origin: Origin, target: Target, options: PushOptions) -> None:
        self._client, self._origin, self._target, self._options = client, origin, target, options
        self._edits, self._merger = Edits(origin), Merger(origin.values)
        self._fields = chosen_fields(options, origin.values)

    def blocks(self, among: Collection[ObjectId] | None = None) -> Iterator[Block]:
        """What somebody touched, with theirs read as each block is reached.

        Args:
            among: ids of samples to look at; all if None

        Yields:
            blocks of some thousands of samples

        Raises:
            TatorError: if the server fails
        """
        for touched in self._edits.touched(among, everything=self._options.everything):
            yield Block(touched, self._plan(touched.edited))

    def unfinished(self, samples: Collection[ObjectId]) -> Block:
        """Samples that a push which died had to do with, without those that are still edited.

        Args:
            samples: their ids

        Raises:
            TatorError: if the server fails
        """
        settled = self._edits.settled(samples)
        return Block(Touched(), self._plan(settled))

    def anew(self, planned: Sequence[Planned], theirs: Mapping[str, Localization]) -> list[Planned]:
        """Those that somebody changed in Tator since they were planned, planned anew.

        Args:
            planned: localizations of one version
            theirs: their rows as they are now, by elemental id
        """
        now = [(each, theirs.get(each.base.elemental_id)) for each in planned]
        return self._compare([(each.base, each.ours, row) for each, row in now if row != each.theirs])

    def _plan(self, edited: Sequence[tuple[BaseRow, dict[str, Any] | None]]) -> list[Planned]:
        theirs = self._theirs([base for base, _ in edited])
        return self._compare([(base, ours, theirs.get(base.identity)) for base, ours in edited])

    def _compare(self, rows: Sequence[tuple[BaseRow, dict[str, Any] | None, Localization | None]]) -> list[Planned]:
        alike = ((base, ours, None if _is_other(base, theirs) else theirs) for base, ours, theirs in rows)
        compared = (self._merger.sides(base.row, None, ours, theirs) for base, ours, theirs in alike)
        sides = ((row, *values) for row, values in zip(rows, compared, strict=True))
        return [self._one(*row, difference) for row, difference in plan(sides)]

    def _theirs(self, rows: Sequence[BaseRow]) -> dict[Identity, Localization]:
        found: dict[Identity, Localization] = {}
        for version in sorted({row.version for row in rows}):
            elements = [row.elemental_id for row in rows if row.version == version]
            for row in self._client.read_localizations(self._origin.project, elemental_ids=elements, version=version):
                found[version, str(row.elemental_id).lower()] = row
        return found

    def _one(
        self, base: BaseRow, ours: dict[str, Any] | None, theirs: Localization | None, difference: Difference
    ) -> Planned:
        side, decides = self._side(base, ours, theirs, difference)
        planned = Planned(base, ours, theirs, difference, side, decides=decides)
        if planned.is_other:
            planned.difference, planned.problems = Difference(Existence.SAME), [self.other_type(planned.theirs)]
            return planned
        kind = self._target.types.get(base.type)
        goes = difference.sends(side) & self._fields
        if ours is None or not goes:
            return planned
        if kind is None:
            planned.problems.append("its localization type is no more in Tator")
        elif theirs is not None or side == "ours":
            planned.change, planned.problems = make_change(self._origin.values, kind, ours, goes)
        return planned

    def is_proposal(self, base: BaseRow) -> bool:
        """Whether what was edited goes to another version than its own.

        Args:
            base: of the localization
        """
        return self._target.version is not None and self._target.version.id != base.version

    def _side(
        self, base: BaseRow, ours: Mapping[str, Any] | None, theirs: Localization | None, difference: Difference
    ) -> tuple[Side, frozenset[str] | None]:
        """What to do where both sides changed, and for which fields: a sample's own tag decides for all of them."""
        if self.is_proposal(base):
            return "ours", None
        tags = ours or {}
        side = side_of(tags, self._options.conflicts)
        if self._options.fields is None or side_of(tags, "leave") == "theirs":
            return side, None
        if side == "theirs" and theirs is None and difference.ours - self._fields:
            # What does not travel was changed here: it does not go with the sample either.
            side = "leave"
        return side, self._fields

    def other_type(self, theirs: Localization | None) -> str:
        """Why nothing is sent for a localization that is of another type now, as the end of a sentence.

        Args:
            theirs: the row in Tator
        """
        kind = None if theirs is None else self._target.types.get(theirs.type)
        return _OTHER_TYPE.format("another type" if kind is None else f"type {kind.name!r}")

    def flow(self, planned: Planned) -> tuple[str | None, str | None] | None:
        """The change of label of a localization that goes out; None if its label stays.

        Args:
            planned: the localization
        """
        if LABEL not in planned.change.fields or planned.ours is None:
            return None
        values = self._origin.values
        before = values.agreed(planned.base.row)[LABEL]
        return before if isinstance(before, str) else None, values.ours(planned.ours)[LABEL]

    def deletions(self, created: int) -> Iterator[list[Planned]]:
        """Localizations whose sample somebody deleted here.

        Args:
            created: how many samples there are without a base, as the blocks showed

        Yields:
            them, with theirs read, some thousands at a time

        Raises:
            TatorError: if the server fails
        """
        for rows in self._edits.deleted(created):
            yield self._plan([(row, None) for row in rows])


def _is_other(base: BaseRow, theirs: Localization | None) -> bool:
    return theirs is not None and theirs.type != base.type
