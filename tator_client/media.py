"""Reading media, and downloading the objects they consist of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from ._base import Connected
from .rows import Media, MediaFile


class MediaReads(Connected):
    """The part of a session that reads media and downloads files."""

    def count_medias(self, project: int) -> int:
        """Counts the media of a project."""
        raise NotImplementedError

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
        raise NotImplementedError

    def iter_medias(
        self, project: int, *, page_size: int = 500, presigned: int | None = None, section: int | None = None
    ) -> Iterator[list[Media]]:
        """Reads all media of a project by id, page by page.

        Args:
            project: the project's id
            page_size (500): media in a page
            presigned (None): seconds for which the paths of files shall be URLs
            section (None): id of a section to read only

        Returns:
            an iterator of non-empty pages

        Raises:
            IncompleteAnswer: at the end, if what was read disagrees with the server's counts
            TatorError: if the server fails
        """
        raise NotImplementedError

    def download(self, source: str | MediaFile, path: str | os.PathLike[str], *, size: int | None = None) -> int:
        """Downloads an object into a file, which appears only when it is complete.

        The token is never sent to an object URL.

        Args:
            source: a presigned URL, or a media file that was read with ``presigned``
            path: where to put it; a file that is there is replaced
            size (None): the number of bytes to expect, by default that of the media file

        Returns:
            the number of bytes written

        Raises:
            ExpiredLink: if the URL is refused; read the media again with ``no_cache=True``
            IncompleteAnswer: if fewer or more bytes came than were announced
            TatorError: if the server fails
        """
        raise NotImplementedError

    def fetch(self, source: str | MediaFile, *, size: int | None = None) -> bytes:
        """Downloads an object into memory; otherwise as :meth:`download`."""
        raise NotImplementedError
