"""The feed: reading only what changed since the last import, and knowing when that is not enough.

Creations, default edits and deletions in Tator each make a row with a higher id, so everything above the highest id
seen, tombstones included, is what changed. Edits in place, prunes and deleted media make no such row. Where they change
the number of localizations, counting shows that something is missing; edits in place only a full reading finds.

What is remembered is one thing: the set of localizations that Tator showed. It is the base, with those that Tator has
and the base has not (they lie on videos, are of other classes, ...), without those that the base has and Tator has not
(they were deleted there and changed here). With the feed it tells how many localizations Tator must have now.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pymongo.collection import Collection as Table

from fiftyone_tator.sync.base import BaseStore, Identity, packed
from fiftyone_tator.sync.dataset import CONFLICT_TAG
from fiftyone_tator.sync.progress import Tracker
from fiftyone_tator.sync.reading import OVERLAP, Highest, Identities, Listing, Memory, Theirs
from fiftyone_tator.sync.scope import Scope
from fiftyone_tator.sync.selection import Selection
from fiftyone_tator.sync.snapshot import SnapshotWriter, unpack
from fiftyone_tator.tator_client import Tator

FULL_AFTER = timedelta(days=1)
"""How old the last full comparison may be before the next one is made by itself."""

AGAIN_AT_MOST = 10_000
"""So many localizations are asked for by name in a feed; with more, everything is read."""

_TRIES = 2


def why_not(memory: Memory | None, subject: str, *, limited: bool, unfinished: bool) -> str | None:
    """Why a feed cannot tell what changed, as a sentence; None if it can.

    Args:
        memory: what is remembered
        subject: what the import is about, from :func:`fiftyone_tator.sync.remembering.about`
        limited: whether there is a sample limit
        unfinished: whether an earlier import died
    """
    if limited:
        return "With max_samples, everything is read until the limit is reached"
    if unfinished:
        return "The last import did not come to its end"
    if memory is None or memory.about != subject:
        return "No earlier import compared everything with the same options and the same types"
    return None


def is_old(memory: Memory, now: datetime | None = None) -> bool:
    """Whether it is time to compare everything again.

    Args:
        memory: what is remembered
        now: the present time, in UTC
    """
    return (now or datetime.now(timezone.utc)) - memory.full_at >= FULL_AFTER


class Feed:
    """Reads what changed.

    Args:
        client: the session with the server
        scope: what is imported
        selection: learns the media
        store: the dataset's base
        samples: its samples
        memory: what the last import remembered
    """

    def __init__(
        self,
        client: Tator,
        scope: Scope,
        selection: Selection,
        store: BaseStore,
        samples: Table[dict[str, Any]],
        memory: Memory,
    ) -> None:
        self._client, self._scope, self._selection = client, scope, selection
        self._store, self._samples, self._memory = store, samples, memory
        self._versions = [version.id for version in scope.versions]
        self._types = [kind.id for kind in scope.types]
        self._off = 0

    def read(self, part: Path, tracker: Tracker, names: Mapping[int, str]) -> Theirs:
        """Reads the rows and tombstones above the highest ids seen, and by name what is open here.

        Args:
            part: the file to write
            tracker: told about each page
            names: how the dataset calls the versions, by id

        Returns:
            what changed; :attr:`off_by` says whether that can be all

        Raises:
            TatorError: if the server fails
        """
        for _ in range(_TRIES):
            # Where people go on writing between reading and counting, the second try has less to read.
            theirs = self._changes(part, tracker, names)
            self._off = self._counted() - self._expected(theirs)
            if not self._off:
                break
        return theirs

    @property
    def off_by(self) -> str | None:
        """By how many localizations Tator counts more or fewer than there should be, in words; None if it does not."""
        if not self._off:
            return None
        how = "more" if self._off > 0 else "fewer"
        return f"Tator counts {abs(self._off):,} localizations {how} than its list of changes tells"

    def _changes(self, part: Path, tracker: Tracker, names: Mapping[int, str]) -> Theirs:
        writer, highest = SnapshotWriter(part), Highest(self._memory.ids)
        try:
            for version in self._versions:
                for kind in self._types:
                    self._follow((version, kind), writer, highest, tracker)
            self._ask(writer, names)
            snapshot = writer.finish(complete=False)
        finally:
            writer.close()
        deleted = [unpack(identity.tobytes()) for identity in snapshot.tombstones]
        return Theirs(snapshot, deleted, "changes", highest.ids, self._memory.without_identity, self._memory)

    def _follow(self, listing: Listing, writer: SnapshotWriter, highest: Highest, tracker: Tracker) -> None:
        """Reads what is above the highest id seen, and a little below."""
        (version, kind), project = listing, self._scope.project.id
        after = max(0, self._memory.ids.get(listing, 0) - OVERLAP)
        count = self._client.count_localizations(project, version=version, type=kind, show_deleted=True, after=after)
        highest.expect(listing, count)
        if not count:
            return
        pages = self._client.iter_localizations(
            project, types=[kind], versions=[version], show_deleted=True, after=after, raw=True
        )
        for page in pages:
            highest.note(page)
            writer.add(page)
            self._selection.enough([row for row in page if not row["variant_deleted"]])
            tracker.advance(len(page))

    def _ask(self, writer: SnapshotWriter, names: Mapping[int, str]) -> None:
        """Reads by name what is in conflict here, and what could not be brought in last time."""
        asked: dict[int, set[str]] = {version: set() for version in self._versions}
        for version, element in map(unpack, (identity.tobytes() for identity in self._memory.again)):
            asked.setdefault(version, set()).add(element)
        numbers = {names[version]: version for version in self._versions if version in names}
        query = {"tags": CONFLICT_TAG, "version": {"$in": list(numbers)}, "elemental_id": {"$type": "string"}}
        for found in self._samples.find(query, {"version": True, "elemental_id": True}):
            asked[numbers[found["version"]]].add(found["elemental_id"].lower())
        for version, elements in asked.items():
            rows = self._client.read_localizations(
                self._scope.project.id, elemental_ids=sorted(elements), version=version, show_deleted=True
            )
            rows = [row for row in rows if row.type in self._types]
            self._selection.medias.learn(row.media for row in rows if not row.deleted)
            writer.add(rows)

    def _counted(self) -> int:
        project = self._scope.project.id
        return sum(self._client.count_localizations(project, version=self._versions, type=kind) for kind in self._types)

    def _expected(self, theirs: Theirs) -> int:
        """How many localizations Tator must have if the feed shows everything."""
        memory, alive = self._memory, theirs.snapshot.identities
        gone = _present(self._store, memory.gone)
        shown = self._store.count_of(self._versions, self._types) + len(memory.absent) - len(gone)
        new = len(alive) - self._shown_before(alive)
        return shown + new - self._shown_before(theirs.snapshot.tombstones) + memory.without_identity

    def _shown_before(self, identities: Identities) -> int:
        known = _is_in(identities, _present(self._store, identities)) | _is_in(identities, self._memory.absent)
        return int((known & ~_is_in(identities, self._memory.gone)).sum())


def after_full(
    subject: str, scope: Scope, store: BaseStore, theirs: Theirs, again: Collection[Identity]
) -> Memory | None:
    """What to remember of a full comparison when all of it was applied.

    Args:
        subject: from :func:`about`
        scope: what was imported
        store: the dataset's base
        theirs: what was read
        again: what could not be brought in

    Returns:
        the memory; None if a feed could not go on from there
    """
    if not theirs.snapshot.complete or len(again) > AGAIN_AT_MOST:
        return None
    versions, types = [version.id for version in scope.versions], [kind.id for kind in scope.types]
    base, shown = packed(store.identities(versions, types)), theirs.snapshot.identities
    absent, gone = shown[~_is_in(shown, base)], base[~_is_in(base, shown)]
    now = datetime.now(timezone.utc)
    return Memory(subject, now, theirs.ids, absent, gone, packed(again), theirs.without_identity)


def after_changes(memory: Memory, store: BaseStore, theirs: Theirs, again: Collection[Identity]) -> Memory | None:
    """What to remember of a feed when all of it was applied.

    Args:
        memory: what was remembered before
        store: the dataset's base
        theirs: what was read
        again: what could not be brought in

    Returns:
        the memory; None if a feed could not go on from there
    """
    if len(again) > AGAIN_AT_MOST:
        return None
    alive, dead = theirs.snapshot.identities, theirs.snapshot.tombstones
    here = _present(store, np.concatenate([alive, dead]))
    settled = np.concatenate([dead, alive[_is_in(alive, here)]])
    absent = _union(memory.absent[~_is_in(memory.absent, settled)], alive[~_is_in(alive, here)])
    gone = _union(memory.gone[~_is_in(memory.gone, alive)], dead[_is_in(dead, here)])
    return replace(
        memory, ids=theirs.ids, absent=absent, gone=_present(store, gone), again=packed(again)
    )  # fmt: skip


def _present(store: BaseStore, identities: Identities) -> Identities:
    return packed(store.present(unpack(identity.tobytes()) for identity in identities))


def _is_in(some: Identities, others: Identities) -> npt.NDArray[np.bool_]:
    return np.isin(np.ascontiguousarray(some).view("S24"), np.ascontiguousarray(others).view("S24"))


def _union(one: Identities, other: Identities) -> Identities:
    both = np.concatenate([one, other])
    _, first = np.unique(both.view("S24"), return_index=True)
    return both[first]
