"""Merging theirs into a sample that is there: what it takes over, and what both sides have agreed on then.

The base moves value by value. Where both sides changed a value it stays what it was, so that the conflict is seen again
as long as it lasts, while all values beside it go on following whoever changes them.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fiftyone_tator.sync.base import BaseStore
from fiftyone_tator.sync.dataset import CONFLICT_TAG
from fiftyone_tator.sync.documents import classification
from fiftyone_tator.sync.fields import LABEL_FIELD
from fiftyone_tator.sync.mapping import CONFIDENCE, GEOMETRY, GEOMETRY_KEYS, LABEL, UNKNOWN_KEY, ValueMap, shown
from fiftyone_tator.sync.plan import Difference, Side, Values, compare
from fiftyone_tator.sync.snapshot import Entry
from fiftyone_tator.tator_client import Localization, Media

_NO_MEDIA = "[null,null,{}]"


@dataclass(frozen=True, slots=True)
class Merge:
    """What becomes of a sample and of its base.

    Args:
        news: fields of the sample that take over what only they changed
        row: the row that is agreed on, in JSON
        media_row: what is agreed on of the media, in JSON
        conflicts: the fields that both changed differently, with our value, which stays, and theirs
        ours: the fields whose value here is not what was agreed on, conflicts included
    """

    news: dict[str, Any]
    row: str
    media_row: str
    conflicts: Mapping[str, tuple[Any, Any]]
    ours: frozenset[str]


@lru_cache(maxsize=65_536)
def digest(media_row: str) -> str:
    """The name of what is agreed on of a media, in 16 letters.

    Args:
        media_row: from :meth:`fiftyone_tator.sync.documents.DocumentMaker.media_row`
    """
    return hashlib.blake2b(media_row.encode(), digest_size=8).hexdigest()


class AgreedMedias:
    """What is agreed on of media: base rows name it, and it is kept before they do.

    Args:
        store: where it is kept
        maker: knows what of a media counts
    """

    def __init__(self, store: BaseStore, maker: ValueMap) -> None:
        self._store, self._maker = store, maker
        self._rows: dict[int, str] = {}
        self._fresh: dict[str, str] = {}
        self._kept: set[str] = set()

    def row(self, media: Media | None) -> str:
        """What a media says now, in JSON.

        Args:
            media: the media; None if Tator does not show it
        """
        if media is None:
            return _NO_MEDIA
        if media.id not in self._rows:
            self._rows[media.id] = self._maker.media_row(media)
        return self._rows[media.id]

    def agree(self, media_row: str) -> str:
        """Names what is agreed on from now on; it is kept with the next :meth:`flush`."""
        name = digest(media_row)
        if name not in self._kept:
            self._fresh[name] = media_row
        return name

    def find(self, names: Collection[str]) -> dict[str, str]:
        """What was agreed on, in JSON, by the names that base rows have for it."""
        return self._store.medias(names)

    def flush(self) -> None:
        """Writes what is new."""
        self._store.keep_medias(self._fresh)
        self._kept.update(self._fresh)
        self._fresh = {}


class Merger:
    """Merges one localization at a time.

    Args:
        values: knows how rows and media become values
        refill: whether fields that somebody deleted are filled again, or left alone
    """

    def __init__(self, values: ValueMap, *, refill: bool = False) -> None:
        self._values, self._refill = values, refill

    def difference(
        self,
        row: str,
        media_row: str | None,
        ours: Mapping[str, Any] | None,
        theirs: Localization | None,
        media: Media | None = None,
    ) -> Difference:
        """What differs between base, ours and theirs; for the arguments see :meth:`sides`."""
        return compare(*self.sides(row, media_row, ours, theirs, media))

    def sides(
        self,
        row: str,
        media_row: str | None,
        ours: Mapping[str, Any] | None,
        theirs: Localization | None,
        media: Media | None = None,
    ) -> tuple[Values, Values | None, Values | None]:
        """Base, ours and theirs as they are compared.

        Args:
            row: the row that was agreed on, in JSON
            media_row: what was agreed on of its media, in JSON; None leaves the media's attributes out
            ours: the sample's document; None if there is none
            theirs: the row in Tator; None if there is none
            media: their media; None if they do not show it, or if it does not matter
        """
        values = self._values
        about = {} if media_row is None else values.comparable(values.of_media(json.loads(media_row)[2]))
        there = about if media is None else values.comparable(values.of_media(media.attributes))
        was = {**values.agreed(row), **about}
        here, now = None, None
        if ours is not None:
            here = values.comparable({**values.ours(ours), **{name: ours.get(name) for name in about}})
            # A field that somebody deleted says nothing; that is no wish to have it empty in Tator.
            here.update((name, was.get(name)) for name in values.absent if name in here)
        if theirs is not None:
            now = {**values.compared(theirs), **there}
            if now[GEOMETRY] is None:
                # A sample cannot lie nowhere: where Tator lost the geometry, it stays what was agreed on.
                now[GEOMETRY] = was[GEOMETRY]
        return was, here, now

    def merge(
        self,
        row: str,
        media_row: str,
        ours: Mapping[str, Any],
        entry: Entry,
        media: Media | None,
        conflicts: Side = "leave",
        decides: frozenset[str] | None = None,
    ) -> Merge:
        """Merges theirs into ours.

        Args:
            row: the row that was agreed on, in JSON
            media_row: what was agreed on of its media, in JSON
            ours: the sample's document
            entry: theirs
            media: their media; None if they do not show it
            conflicts: ``theirs`` takes what they say where both changed; otherwise it stays a conflict
            decides: the fields that ``conflicts`` is about; all if None

        Returns:
            what becomes of the sample and its base
        """
        values = self._values
        difference = self.difference(row, media_row, ours, entry.row, media)
        decided = frozenset(difference.conflicts if conflicts == "theirs" else ())
        decided = decided if decides is None else decided & decides
        taken = difference.takes() | decided
        taken = taken | values.absent if self._refill else taken - values.absent
        news, lost = {}, values.compared(entry.row)[GEOMETRY] is None
        if taken:
            about = json.loads(media_row)[2] if media is None else media.attributes
            news = news_of(taken, {**values.values(entry.row), **values.of_media(about)}, ours)
        left = {name: sides for name, sides in difference.conflicts.items() if name not in decided}
        agreed, about_media = entry.text, media_row if media is None else values.media_row(media)
        stays = values.attributes_of(entry.row.type, left) | ({GEOMETRY} if lost else set())
        if stays:
            agreed = kept(agreed, row, stays)
        if left:
            about_media = _kept_of_media(about_media, media_row, values.media_attributes_of(left))
        open_here = frozenset(difference.ours) | left.keys()
        return Merge(news, agreed, about_media, left, open_here)

    def edited(self, row: str, media_row: str | None, ours: Mapping[str, Any]) -> bool:
        """Whether somebody changed what people edit since it was agreed on, or tagged the sample.

        Fields of people's own do not count: brain runs fill them for every sample.

        Args:
            row: the row that was agreed on, in JSON
            media_row: what was agreed on of its media, in JSON, if that is known
            ours: the sample's document
        """
        tags = set(ours.get("tags") or ()) | set((ours.get(LABEL_FIELD) or {}).get("tags") or ())
        changed = self.difference(row, media_row, ours, None).ours
        return bool(changed or tags - {CONFLICT_TAG})


GONE_THERE = "It was deleted in Tator, and changed here"
"""What a sample in conflict says where a deletion stands against a change."""


def told(conflicts: Mapping[str, tuple[Any, Any]]) -> str:
    """A conflict in words, as a sample shows it.

    Args:
        conflicts: by field what we say and what they say

    Returns:
        for example ``label: 'eel' here, 'cod' in Tator``
    """
    sides = sorted((name.rpartition(".")[2], shown(here), shown(there)) for name, (here, there) in conflicts.items())
    return "; ".join(f"{name}: {here} here, {there} in Tator" for name, here, there in sides)


def news_of(taken: Collection[str], theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a sample that make it take over values.

    Args:
        taken: which values, by field
        theirs: the values, as :meth:`fiftyone_tator.sync.mapping.ValueMap.values` gives them
        ours: the sample's document

    Returns:
        what is set in the document
    """
    news = {name: theirs.get(name) for name in taken if name not in (LABEL, CONFIDENCE, GEOMETRY)}
    if LABEL in taken or CONFIDENCE in taken:
        old = ours.get(LABEL_FIELD) or {}
        here = {LABEL: old.get("label"), CONFIDENCE: old.get("confidence")}
        merged = here | {name: theirs.get(name) for name in (LABEL, CONFIDENCE) if name in taken}
        news[LABEL_FIELD] = classification(merged, ours.get(LABEL_FIELD))
    if GEOMETRY in taken and theirs[GEOMETRY] is not None:
        news.update(theirs[GEOMETRY].fields())
    return news


def kept(row: str, old: str, attributes: Collection[str]) -> str:
    """A row with some attributes as an older one has them.

    Args:
        row: in JSON
        old: the older row, in JSON; what is unknown of it stays so
        attributes: their names; ``geometry`` for where it lies

    Returns:
        a row, in JSON
    """
    new, was = json.loads(row), json.loads(old)
    new["attributes"] = _mixed(new["attributes"], was["attributes"], attributes)
    if GEOMETRY in attributes:
        new.update({key: was.get(key) for key in GEOMETRY_KEYS})
    unknown = set(new.pop(UNKNOWN_KEY, ())) - set(attributes) | set(was.get(UNKNOWN_KEY, ())) & set(attributes)
    if unknown:
        new[UNKNOWN_KEY] = sorted(unknown)
    return json.dumps(new, ensure_ascii=False, separators=(",", ":"))


def _kept_of_media(row: str, old: str, attributes: frozenset[str]) -> str:
    if not attributes:
        return row
    name, md5, values = json.loads(row)
    mixed = _mixed(values, json.loads(old)[2], attributes)
    return json.dumps([name, md5, mixed], sort_keys=True, ensure_ascii=False)


def _mixed(new: Mapping[str, Any], old: Mapping[str, Any], kept: Collection[str]) -> dict[str, Any]:
    rest = {name: value for name, value in new.items() if name not in kept}
    return rest | {name: value for name, value in old.items() if name in kept}
