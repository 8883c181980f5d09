"""Keeping what one import remembers for the feed of the next one."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from bson import ObjectId
from pymongo import ASCENDING
from pymongo.database import Database

from fiftyone_tator.media.crops import CropStyle
from fiftyone_tator.sync.dataset import now_text
from fiftyone_tator.sync.fields import FieldMap
from fiftyone_tator.sync.options import ImportOptions
from fiftyone_tator.sync.reading import Identities, Memory
from fiftyone_tator.sync.scope import Scope

COLLECTION = "tator_sync.feed"
FEED = "feed"
"""Where ``dataset.info["tator"]`` tells of it."""

# A document of MongoDB holds 16 MB.
_CHUNK = 500_000
_SETS = ("absent", "gone", "again")


def about(scope: Scope, options: ImportOptions, fields: FieldMap, style: CropStyle, crops: Path) -> str:
    """What an import is about, in 16 letters: a feed can only go on from an import that was about the same.

    Args:
        scope: what is imported
        options: the filters
        fields: which attribute goes where
        style: how crops look
        crops: where they lie
    """
    types = [(k.id, k.name, k.dtype, sorted(repr(a) for a in k.attribute_types)) for k in scope.types]
    subject = (
        (scope.url, scope.project.id),
        sorted(version.id for version in scope.versions),
        sorted(types),
        sorted((kind.id, kind.dtype) for kind in scope.media_types.values()),
        sorted(options.include_classes or ()) if options.include_classes is not None else None,
        sorted(options.image_extensions) if options.image_extensions is not None else None,
        (sorted(fields.label.items()), sorted(fields.score.items()), fields.describe()),
        (style.size, style.padding, style.format, str(crops)),
    )
    return hashlib.blake2b(json.dumps(subject, sort_keys=True).encode(), digest_size=8).hexdigest()


class MemoryStore:
    """Keeps the memory of one dataset: a little in ``dataset.info``, the rest beside the base.

    The two are written one after the other, and the first names the second: until it does, the old memory counts.

    Args:
        database: FiftyOne's database
        dataset: the dataset's id
    """

    def __init__(self, database: Database[dict[str, Any]], dataset: ObjectId) -> None:
        self._chunks, self._datasets = database[COLLECTION], database["datasets"]
        self._dataset = dataset

    def load(self, info: Mapping[str, Any]) -> Memory | None:
        """Reads the memory.

        Args:
            info: ``dataset.info["tator"]``

        Returns:
            the memory; None if there is none, or not all of it
        """
        told = info.get(FEED)
        if not isinstance(told, Mapping):
            return None
        found: dict[str, list[bytes]] = {name: [] for name in _SETS}
        for chunk in self._chunks.find({"dataset": self._dataset, "token": told["token"]}).sort("number", ASCENDING):
            found[chunk["set"]].append(chunk["identities"])
        sets = {name: np.frombuffer(b"".join(parts), dtype="V24") for name, parts in found.items()}
        if {name: len(some) for name, some in sets.items()} != told["sizes"]:
            return None
        ids = {(int(version), int(kind)): id for version, of in told["ids"].items() for kind, id in of.items()}
        full_at = datetime.fromisoformat(told["full_at"])
        return Memory(told["about"], full_at, ids, without_identity=told["without_identity"], **sets)

    def keep(self, memory: Memory) -> dict[str, Any]:
        """Writes what is large.

        Args:
            memory: what to remember

        Returns:
            what ``dataset.info["tator"]["feed"]`` has to say for it to count
        """
        self._chunks.create_index([("dataset", ASCENDING), ("token", ASCENDING)])
        token = str(ObjectId())
        sets = {name: getattr(memory, name) for name in _SETS}
        for name, some in sets.items():
            for number, chunk in enumerate(_pieces(some)):
                document = {"dataset": self._dataset, "token": token, "set": name, "number": number}
                self._chunks.insert_one({**document, "identities": chunk})
        ids: dict[str, dict[str, int]] = {}
        for (version, kind), id in sorted(memory.ids.items()):
            ids.setdefault(str(version), {})[str(kind)] = id
        return {
            "about": memory.about,
            "at": now_text(),
            "full_at": memory.full_at.isoformat(timespec="seconds"),
            "ids": ids,
            "sizes": {name: len(some) for name, some in sets.items()},
            "token": token,
            "without_identity": memory.without_identity,
        }

    def forget_others(self, info: Mapping[str, Any]) -> None:
        """Removes what does not count any more, and what datasets remembered that are no more.

        Args:
            info: ``dataset.info["tator"]`` as it was saved
        """
        token = (info.get(FEED) or {}).get("token")
        self._chunks.delete_many({"dataset": self._dataset, "token": {"$ne": token}})
        known = self._chunks.distinct("dataset")
        if gone := [each for each in known if self._datasets.find_one({"_id": each}, {"_id": True}) is None]:
            self._chunks.delete_many({"dataset": {"$in": gone}})


def _pieces(identities: Identities) -> Iterator[bytes]:
    for start in range(0, len(identities), _CHUNK):
        yield identities[start : start + _CHUNK].tobytes()
