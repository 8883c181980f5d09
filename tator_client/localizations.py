"""Reading localizations and states: counts, complete lists page by page, rows by id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, overload

from ._base import Connected, made, number_of, rows_of
from ._chunks import chunks, unique
from ._paging import Listing, Row, ahead, complete
from .errors import InvalidRequest, ServerFailed
from .rows import Localization, State

OnPage = Callable[[int, int], None]
# A video may have many tracks, each with the ids of all its localizations.
_MEDIA_IN_A_CALL = 500
T = TypeVar("T")

_KEYS = ("id", "type", "version", "elemental_id", "mark")
_FIELDS = frozenset(
    (
        *_KEYS,
        *("project", "media", "frame", "x", "y", "width", "height", "u", "v", "points", "attributes", "parent"),
        *("variant_deleted", "created_by", "created_datetime", "modified_by", "modified_datetime", "user"),
        *("thumbnail_image", "effective_permission"),
    )
)
# By default a row that is another row's parent would be hidden.
_ALL: dict[str, str | int] = {"merge": 0}


class LocalizationReads(Connected):
    """The part of a session that reads localizations and states."""

    def count_localizations(
        self,
        project: int,
        *,
        version: int | Sequence[int] | None = None,
        type: int | Sequence[int] | None = None,
        media_ids: Sequence[int] | None = None,
        attribute_in: tuple[str, Sequence[str]] | None = None,
        show_deleted: bool = False,
        after: int = 0,
    ) -> int:
        """Counts the localizations of a project.

        Args:
            project: the project's id
            version (None): count in this version, or these versions, only
            type (None): count of this type, or these types, only
            media_ids (None): count on these media only
            attribute_in (None): an attribute's name and the values of which it has to hold one
            show_deleted (False): whether to count deleted ones as well
            after (0): count rows with a higher id only

        Returns:
            the number of elements (newest marks); 0, without asking, for an empty sequence

        Raises:
            TatorError: if the server cannot be asked
        """
        path = f"LocalizationCount/{int(project)}"
        filters = dict(_ALL)
        for name, value in (("version", version), ("type", type)):
            if isinstance(value, int):
                filters[name] = value
            elif value is not None:
                # An empty list would be no filter at all.
                if not value:
                    return 0
                filters[name] = ",".join(str(int(each)) for each in value)
        if show_deleted:
            filters["show_deleted"] = 1
        if after:
            filters["after"] = int(after)
        body: dict[str, Any] = {}
        if attribute_in is not None:
            name, values = attribute_in
            if not values:
                return 0
            # A search may hold commas, quotes and the like, and many values; `attribute=` may not.
            operations = [{"attribute": name, "operation": "eq", "value": value} for value in values]
            body["object_search"] = {"method": "or", "operations": operations}
        if media_ids is None and not body:
            return number_of(self._wire.get(path, filters), path)
        pieces = [{}] if media_ids is None else [{"media_ids": piece} for piece in chunks(unique(media_ids))]
        return sum(number_of(self._wire.put(path, {**piece, **body}, filters), path) for piece in pieces)

    @overload
    def iter_localizations(
        self,
        project: int,
        *,
        types: Sequence[int],
        versions: Sequence[int],
        page_size: int = ...,
        fields: None = ...,
        show_deleted: bool = ...,
        after: int = ...,
        raw: Literal[False] = ...,
        on_page: OnPage | None = ...,
    ) -> Iterator[list[Localization]]: ...

    @overload
    def iter_localizations(
        self,
        project: int,
        *,
        types: Sequence[int],
        versions: Sequence[int],
        page_size: int = ...,
        fields: Sequence[str] | None = ...,
        show_deleted: bool = ...,
        after: int = ...,
        raw: Literal[True],
        on_page: OnPage | None = ...,
    ) -> Iterator[list[dict[str, Any]]]: ...

    def iter_localizations(
        self,
        project: int,
        *,
        types: Sequence[int],
        versions: Sequence[int],
        page_size: int = 5000,
        fields: Sequence[str] | None = None,
        show_deleted: bool = False,
        after: int = 0,
        raw: bool = False,
        on_page: OnPage | None = None,
    ) -> Iterator[list[Localization]] | Iterator[list[dict[str, Any]]]:
        """Reads all localizations of the given types and versions, page by page.

        Each element that exists throughout is in at least one page. One that is edited meanwhile
        may come twice: keep the row with the highest ``mark`` for each (``version``,
        ``elemental_id``). The next page is read while the caller works on this one.

        Only when the iterator ends without an exception has everything been seen: spool the
        rows and use them then.

        Args:
            project: the project's id
            types: ids of localization types; none yields nothing
            versions: ids of versions; none yields nothing
            page_size (5000): rows in a page
            fields (None): keys to read, such as ``["attributes.Label"]``, with ``raw=True`` only;
                ``id``, ``type``, ``version``, ``elemental_id``, ``mark`` are always there
            show_deleted (False): whether to read tombstones as well
            after (0): read rows with a higher id only. With ``show_deleted`` that is a feed of what was
                created, edited with a new mark, or deleted. Ids are given out before they can be seen,
                so begin the next feed somewhat below the highest id of this one
            raw (False): whether to yield the objects of the server instead of data classes
            on_page (None): called before each page is yielded with the number of rows read so far
                and the number expected

        Returns:
            an iterator of non-empty pages

        Raises:
            IncompleteAnswer: at the end, if what was read disagrees with the server's counts
                also after reading again
            InvalidRequest: for a field that localizations do not have
            TatorError: if the server fails
        """
        options = {} if fields is None else {"fields": _field_list(fields, raw=raw)}
        filters = {**_ALL, **({"show_deleted": 1} if show_deleted else {})}
        listings = [
            Listing(
                f"Localizations/{int(project)}",
                f"LocalizationCount/{int(project)}",
                {"type": int(type), "version": int(version), **filters},
                options=options,
                same={"type": int(type), "version": int(version)},
            )
            for version in unique(versions)
            for type in unique(types)
        ]
        if raw:
            return self._pages(listings, _as_they_are, page_size=page_size, after=after, on_page=on_page)
        return self._pages(listings, _localizations, page_size=page_size, after=after, on_page=on_page)

    def read_localizations(
        self,
        project: int,
        *,
        elemental_ids: Sequence[str],
        version: int,
        show_deleted: bool = False,
    ) -> list[Localization]:
        """Reads the newest marks of given elements of one version.

        Args:
            project: the project's id
            elemental_ids: the elements; none reads nothing (and asks nothing)
            version: the version's id
            show_deleted (False): whether to return tombstones as well

        Returns:
            the rows in the order asked for; what does not exist (or is deleted) is left out

        Raises:
            TatorError: if the server fails, or answers with rows that were not asked for
        """
        path = f"Localizations/{int(project)}"
        query = {"version": int(version), **_ALL, **({"show_deleted": 1} if show_deleted else {})}
        wanted = unique([each.lower() for each in elemental_ids])
        found: dict[str, Localization] = {}
        for chunk in chunks(wanted):
            for row in _localizations(rows_of(self._wire.put(path, {"elemental_ids": chunk}, query), path)):
                key = (row.elemental_id or "").lower()
                if key not in found or found[key].mark < row.mark:
                    found[key] = row
        if not found.keys() <= set(wanted) or any(row.version != version for row in found.values()):
            raise ServerFailed(f"{path} gave localizations that were not asked for. Is this server a Tator?")
        return [found[each] for each in wanted if each in found]

    def iter_states(
        self,
        project: int,
        *,
        types: Sequence[int],
        versions: Sequence[int],
        page_size: int = 500,
        on_page: OnPage | None = None,
    ) -> Iterator[list[State]]:
        """Reads all states of the given types and versions, page by page.

        Promises and arguments are those of :meth:`iter_localizations`.
        """
        listings = [
            Listing(
                f"States/{int(project)}",
                f"StateCount/{int(project)}",
                {"type": int(type), "version": int(version), **_ALL},
                same={"type": int(type), "version": int(version)},
            )
            for version in unique(versions)
            for type in unique(types)
        ]
        return self._pages(listings, _states, page_size=page_size, after=0, on_page=on_page)

    def read_states(
        self, project: int, *, media_ids: Sequence[int], types: Sequence[int], versions: Sequence[int]
    ) -> list[State]:
        """Reads the states (tracks, frame states) on given media, without deleted ones.

        Args:
            project: the project's id
            media_ids: the media; none reads nothing (and asks nothing)
            types: ids of state types; none reads nothing
            versions: ids of versions; none reads nothing

        Returns:
            the newest mark of each state, once, by id

        Raises:
            TatorError: if the server fails, or answers with states that were not asked for
        """
        path = f"States/{int(project)}"
        wanted = unique([int(each) for each in versions])
        found: dict[tuple[int, str | int], State] = {}
        for type in unique(types) if wanted else ():
            query = {"type": int(type), "version": ",".join(map(str, wanted)), **_ALL}
            for chunk in chunks(unique(media_ids), _MEDIA_IN_A_CALL):
                for state in _states(rows_of(self._wire.put(path, {"media_ids": chunk}, query), path)):
                    if state.type != type or state.version not in wanted:
                        raise ServerFailed(f"{path} gave states that were not asked for. Is this server a Tator?")
                    # A state of several media may come several times, and be edited in between.
                    key = (state.version, state.elemental_id or state.id)
                    if key not in found or found[key].mark < state.mark:
                        found[key] = state
        return sorted(found.values(), key=lambda state: state.id)

    def _pages(
        self,
        listings: Sequence[Listing],
        make: Callable[[list[Row]], list[T]],
        *,
        page_size: int,
        after: int,
        on_page: OnPage | None,
    ) -> Iterator[list[T]]:
        if page_size < 1:
            raise InvalidRequest(f"A page of {page_size} rows cannot be read; page_size starts at 1.")
        expected = 0
        if on_page is not None:
            for listing in listings:
                filters = {**listing.filters, **({"after": after} if after else {})}
                expected += number_of(self._wire.get(listing.count_path, filters), listing.count_path)
        pages = (
            make(rows)
            for listing in listings
            for rows in complete(self._wire, listing, page_size=page_size, after=after)
        )
        done = 0
        for page in ahead(pages):
            done += len(page)
            if on_page is not None:
                on_page(done, max(done, expected))
            yield page


def _field_list(fields: Iterable[str], *, raw: bool) -> str:
    if not raw:
        raise InvalidRequest("Selected fields make no whole localizations: pass raw=True with fields.")
    unknown = [each for each in fields if each not in _FIELDS and not each.startswith("attributes.")]
    if unknown:
        # The server would answer 200 with an empty body.
        raise InvalidRequest(f"Localizations have no field {unknown[0]!r}. Attributes are written attributes.Name.")
    return ",".join(unique([*_KEYS, *fields]))


def _as_they_are(rows: list[Row]) -> list[Row]:
    return rows


def _localizations(rows: Sequence[Mapping[str, Any]]) -> list[Localization]:
    return made(lambda _: [Localization.from_json(row) for row in rows], {}, "Localizations")


def _states(rows: Sequence[Mapping[str, Any]]) -> list[State]:
    return made(lambda _: [State.from_json(row) for row in rows], {}, "States")
