"""One writer a dataset: a lease in MongoDB that ends by itself when its holder dies.

It is on the dataset's name and on its id: a first import has nothing but a name, and a dataset may be renamed.
"""

import socket
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import Any, TypeVar

import psutil
from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from fiftyone_tator.sync.errors import Busy

COLLECTION = "tator_sync.leases"

_T = TypeVar("_T")


class Lease:
    """The right to write to a dataset, as a context manager; it renews itself until it is released.

    Args:
        database: FiftyOne's database
        dataset: the dataset's name
        purpose: what is being done, in words, for example ``importing``
        seconds: how long the lease lasts after its holder stopped renewing it
        key: what the lease is on, if it is not the dataset, for example one of its fields
    """

    def __init__(
        self,
        database: Database[dict[str, Any]],
        dataset: str,
        *,
        purpose: str,
        seconds: float = 60,
        key: str | None = None,
    ) -> None:
        self._leases, self._datasets = database[COLLECTION], database["datasets"]
        self._keys: list[str | ObjectId] = []
        self._key = key
        self._dataset, self._purpose, self._seconds = dataset, purpose, seconds
        self._token = ObjectId()
        self._stop, self._renewing = threading.Event(), threading.Lock()
        self._expires = _now()
        self.lost = False
        """Whether somebody else has, or had, the lease since it was taken."""
        self._renewer: threading.Thread | None = None

    def __enter__(self) -> "Lease":
        """Takes the lease. Raises :class:`Busy` if somebody else holds it."""
        id = self._id()
        keys: list[str | ObjectId] = [self._key or self._dataset] if id is None else [self._dataset, id]
        for key in keys:
            if not self._take(key):
                self._give_back()
                raise Busy(self._busy_message(key))
        self._renewer = threading.Thread(target=self._keep, name="tator-lease", daemon=True)
        self._renewer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives the lease back."""
        self._stop.set()
        if self._renewer is not None:
            self._renewer.join()
        self._give_back()

    def _id(self) -> ObjectId | None:
        """The dataset's id; None if it is not there yet, or the lease is on something else."""
        if self._key is not None:
            return None
        found = self._datasets.find_one({"name": self._dataset}, {"_id": True})
        return None if found is None else found["_id"]

    def _take(self, key: str | ObjectId) -> bool:
        """Takes the lease on a name or an id, unless somebody else holds it."""
        holder = self._leases.find_one({"_id": key})
        stale = {"expires": {"$lt": _now()}}
        if holder is not None and _is_dead(holder):
            stale = {"token": holder["token"]}
        try:
            self._leases.find_one_and_update(
                {"_id": key, **stale},
                {"$set": self._document()},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            return False
        self._keys.append(key)
        return True

    def _give_back(self) -> None:
        self._leases.delete_many({"_id": {"$in": self._keys}, "token": self._token})

    def check(self) -> None:
        """Renews the lease, to be called before something is written.

        Raises:
            Busy: if it is somebody else's now, or ran out while MongoDB could not be asked
        """
        try:
            self._renew()
        except PyMongoError as reason:
            if _now() >= self._expires:
                raise Busy(f"{self._lost_message()} MongoDB says: {reason}") from reason
        if self.lost:
            raise Busy(self._lost_message())

    def checked(self, call: Callable[[_T], None] | None) -> Callable[[_T], None]:
        """A function that calls :meth:`check` first.

        Args:
            call: what it does then, or None
        """

        def checking(argument: _T) -> None:
            self.check()
            if call is not None:
                call(argument)

        return checking

    def _document(self) -> dict[str, Any]:
        process = psutil.Process()
        self._expires = _now() + timedelta(seconds=self._seconds)
        return {
            "token": self._token,
            "purpose": self._purpose,
            "host": socket.gethostname(),
            "pid": process.pid,
            "process_started": process.create_time(),
            "since": _now(),
            "expires": self._expires,
        }

    def _keep(self) -> None:
        while not self.lost and not self._stop.wait(self._seconds / 3):
            try:
                self._renew()
            except PyMongoError:
                continue  # MongoDB may be back at the next turn; until then nobody else can take the lease either

    def _renew(self) -> None:
        """Renews the lease if it is still ours, even if its time has passed: then nobody wanted it."""
        expires = _now() + timedelta(seconds=self._seconds)
        with self._renewing:
            if len(self._keys) == 1 and (id := self._id()) is not None and not self._take(id):
                # The dataset was made meanwhile, renamed, and somebody else writes to it by its new name.
                self.lost = True
                return
            ours = {"_id": {"$in": self._keys}, "token": self._token}
            if self._leases.update_many(ours, {"$set": {"expires": expires}}).matched_count == len(self._keys):
                self._expires = expires
            else:
                self.lost = True

    def _lost_message(self) -> str:
        return (
            f"The right to write to dataset {self._dataset!r} ran out and could not be renewed in time"
            f"{self._holder()}. Nothing is lost: do the same again, and what is missing comes."
        )

    def _holder(self) -> str:
        """Who has the lease now, as a part of a sentence; nothing if nobody has or MongoDB does not say."""
        try:
            keys = {"$in": [self._key or self._dataset, self._id(), *self._keys]}
            holder = self._leases.find_one({"_id": keys, "token": {"$ne": self._token}})
        except PyMongoError:
            return ""
        if holder is None:
            return ""
        return f"; process {holder.get('pid')} on {holder.get('host')} is {holder.get('purpose', 'working')} there now"

    def _busy_message(self, key: str | ObjectId) -> str:
        holder = self._leases.find_one({"_id": key}) or {}
        since = holder.get("since")
        return (
            f"Somebody is {holder.get('purpose', 'working')} on dataset {self._dataset!r} already "
            f"(process {holder.get('pid')} on {holder.get('host')}{f', since {since:%H:%M:%S} UTC' if since else ''}). "
            f"Wait until that ends; if it died, its lease ends by itself after {self._seconds:.0f} s."
        )


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether a lease's holder was a process of this machine that is no more."""
    if holder.get("host") != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(holder["pid"]))
        return bool(abs(process.create_time() - float(holder["process_started"])) > 1)
    except (psutil.NoSuchProcess, KeyError, TypeError, ValueError):
        return True
