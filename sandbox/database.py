"""One SQLite file, read by many threads at once and written by one at a time."""

import contextlib
import hashlib
import hmac
import json
import secrets
import shutil
import sqlite3
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from fiftyone_tator.sandbox import schema


def now() -> str:
    """The present time as the store keeps it: UTC, six decimals, no zone."""
    return datetime.now(timezone.utc).replace(tzinfo=None).isoformat(timespec="microseconds")


def dumps(value: Any) -> str:
    r"""JSON text as the server sends it: compact, with everything but ASCII written as ``\u``.

    Args:
        value: what to write

    Returns:
        the text

    Raises:
        ValueError: if a number is not finite
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


class Database:
    """The sandbox's tables: connections, transactions and what secrets are derived from.

    Several threads may read at once; writes go one after the other.

    Args:
        path (None): the SQLite file; None makes a temporary one that goes away with :meth:`close`
        media_dir (None): folder of the media files; by default beside the SQLite file
        secret (None): what tokens and links are derived from; only used when the file is new. By default random
    """

    def __init__(
        self, path: str | Path | None = None, media_dir: str | Path | None = None, *, secret: str | None = None
    ) -> None:
        self._temporary = Path(tempfile.mkdtemp(prefix="tator-sandbox-")) if path is None else None
        self.path = self._temporary / "sandbox.sqlite" if self._temporary else Path(str(path))
        self.media_dir = Path(media_dir) if media_dir else self.path.with_name(self.path.stem + "-media")
        self.media_dir.mkdir(parents=True, exist_ok=True)
        self._idle: deque[sqlite3.Connection] = deque()
        self._lock = threading.RLock()
        self._writing: sqlite3.Connection | None = None
        with self.write() as db:
            # executescript() would end the transaction
            for statement in schema.TABLES.split(";\n"):
                db.execute(statement)
            for statement in schema.INDEXES.values():
                db.execute(statement)
            db.execute("insert or ignore into meta values ('secret', ?)", (secret or secrets.token_hex(32),))
            (self.secret,) = db.execute("select value from meta where key = 'secret'").fetchone()

    # Connections

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=60, check_same_thread=False, isolation_level=None)
        db.row_factory = sqlite3.Row
        db.execute("pragma journal_mode = wal")
        db.execute(f"pragma synchronous = {'off' if self._temporary else 'normal'}")
        db.execute("pragma cache_size = -65536")
        db.execute("pragma temp_store = memory")
        return db

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading; inside :meth:`write` of the same thread, that one.

        Yields:
            the connection, whose rows are :class:`sqlite3.Row`
        """
        if self._writing is not None and self._lock.acquire(blocking=False):
            try:
                if self._writing is not None:
                    yield self._writing
                    return
            finally:
                self._lock.release()
        try:
            db = self._idle.pop()
        except IndexError:
            db = self._connect()
        try:
            yield db
        finally:
            self._idle.append(db)

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: committed at the end, undone by an exception; a nested one joins the outer.

        Yields:
            the connection, whose rows are :class:`sqlite3.Row`
        """
        with self._lock:
            if self._writing is not None:
                yield self._writing
                return
            with self.read() as db:
                db.execute("begin immediate")
                self._writing = db
                try:
                    yield db
                except BaseException:  # an interruption, too, must roll back; it is raised again
                    db.execute("rollback")
                    raise
                else:
                    db.execute("commit")
                finally:
                    self._writing = None

    @contextlib.contextmanager
    def without_indexes(self) -> Iterator[None]:
        """Drops the indexes of annotations for a very large insert, and makes them again at the end."""
        with self.write() as db:
            for name in schema.INDEXES:
                db.execute(f"drop index if exists {name}")
            yield
            for statement in schema.INDEXES.values():
                db.execute(statement)

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Runs one query.

        Args:
            sql: the query
            args: its values

        Returns:
            all rows
        """
        with self.read() as db:
            return db.execute(sql, args).fetchall()

    def row(self, sql: str, args: Sequence[Any] = ()) -> sqlite3.Row | None:
        """Runs a query for one row.

        Args:
            sql: the query
            args: its values

        Returns:
            the first row, or None
        """
        with self.read() as db:
            found: sqlite3.Row | None = db.execute(sql, args).fetchone()
            return found

    def insert(self, table: str, **values: Any) -> int:
        """Adds one row.

        Args:
            table: name of the table
            **values: the columns

        Returns:
            the new id
        """
        marks = ", ".join("?" * len(values))
        with self.write() as db:
            cursor = db.execute(f"insert into {table} ({', '.join(values)}) values ({marks})", tuple(values.values()))
            return int(cursor.lastrowid or 0)

    def close(self) -> None:
        """Closes the connections that are not in use and removes a temporary store."""
        while self._idle:
            self._idle.pop().close()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    # Secrets

    def derive(self, *parts: object) -> str:
        """A secret that is always the same for this database.

        Args:
            *parts: what it is for

        Returns:
            64 hexadecimal digits
        """
        text = "\0".join(map(str, parts))
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
