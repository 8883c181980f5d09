"""Reading media, and downloading the objects they consist of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from . import _objects
from ._base import Connected, made, number_of, rows_of
from ._chunks import chunks, encoded, unique
from ._paging import Listing, ahead, complete
from .errors import InvalidRequest, ServerFailed
from .rows import Media, MediaFile

# A presigned media of several resolutions is some 5 KB; and a page of 500 takes the server a while to sign.
_IDS_IN_A_CALL = 500


class MediaReads(Connected):
    """The part of a session that reads media and downloads files."""

    def count_medias(self, project: int) -> int:
        """Counts the media of a project."""
        path = f"MediaCount/{int(project)}"
        return number_of(self._wire.get(path), path)

    def medias(
        self, project: int, ids: Sequence[int], *, presigned: int | None = None, no_cache: bool = False
    ) -> list[Media]:
        """Reads media by their ids.

        Args:
            project: the project's id
            ids: the media; none reads nothing (and asks nothing)
            presigned (None): seconds for which the paths of files shall be URLs that need no
                token; without it they are storage keys. The server may hand out older URLs
            no_cache (False): whether to insist on new URLs

        Returns:
            the media in the order asked for; what does not exist is left out

        Raises:
            TatorError: if the server fails, or answers with media that were not asked for
        """
        path = f"Medias/{int(project)}"
        query = _presigning(presigned, no_cache)
        wanted = unique([int(each) for each in ids])
        found: dict[int, Media] = {}
        for chunk in chunks(wanted, _IDS_IN_A_CALL):
            rows = rows_of(self._wire.put(path, {"ids": chunk}, query), path)
            found.update((media.id, media) for media in _medias(rows))
        if not found.keys() <= set(wanted):
            raise ServerFailed(f"{path} gave media that were not asked for. Is this server a Tator?")
        return [found[each] for each in wanted if each in found]

    def iter_medias(
        self,
        project: int,
        *,
        page_size: int = 500,
        presigned: int | None = None,
        section: int | None = None,
        version: int | None = None,
    ) -> Iterator[list[Media]]:
        """Reads all media of a project by id, page by page, the next one while the caller works.

        Args:
            project: the project's id
            page_size (500): media in a page
            presigned (None): seconds for which the paths of files shall be URLs
            section (None): id of a section to read only
            version (None): id of a version; media without a live localization in it are left out

        Returns:
            an iterator of non-empty pages

        Raises:
            IncompleteAnswer: at the end, if what was read disagrees with the server's counts
            TatorError: if the server fails
        """
        if page_size < 1:
            raise InvalidRequest(f"A page of {page_size} media cannot be read; page_size starts at 1.")
        filters: dict[str, str | int] = {} if section is None else {"section": int(section)}
        if version is not None:
            filters["encoded_related_search"] = encoded({"attribute": "$version", "operation": "eq", "value": version})
        listing = Listing(
            f"Medias/{int(project)}",
            f"MediaCount/{int(project)}",
            filters,
            # The list is ordered by name, and `after` compares ids.
            options={"sort_by": "$id", **_presigning(presigned, False)},
            key_fields="id",
            by_id=True,
        )
        return ahead(_medias(rows) for rows in complete(self._wire, listing, page_size=page_size))

    def download(self, source: str | MediaFile, path: str | os.PathLike[str], *, size: int | None = None) -> int:
        """Downloads an object into a file, which appears only when it is complete.

        The token is never sent to an object URL, which may be on another host.

        Args:
            source: a presigned URL, or a media file that was read with ``presigned``
            path: where to put it; a file that is there is replaced
            size (None): the number of bytes to expect, by default that of the media file

        Returns:
            the number of bytes written

        Raises:
            ExpiredLink: if the URL is refused; read the media again with ``no_cache=True``
            IncompleteAnswer: if fewer or more bytes came than were announced
            InvalidRequest: if ``source`` is a storage key and not a URL
            TatorError: if the object store fails
            OSError: if the file cannot be written
        """
        url, expected = _source(source, size)
        return _objects.to_file(self._wire, url, path, size=expected)

    def fetch(self, source: str | MediaFile, *, size: int | None = None) -> bytes:
        """Downloads an object into memory; otherwise as :meth:`download`."""
        url, expected = _source(source, size)
        return _objects.to_memory(self._wire, url, size=expected)


def _source(source: str | MediaFile, size: int | None) -> tuple[str, int | None]:
    if isinstance(source, str):
        return source, size
    return source.path, size if size is not None else source.size or None


def _presigning(presigned: int | None, no_cache: bool) -> dict[str, str | int]:
    query: dict[str, str | int] = {}
    if presigned is not None:
        query["presigned"] = int(presigned)
    if no_cache:
        query["no_cache"] = "true"
    return query


def _medias(rows: list[dict[str, Any]]) -> list[Media]:
    return made(lambda _: [Media.from_json(row) for row in rows], {}, "Medias")
