"""The plan: what differs between base, ours and theirs, and what each difference asks for.

Pure: no I/O, no FiftyOne, no HTTP. *Base* is what Tator held when both sides last agreed, *ours* what the dataset says
now, *theirs* what Tator says now; each is a mapping from field to comparable value, or None where it does not exist.
One localization is compared at a time and forgotten, so a plan of millions needs no more memory than its summary.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import isnan
from typing import Any, Literal, TypeVar

Values = Mapping[str, Any]
Side = Literal["leave", "ours", "theirs"]
"""What to do where both sides changed: leave it to a person, or take one side's."""

_Key = TypeVar("_Key")


class _Unknown:
    """A value that nobody remembers: it equals nothing, so whatever differs from it is a change."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


class Existence(Enum):
    """What became of a localization as a whole."""

    SAME = "same"
    CREATED_HERE = "created here"
    CREATED_THERE = "created there"
    DELETED_HERE = "deleted here"
    DELETED_THERE = "deleted there"
    DELETED_BOTH = "deleted on both sides"
    DELETED_THERE_CHANGED_HERE = "deleted there, changed here"
    DELETED_HERE_CHANGED_THERE = "deleted here, changed there"


class Kind(Enum):
    """What became of one value."""

    SAME = "same"
    OURS = "ours changed"
    THEIRS = "theirs changed"
    ALIKE = "both changed alike"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Difference:
    """What one localization needs.

    Args:
        existence: what became of it as a whole
        ours: fields that only we changed
        theirs: fields that only they changed, with their new values
        alike: fields that both changed to the same value
        conflicts: fields that both changed differently, with our value and theirs
    """

    existence: Existence
    ours: frozenset[str] = frozenset()
    theirs: Mapping[str, Any] = field(default_factory=dict)
    alike: frozenset[str] = frozenset()
    conflicts: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def is_conflict(self) -> bool:
        """Whether a person has to decide: two values that differ, or a deletion against a change."""
        deleted = (Existence.DELETED_THERE_CHANGED_HERE, Existence.DELETED_HERE_CHANGED_THERE)
        return bool(self.conflicts) or self.existence in deleted

    def kind(self, name: str) -> Kind:
        """What became of one value.

        Args:
            name: the field
        """
        if name in self.conflicts:
            return Kind.CONFLICT
        if name in self.theirs:
            return Kind.THEIRS
        if name in self.ours:
            return Kind.OURS
        return Kind.ALIKE if name in self.alike else Kind.SAME

    def sends(self, conflicts: Side = "leave") -> frozenset[str]:
        """The fields whose value here belongs there.

        Args:
            conflicts: what to do where both sides changed
        """
        return self.ours | self.conflicts.keys() if conflicts == "ours" else self.ours

    def takes(self, conflicts: Side = "leave") -> frozenset[str]:
        """The fields whose value there belongs here.

        Args:
            conflicts: what to do where both sides changed
        """
        new = frozenset(self.theirs)
        return new | self.conflicts.keys() if conflicts == "theirs" else new

    def left(self, conflicts: Side = "leave") -> frozenset[str]:
        """The fields that stay different until a person decides.

        Args:
            conflicts: what to do where both sides changed
        """
        return frozenset(self.conflicts) if conflicts == "leave" else frozenset()


def compare(base: Values | None, ours: Values | None, theirs: Values | None) -> Difference:
    """Compares the three states of one localization.

    Args:
        base: what both sides last agreed on; None if they never did
        ours: what the dataset says; None if it is not there
        theirs: what Tator says; None if it is not there

    Returns:
        the difference; with one side untouched, it asks for exactly the other side
    """
    if ours is None or theirs is None:
        return _one_sided(base, ours, theirs)
    mine: set[str] = set()
    alike: set[str] = set()
    new: dict[str, Any] = {}
    conflicts: dict[str, tuple[Any, Any]] = {}
    nothing = None if base is not None else UNKNOWN
    known = base or {}
    for name in {**known, **ours, **theirs}:
        was, here, there = known.get(name, nothing), ours.get(name), theirs.get(name)
        if same(here, there):
            if not same(here, was):
                alike.add(name)
        elif same(there, was):
            mine.add(name)
        elif same(here, was):
            new[name] = there
        else:
            conflicts[name] = here, there
    return Difference(Existence.SAME, frozenset(mine), new, frozenset(alike), conflicts)


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same; unlike ``==``, True is not 1, and what is not a number is the same as itself.

    Args:
        one: a comparable value
        other: another

    Returns:
        True or False
    """
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    if one == other:
        return True
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, float) and isinstance(other, float) and isnan(one) and isnan(other)


def _one_sided(base: Values | None, ours: Values | None, theirs: Values | None) -> Difference:
    """The difference where at least one side does not have the localization."""
    if base is None:
        if ours is not None:
            return Difference(Existence.CREATED_HERE, ours=frozenset(ours))
        return Difference(Existence.SAME) if theirs is None else Difference(Existence.CREATED_THERE, theirs=theirs)
    if ours is None and theirs is None:
        return Difference(Existence.DELETED_BOTH)
    if theirs is None:
        touched = compare(base, ours, base).ours
        return Difference(Existence.DELETED_THERE_CHANGED_HERE if touched else Existence.DELETED_THERE, ours=touched)
    moved = compare(base, base, theirs).theirs
    return Difference(Existence.DELETED_HERE_CHANGED_THERE if moved else Existence.DELETED_HERE, theirs=moved)


@dataclass(slots=True)
class Summary:
    """A plan in numbers, small however long the plan is.

    Args:
        existences: how many localizations were created, deleted or are on both sides
        kinds: how many values are the same, changed here, changed there, ...
        fields: how many localizations go out with a change of each field
        flows: how many labels change from what to what here; at most :attr:`MOST_FLOWS` different ones
        other_flows: label changes beyond those
        conflicts: how many localizations need a person
        examples: the first conflicts: which one, its field, our value and theirs
    """

    MOST_FLOWS = 2_000
    MOST_EXAMPLES = 100

    existences: Counter[Existence] = field(default_factory=Counter)
    kinds: Counter[Kind] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    flows: Counter[tuple[Any, Any]] = field(default_factory=Counter)
    other_flows: int = 0
    conflicts: int = 0
    examples: list[tuple[Any, str, Any, Any]] = field(default_factory=list)

    def add(self, which: Any, difference: Difference) -> None:
        """Counts one localization.

        Args:
            which: names it in examples
            difference: from :func:`compare`
        """
        self.existences[difference.existence] += 1
        for kind, names in (
            (Kind.OURS, difference.ours),
            (Kind.THEIRS, difference.theirs),
            (Kind.ALIKE, difference.alike),
            (Kind.CONFLICT, difference.conflicts),
        ):
            self.kinds[kind] += len(names)
        self.fields.update(difference.ours)
        self.conflicts += difference.is_conflict
        for name, (here, there) in difference.conflicts.items():
            if len(self.examples) < self.MOST_EXAMPLES:
                self.examples.append((which, name, here, there))

    def flow(self, before: Any, now: Any) -> None:
        """Counts one change of a label.

        Args:
            before: the label that was agreed on
            now: the label here
        """
        if (before, now) in self.flows or len(self.flows) < self.MOST_FLOWS:
            self.flows[before, now] += 1
        else:
            self.other_flows += 1


def plan(
    rows: Iterable[tuple[_Key, Values | None, Values | None, Values | None]],
) -> Iterator[tuple[_Key, Difference]]:
    """Compares localizations one after the other, in whatever order they come.

    Args:
        rows: for each its key, base, ours and theirs

    Yields:
        the key and the difference of each one, those without any included
    """
    for key, base, ours, theirs in rows:
        yield key, compare(base, ours, theirs)
