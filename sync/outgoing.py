"""What goes to Tator of an edit, and by which call: pure.

Tator has four ways to change a localization, and none is good for everything. A change in bulk sets the same attributes
on many, but no geometry and no quotes. A creation under an existing elemental id makes a new mark with any values,
hundreds a second, but the mark is a row in full and names who wrote it as its author. A single edit keeps the author
and carries everything, twenty a second.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from itertools import groupby
from typing import Any, Literal

from fiftyone_tator.sync.geometry import fault, shape_of
from fiftyone_tator.sync.mapping import GEOMETRY, GEOMETRY_KEYS, LABEL, ValueMap
from fiftyone_tator.sync.values import Unsendable, outgoing
from fiftyone_tator.tator_client import Localization, LocalizationType, fits_bulk

History = Literal["keep", "in_place"]

_SINGLES = 25
"""Up to so many different changes of one block go one by one, which keeps who annotated first, in a second or so."""
_WORTH_BULK = 20
"""A change in bulk with new marks takes as long as this many creations."""


class Way(Enum):
    """A call that changes localizations."""

    BULK = "bulk"
    BULK_IN_PLACE = "bulk in place"
    CREATION = "creation"
    SINGLE = "single"
    SINGLE_IN_PLACE = "single in place"

    @property
    def in_place(self) -> bool:
        """Whether marks stay what they are."""
        return self in (Way.BULK_IN_PLACE, Way.SINGLE_IN_PLACE)


_MOST = {Way.BULK: 500, Way.BULK_IN_PLACE: 5_000, Way.CREATION: 500, Way.SINGLE: 25, Way.SINGLE_IN_PLACE: 25}
"""Localizations a call, or a batch of calls that are confirmed together."""
_MOST_TEXT = 2_000_000


@dataclass(frozen=True)
class Change:
    """What is set on a localization.

    Args:
        attributes: values by attribute
        nulls: attributes that become null
        geometry: its keys in Tator and their values
        fields: the fields of the sample that this sends
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    nulls: tuple[str, ...] = ()
    geometry: Mapping[str, Any] = field(default_factory=dict)
    fields: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.attributes or self.nulls or self.geometry)

    @cached_property
    def key(self) -> str:
        """The same text for the same change."""
        return json.dumps([self.attributes, self.nulls, self.geometry], sort_keys=True, ensure_ascii=False)

    @property
    def fits_bulk(self) -> bool:
        """Whether a change in bulk can carry it."""
        return not self.geometry and fits_bulk(self.attributes, self.nulls)


@dataclass(frozen=True)
class Outgoing:
    """One localization that is to be changed.

    Args:
        theirs: as Tator has it
        change: what to set
        complete: whether a new row can say all that this one says
    """

    theirs: Localization
    change: Change
    complete: bool = True


@dataclass(frozen=True)
class Batch:
    """Localizations of one version that one call changes.

    Args:
        way: the call
        items: all of one localization type, with the same change where it is a call in bulk
    """

    way: Way
    items: Sequence[Outgoing]

    @property
    def changes(self) -> list[Change]:
        """What is set on each localization in all; a creation has to set nulls that were there before once more."""
        if self.way is not Way.CREATION:
            return [item.change for item in self.items]
        return [replace(item.change, nulls=nulls_of(item.theirs, item.change)) for item in self.items]


def make_change(
    values: ValueMap, kind: LocalizationType, ours: Mapping[str, Any], fields: Collection[str]
) -> tuple[Change, list[str]]:
    """What of a sample goes out.

    Args:
        values: knows which attribute goes to which field
        kind: the localization type, as the server has it now
        ours: the sample's document
        fields: the fields that go out

    Returns:
        the change, and a sentence for each value that cannot go, which the change is without
    """
    attributes: dict[str, Any] = {}
    nulls: list[str] = []
    geometry: dict[str, Any] = {}
    sent: set[str] = set()
    problems: list[str] = []
    known = {attribute.name: attribute for attribute in kind.attribute_types}
    stored = values.ours(ours)
    for name in sorted(fields):
        try:
            if name == GEOMETRY:
                geometry = _geometry(ours, kind)
            else:
                attribute = values.attribute(kind.id, name)
                if attribute is None or attribute not in known:
                    raise Unsendable(f"localizations of type {kind.name!r} have no such attribute")
                if name == LABEL and not stored[name]:
                    raise Unsendable("the label was removed, and a localization needs one. Give it a label")
                value = outgoing(known[attribute], stored[name])
                if value is None:
                    nulls.append(attribute)
                else:
                    attributes[attribute] = value
        except Unsendable as reason:
            problems.append(f"its {name.rpartition('.')[2]} was not sent: {reason}")
        else:
            sent.add(name)
    return Change(attributes, tuple(nulls), geometry, frozenset(sent)), problems


def _geometry(ours: Mapping[str, Any], kind: LocalizationType) -> dict[str, Any]:
    found = shape_of(ours, kind.dtype)
    if found is None:
        raise Unsendable(f"the field {'box' if kind.dtype == 'box' else 'points'} holds no geometry of a {kind.dtype}")
    if reason := fault(found):
        raise Unsendable(reason)
    return found.keys()


def within(row: Localization, kind: LocalizationType) -> Localization:
    """A localization without the attributes that its type has no more: no creation may say them.

    Args:
        row: as Tator has it, or had it
        kind: its type, as the server has it now
    """
    names = {attribute.name for attribute in kind.attribute_types}
    return replace(row, attributes={name: value for name, value in row.attributes.items() if name in names})


def spec(row: Localization, change: Change, *, version: int | None = None) -> dict[str, Any]:
    """A localization in full, changed, as a creation needs it; attributes that are null are left out.

    Args:
        row: as Tator has it
        change: what to set
        version: the version's id where it is another one

    Returns:
        a localization spec
    """
    attributes = {**row.attributes, **change.attributes}
    places = {key: getattr(row, key) for key in GEOMETRY_KEYS}
    return {
        "type": row.type,
        "media_id": row.media,
        "version": row.version if version is None else version,
        "frame": row.frame,
        "elemental_id": row.elemental_id,
        **{key: value for key, value in {**places, **change.geometry}.items() if value is not None},
        "attributes": {k: v for k, v in attributes.items() if v is not None and k not in change.nulls},
    }


def nulls_of(row: Localization, change: Change) -> tuple[str, ...]:
    """The attributes that are null once a row was changed, which no creation can say.

    Args:
        row: as Tator has it
        change: what to set
    """
    was = {name for name, value in row.attributes.items() if value is None and name not in change.attributes}
    return tuple(sorted(was | set(change.nulls)))


def is_complete(row: Localization, change: Change, kind: LocalizationType) -> bool:
    """Whether a new row can say all that a changed one says: what it lacks must be neither filled in nor required.

    Args:
        row: as Tator has it
        change: what to set
        kind: its type, as the server has it now
    """
    there = row.attributes.keys() | change.attributes.keys() | set(change.nulls)
    names = {attribute.name for attribute in kind.attribute_types}
    filled = (a.name for a in kind.attribute_types if a.has_default or a.use_current or a.required)
    return there <= names and all(name in there for name in filled)


def batches(items: Sequence[Outgoing], history: History) -> Iterator[Batch]:
    """Chooses the calls that change localizations of one version, so that few calls change many.

    Args:
        items: the localizations
        history: ``keep`` makes new marks; ``in_place`` changes marks where that is as fast

    Yields:
        batches; each localization is in exactly one
    """
    least = _WORTH_BULK if history == "keep" else 1
    rest: list[Outgoing] = []
    for group in _alike(items):
        if group[0].change.fits_bulk and len(group) >= least:
            yield from _cut(Way.BULK if history == "keep" else Way.BULK_IN_PLACE, group)
        else:
            rest += group
    fast = [item for item in rest if item.complete] if len(rest) > _SINGLES else []
    fast_ids = {id(item) for item in fast}
    slow = [item for item in rest if id(item) not in fast_ids]
    yield from _cut(Way.CREATION, fast)
    zero = [item for item in slow if _vanishes(item.change)]
    yield from _cut(Way.CREATION, zero)
    slow = [item for item in slow if not _vanishes(item.change)]
    yield from _cut(Way.SINGLE if history == "keep" else Way.SINGLE_IN_PLACE, slow)


def _vanishes(change: Change) -> bool:
    """Whether an edit would be ignored though Tator says it was done: a side or a vector of nothing."""
    return any(change.geometry.get(key) == 0 for key in ("width", "height", "u", "v"))


def _alike(items: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
    """Items of one type with the same change."""

    def key(item: Outgoing) -> tuple[int, str]:
        return item.theirs.type, item.change.key

    for _, group in groupby(sorted(items, key=key), key):
        yield list(group)


def _cut(way: Way, items: Sequence[Outgoing]) -> Iterator[Batch]:
    """Batches of so many localizations, or of so much text, as a call and an entry of the journal can carry."""
    batch: list[Outgoing] = []
    size = 0
    for item in items:
        if batch and (len(batch) >= _MOST[way] or size > _MOST_TEXT):
            yield Batch(way, batch)
            batch, size = [], 0
        batch.append(item)
        size += len(item.change.key)
    if batch:
        yield Batch(way, batch)
