"""The rows of a project as they came over the wire: localizations, states and media.

All classes are frozen. Date and time texts stay as they are on the wire
(UTC, cut to milliseconds: ``2026-11-21T09:55:51.198Z``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

Json = Mapping[str, Any]

# The order of Localization's fields. One C call fetches them all: a pull makes millions of rows.
_LOCALIZATION_KEYS = (
    *("id", "type", "media", "version", "frame"),
    *("x", "y", "width", "height", "u", "v", "points"),
    *("attributes", "elemental_id", "mark", "parent", "variant_deleted"),
    *("created_by", "created_datetime", "modified_by", "modified_datetime", "user"),
)
_localization_values = itemgetter(*_LOCALIZATION_KEYS)


@dataclass(frozen=True, slots=True)
class Localization:
    """One mark (revision) of a box, dot, line or polygon.

    Its identity is the pair (``version``, ``elemental_id``); ``id`` names this mark only
    and changes with most edits. Geometry is relative to the image (0..1, top left
    origin); what does not belong to the type is ``None``. ``deleted`` marks a tombstone.
    """

    id: int
    type: int
    media: int
    version: int
    frame: int
    x: float | None
    y: float | None
    width: float | None
    height: float | None
    u: float | None
    v: float | None
    points: list[list[float]] | None
    attributes: dict[str, Any]
    elemental_id: str | None
    mark: int
    parent: int | None
    deleted: bool
    created_by: int | None
    created_datetime: str
    modified_by: int | None
    modified_datetime: str
    user: int | None

    @classmethod
    def from_json(cls, data: Json) -> Localization:
        """Makes a localization from one complete object of the server's; ``KeyError`` if a key is missing."""
        return cls(*_localization_values(data))


@dataclass(frozen=True, slots=True)
class State:
    """One mark (revision) of a track, frame state or media state.

    A track has ``frame`` ``None``, the ids of its localizations, and ``segments`` of
    first and last frames. Identity is the pair (``version``, ``elemental_id``).
    """

    id: int
    type: int
    version: int
    frame: int | None
    segments: tuple[tuple[int, int], ...]
    localizations: tuple[int, ...]
    media: tuple[int, ...]
    attributes: dict[str, Any]
    elemental_id: str | None
    mark: int
    parent: int | None
    deleted: bool
    created_by: int | None
    created_datetime: str
    modified_by: int | None
    modified_datetime: str

    @classmethod
    def from_json(cls, data: Json) -> State:
        """Makes a state from one object of the server's."""
        return cls(
            data["id"],
            data["type"],
            data["version"],
            data.get("frame"),
            tuple((first, last) for first, last in data.get("segments") or ()),
            tuple(data.get("localizations") or ()),
            tuple(data.get("media") or ()),
            data.get("attributes") or {},
            data.get("elemental_id"),
            data.get("mark") or 0,
            data.get("parent"),
            bool(data.get("variant_deleted")),
            data.get("created_by"),
            data.get("created_datetime") or "",
            data.get("modified_by"),
            data.get("modified_datetime") or "",
        )


@dataclass(frozen=True, slots=True)
class MediaFile:
    """One stored file of a media.

    ``path`` is a presigned URL if the media was asked for with ``presigned``, else a
    storage key. ``width`` and ``height`` are in pixels, ``size`` in bytes.
    """

    path: str
    mime: str | None
    size: int | None
    width: int | None
    height: int | None
    codec: str | None
    segment_info: str | None

    @property
    def is_url(self) -> bool:
        """Whether ``path`` can be downloaded."""
        return self.path.startswith(("http://", "https://", "/"))

    def __repr__(self) -> str:
        # A presigned path is a secret for as long as it lives.
        return f"MediaFile({self.path.partition('?')[0]!r}, {self.width}x{self.height}, {self.size} bytes)"

    @classmethod
    def from_json(cls, data: Json) -> MediaFile:
        """Makes a media file from one object of the server's (whose resolution is height first)."""
        height, width = data.get("resolution") or (None, None)
        return cls(
            data["path"],
            data.get("mime"),
            data.get("size"),
            width,
            height,
            data.get("codec"),
            data.get("segment_info"),
        )


@dataclass(frozen=True, slots=True)
class MediaFiles:
    """The stored files of a media by use; each is empty until the import has run."""

    image: tuple[MediaFile, ...] = ()
    streaming: tuple[MediaFile, ...] = ()
    archival: tuple[MediaFile, ...] = ()
    thumbnail: tuple[MediaFile, ...] = ()
    thumbnail_gif: tuple[MediaFile, ...] = ()

    @classmethod
    def from_json(cls, data: Json | None) -> MediaFiles:
        """Makes the files from the ``media_files`` of a media, which may be null."""
        data = data or {}
        return cls(
            *(
                tuple(MediaFile.from_json(each) for each in data.get(use) or ())
                for use in ("image", "streaming", "archival", "thumbnail", "thumbnail_gif")
            )
        )


@dataclass(frozen=True, slots=True)
class Media:
    """An image or a video.

    ``width``, ``height`` are ``None`` and ``files`` are empty until the import has run;
    ``num_frames`` may exceed the number of frames that can be decoded; ``section`` is the id
    of the primary section.
    """

    id: int
    name: str
    type: int
    project: int
    width: int | None
    height: int | None
    attributes: dict[str, Any]
    files: MediaFiles
    md5: str | None
    num_frames: int | None
    fps: float | None
    codec: str | None
    elemental_id: str | None
    section: int | None
    archive_state: str | None
    created_by: int | None
    created_datetime: str | None
    modified_by: int | None
    modified_datetime: str | None

    @property
    def is_video(self) -> bool:
        """Whether this is a video: it has video files, or frames and a rate but no image file."""
        files = self.files
        return bool(files.streaming or files.archival) or (not files.image and bool(self.num_frames and self.fps))

    @property
    def best_image(self) -> MediaFile | None:
        """The image file with the most pixels, or ``None`` if there is none (yet)."""
        return max(self.files.image, key=_pixels, default=None)

    @property
    def best_video(self) -> MediaFile | None:
        """The streaming file with the most pixels, else the largest archival one, else ``None``."""
        return max(self.files.streaming or self.files.archival, key=_pixels, default=None)

    @classmethod
    def from_json(cls, data: Json) -> Media:
        """Makes a media from one object of the server's."""
        return cls(
            data["id"],
            data["name"],
            data["type"],
            data["project"],
            data.get("width"),
            data.get("height"),
            data.get("attributes") or {},
            MediaFiles.from_json(data.get("media_files")),
            data.get("md5"),
            data.get("num_frames"),
            data.get("fps"),
            data.get("codec"),
            data.get("elemental_id"),
            data.get("primary_section"),
            data.get("archive_state"),
            data.get("created_by"),
            data.get("created_datetime"),
            data.get("modified_by"),
            data.get("modified_datetime"),
        )


def _pixels(file: MediaFile) -> int:
    return (file.width or 0) * (file.height or 0)
