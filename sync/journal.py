"""The journal: every batch of a push is here before it goes out, and what became of it when it came back.

A push that was killed leaves batches whose fate nobody knows. The next one asks Tator for exactly those localizations:
what arrived is agreed on, what did not is still an edit here and goes out again. So each change is there once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal, TypeVar

from bson import ObjectId
from pymongo import ASCENDING
from pymongo.database import Database

COLLECTION = "tator_sync.journal"
PROPOSALS = "tator_sync.proposals"
"""Where pushes remember what they proposed; see :mod:`fiftyone_tator.sync.proposing`."""

_MOST, _MOST_TEXT = 500, 2_000_000
"""Localizations, and letters of what is set on them, that one entry and one call carry."""
_KEPT_SECONDS = 30 * 24 * 3600

_T = TypeVar("_T")

Kind = Literal["change", "create", "delete", "propose"]


@dataclass(frozen=True, slots=True)
class Item:
    """One localization of a batch.

    Args:
        element: its elemental id
        sample: its sample
        row: the id of its newest mark before the batch, 0 for a new one
        change: the place of what is set in the batch's changes
    """

    element: str
    sample: ObjectId
    row: int = 0
    change: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch.

    Args:
        id: of the entry
        push: the push that it belongs to
        kind: ``change``, ``create``, ``delete`` or ``propose``
        way: the call, in words
        version: the id of the version that it goes to
        medias: the media that it touches
        changes: what is set, each once, in JSON; see :attr:`fiftyone_tator.sync.outgoing.Change.key`
        items: the localizations
    """

    id: ObjectId
    push: ObjectId
    kind: Kind
    way: str
    version: int
    medias: tuple[int, ...]
    changes: tuple[str, ...]
    items: tuple[Item, ...] = field(default=())


def portions(items: Sequence[_T], text: Callable[[_T], str]) -> Iterator[list[_T]]:
    """Cuts what goes out into batches that an entry can hold.

    Args:
        items: localizations
        text: what an entry says of each

    Yields:
        batches
    """
    batch: list[_T] = []
    size = 0
    for item in items:
        length = len(text(item))
        if batch and (len(batch) >= _MOST or size + length > _MOST_TEXT):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += length
    if batch:
        yield batch


class Journal:
    """The journal of one dataset's pushes.

    Args:
        database: FiftyOne's database
        dataset: the dataset's id
    """

    def __init__(self, database: Database[dict[str, Any]], dataset: ObjectId) -> None:
        self._entries, self._dataset, self._database = database[COLLECTION], dataset, database

    def prepare(self) -> None:
        """Makes the index that finds open batches, and the one that lets MongoDB forget old ones after 30 days.

        What pushes of datasets that are no more left behind is forgotten.
        """
        self._forget_other_datasets()
        self._entries.create_index([("dataset", ASCENDING), ("state", ASCENDING)])
        self._entries.create_index("done", expireAfterSeconds=_KEPT_SECONDS)

    def _forget_other_datasets(self) -> None:
        for table in (self._entries, self._database[PROPOSALS]):
            # In this order: a dataset that somebody makes meanwhile has no entries yet, or is among those there are.
            known = set(table.distinct("dataset")) - {self._dataset}
            if gone := known - set(self._database["datasets"].distinct("_id")):
                table.delete_many({"dataset": {"$in": list(gone)}})

    def out(
        self,
        push: ObjectId,
        kind: Kind,
        way: str,
        version: int,
        medias: Sequence[int],
        changes: Sequence[str],
        items: Sequence[Item],
    ) -> Entry:
        """Writes down a batch that is about to go out.

        Args:
            push: the push that it belongs to
            kind: ``change``, ``create``, ``delete`` or ``propose``
            way: the call, in words
            version: the id of the version that it goes to
            medias: the media that it touches
            changes: what is set, each once, in JSON
            items: the localizations

        Returns:
            the entry
        """
        entry = Entry(ObjectId(), push, kind, way, version, tuple(medias), tuple(changes), tuple(items))
        self._entries.insert_one(
            {
                "_id": entry.id,
                "dataset": self._dataset,
                "push": push,
                "state": "out",
                "at": datetime.now(timezone.utc),
                "kind": kind,
                "way": way,
                "version": version,
                "medias": list(entry.medias),
                "changes": list(changes),
                "items": [[item.element, item.sample, item.row, item.change] for item in items],
            }
        )
        return entry

    def back(self, entry: Entry, failed: int) -> None:
        """Writes down that the answer to a batch came.

        Args:
            entry: the batch
            failed: how many of its localizations were refused
        """
        self._entries.update_one({"_id": entry.id}, {"$set": {"state": "back", "failed": failed}})

    def done(self, entry: Entry) -> None:
        """Writes down that what a batch did is agreed on; nobody has to look at it again.

        Args:
            entry: the batch
        """
        self._entries.update_one({"_id": entry.id}, {"$set": {"state": "done", "done": datetime.now(timezone.utc)}})

    def open(self) -> Iterator[Entry]:
        """The batches whose fate is not known, the oldest first.

        Yields:
            entries
        """
        query = {"dataset": self._dataset, "state": {"$in": ["out", "back"]}}
        for found in list(self._entries.find(query).sort("_id", ASCENDING)):
            items = tuple(Item(*item) for item in found["items"])
            yield Entry(
                found["_id"], found["push"], found["kind"], found["way"], found["version"],
                tuple(found["medias"]), tuple(found["changes"]), items,
            )  # fmt: skip
