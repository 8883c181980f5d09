"""After writing: theirs is read again, compared with what was meant, and agreed on."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from fiftyone_tator.sync.base import BaseRow
from fiftyone_tator.sync.mapping import GEOMETRY, ValueMap
from fiftyone_tator.sync.merging import GONE_THERE, Merger, kept, told
from fiftyone_tator.sync.origin import SIDE_TAGS, Origin
from fiftyone_tator.sync.outgoing import Change
from fiftyone_tator.sync.plan import same
from fiftyone_tator.sync.planning import Planned
from fiftyone_tator.sync.snapshot import Entry, line
from fiftyone_tator.sync.values import moment
from fiftyone_tator.sync.writing import Writer
from fiftyone_tator.tator_client import Localization

_NO_MEDIA = "[null,null,{}]"


class Settler:
    """Moves base and samples to what is agreed on.

    Args:
        origin: the dataset
        writer: writes both
        users: user names by id
    """

    def __init__(self, origin: Origin, writer: Writer, users: Mapping[int, str]) -> None:
        self._origin, self._writer, self._users = origin, writer, users
        self._values, self._merger = origin.values, Merger(origin.values)
        self._medias: dict[str, str] = {}

    def settle(self, planned: Planned, theirs: Localization) -> set[str]:
        """Agrees on what Tator says now.

        Args:
            planned: the localization
            theirs: the row as it is now

        Returns:
            the fields that were sent and are not there
        """
        assert planned.ours is not None
        ours, base, change = planned.ours, planned.base, planned.change
        arrived = arrived_fields(self._values, theirs, change)
        entry = Entry(line(theirs), theirs)
        media = self._media(base.media)
        merge = self._merger.merge(base.row, media, ours, entry, None, planned.side, planned.decides)
        news = dict(merge.news)
        if GEOMETRY in arrived:
            found = self._values.values(theirs)[GEOMETRY]
            news.update(found.fields() if found is not None else {})
        news["tator_modified_at"] = moment(theirs.modified_datetime)
        if theirs.modified_by is not None:
            news["tator_modified_by"] = self._users.get(theirs.modified_by, f"user {theirs.modified_by}")
        if (tags := _undecided(ours, merge.conflicts)) is not None:
            news["tags"] = tags
        news = {key: value for key, value in news.items() if ours.get(key) != value}
        agreed = replace(base, row=merge.row)
        # Where the sample takes over nothing, what is agreed on does not depend on who is faster.
        alike = not merge.news and not merge.conflicts
        self._writer.update(
            planned.name,
            ours,
            news,
            agreed,
            edited=bool(merge.ours),
            conflict=told(merge.conflicts) if merge.conflicts else None,
            otherwise=agreed if alike else moved(self._values, base, theirs, arrived),
        )
        return set(change.fields - arrived)

    def gone(self, planned: Planned) -> None:
        """Tags a sample whose localization was deleted in Tator, as long as nobody decides.

        Args:
            planned: the localization
        """
        assert planned.ours is not None
        self._writer.update(planned.name, planned.ours, {}, planned.base, edited=True, conflict=GONE_THERE)

    def _media(self, name: str) -> str:
        if name not in self._medias:
            self._medias[name] = self._origin.store.medias({name}).get(name, _NO_MEDIA)
        return self._medias[name]


def _undecided(ours: Mapping[str, Any], conflicts: Mapping[str, Any]) -> list[str] | None:
    """The tags of a sample whose conflict was decided, without those that decided it; None if they stay."""
    tags = list(ours.get("tags") or ())
    rest = [tag for tag in tags if tag not in SIDE_TAGS]
    return rest if not conflicts and rest != tags else None


def arrived_fields(values: ValueMap, theirs: Localization, change: Change) -> frozenset[str]:
    """Which of the fields that were sent Tator holds as they were sent.

    Args:
        values: knows how values are compared
        theirs: the row as it is now
        change: what was sent
    """
    if not change.fields:
        return frozenset()
    attributes = {**theirs.attributes, **change.attributes, **dict.fromkeys(change.nulls)}
    meant = replace(theirs, attributes=attributes, **change.geometry)
    now, then = (_some(values, row, change.fields) for row in (theirs, meant))
    return frozenset(name for name in change.fields if same(now.get(name), then.get(name)))


def _some(values: ValueMap, row: Localization, fields: Collection[str]) -> dict[str, Any]:
    """Some of a row's values as they are compared."""
    return {name: value for name, value in values.compared(row).items() if name in fields}


def moved(values: ValueMap, base: BaseRow, theirs: Localization, fields: frozenset[str]) -> BaseRow:
    """What is agreed on when some values arrived, and nothing else is known.

    Args:
        values: knows which attributes the fields are
        base: what was agreed on before
        theirs: the row as it is now
        fields: the fields that arrived
    """
    if not fields:
        return base
    return replace(base, row=kept(base.row, line(theirs), values.attributes_of(base.type, fields)))
