"""Bringing a snapshot into a dataset: what is new, what changed there, what is gone."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import fiftyone as fo
from bson import ObjectId

from fiftyone_tator.media.crops import CropStyle
from fiftyone_tator.media.folders import ProjectFolder
from fiftyone_tator.sync.base import BaseRow, BaseStore, Identity, pack_element
from fiftyone_tator.sync.crops import CropMill, Outcome, Picture, Wanted, crop_key
from fiftyone_tator.sync.dataset import INFO
from fiftyone_tator.sync.documents import DocumentMaker, picture
from fiftyone_tator.sync.mapping import GEOMETRY
from fiftyone_tator.sync.merging import GONE_THERE, AgreedMedias, Merger, digest, told
from fiftyone_tator.sync.origin import SIDE_TAGS, side_of
from fiftyone_tator.sync.progress import Tracker
from fiftyone_tator.sync.results import ImportResult
from fiftyone_tator.sync.selection import LeftOut, Selection
from fiftyone_tator.sync.snapshot import Entry, Snapshot
from fiftyone_tator.sync.writing import Writer
from fiftyone_tator.tator_client import Localization, Media

_BLOCK = 2_000
_FLUSH = 1_000
_CROPS_A_PICTURE = 4_096
_ORPHAN = "They have a sample, but what was agreed on with Tator is missing; import once with the option rebuild"


@dataclass(frozen=True, slots=True)
class _Change:
    """A localization whose base is known and that may need something."""

    base: BaseRow
    media_row: str
    ours: Mapping[str, Any]


class Applier:
    """Applies one snapshot to one dataset.

    Args:
        dataset: the dataset
        store: its base
        maker: makes its documents
        selection: says which localizations are wanted
        folder: where crops go
        style: how they look
        run: the id of this import's first block of new samples
        result: counts what is done
    """

    def __init__(
        self,
        dataset: fo.Dataset,
        store: BaseStore,
        maker: DocumentMaker,
        selection: Selection,
        folder: ProjectFolder,
        style: CropStyle,
        run: ObjectId,
        result: ImportResult,
    ) -> None:
        self._dataset, self._store, self._maker, self._selection = dataset, store, maker, selection
        self._folder, self._style, self._result = folder, style, result
        self._first = store.count() == 0
        self._merger = Merger(maker, refill=True)
        self._medias = AgreedMedias(store, maker)
        self._writer = Writer(dataset, store, self._medias, folder, run, result)
        self._samples = self._writer.samples
        self._lowest: dict[bytes, int] = {}
        self._chosen: set[Identity] | None = None
        self._pending: dict[Identity, _Change] = {}
        self._failed: list[Identity] = []

    @property
    def again(self) -> list[Identity]:
        """Localizations that could not be brought in, and may be next time."""
        return [*self._failed, *self._writer.missed]

    # ------------------------------------------------------------------ theirs comes in

    def bring_in(self, snapshot: Snapshot, mill: CropMill, tracker: Tracker) -> None:
        """Creates and updates samples.

        Args:
            snapshot: theirs
            mill: makes the crops
            tracker: told about each localization that is done
        """
        self._lowest = snapshot.shared_elements()
        self._chosen = self._choose(snapshot)
        if self._selection.without_identity:
            self._leave("Tator gave them no elemental id", ["a localization"] * self._selection.without_identity)
        for outcome in mill.run(self._pictures(snapshot, tracker)):
            self._take(outcome)
            tracker.advance(len(outcome.picture.wanted))
        self._writer.flush()

    def _choose(self, snapshot: Snapshot) -> set[Identity] | None:
        """With a sample limit, the new localizations to take: the first ones in the order of reading."""
        if self._selection.limit is None:
            return None
        room = max(0, self._selection.limit - self._store.count())
        chosen: set[Identity] = set()
        for block in snapshot.blocks(_BLOCK, as_read=True):
            known = self._store.find(_identity(entry.row) for entry in block)
            for entry in block:
                identity = _identity(entry.row)
                if len(chosen) < room and identity not in known and self._takes(entry.row):
                    chosen.add(identity)
        return chosen

    def _takes(self, row: Localization) -> bool:
        try:
            self._selection.place(row)
        except LeftOut:
            return False
        return self._selection.wants(row)

    def _pictures(self, snapshot: Snapshot, tracker: Tracker) -> Iterator[Picture]:
        """Goes through the snapshot; yields what needs crops, settles everything else."""
        current: Picture | None = None
        for block in snapshot.blocks(_BLOCK):
            wanted = self._sort_out(block)
            tracker.advance(len(block) - len(wanted))
            for media, crop in wanted:
                if current is None or current.media.id != media.id or len(current.wanted) >= _CROPS_A_PICTURE:
                    if current is not None:
                        yield current
                    current = Picture(media, [])
                current.wanted.append(crop)
        if current is not None:
            yield current

    def _sort_out(self, block: Sequence[Entry]) -> list[tuple[Media, Wanted]]:
        """Compares a block with the base; returns the crops that are needed."""
        base = {} if self._first else self._store.find(_identity(entry.row) for entry in block)
        paths = self._paths([known.sample for known in base.values()])
        unknown = [e.row.elemental_id or "" for e in block if _identity(e.row) not in base]
        elsewhere, orphans = self._elsewhere(unknown), self._orphans(unknown)
        crops: list[tuple[Media, Wanted]] = []
        doubtful: list[tuple[Entry, BaseRow, Media | None, Wanted | None]] = []
        for entry in block:
            known = base.get(_identity(entry.row))
            if known is None and not self._admits(entry.row):
                self._result.filtered += 1
                continue
            if known is not None and known.sample not in paths:
                self._result.deleted_here += 1
                continue
            media, wanted = self._wanted(entry, known, elsewhere)
            if known is None and (self._maker.versions[entry.row.version], entry.row.elemental_id) in orphans:
                self._leave(_ORPHAN, [_name(entry.row, media)])
            elif known is None:
                if media is not None and wanted is not None:
                    crops.append((media, wanted))
            elif self._is_settled(entry, known, media, wanted, paths[known.sample]):
                self._result.unchanged += 1
            else:
                doubtful.append((entry, known, media, wanted))
        crops += self._look_into(doubtful)
        self._writer.flush_if_full()
        return sorted(crops, key=lambda crop: crop[0].id)

    def _look_into(
        self, doubtful: Sequence[tuple[Entry, BaseRow, Media | None, Wanted | None]]
    ) -> Iterator[tuple[Media, Wanted]]:
        """Settles what may have moved; yields the crops that have to be made first."""
        ours = self._ours([known.sample for _, known, _, _ in doubtful])
        agreed = self._medias.find({known.media for _, known, _, _ in doubtful})
        for entry, known, media, wanted in doubtful:
            if known.sample not in ours:
                self._result.deleted_here += 1
                continue
            change = _Change(known, agreed.get(known.media) or self._medias.row(media), ours[known.sample])
            if media is None or wanted is None or _is_whole(known, wanted, change.ours["filepath"]):
                self._settle(entry, change, media, wanted)
            else:
                self._pending[_identity(entry.row)] = change
                yield media, wanted

    def _admits(self, row: Localization) -> bool:
        if self._chosen is not None and _identity(row) not in self._chosen:
            return not self._takes(row) and self._selection.wants(row)
        return self._selection.wants(row)

    def _elsewhere(self, elements: Sequence[str]) -> set[str]:
        """Elemental ids whose plain crop names localizations of other versions have already."""
        if self._first or not elements:
            return set()
        versions = [int(version) for version in self._dataset.info[INFO]["versions"]]
        return self._store.plainly_named(elements, versions)

    def _orphans(self, elements: Sequence[str]) -> set[tuple[str, str]]:
        """Samples of localizations that are not known: version and elemental id."""
        if self._first or not elements:
            return set()
        query = {"elemental_id": {"$in": list(elements)}}
        found = self._samples.find(query, {"version": True, "elemental_id": True})
        return {(document.get("version"), document["elemental_id"]) for document in found}

    def _wanted(self, entry: Entry, known: BaseRow | None, elsewhere: set[str]) -> tuple[Media | None, Wanted | None]:
        row = entry.row
        try:
            media, region = self._selection.place(row)
        except LeftOut as reason:
            self._leave(str(reason), [_name(row, self._selection.medias.get(row.media))])
            return self._selection.medias.get(row.media), None
        suffixed = known.suffixed if known is not None else self._is_suffixed(row, elsewhere)
        name = f"{row.elemental_id}_v{row.version}" if suffixed else str(row.elemental_id)
        target = self._folder.crop(media.name, name, self._style.format)
        return media, Wanted(entry, region, target, crop_key(media, region, self._style), suffixed)

    def _is_suffixed(self, row: Localization, elsewhere: set[str]) -> bool:
        if row.elemental_id in elsewhere:
            return True
        lowest = self._lowest.get(pack_element(row.elemental_id or "")) if self._lowest else None
        return lowest is not None and lowest != row.version

    def _is_settled(self, entry: Entry, known: BaseRow, media: Media | None, wanted: Wanted | None, path: str) -> bool:
        """Whether nothing about a localization moved since its base."""
        if known.row != entry.text or self._maker.absent:
            return False
        if media is None or wanted is None:
            return True
        return known.media == digest(self._medias.row(media)) and _is_whole(known, wanted, path)

    def _paths(self, samples: Sequence[ObjectId]) -> dict[ObjectId, str]:
        """The crops of those samples that are there."""
        query = {"_id": {"$in": list(samples)}}
        found = self._samples.find(query, {"filepath": True}, batch_size=_BLOCK) if samples else ()
        return {document["_id"]: document["filepath"] for document in found}

    def _ours(self, samples: Sequence[ObjectId]) -> dict[ObjectId, dict[str, Any]]:
        without = dict.fromkeys(self._writer.vectors, False) or None
        found = self._samples.find({"_id": {"$in": list(samples)}}, without) if samples else ()
        return {document["_id"]: document for document in found}

    # ------------------------------------------------------------------ one picture's crops are done

    def _take(self, outcome: Outcome) -> None:
        media = outcome.picture.media
        if outcome.failure is not None:
            self._leave(outcome.failure, [_name(w.entry.row, media) for w in outcome.picture.wanted])
            self._failed += [_identity(wanted.entry.row) for wanted in outcome.picture.wanted]
        else:
            self._result.pictures += 1
        if outcome.outside:
            self._leave(
                "Not imported because it lies outside the picture", [_name(w.entry.row, media) for w in outcome.outside]
            )
        for wanted in (*outcome.outside, *(outcome.picture.wanted if outcome.failure else ())):
            change = self._pending.pop(_identity(wanted.entry.row), None)
            if change is not None:
                self._settle(wanted.entry, change, media, None)
        of_media = self._maker.of_media(media.attributes)
        for wanted, crop in outcome.made:
            shown = picture(str(wanted.target), crop, self._style.format)
            change = self._pending.pop(_identity(wanted.entry.row), None)
            if change is not None:
                self._settle(wanted.entry, change, media, wanted, shown)
            else:
                self._create(
                    wanted, media, {**self._maker.owned(wanted.entry.row, media, wanted.region), **of_media}, shown
                )
        self._writer.flush_if_full()

    def _create(self, wanted: Wanted, media: Media, fields: Mapping[str, Any], shown: Mapping[str, Any]) -> None:
        row, sample = wanted.entry.row, ObjectId()
        problems: list[str] = []
        values = self._maker.values(row, problems)
        for problem in problems:
            self._result.notes.add(f"Imported, but {problem}", [_name(row, media)])
        base = BaseRow(
            version=row.version,
            elemental_id=str(row.elemental_id),
            type=row.type,
            sample=sample,
            row=wanted.entry.text,
            media=self._medias.agree(self._medias.row(media)),
            crop=wanted.key,
            size=int(shown["metadata"]["size_bytes"]),
            suffixed=wanted.suffixed,
            run=self._writer.run,
        )
        self._writer.create(base, self._maker.document(sample, fields, values, shown))

    def _settle(
        self,
        entry: Entry,
        change: _Change,
        media: Media | None,
        wanted: Wanted | None,
        shown: Mapping[str, Any] | None = None,
    ) -> None:
        """Merges theirs into a sample that is there."""
        base, ours = change.base, change.ours
        side = side_of(ours, "leave")
        merge = self._merger.merge(base.row, change.media_row, ours, entry, media, side)
        new = dict(merge.news)
        if side == "theirs":
            new["tags"] = [tag for tag in ours.get("tags") or () if tag not in SIDE_TAGS]
        if media is not None and wanted is not None:
            owned = self._maker.owned(entry.row, media, wanted.region)
            if GEOMETRY in merge.ours:
                # Somebody moved it here; the crop goes on showing where Tator has it.
                owned = {key: value for key, value in owned.items() if key not in ("box", "points")}
            new.update(owned)
        new.update(shown or {})
        new = {key: value for key, value in new.items() if ours.get(key) != value}
        self._result.conflicts += bool(merge.conflicts)
        self._result.updated += bool(new) and not merge.conflicts
        self._result.unchanged += not new and not merge.conflicts
        crop, size = base.crop, base.size
        if wanted is not None and shown is not None:
            crop, size = wanted.key, int(shown["metadata"]["size_bytes"])
        agreed = self._medias.agree(merge.media_row)
        moved = replace(base, type=entry.row.type, row=merge.row, media=agreed, crop=crop, size=size)
        conflict = told(merge.conflicts) if merge.conflicts else None
        self._writer.update(
            _name(entry.row, media), ours, new, moved,
            edited=bool(merge.ours), conflict=conflict, recut=crop != base.crop,
        )  # fmt: skip

    # ------------------------------------------------------------------ what is gone

    def take_out(self, deleted: Sequence[Identity]) -> None:
        """Removes the samples of localizations that Tator has no more, unless somebody edited them here.

        Args:
            deleted: identities that a second reading did not show either
        """
        for start in range(0, len(deleted), _BLOCK):
            base = self._store.find(deleted[start : start + _BLOCK])
            agreed = self._medias.find({row.media for row in base.values()})
            ours = self._ours([row.sample for row in base.values()])
            gone: list[BaseRow] = []
            for row in base.values():
                document = ours.get(row.sample)
                about_media = agreed.get(row.media)
                edited = document is not None and self._merger.edited(row.row, about_media, document)
                if document is None or not edited or side_of(document, "leave") == "theirs":
                    gone.append(row)
                else:
                    self._result.conflicts += 1
                    self._writer.update(row.elemental_id, document, {}, row, edited=True, conflict=GONE_THERE)
            self._writer.remove(gone, ours)
        self._writer.flush()

    def _leave(self, reason: str, items: Sequence[str]) -> None:
        self._result.left_out.add(reason, items)


def _identity(row: Localization) -> Identity:
    return row.version, str(row.elemental_id)


def _is_whole(known: BaseRow, wanted: Wanted, path: str) -> bool:
    """Whether the sample's crop is as it should be, and there in full."""
    try:
        return (known.crop, path) == (wanted.key, str(wanted.target)) and os.stat(path).st_size == known.size
    except FileNotFoundError:
        return False


def _name(row: Localization, media: Media | None) -> str:
    where = media.name if media is not None else f"media {row.media}"
    return f"{where}, {row.elemental_id}"
