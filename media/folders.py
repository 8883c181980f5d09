"""Where a project's files lie on disk, and names that are safe to put there."""

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import platformdirs

ENVIRONMENT = "FIFTYONE_TATOR_DIR"

_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_ELEMENTAL_ID = re.compile(r"[0-9a-f-]{36}(_v\d{1,12})?")
_LONGEST = 120
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def data_root() -> Path:
    """The folder below which all files of all projects lie.

    Returns:
        ``FIFTYONE_TATOR_DIR`` where that is set, else a folder in the user's data folder
    """
    chosen = os.environ.get(ENVIRONMENT)
    return Path(chosen).expanduser().resolve() if chosen else Path(platformdirs.user_data_dir("fiftyone-tator"))


def safe_name(name: str) -> str:
    """A file name for text that somebody else chose.

    Path separators, control characters and what some file systems refuse become ``_``; the result is never empty,
    never ``.`` or ``..``, has no leading dot, and is at most 120 bytes long in UTF-8, its extension kept.

    Args:
        name: any text, for example the name of a media

    Returns:
        the file name
    """
    if _ELEMENTAL_ID.fullmatch(name):
        return name
    clean = _UNSAFE.sub("_", name.encode("utf-8", "replace").decode()).strip(" .") or "_"
    if _DEVICES.fullmatch(clean):
        clean = f"_{clean}"
    stem, suffix = os.path.splitext(clean)
    suffix = suffix if len(suffix.encode()) <= 10 else ""
    stem = stem if suffix else clean
    room = _LONGEST - len(suffix.encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + suffix


@dataclass(frozen=True, slots=True)
class ProjectFolder:
    """The files of one Tator project.

    Args:
        root: the data root that holds all projects
        project: the project's id
    """

    root: Path
    project: int

    @property
    def path(self) -> Path:
        """The project's own folder."""
        return self.root / f"project_{self.project}"

    @property
    def localizations(self) -> Path:
        """The rows of the last complete reading, one JSON object a line."""
        return self.path / "localizations.jsonl"

    def download(self, media_id: int, name: str) -> Path:
        """Where the picture of a media is kept; two media of one name do not meet.

        Args:
            media_id: the media's id
            name: the media's name

        Returns:
            the path of the file
        """
        return self.path / "download" / safe_name(f"{media_id}_{name}")

    def crop(self, media_name: str, elemental_id: str, extension: str) -> Path:
        """Where the crop of a localization is kept.

        Args:
            media_name: the name of the media, whose stem names the folder
            elemental_id: the localization's elemental id, with a suffix where two versions share it
            extension: ``jpg`` or ``png``

        Returns:
            the path of the file
        """
        return _crop_folder(str(self.path), media_name) / f"{safe_name(elemental_id)}.{extension}"


@lru_cache(maxsize=1024)
def _crop_folder(project: str, media_name: str) -> Path:
    return Path(project) / "crops" / safe_name(Path(safe_name(media_name)).stem)
