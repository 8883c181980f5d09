"""What a run that died left in the folder for crops: files that no sample has."""

import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo.collection import Collection

from fiftyone_tator.sync.base import BaseStore

_CROP = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:_v\d+)?\.(?:jpg|png)(?:\.part)?")
_OLD = 24 * 3600


def sweep_crops(folder: Path, samples: Collection[dict[str, Any]], store: BaseStore, versions: Iterable[int]) -> None:
    """Removes crops that a dead run made, or did not come to remove.

    The crop of a sample that somebody deleted here stays: the localization is still there, and so may a copy of the
    sample be. What does not look like a crop is left alone.

    Args:
        folder: the dataset's folder for crops
        samples: the dataset's samples
        store: its base
        versions: the ids of all versions that the base may have
    """
    ids = list(versions)
    for place in folder.iterdir() if folder.is_dir() else ():
        found = {str(file): match[1] for file in place.iterdir() if (match := _CROP.fullmatch(file.name))}
        used = {d["filepath"] for d in samples.find({"filepath": {"$in": list(found)}}, {"filepath": True})}
        loose = {file: element for file, element in found.items() if file not in used}
        kept = _deleted_here(set(loose.values()), samples, store, ids) if loose else frozenset()
        for file, element in loose.items():
            if element not in kept or file.endswith(".part"):
                Path(file).unlink(missing_ok=True)


def sweep_downloads(folder: Path, *, now: float | None = None) -> None:
    """Removes halves of downloads that nobody goes on with.

    Args:
        folder: the project's folder for downloads, which imports into other datasets may use as well
        now: the present time in seconds, to tell what is old
    """
    before = (time.time() if now is None else now) - _OLD
    for part in folder.glob(".*.part"):
        if part.stat().st_mtime < before:
            part.unlink(missing_ok=True)


def _deleted_here(
    elements: set[str], samples: Collection[dict[str, Any]], store: BaseStore, versions: list[int]
) -> frozenset[str]:
    """Those of some elemental ids whose base is there and whose sample is not."""
    rows: Mapping[Any, Any] = store.find((version, element) for version in versions for element in elements)
    wanted: list[ObjectId] = [row.sample for row in rows.values()]
    there = {d["_id"] for d in samples.find({"_id": {"$in": wanted}}, {"_id": True})}
    return frozenset(row.elemental_id for row in rows.values() if row.sample not in there)
