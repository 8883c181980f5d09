"""Finding what somebody edited, without looking at what nobody did.

Whatever edits a sample (the App, a tag, ``set_values``, an annotation backend) sets its ``last_modified_at``, which is
indexed. What we write gets one of a few times of our own, the *stamps*. So all samples with another time are those that
somebody touched, and an index finds them in milliseconds, however many samples there are.

Times are told apart, never put in order, so clocks need not agree. What remains: a time of somebody else's may become a
stamp once it is five minutes old, and our own lie two seconds in the past. Who writes later by a clock that is slower
than that, and hits the very millisecond of a stamp, is overlooked until a push looks at ``everything``.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, UpdateOne
from pymongo.collection import Collection as Table
from pymongo.database import Database

COLLECTION = "tator_sync.stamps"
MODIFIED = "last_modified_at"

_BLOCK = 5_000
# A stamp lies in the past, so that an edit of this very moment never has the same time.
_BEHIND = timedelta(seconds=2)
_MILLISECOND = timedelta(milliseconds=1)
# After so long nobody is still writing samples with a time that was taken before the writing began.
SETTLED_SECONDS = 300.0
# A time that so many samples of a block have is worth a stamp; the others' times are changed.
_WORTH_A_STAMP = 250


class Stamps:
    """The times that our own writing gave to samples of one dataset.

    Args:
        database: FiftyOne's database
        dataset: the dataset's id
        samples: the dataset's samples
    """

    def __init__(self, database: Database[dict[str, Any]], dataset: ObjectId, samples: Table[dict[str, Any]]) -> None:
        self._stamps, self._dataset, self._samples = database[COLLECTION], dataset, samples
        self._datasets = database["datasets"]
        self._last = datetime.min
        self._given: datetime | None = None

    def prepare(self) -> None:
        """Makes the index that no stamp is kept twice by, and forgets datasets that are no more."""
        self._stamps.create_index([("dataset", ASCENDING), ("at", ASCENDING)], unique=True)
        known = self._stamps.distinct("dataset")
        if gone := [each for each in known if each != self._dataset and not self._exists(each)]:
            self._stamps.delete_many({"dataset": {"$in": gone}})

    def _exists(self, dataset: ObjectId) -> bool:
        return self._datasets.find_one({"_id": dataset}, {"_id": True}) is not None

    def fresh(self) -> datetime:
        """A new stamp."""
        at = self._unused()
        self._keep([at])
        return at

    def keep(self, at: datetime) -> None:
        """Makes a time from :meth:`other` a stamp, once base and samples agree: who dies before leaves them touched.

        Args:
            at: the time
        """
        self._keep([at])

    def other(self) -> datetime:
        """A time that is no stamp, for what we write until it is agreed on, or as long as an edit has not gone out."""
        at = self._unused()
        while self._stamps.find_one({"dataset": self._dataset, "at": at}) is not None:
            at += _MILLISECOND
        return at

    def _unused(self) -> datetime:
        """A time that no sample has."""
        now = datetime.now(timezone.utc).replace(tzinfo=None) - _BEHIND
        at = max(now.replace(microsecond=now.microsecond // 1000 * 1000), self._last + _MILLISECOND)
        while self._samples.find_one({MODIFIED: at}, {"_id": True}) is not None:
            at += _MILLISECOND
        self._last = at
        return at

    def _keep(self, times: Iterable[datetime]) -> None:
        for at in times:
            document = {"dataset": self._dataset, "at": at}
            self._stamps.update_one(document, {"$setOnInsert": document}, upsert=True)

    def known(self) -> list[datetime]:
        """All stamps of the dataset, in order."""
        return sorted(found["at"] for found in self._stamps.find({"dataset": self._dataset}))

    def prune(self) -> None:
        """Forgets stamps that no sample has any more."""
        used = {found["_id"] for found in self._samples.aggregate([{"$group": {"_id": f"${MODIFIED}"}}])}
        if unused := [at for at in self.known() if at not in used and at != self._last]:
            self._stamps.delete_many({"dataset": self._dataset, "at": {"$in": unused}})

    def touched(self, among: Collection[ObjectId] | None = None) -> Iterator[list[ObjectId]]:
        """The samples that somebody touched since we wrote them, new ones included.

        Args:
            among: only these; all if None

        Yields:
            ids, some thousands at a time, no order
        """
        query: dict[str, Any] = {MODIFIED: {"$nin": self.known()}}
        if among is None:
            yield from self._ids(query)
            return
        ids = list(among)
        for start in range(0, len(ids), _BLOCK):
            yield from self._ids({"_id": {"$in": ids[start : start + _BLOCK]}, **query})

    def _ids(self, query: dict[str, Any]) -> Iterator[list[ObjectId]]:
        block: list[ObjectId] = []
        for found in self._samples.find(query, {"_id": True}, batch_size=_BLOCK):
            block.append(found["_id"])
            if len(block) == _BLOCK:
                yield block
                block = []
        if block:
            yield block

    def restamp(self, clean: Mapping[ObjectId, datetime], now: datetime | None = None) -> set[datetime]:
        """Gives samples in which nothing was edited a stamp for the time that somebody else gave them.

        A tool that writes embeddings touches every sample. Looking at them once is enough. What somebody touches again
        meanwhile keeps its time.

        Args:
            clean: the samples' times as they were read, by id
            now: the present time, in UTC

        Returns:
            times that many of the samples have, which are left alone: :meth:`acknowledge` is cheaper for those
        """
        latest = _settled(now)
        times = Counter(clean.values())
        many = {at for at, count in times.items() if count >= _WORTH_A_STAMP}
        if few := [(id, at) for id, at in clean.items() if at <= latest and at not in many]:
            if self._given is None:
                self._given = self._unused()
            self._keep([self._given])
            stamp = {"$set": {MODIFIED: self._given}}
            self._samples.bulk_write([UpdateOne({"_id": id, MODIFIED: at}, stamp) for id, at in few], ordered=False)
        return many

    def acknowledge(self, clean: Iterable[datetime], dirty: Collection[datetime], now: datetime | None = None) -> None:
        """Takes times of somebody else's for stamps: all samples with them were looked at, and none was edited.

        Args:
            clean: times of samples in which nothing was edited
            dirty: times of samples in which something was
            now: the present time, in UTC
        """
        latest = _settled(now)
        self._keep(at for at in set(clean) - set(dirty) if at <= latest)


def _settled(now: datetime | None) -> datetime:
    """The time before which nobody is still writing, in UTC."""
    return (now or datetime.now(timezone.utc).replace(tzinfo=None)) - timedelta(seconds=SETTLED_SECONDS)
