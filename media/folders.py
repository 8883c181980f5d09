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
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(" .") + suffix


@dataclass(frozen=True, slots=True)
class ProjectFolder:
    """The files of one Tator project.

    Args:
        path: the project's own folder
        crops: the name of the folder for crops
    """

    path: Path
    crops: str = "crops"

    @classmethod
    def of(cls, root: Path, project: int, server: str) -> "ProjectFolder":
        """The folder of a project; that of another server's project with the same id is another one.

        Args:
            root: the data root that holds all projects
            project: the project's id
            server: the server's address

        Returns:
            ``project_{id}``, or ``project_{id}_{server}`` where a project of another server has that already
        """
        path = root / f"project_{project}"
        if _owner(path, server) != server:
            path = root / safe_name(f"project_{project}_{server.partition('://')[2]}")
            _owner(path, server)
        return cls(path)

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
        return _crop_folder(str(self.path / self.crops), media_name) / f"{safe_name(elemental_id)}.{extension}"


@lru_cache(maxsize=1024)
def _crop_folder(crops: str, media_name: str) -> Path:
    return Path(crops) / safe_name(Path(safe_name(media_name)).stem)


def _owner(folder: Path, server: str) -> str:
    """The server whose project a folder belongs to; a folder without one is given to this server."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with open(folder / "server.txt", "x", encoding="utf-8") as file:
            file.write(server)
    except FileExistsError:
        owner = (folder / "server.txt").read_text(encoding="utf-8").strip()
        if owner:
            return owner
        # Whoever made the file died before a word was in it.
        (folder / "server.txt").write_text(server, encoding="utf-8")
    return server
