"""Complete lists: pages by key, checked against the server's own counts.

The server shows each element by its newest mark, and every edit gives the element a higher id.
A page asks for ids above the last one seen, so an element that is there throughout is on a page at
least once whatever happens meanwhile, and one that is edited may come again with a higher mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

from ._base import number_of, rows_of
from ._chunks import chunks
from ._wire import Wire
from .errors import ConnectionFailed, IncompleteAnswer, ServerFailed, TatorError

Row = dict[str, Any]
# Reads the rows above an id: (after, size, remaining) -> (rows, the size that was asked for).
Fetch = Callable[[int, int, int], tuple[list[Row], int]]
T = TypeVar("T")

_REREADS = 2
_KEYS = "id,type,version,elemental_id,mark"


@dataclass(frozen=True, slots=True)
class Listing:
    """One list that the server gives, and how its rows are counted and told apart.

    Args:
        path: below ``/rest/``, such as ``Localizations/1``
        count_path: where it is counted, such as ``LocalizationCount/1``
        filters: query that chooses rows; counts take it too
        options: query that chooses how rows look
        key_fields: the fields that identify a row, for reading again
        same: keys that must have this value in every row
        by_id: whether rows have no elemental key here, and PUT no pages
    """

    path: str
    count_path: str
    filters: Mapping[str, str | int]
    options: Mapping[str, str | int] = field(default_factory=dict)
    key_fields: str = _KEYS
    same: Mapping[str, int] = field(default_factory=dict)
    by_id: bool = False


def complete(wire: Wire, listing: Listing, *, page_size: int, after: int = 0) -> Iterator[list[Row]]:
    """Reads a whole list, page by page.

    Args:
        wire: what to ask
        listing: what to read
        page_size: rows in a page
        after (0): read rows with a higher id only

    Returns:
        an iterator of non-empty pages

    Raises:
        IncompleteAnswer: at the end, if the rows disagree with the counts before and after, also
            after their keys have been read again twice
        TatorError: if the server fails
    """
    reader = _Reader(wire, listing, after)
    before = reader.count()
    marks: dict[Any, int] = {}
    for rows in keyset(reader.fetch, page_size=page_size, after=after, expected=before):
        note(marks, rows, by_id=listing.by_id)
        yield rows
    now = reader.count()
    if agree(len(marks), before, now):
        return
    for _ in range(_REREADS):
        before, found = now, reader.keys(page_size, now)
        now = reader.count()
        if agree(len(found), before, now):
            yield from reader.by_key([key for key, mark in found.items() if marks.get(key, -1) < mark])
            return
    raise IncompleteAnswer(
        f"{listing.path} gave {len(marks):,} rows where Tator counts {now:,} ({dict(listing.filters)}), "
        "also when read again. Nothing may be concluded from them; try again when fewer people are editing.",
        transient=True,
    )


def keyset(fetch: Fetch, *, page_size: int, after: int, expected: int) -> Iterator[list[Row]]:
    """Yields the pages above an id until one is not full; ids must rise from row to row."""
    seen = 0
    while True:
        rows, size = fetch(after, page_size, max(1, expected - seen))
        ids = [after, *(row["id"] for row in rows)]
        if len(rows) > size or any(low >= high for low, high in pairwise(ids)):
            raise ServerFailed("Tator gave a page that is too long or out of order; it cannot be read completely.")
        if rows:
            yield rows
            after = ids[-1]
            seen += len(rows)
        if len(rows) < size:
            return


def note(marks: dict[Any, int], rows: Sequence[Row], *, by_id: bool = False) -> None:
    """Remembers the highest mark of each element (elemental id, or the id where it has none) of one list."""
    for row in rows:
        key = (None if by_id else row.get("elemental_id")) or row["id"]
        mark = row.get("mark") or 0
        if marks.get(key, -1) < mark:
            marks[key] = mark


def agree(distinct: int, before: int, after: int) -> bool:
    """Tells whether a number of rows can be right for the counts before and after reading them."""
    return min(before, after) <= distinct <= max(before, after)


def smaller(size: int, remaining: int, times: int) -> int:
    """Returns a page size for which the answer differs from those tried before.

    Args:
        size: the size that was wanted
        remaining: rows that are left, as far as known
        times: how many answers have hung or been cut so far

    Returns:
        the size, or 0 if no smaller one gives another answer
    """
    return size if times == 0 else min(size, remaining) >> times


def ahead(pages: Iterator[T]) -> Iterator[T]:
    """Yields the same pages while the next one is being read in a thread of its own."""
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tator-pages")
    try:
        following: Future[T | None] = pool.submit(next, pages, None)
        while (page := following.result()) is not None:
            following = pool.submit(next, pages, None)
            yield page
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class _Reader:
    def __init__(self, wire: Wire, listing: Listing, after: int) -> None:
        self._wire = wire
        self._listing = listing
        self._after = after

    def count(self) -> int:
        filters: dict[str, str | int] = dict(self._listing.filters)
        if self._after:
            filters["after"] = self._after
        return number_of(self._wire.get(self._listing.count_path, filters), self._listing.count_path)

    def fetch(self, after: int, size: int, remaining: int) -> tuple[list[Row], int]:
        return self._fetch(after, size, remaining, self._listing.options)

    def keys(self, page_size: int, expected: int) -> dict[Any, int]:
        """Reads the keys and marks of all rows."""
        options = {**self._listing.options, "fields": self._listing.key_fields}
        options.pop("presigned", None)
        found: dict[Any, int] = {}
        pages = keyset(
            lambda after, size, remaining: self._fetch(after, size, remaining, options),
            page_size=page_size,
            after=self._after,
            expected=expected,
        )
        for rows in pages:
            note(found, rows, by_id=self._listing.by_id)
        return found

    def by_key(self, keys: Sequence[Any]) -> Iterator[list[Row]]:
        """Reads the rows with the given keys."""
        listing = self._listing
        texts = [key for key in keys if isinstance(key, str)]
        numbers = [key for key in keys if isinstance(key, int)]
        for name, values in (("elemental_ids", texts), ("ids", numbers)):
            for chunk in chunks(values):
                query = {**listing.filters, **listing.options}
                if rows := self._checked(self._wire.put(listing.path, {name: chunk}, query)):
                    yield rows

    def _fetch(self, after: int, size: int, remaining: int, options: Mapping[str, str | int]) -> tuple[list[Row], int]:
        # An answer that hung or was cut will do so again unless it is another answer.
        spoilt = 0
        for attempt in self._wire.attempts():
            with attempt:
                asked = smaller(size, remaining, spoilt)
                query = {**self._listing.filters, **options, "after": after}
                try:
                    return self._page(query, asked)
                except TatorError as error:
                    spoilt += isinstance(error, IncompleteAnswer) or (
                        isinstance(error, ConnectionFailed) and error.timed_out
                    )
                    raise
        raise AssertionError("stamina yields at least one attempt")

    def _page(self, query: dict[str, str | int], size: int) -> tuple[list[Row], int]:
        listing = self._listing
        if size or listing.by_id:
            size = max(1, size)
            return self._checked(self._wire.once("GET", listing.path, params={**query, "stop": size})), size
        # The last row alone: PUT answers are not compressed, so they do not hang. In a read an empty
        # list of ids chooses everything that the query chooses.
        return self._checked(self._wire.once("PUT", listing.path, params={**query, "stop": 2}, body={"ids": []})), 2

    def _checked(self, answer: Any) -> list[Row]:
        rows = rows_of(answer, self._listing.path)
        for name, value in self._listing.same.items():
            if any(row.get(name) != value for row in rows):
                raise ServerFailed(
                    f"{self._listing.path} gave rows of another {name} than {value}, which was asked for."
                )
        return rows
