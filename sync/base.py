"""The base: what Tator held for each localization when we last agreed with it.

It lies beside the samples in the same MongoDB, in a collection of its own: it does not clutter the App, does not touch
a sample's ``last_modified_at``, and is the same for every layout.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
from bson import ObjectId
from pymongo import ASCENDING, DeleteMany, InsertOne, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

COLLECTION = "tator_sync.base"
MEDIA_COLLECTION = "tator_sync.media_base"

Identity = tuple[int, str]
"""Version id and elemental id."""

_BLOCK = 5_000
_DUPLICATE = 11000


@dataclass(frozen=True, slots=True)
class BaseRow:
    """The base of one localization.

    Args:
        version: the version's id
        elemental_id: the elemental id
        type: the localization type's id
        sample: the id of its sample
        row: the row that is agreed on, in JSON: as Tator sent it, or with older values where there is a conflict
        media: the name of what is agreed on of its media, see :meth:`BaseStore.keep_medias`
        crop: what its crop was made from, see :func:`fiftyone_tator.sync.crops.crop_key`
        size: of the crop's file, in bytes
        suffixed: whether its crop's name tells the version, because another version has the same elemental id
        run: the block of new samples that it was written with
    """

    version: int
    elemental_id: str
    type: int
    sample: ObjectId
    row: str
    media: str
    crop: str
    size: int
    suffixed: bool
    run: ObjectId

    @property
    def identity(self) -> Identity:
        """Version id and elemental id."""
        return self.version, self.elemental_id


class BaseStore:
    """The base rows of one dataset.

    Args:
        database: FiftyOne's database
        dataset: the dataset's id
    """

    def __init__(self, database: Database[dict[str, Any]], dataset: ObjectId) -> None:
        self._rows = database[COLLECTION]
        self._medias = database[MEDIA_COLLECTION]
        self._datasets = database["datasets"]
        self._dataset = dataset

    def prepare(self) -> None:
        """Makes the indexes that all reading and the uniqueness of identities rest on."""
        keys = [("dataset", ASCENDING), ("version", ASCENDING), ("elemental_id", ASCENDING)]
        self._rows.create_index(keys, unique=True)
        self._rows.create_index([*keys[:2], ("type", ASCENDING), keys[2]])
        self._medias.create_index([("dataset", ASCENDING), ("name", ASCENDING)], unique=True)

    def count(self) -> int:
        """The number of base rows of the dataset."""
        return self._rows.count_documents({"dataset": self._dataset})

    def find(self, identities: Iterable[Identity]) -> dict[Identity, BaseRow]:
        """Reads the base of some localizations.

        Args:
            identities: which ones

        Returns:
            those that there are, by identity
        """
        versions: dict[int, list[str]] = {}
        for version, elemental_id in identities:
            versions.setdefault(version, []).append(elemental_id)
        found: dict[Identity, BaseRow] = {}
        for version, elements in versions.items():
            query = {"dataset": self._dataset, "version": version, "elemental_id": {"$in": elements}}
            for document in self._rows.find(query):
                row = _row(document)
                found[row.identity] = row
        return found

    def identities(self, versions: Sequence[int], types: Sequence[int]) -> Iterator[Identity]:
        """All identities of some versions and types, straight from the index.

        Args:
            versions: the versions' ids
            types: the localization types' ids

        Yields:
            version id and elemental id
        """
        for version in versions:
            query = {"dataset": self._dataset, "version": version, "type": {"$in": list(types)}}
            keys = {"_id": False, "elemental_id": True}
            for document in self._rows.find(query, keys, batch_size=_BLOCK):
                yield version, document["elemental_id"]

    def present(self, identities: Iterable[Identity]) -> Iterator[Identity]:
        """Those of some identities that have a row, straight from the index.

        Args:
            identities: version ids and elemental ids

        Yields:
            version id and elemental id
        """
        versions: dict[int, list[str]] = {}
        for version, elemental_id in identities:
            versions.setdefault(version, []).append(elemental_id)
        keys = {"_id": False, "elemental_id": True}
        for version, elements in versions.items():
            for start in range(0, len(elements), _BLOCK):
                query = {"version": version, "elemental_id": {"$in": elements[start : start + _BLOCK]}}
                for document in self._rows.find({"dataset": self._dataset, **query}, keys, batch_size=_BLOCK):
                    yield version, document["elemental_id"]

    def count_of(self, versions: Sequence[int], types: Sequence[int]) -> int:
        """The number of rows of some versions and types.

        Args:
            versions: the versions' ids
            types: the localization types' ids
        """
        query = {"dataset": self._dataset, "version": {"$in": list(versions)}, "type": {"$in": list(types)}}
        return self._rows.count_documents(query)

    def samples(self, which: Mapping[str, int]) -> Iterator[ObjectId]:
        """The samples of a version or of a localization type.

        Args:
            which: ``version`` or ``type`` and its id

        Yields:
            ids of samples
        """
        for document in self._rows.find({"dataset": self._dataset, **which}, {"sample": True}, batch_size=_BLOCK):
            yield document["sample"]

    def blocks(self, size: int) -> Iterator[list[BaseRow]]:
        """All rows, without an order.

        Args:
            size: rows a block

        Yields:
            blocks
        """
        rows = self._rows.find({"dataset": self._dataset}, batch_size=size)
        while block := [_row(document) for document in islice(rows, size)]:
            yield block

    def of_samples(self, samples: Sequence[ObjectId]) -> list[BaseRow]:
        """The rows of some samples; a sample has more than one while it becomes another localization.

        Args:
            samples: their ids
        """
        # Made here: only who creates localizations from here ever asks for it.
        self._rows.create_index([("dataset", ASCENDING), ("sample", ASCENDING)])
        query = {"dataset": self._dataset, "sample": {"$in": list(samples)}}
        return [_row(document) for document in self._rows.find(query)]

    def of_run(self, run: ObjectId) -> Iterator[BaseRow]:
        """The rows that were written with a block of new samples.

        Args:
            run: the block's id

        Yields:
            its rows
        """
        for document in self._rows.find({"dataset": self._dataset, "run": run}, batch_size=_BLOCK):
            yield _row(document)

    def insert(self, rows: Sequence[BaseRow]) -> set[Identity]:
        """Adds rows; an identity that is there already stays as it is.

        Args:
            rows: at most some thousands

        Returns:
            the identities that were there already
        """
        writes = [InsertOne(self._document(row)) for row in rows]
        try:
            self._rows.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            failures = (error.details or {}).get("writeErrors", [])
            if any(failure["code"] != _DUPLICATE for failure in failures):
                raise
            return {rows[failure["index"]].identity for failure in failures}
        return set()

    def move(self, rows: Sequence[BaseRow]) -> None:
        """Moves the base of rows that are there to what is agreed on now.

        Args:
            rows: as they shall be
        """
        writes = [
            UpdateOne(
                self._key(row.identity),
                {"$set": {"type": row.type, "row": row.row, "media": row.media, "crop": row.crop, "size": row.size}},
            )
            for row in rows
        ]
        for start in range(0, len(writes), _BLOCK):
            self._rows.bulk_write(writes[start : start + _BLOCK], ordered=False)

    def hand_over(self, row: BaseRow, sample: ObjectId) -> BaseRow:
        """Gives the base of a sample that is gone to another one that stands for the same localization.

        Args:
            row: the base
            sample: the other sample's id

        Returns:
            the base as it is then; somebody else may have been faster
        """
        query = {**self._key(row.identity), "sample": row.sample}
        self._rows.update_one(query, {"$set": {"sample": sample}})
        return self.find([row.identity])[row.identity]

    def plainly_named(self, elements: Sequence[str], versions: Sequence[int]) -> set[str]:
        """Which elemental ids have a crop whose name does not tell the version.

        Args:
            elements: the elemental ids
            versions: the ids of all versions that the base may have
        """
        query = {"version": {"$in": list(versions)}, "elemental_id": {"$in": list(elements)}, "suffixed": False}
        return set(self._rows.distinct("elemental_id", {"dataset": self._dataset, **query}))

    def medias(self, names: Collection[str]) -> dict[str, str]:
        """What was agreed on of media.

        Args:
            names: as base rows name it

        Returns:
            JSON texts by name
        """
        query = {"dataset": self._dataset, "name": {"$in": list(names)}}
        return {d["name"]: d["row"] for d in self._medias.find(query)} if names else {}

    def keep_medias(self, medias: Mapping[str, str]) -> None:
        """Keeps what base rows agree on of media; what is agreed on never changes, only rows move to another.

        Args:
            medias: JSON texts by name
        """
        writes = [
            UpdateOne({"dataset": self._dataset, "name": name}, {"$set": {"row": row}}, upsert=True)
            for name, row in medias.items()
        ]
        if writes:
            self._medias.bulk_write(writes, ordered=False)

    def remove(self, identities: Sequence[Identity]) -> None:
        """Forgets rows.

        Args:
            identities: which ones
        """
        for start in range(0, len(identities), _BLOCK):
            writes = [DeleteMany(self._key(identity)) for identity in identities[start : start + _BLOCK]]
            self._rows.bulk_write(writes, ordered=False)

    def forget_other_datasets(self) -> int:
        """Removes the rows of datasets that are no more.

        Returns:
            the number of rows removed
        """
        # In this order: a dataset that somebody makes meanwhile has no rows yet, or is among those that there are.
        known = {*self._rows.distinct("dataset"), *self._medias.distinct("dataset")}
        gone = list(known - set(self._datasets.distinct("_id")) - {self._dataset})
        if not gone:
            return 0
        self._medias.delete_many({"dataset": {"$in": gone}})
        return self._rows.delete_many({"dataset": {"$in": gone}}).deleted_count

    def _key(self, identity: Identity) -> dict[str, Any]:
        return {"dataset": self._dataset, "version": identity[0], "elemental_id": identity[1]}

    def _document(self, row: BaseRow) -> dict[str, Any]:
        return {
            "dataset": self._dataset,
            "version": row.version,
            "elemental_id": row.elemental_id,
            "type": row.type,
            "sample": row.sample,
            "row": row.row,
            "media": row.media,
            "crop": row.crop,
            "size": row.size,
            "suffixed": row.suffixed,
            "run": row.run,
        }


def _row(document: Mapping[str, Any]) -> BaseRow:
    return BaseRow(
        version=document["version"],
        elemental_id=document["elemental_id"],
        type=document["type"],
        sample=document["sample"],
        row=document["row"],
        media=document["media"],
        crop=document["crop"],
        size=document["size"],
        suffixed=document["suffixed"],
        run=document["run"],
    )


def packed(identities: Iterable[Identity]) -> npt.NDArray[np.void]:
    """Identities as an array of 24 bytes each, so that a million of them can be compared in little memory.

    Args:
        identities: version ids and elemental ids

    Returns:
        an array of shape (n,)
    """
    data = bytearray()
    for version, elemental_id in identities:
        data += version.to_bytes(8, "big") + pack_element(elemental_id)
    return np.frombuffer(bytes(data), dtype="V24")


def pack_element(elemental_id: str) -> bytes:
    """An elemental id as its 16 bytes.

    Args:
        elemental_id: a UUID's text

    Returns:
        16 bytes

    Raises:
        ValueError: if it is no UUID
    """
    data = bytes.fromhex(elemental_id.replace("-", ""))
    if len(data) != 16:
        raise ValueError(f"{elemental_id!r} is no elemental id")
    return data
