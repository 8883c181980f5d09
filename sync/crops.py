"""Making crops of many pictures: links, downloads and cutting overlap, memory stays bounded."""

import hashlib
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from fiftyone_tator.media.crops import Crop, CropJob, CropStyle, Region, run
from fiftyone_tator.media.folders import ProjectFolder
from fiftyone_tator.media.pictures import UnreadablePicture
from fiftyone_tator.sync.errors import SyncError
from fiftyone_tator.sync.snapshot import Entry
from fiftyone_tator.tator_client import (
    ConnectionFailed,
    ExpiredLink,
    IncompleteAnswer,
    Media,
    MediaFile,
    MediaFiles,
    NotFound,
    ServerFailed,
    Tator,
    TatorError,
)

LINK_SECONDS = 3600
_BATCH = 32
_DOWNLOADS = 4
_FAILURES_IN_A_ROW = 5

_Failure = str | TatorError | None
"""Why a picture cannot be had: a reason of its own, or what may be the server's; None if it is here."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A crop to make.

    Args:
        entry: the localization
        region: what to show
        target: the crop's file
        key: from :func:`crop_key`
        suffixed: whether the file's name tells the version
    """

    entry: Entry
    region: Region
    target: Path
    key: str
    suffixed: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and what to cut from it.

    Args:
        media: the media
        wanted: the crops
    """

    media: Media
    wanted: list[Wanted]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a picture.

    Args:
        picture: the picture
        made: the crops that were written
        outside: what lies outside the picture after all
        failure: why no crop could be made, or None
    """

    picture: Picture
    made: list[tuple[Wanted, Crop]] = field(default_factory=list)
    outside: list[Wanted] = field(default_factory=list)
    failure: str | None = None


def crop_key(media: Media, region: Region, style: CropStyle) -> str:
    """What a crop is made from, in 16 letters: it changes when the crop has to be made anew.

    Args:
        media: the media, whose file may have been replaced
        region: what the crop shows
        style: how it looks
    """
    text = repr((media.id, source(media), region, style.size, style.padding, style.format, style.window))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def source(media: Media) -> str:
    """Which picture a media has: it changes when somebody puts another one in its place.

    Args:
        media: the media, read without links
    """
    file = media.best_image
    return f"{media.md5 or ''} {file.path.partition('?')[0] if file else ''}"


def why_not(media: Media) -> str | None:
    """Why no crop can be cut from a media, in words; None if one can.

    Args:
        media: the media
    """
    if media.best_image is not None:
        return None
    if media.width is None or media.files == MediaFiles():
        return "Tator is still importing the picture; import again when it is done"
    return "Tator has no image file of the picture"


class CropMill:
    """Downloads pictures and cuts crops.

    Args:
        client: the session with the server
        project: the project's id
        folder: where files go
        style: how crops look
        executor: runs the cutting
    """

    def __init__(
        self, client: Tator, project: int, folder: ProjectFolder, style: CropStyle, *, executor: Executor
    ) -> None:
        self._client, self._project, self._folder, self._style = client, project, folder, style
        self._cutters = executor
        self._window = 8 * (os.cpu_count() or 2)
        self._fetchers = ThreadPoolExecutor(_DOWNLOADS, "tator-downloads")

    def __enter__(self) -> "CropMill":
        """Starts the mill."""
        return self

    def __exit__(self, *error: object) -> None:
        """Ends the mill; what has not begun is not begun any more."""
        self._fetchers.shutdown(cancel_futures=True)

    def run(self, pictures: Iterable[Picture]) -> Iterator[Outcome]:
        """Works through pictures in their order.

        Args:
            pictures: taken as the mill gets to them

        Yields:
            the outcome of each

        Raises:
            TatorError: if the server fails in a way that is not about one picture (several in a row cannot be had), or
                what cuts crops died
            OSError: if a file cannot be written
        """
        try:
            yield from self._run(iter(pictures))
        except BrokenExecutor as reason:
            raise SyncError(str(reason)) from None

    def _run(self, pictures: Iterator[Picture]) -> Iterator[Outcome]:
        fetched = self._fetched(pictures)
        cutting: deque[tuple[Picture, Future[list[Crop | None]] | str]] = deque()
        in_a_row = 0
        for picture, download in fetched:
            failure = download if isinstance(download, str) else download.result()
            in_a_row = in_a_row + 1 if isinstance(failure, TatorError) else 0
            if isinstance(failure, TatorError):
                if in_a_row >= _FAILURES_IN_A_ROW:
                    raise failure
                failure = f"the picture could not be downloaded: {_without_address(failure)}"
            cutting.append((picture, failure or self._cutters.submit(run, self._job(picture))))
            while len(cutting) >= self._window:
                yield _outcome(*cutting.popleft())
        while cutting:
            yield _outcome(*cutting.popleft())

    def _fetched(self, pictures: Iterator[Picture]) -> Iterator[tuple[Picture, Future[_Failure] | str]]:
        """Pictures with their downloads under way, a batch ahead."""
        under_way: deque[tuple[Picture, Future[_Failure] | str]] = deque()
        while batch := list(islice(pictures, _BATCH)):
            links = self._fetchers.submit(self._links, [p.media for p in batch if not self._is_here(p.media)])
            for picture in batch:
                reason = why_not(picture.media)
                under_way.append((picture, reason or self._fetchers.submit(self._fetch, picture.media, links)))
            while len(under_way) > _BATCH:
                yield under_way.popleft()
        yield from under_way

    def _path(self, media: Media) -> Path:
        return self._folder.download(media.id, media.name)

    def _note(self, media: Media) -> Path:
        """The file that says which picture was downloaded, for another one may have the same name and size."""
        return self._folder.path / "download" / f".{media.id}.source"

    def _is_here(self, media: Media) -> bool:
        """Whether the picture was downloaded before, and whole."""
        file = media.best_image
        try:
            size = self._path(media).stat().st_size
            same = self._note(media).read_text(encoding="utf-8") == source(media)
        except FileNotFoundError:
            return False
        return same and file is not None and size > 0 and file.size in (None, 0, size)

    def _links(self, medias: list[Media], *, no_cache: bool = False) -> dict[int, Media]:
        ids = [media.id for media in medias if media.best_image is not None]
        found = self._client.medias(self._project, ids, presigned=LINK_SECONDS, no_cache=no_cache)
        return {media.id: media for media in found}

    def _fetch(self, media: Media, links: Future[dict[int, Media]]) -> _Failure:
        """Downloads a picture unless it is here; returns why it cannot be had, or None."""
        if self._is_here(media):
            return None
        linked = links.result().get(media.id)
        try:
            for fresh in (False, True):
                if fresh:
                    linked = self._links([media], no_cache=True).get(media.id)
                if linked is None or linked.best_image is None:
                    return "the picture is no longer in Tator"
                try:
                    return self._download(media, linked.best_image)
                except ExpiredLink:
                    continue
        except NotFound:
            return "the picture's file is missing in Tator's storage"
        except (ConnectionFailed, IncompleteAnswer, ServerFailed) as reason:
            return reason
        return "Tator's link to the picture was refused twice"

    def _download(self, media: Media, file: MediaFile) -> str | None:
        path = self._path(media)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._client.download(file, path)
        except IncompleteAnswer:
            return "the picture's file in Tator's storage is damaged: its size is another than Tator says"
        self._note(media).write_text(source(media), encoding="utf-8")
        return None

    def _job(self, picture: Picture) -> CropJob:
        media = picture.media
        size = (media.width, media.height) if media.width and media.height else None
        regions = tuple(wanted.region for wanted in picture.wanted)
        return CropJob(self._path(media), size, regions, tuple(str(w.target) for w in picture.wanted), self._style)


def _without_address(reason: TatorError) -> str:
    """What went wrong, in the same words for every picture."""
    return re.sub(r"https?://\S+", "its storage", re.sub(r" at https?://\S+", "", str(reason)))


def _outcome(picture: Picture, cutting: Future[list[Crop | None]] | str) -> Outcome:
    if isinstance(cutting, str):
        return Outcome(picture, failure=cutting)
    try:
        crops = cutting.result()
    except UnreadablePicture as reason:
        return Outcome(picture, failure=str(reason))
    pairs = list(zip(picture.wanted, crops, strict=True))
    made = [(wanted, crop) for wanted, crop in pairs if crop is not None]
    return Outcome(picture, made, [wanted for wanted, crop in pairs if crop is None])
