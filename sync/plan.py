"""The plan: what differs between base, ours and theirs, and what each difference asks for.

Pure: no I/O, no FiftyOne, no HTTP. *Base* is what Tator held when both sides last agreed, *ours* what the dataset says
now, *theirs* what Tator says now; each is a mapping from field to comparable value, or None where it does not exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import isnan
from typing import Any

Values = Mapping[str, Any]


class Existence(Enum):
    """What became of a localization as a whole."""

    SAME = "same"
    CREATED_THERE = "created there"
    DELETED_THERE = "deleted there"
    DELETED_HERE = "deleted here"
    DELETED_BOTH = "deleted on both sides"
    DELETED_THERE_CHANGED_HERE = "deleted there, changed here"
    DELETED_HERE_CHANGED_THERE = "deleted here, changed there"


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
    theirs: Mapping[str, Any] | None = None
    alike: frozenset[str] = frozenset()
    conflicts: Mapping[str, tuple[Any, Any]] | None = None


def compare(base: Values | None, ours: Values | None, theirs: Values | None) -> Difference:
    """Compares the three states of one localization.

    Args:
        base: what both sides last agreed on; None if they never did
        ours: what the dataset says; None if it is not there
        theirs: what Tator says; None if it is not there

    Returns:
        the difference; with one side untouched, it asks for exactly the other side
    """
    if base is None:
        return Difference(Existence.SAME if theirs is None else Existence.CREATED_THERE)
    if ours is None or theirs is None:
        return Difference(_existence(base, ours, theirs))
    mine: set[str] = set()
    alike: set[str] = set()
    new: dict[str, Any] = {}
    conflicts: dict[str, tuple[Any, Any]] = {}
    for field in {**base, **ours, **theirs}:
        was, here, there = base.get(field), ours.get(field), theirs.get(field)
        if same(here, there):
            if not same(here, was):
                alike.add(field)
        elif same(there, was):
            mine.add(field)
        elif same(here, was):
            new[field] = there
        else:
            conflicts[field] = here, there
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


def _existence(base: Values, ours: Values | None, theirs: Values | None) -> Existence:
    if ours is None and theirs is None:
        return Existence.DELETED_BOTH
    if theirs is None:
        touched = compare(base, ours, base).ours
        return Existence.DELETED_THERE_CHANGED_HERE if touched else Existence.DELETED_THERE
    touched_there = compare(base, base, theirs).theirs
    return Existence.DELETED_HERE_CHANGED_THERE if touched_there else Existence.DELETED_HERE
