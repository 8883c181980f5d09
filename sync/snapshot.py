"""Theirs, read whole: all rows of a scope in one file, with a small index in memory.

Reading and using are two steps on purpose. Only when the last page has come and the counts agree is there a snapshot;
whatever fails before leaves the dataset as it was.
"""

import json
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fiftyone_tator.sync.base import Identity, pack_element
from fiftyone_tator.tator_client import Localization

KEYS = (
    "id type media version frame x y width height u v points attributes elemental_id mark parent variant_deleted "
    "created_by created_datetime modified_by modified_datetime user".split()
)
"""What of a row is kept."""

# One encoder for all rows: json.dumps would make a new one each time.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_NUMBERS = ("offset", "id", "media", "mark", "deleted")
_COLUMNS = np.dtype(
    [("offset", "<i8"), ("id", "<i8"), ("media", "<i8"), ("mark", "<i4"), ("deleted", "?"), ("identity", "V24")]
)


def line(row: Mapping[str, Any] | Localization) -> str:
    """A row as one line of JSON, always with the same keys in the same order.

    Args:
        row: an object of the server's, or a localization

    Returns:
        JSON text without a line break
    """
    if isinstance(row, Localization):
        values = {key: getattr(row, "deleted" if key == "variant_deleted" else key) for key in KEYS}
    else:
        values = {key: row.get(key) for key in KEYS}
    return _encode(values)


def parse(text: str) -> Localization:
    """The localization of a line.

    Args:
        text: a line of a snapshot, or the row of the base
    """
    return Localization.from_json(json.loads(text))


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a snapshot.

    Args:
        text: the row as a line of JSON
        row: the localization
    """

    text: str
    row: Localization


class Snapshot:
    """The newest row of each localization, in the order of media and then id.

    Args:
        path: the file with the rows, one a line
        index: where each row is; an array of shape (n,)
        complete: whether it holds the whole scope, or was ended when it had enough
    """

    def __init__(self, path: Path, index: npt.NDArray[Any], *, complete: bool) -> None:
        self.path, self.complete = path, complete
        self._index = index[~index["deleted"]]
        self.tombstones: npt.NDArray[np.void] = np.asarray(index["identity"][index["deleted"]])
        """Identities of localizations whose newest row says that they were deleted; all others are the snapshot."""

    def __len__(self) -> int:
        return len(self._index)

    @property
    def identities(self) -> npt.NDArray[np.void]:
        """Version and elemental id of each row, 24 bytes each, see :func:`fiftyone_tator.sync.base.packed`."""
        return np.asarray(self._index["identity"])

    def shared_elements(self) -> dict[bytes, int]:
        """The elemental ids, 16 bytes each, that several versions have, with the lowest of those versions."""
        identities = np.unique(np.ascontiguousarray(self._index["identity"]).view("S24"))
        elements = identities.view("S8,S16")["f1"]
        _, first, counts = np.unique(elements, return_index=True, return_counts=True)
        lowest = (identities[i].ljust(24, b"\0") for i in first[counts > 1])
        return {data[8:]: int.from_bytes(data[:8], "big") for data in lowest}

    def blocks(self, size: int, *, as_read: bool = False) -> Iterator[list[Entry]]:
        """The rows in blocks.

        Args:
            size: rows a block
            as_read: in the order of reading, instead of that of media and id

        Yields:
            at most so many rows; one media's rows follow each other, but a block's end may part them
        """
        offsets = np.sort(self._index["offset"]) if as_read else self._index["offset"]
        with open(self.path, "rb") as file:
            for start in range(0, len(offsets), size):
                yield [_entry(file, int(offset)) for offset in offsets[start : start + size]]


def _entry(file: IO[bytes], offset: int) -> Entry:
    file.seek(offset)
    text = file.readline().decode().rstrip("\n")
    return Entry(text, parse(text))


class SnapshotWriter:
    """Collects rows into a file, which becomes a snapshot when all have come.

    Args:
        path: the file to write; one that is there is overwritten
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = open(path, "wb")  # noqa: SIM115 - closed by close()
        self._offset = 0
        self._numbers = array("q")
        self._identities = bytearray()
        self.without_identity = 0

    def add(self, rows: Iterable[Mapping[str, Any] | Localization]) -> None:
        """Adds rows; of one localization the row with the highest mark counts.

        Args:
            rows: objects of the server's, or localizations
        """
        lines: list[bytes] = []
        for row in rows:
            if isinstance(row, Localization):
                element, version = row.elemental_id, row.version
                numbers = row.id, row.media, row.mark, row.deleted
            else:
                element, version = row["elemental_id"], row["version"]
                numbers = row["id"], row["media"], row["mark"], bool(row.get("variant_deleted"))
            try:
                packed = pack_element(element or "")
            except ValueError:
                self.without_identity += 1
                continue
            data = (line(row) + "\n").encode()
            self._numbers.extend((self._offset, *numbers))
            self._identities += version.to_bytes(8, "big") + packed
            self._offset += len(data)
            lines.append(data)
        self._file.write(b"".join(lines))

    def finish(self, *, complete: bool) -> Snapshot:
        """Closes the file and sorts the index.

        Args:
            complete: whether the whole scope was read

        Returns:
            the snapshot
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        numbers = np.frombuffer(self._numbers.tobytes(), dtype="<i8").reshape(-1, len(_NUMBERS))
        index = np.empty(len(numbers), dtype=_COLUMNS)
        for column, name in enumerate(_NUMBERS):
            index[name] = numbers[:, column]
        index["identity"] = np.frombuffer(bytes(self._identities), dtype="V24")
        return Snapshot(self._path, _newest(index), complete=complete)

    def close(self) -> None:
        """Closes the file; may be called twice."""
        self._file.close()


def _newest(index: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Keeps the highest mark of each identity and sorts by media and id."""
    if len(index):
        identities = np.ascontiguousarray(index["identity"]).view(">u8").reshape(-1, 3)
        order = np.lexsort((index["mark"], identities[:, 2], identities[:, 1], identities[:, 0]))
        ordered = identities[order]
        last = np.append((ordered[1:] != ordered[:-1]).any(axis=1), True)
        index = index[order[last]]
    return index[np.lexsort((index["id"], index["media"]))]


def read(
    path: Path,
    pages: Iterable[Sequence[Mapping[str, Any]]],
    *,
    enough: Callable[[Sequence[Mapping[str, Any]]], bool] | None = None,
) -> SnapshotWriter:
    """Reads pages into a writer.

    Args:
        path: the file to write
        pages: the pages as the client gives them; an exception of theirs ends the reading
        enough: told each page, says whether that was enough

    Returns:
        the writer, to which more may be added before it is finished

    Raises:
        TatorError: whatever the pages raise; the file is removed then
    """
    writer = SnapshotWriter(path)
    try:
        for page in pages:
            writer.add(page)
            if enough is not None and enough(page):
                break
    except BaseException:  # an interruption, too, must leave no half of a file; it is raised again
        writer.close()
        path.unlink(missing_ok=True)
        raise
    return writer


def missing(base: npt.NDArray[np.void], there: npt.NDArray[np.void]) -> list[Identity]:
    """The identities of the base that a snapshot does not hold.

    Args:
        base: identities of the base, 24 bytes each
        there: identities of the snapshot

    Returns:
        version ids and elemental ids
    """
    if not len(base):
        return []
    gone = base[~np.isin(base.view("S24"), there.view("S24"))]
    return [unpack(value.tobytes()) for value in gone]


def unpack(data: bytes) -> Identity:
    """The identity that :func:`fiftyone_tator.sync.base.packed` made 24 bytes of.

    Args:
        data: 24 bytes

    Returns:
        version id and elemental id
    """
    text = data[8:].hex()
    parts = text[:8], text[8:12], text[12:16], text[16:20], text[20:]
    return int.from_bytes(data[:8], "big"), "-".join(parts)
