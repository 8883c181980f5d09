"""Reading localizations and states: counts, complete lists page by page, rows by id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, overload

from ._base import Connected
from .rows import Localization, State

OnPage = Callable[[int, int], None]


class LocalizationReads(Connected):
    """The part of a session that reads localizations and states."""

    def count_localizations(
        self,
        project: int,
        *,
        version: int | Sequence[int] | None = None,
        type: int | Sequence[int] | None = None,
        media_ids: Sequence[int] | None = None,
        show_deleted: bool = False,
        after: int = 0,
    ) -> int:
        """Counts the localizations of a project.

        Args:
            project: the project's id
            version (None): count in this version, or these versions, only
            type (None): count of this type, or these types, only
            media_ids (None): count on these media only; an empty sequence counts nothing
            show_deleted (False): whether to count deleted ones as well
            after (0): count rows with a higher id only

        Returns:
            the number of elements (newest marks)

        Raises:
            TatorError: if the server cannot be asked
        """
        raise NotImplementedError

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
                ``id``, ``version``, ``elemental_id``, ``mark`` are always there
            show_deleted (False): whether to read tombstones as well
            after (0): read rows with a higher id only
            raw (False): whether to yield the objects of the server instead of data classes
            on_page (None): called after each page with the rows read so far and the rows expected

        Returns:
            an iterator of non-empty pages

        Raises:
            IncompleteAnswer: at the end, if what was read disagrees with the server's counts
                also after reading again
            TatorError: if the server fails
        """
        raise NotImplementedError

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
        raise NotImplementedError

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
        raise NotImplementedError
