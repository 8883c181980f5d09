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
from fiftyone_tator.sync.documents import CONFIDENCE, LABEL, DocumentMaker, classification
from fiftyone_tator.sync.fields import LABEL_FIELD
from fiftyone_tator.sync.plan import compare
from fiftyone_tator.sync.snapshot import Entry, parse
from fiftyone_tator.tator_client import Media

_NO_MEDIA = "[null,null,{}]"


@dataclass(frozen=True, slots=True)
class Merge:
    """What becomes of a sample and of its base.

    Args:
        news: fields of the sample that take over what only they changed
        row: the row that is agreed on, in JSON
        media_row: what is agreed on of the media, in JSON
        conflicts: the fields that both changed differently; ours stay
    """

    news: dict[str, Any]
    row: str
    media_row: str
    conflicts: frozenset[str]


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

    def __init__(self, store: BaseStore, maker: DocumentMaker) -> None:
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
        maker: knows how rows and media become values
    """

    def __init__(self, maker: DocumentMaker) -> None:
        self._maker = maker

    def merge(self, row: str, media_row: str, ours: Mapping[str, Any], entry: Entry, media: Media | None) -> Merge:
        """Merges theirs into ours.

        Args:
            row: the row that was agreed on, in JSON
            media_row: what was agreed on of its media, in JSON
            ours: the sample's document
            entry: theirs
            media: their media; None if they do not show it

        Returns:
            what becomes of the sample and its base
        """
        maker = self._maker
        was = maker.of_media(json.loads(media_row)[2])
        there = was if media is None else maker.of_media(media.attributes)
        theirs = {**maker.values(entry.row), **there}
        here = {**maker.ours(ours), **{name: ours.get(name) for name in there}}
        difference = compare(
            maker.comparable({**maker.values(parse(row)), **was}), maker.comparable(here), maker.comparable(theirs)
        )
        moved = difference.theirs or {}
        news = {name: theirs[name] for name in moved if name not in (LABEL, CONFIDENCE)}
        if LABEL in moved or CONFIDENCE in moved:
            merged = here | {name: theirs[name] for name in (LABEL, CONFIDENCE) if name in moved}
            news[LABEL_FIELD] = classification(merged, ours.get(LABEL_FIELD))
        conflicts = frozenset(difference.conflicts or ())
        agreed, about_media = entry.text, media_row if media is None else maker.media_row(media)
        if conflicts:
            agreed = _kept(agreed, row, maker.attributes_of(entry.row, conflicts))
            about_media = _kept_of_media(about_media, media_row, maker.media_attributes_of(conflicts))
        return Merge(news, agreed, about_media, conflicts)

    def edited(self, row: str, media_row: str | None, ours: Mapping[str, Any]) -> bool:
        """Whether somebody changed what people edit since it was agreed on, or tagged the sample.

        Fields of people's own do not count: brain runs fill them for every sample.

        Args:
            row: the row that was agreed on, in JSON
            media_row: what was agreed on of its media, in JSON, if that is known
            ours: the sample's document
        """
        maker = self._maker
        media = maker.of_media(json.loads(media_row)[2]) if media_row is not None else {}
        was = maker.comparable({**maker.values(parse(row)), **media})
        here = maker.comparable({**maker.ours(ours), **{name: ours.get(name) for name in media}})
        tags = set(ours.get("tags") or ()) | set((ours.get(LABEL_FIELD) or {}).get("tags") or ())
        return bool(compare(was, here, was).ours or tags - {CONFLICT_TAG})


def _kept(row: str, old: str, attributes: frozenset[str]) -> str:
    """A row with some attributes as an older one has them."""
    values = json.loads(row)
    values["attributes"] = _mixed(values["attributes"], json.loads(old)["attributes"], attributes)
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _kept_of_media(row: str, old: str, attributes: frozenset[str]) -> str:
    if not attributes:
        return row
    name, md5, values = json.loads(row)
    mixed = _mixed(values, json.loads(old)[2], attributes)
    return json.dumps([name, md5, mixed], sort_keys=True, ensure_ascii=False)


def _mixed(new: Mapping[str, Any], old: Mapping[str, Any], kept: frozenset[str]) -> dict[str, Any]:
    rest = {name: value for name, value in new.items() if name not in kept}
    return rest | {name: value for name, value in old.items() if name in kept}
