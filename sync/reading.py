"""Reading theirs in full: every row of a scope, and by name what the lists do not show."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import fiftyone as fo
import fiftyone.core.odm as foo
import numpy as np
import numpy.typing as npt

from fiftyone_tator.sync import dataset as datasets
from fiftyone_tator.sync import snapshot as snapshots
from fiftyone_tator.sync.base import BaseStore, Identity, packed
from fiftyone_tator.sync.progress import Tracker
from fiftyone_tator.sync.scope import Scope
from fiftyone_tator.sync.selection import Selection
from fiftyone_tator.sync.snapshot import Snapshot, SnapshotWriter
from fiftyone_tator.tator_client import NotFound, Tator

OVERLAP = 2_000
"""Tator gives out an id before the row that has it can be seen; such a row is at most so many ids behind."""

Listing = tuple[int, int]
"""Version id and localization type id: what Tator lists in the order of ids."""


Identities = npt.NDArray[np.void]
"""Version and elemental id of localizations, 24 bytes each."""


class Highest:
    """The ids up to which lists were read, to go on from there next time.

    A page shows every row that could be seen when it was read. So up to the highest id of a page nothing is missed but
    rows that became visible later, and those lie at most :data:`OVERLAP` ids behind the newest row of their moment.
    With a list of many pages that moment matters: while we read on, others may write more than the overlap makes good
    for. Therefore the id to go on from is not the highest of all, but the highest of the page with which we came near
    the end of the list as it was counted before the first page. The pages before it were too far from the end of that
    moment to lack a row, and what was written after it is read again.

    Args:
        ids: what is known already, by listing
    """

    def __init__(self, ids: Mapping[Listing, int] | None = None) -> None:
        self.ids = dict(ids or {})
        self._expected: dict[Listing, int] = {}
        self._read: dict[Listing, int] = {}

    def expect(self, listing: Listing, count: int) -> None:
        """Begins a list.

        Args:
            listing: which one
            count: how many rows it had before its first page was read
        """
        self._expected[listing], self._read[listing] = count, 0

    def note(self, page: Sequence[Mapping[str, Any]]) -> None:
        """Learns a page, in the order of reading.

        Args:
            page: rows of one list, as the server sent them
        """
        listing = int(page[0]["version"]), int(page[0]["type"])
        if self._read[listing] < max(1, self._expected[listing] - OVERLAP):
            self.ids[listing] = max(self.ids.get(listing, 0), *(row["id"] for row in page))
        self._read[listing] += len(page)


@dataclass(frozen=True)
class Memory:
    """What an import remembers for the next feed.

    Args:
        about: what it was about, from :func:`about`
        full_at: when everything was compared, in UTC
        ids: the ids to go on from, by listing
        absent: localizations that Tator shows and the base has not
        gone: localizations that the base has and Tator does not show
        again: localizations to ask for again, because they could not be brought in
        without_identity: how many localizations have no elemental id
    """

    about: str
    full_at: datetime
    ids: Mapping[Listing, int]
    absent: Identities
    gone: Identities
    again: Identities
    without_identity: int


@dataclass(slots=True)
class Theirs:
    """What Tator says.

    Args:
        snapshot: the rows
        deleted: what is gone for sure
        compared: ``full`` if everything was read, ``changes`` if only what changed
        ids: the ids to go on from, by listing
        without_identity: how many localizations have no elemental id
        memory: what the feed went on from
        remarks: what to say about the way it was looked: what happened, and why
    """

    snapshot: Snapshot
    deleted: list[Identity]
    compared: Literal["full", "changes"]
    ids: dict[Listing, int]
    without_identity: int = 0
    memory: Memory | None = None
    remarks: list[tuple[str, str]] = field(default_factory=list)


class Reader:
    """Reads theirs into a file.

    Args:
        client: the session with the server
        scope: what is imported
        selection: learns the media, and says when it is enough
        tracker: told about each page
        part: the file to write
    """

    def __init__(self, client: Tator, scope: Scope, selection: Selection, tracker: Tracker, part: Path) -> None:
        self._client, self._scope, self._selection = client, scope, selection
        self._tracker, self._part = tracker, part
        self._highest = Highest()

    def count(self) -> int:
        """Counts what there is to read.

        Raises:
            TatorError: if the server fails
        """
        total = 0
        for version in self._scope.versions:
            for kind in self._scope.types:
                count = self._client.count_localizations(self._scope.project.id, version=version.id, type=kind.id)
                self._highest.expect((version.id, kind.id), count)
                total += count
        return total

    def full(self, existing: fo.Dataset | None, *, known_versions: bool) -> Theirs:
        """Reads everything; what the base has and the lists do not show is asked for by name before it counts as gone.

        Args:
            existing: the dataset, or None if there is none yet
            known_versions: whether all versions that the dataset knows are meant, those that Tator has no more included

        Returns:
            what Tator says

        Raises:
            TatorError: if the server fails; the file is removed then
        """
        types, versions = [kind.id for kind in self._scope.types], [version.id for version in self._scope.versions]
        pages = self._client.iter_localizations(self._scope.project.id, types=types, versions=versions, raw=True)
        writer = snapshots.read(self._part, self._followed(pages), enough=self._selection.enough)
        try:
            complete = not self._selection.ended
            deleted: list[Identity] = []
            if existing is not None:
                store = BaseStore(foo.get_db_conn(), datasets.dataset_id(existing))
                seen = writer.finish(complete=complete).identities
                deleted = self._gone(writer, snapshots.missing(packed(store.identities(versions, types)), seen))
                if known_versions:
                    deleted += list(store.identities(self._vanished_versions(existing), types))
            snapshot = writer.finish(complete=complete)
            return Theirs(snapshot, deleted, "full", self._highest.ids, writer.without_identity)
        finally:
            writer.close()

    def _followed(self, pages: Iterable[list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
        for page in pages:
            self._highest.note(page)
            yield page
            self._tracker.advance(len(page))

    def _gone(self, writer: SnapshotWriter, missing: Sequence[Identity]) -> list[Identity]:
        """Asks by name for what the lists did not show; gives what is not there then either."""
        gone: list[Identity] = []
        types = {kind.id for kind in self._scope.types}
        for version in sorted({version for version, _ in missing}):
            elements = [element for v, element in missing if v == version]
            rows = self._client.read_localizations(self._scope.project.id, elemental_ids=elements, version=version)
            alive = {str(row.elemental_id).lower() for row in rows}
            # A mark of a type that is not imported says nothing about the localization that was there.
            rows = [row for row in rows if row.type in types]
            writer.add(rows)
            self._selection.medias.learn(row.media for row in rows)
            gone += [(version, element) for element in elements if element not in alive]
        return gone

    def _vanished_versions(self, dataset: fo.Dataset) -> list[int]:
        """The versions of a dataset that the project has no more; each is asked for before it counts as gone."""
        vanished = []
        for version in sorted(datasets.known_versions(dataset) - self._scope.all_versions):
            try:
                self._client.version(version)
            except NotFound:
                vanished.append(version)
        return vanished
