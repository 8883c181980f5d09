"""One writer a dataset: a lease in MongoDB that ends by itself when its holder dies."""

import socket
import threading
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import Any

import psutil
from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from fiftyone_tator.sync.errors import Busy

COLLECTION = "tator_sync.leases"


class Lease:
    """The right to write to a dataset, as a context manager; it renews itself until it is released.

    Args:
        database: FiftyOne's database
        dataset: the dataset's name
        purpose: what is being done, in words, for example ``importing``
        seconds: how long the lease lasts after its holder stopped renewing it
    """

    def __init__(self, database: Database[dict[str, Any]], dataset: str, *, purpose: str, seconds: float = 60) -> None:
        self._leases = database[COLLECTION]
        self._dataset, self._purpose, self._seconds = dataset, purpose, seconds
        self._token = ObjectId()
        self._stop = threading.Event()
        self._renewer: threading.Thread | None = None

    def __enter__(self) -> "Lease":
        """Takes the lease. Raises :class:`Busy` if somebody else holds it."""
        holder = self._leases.find_one({"_id": self._dataset})
        stale = {"expires": {"$lt": _now()}}
        if holder is not None and _is_dead(holder):
            stale = {"token": holder["token"]}
        try:
            self._leases.find_one_and_update(
                {"_id": self._dataset, **stale},
                {"$set": self._document()},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            raise Busy(self._busy_message()) from None
        self._renewer = threading.Thread(target=self._renew, name="tator-lease", daemon=True)
        self._renewer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives the lease back."""
        self._stop.set()
        if self._renewer is not None:
            self._renewer.join()
        self._leases.delete_one({"_id": self._dataset, "token": self._token})

    def _document(self) -> dict[str, Any]:
        process = psutil.Process()
        return {
            "token": self._token,
            "purpose": self._purpose,
            "host": socket.gethostname(),
            "pid": process.pid,
            "process_started": process.create_time(),
            "since": _now(),
            "expires": _now() + timedelta(seconds=self._seconds),
        }

    def _renew(self) -> None:
        while not self._stop.wait(self._seconds / 3):
            expires = _now() + timedelta(seconds=self._seconds)
            self._leases.update_one({"_id": self._dataset, "token": self._token}, {"$set": {"expires": expires}})

    def _busy_message(self) -> str:
        holder = self._leases.find_one({"_id": self._dataset}) or {}
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
