"""Vectors with the samples they belong to: written and read in blocks, never all samples at once.

They lie in a :class:`fiftyone.core.fields.VectorField`, where all of FiftyOne finds them. They are written to MongoDB
directly: ``set_values`` would take four times as long, and would set ``last_modified_at``, by which a push finds edits,
and a vector is none. What made them is in the field's own info, which the App shows and which a clone keeps.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId
from fiftyone.core.odm import get_db_conn
from pymongo import UpdateOne
from pymongo.collection import Collection as Table

from fiftyone_tator.embeddings.embedder import Vectors
from fiftyone_tator.embeddings.errors import BadVectors, NoEmbeddings, OtherModel
from fiftyone_tator.embeddings.packing import pack, unpack
from fiftyone_tator.embeddings.record import Record
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.fields import RESERVED

__all__ = ["BLOCK", "Record", "VectorField", "fields_of", "pack", "still_declared", "unpack"]

BLOCK = 5_000
_GOES_ON = "everything_from"
"""In a field's info while all is embedded anew: the first sample that has not been, by id."""


class VectorField:
    """One field of vectors.

    Args:
        dataset: the dataset
        name: the field's name
    """

    def __init__(self, dataset: fo.Dataset, name: str) -> None:
        self.dataset, self.name = dataset, name
        self._samples: Table[dict[str, Any]] = get_db_conn()[dataset._sample_collection_name]

    @property
    def record(self) -> Record | None:
        """What is remembered of the vectors; None if the field is not there, or is not of our making."""
        field = self.dataset.get_field(self.name)
        return None if field is None else Record.from_info(field.info)

    @property
    def exists(self) -> bool:
        """Whether the dataset has the field and it holds vectors."""
        return isinstance(self.dataset.get_field(self.name), fo.VectorField)

    def check_free(self) -> None:
        """Refuses a field that holds something else.

        Raises:
            InvalidOption: if a field cannot be called so
            OtherModel: if vectors that we did not make, or something that is no vector, are in it
        """
        if not self.name.isidentifier() or self.name.startswith("_") or self.name in RESERVED:
            raise InvalidOption(
                f"A field for embeddings cannot be called {self.name!r}. Take letters, digits and underscores, a "
                "letter first, and no name that FiftyOne needs itself."
            )
        field = self.dataset.get_field(self.name)
        if field is None or self.record is not None:
            return
        what = "vectors that somebody else made" if self.exists else f"no vectors ({type(field).__name__})"
        raise OtherModel(f"The field {self.name!r} holds {what}. Name another field for the embeddings.")

    def declare(self, record: Record) -> None:
        """Makes the field, or changes what is remembered of it.

        Args:
            record: of the vectors that come
        """
        if self.dataset.get_field(self.name) is None:
            self.dataset.add_sample_field(self.name, fo.VectorField)
        field = self.dataset.get_field(self.name)
        field.description = f"Embeddings by {record.source.label}"
        field.info = record.as_info()
        field.save()

    def count(self) -> int:
        """How many samples have a vector."""
        return self._samples.count_documents({self.name: {"$ne": None}})

    def check_declared(self, record: Record) -> None:
        """Sees that the field is still there and still takes these vectors, whoever did what meanwhile.

        Args:
            record: of the vectors

        Raises:
            OtherModel: if it was deleted or renamed, or somebody else's vectors are in it now
        """
        found = self._declared()
        known = None if found is None else Record.from_info(found.get("info"))
        if known is None or known.made_at != record.made_at or known.probe != record.probe:
            what = "deleted or renamed" if found is None else "given to other vectors"
            raise OtherModel(f"The field {self.name!r} was {what} meanwhile. Nothing more is written to it.")

    def _declared(self) -> dict[str, Any] | None:
        """The field as MongoDB has it now."""
        return _declared(self.dataset, self.name)

    def goes_on_from(self) -> ObjectId | None:
        """Where embedding everything anew was interrupted: the first sample that it did not come to, by id."""
        found = (self._declared() or {}).get("info") or {}
        return ObjectId(found[_GOES_ON]) if _GOES_ON in found else None

    def go_on_from(self, id: ObjectId | None) -> None:
        """Remembers how far embedding everything anew is.

        Args:
            id: of the first sample that it has not come to; None once all is done
        """
        path = f"sample_fields.$.info.{_GOES_ON}"
        change = {"$unset": {path: ""}} if id is None else {"$set": {path: str(id)}}
        where = {"_id": self.dataset._doc.id, "sample_fields.name": self.name}
        get_db_conn()["datasets"].update_one(where, change)

    def forget_if_gone(self) -> None:
        """Removes the vectors of a field that somebody deleted: FiftyOne cannot read samples with unknown fields."""
        if self._declared() is None:
            self._samples.update_many({self.name: {"$exists": True}}, {"$unset": {self.name: ""}})

    def clear(self) -> None:
        """Removes all vectors, and leaves the field."""
        self._samples.update_many({self.name: {"$exists": True}}, {"$unset": {self.name: ""}})

    def present(self, among: Sequence[ObjectId] | None = None) -> int:
        """How many samples there are.

        Args:
            among: of these; of all if None
        """
        if among is None:
            return self._samples.count_documents({})
        blocks = (list(among[start : start + BLOCK]) for start in range(0, len(among), BLOCK))
        return sum(self._samples.count_documents({"_id": {"$in": block}}) for block in blocks)

    def wanted(self, among: Sequence[ObjectId] | None = None, *, everything: bool = False) -> list[ObjectId]:
        """The samples to embed.

        Args:
            among: ids of samples; all if None
            everything: also those that have a vector

        Returns:
            their ids, in order where all are meant
        """
        query: dict[str, Any] = {} if everything else {self.name: None}
        if among is None:
            return [found["_id"] for found in self._samples.find(query, {"_id": True}).sort("_id", 1)]
        blocks = (list(among[start : start + BLOCK]) for start in range(0, len(among), BLOCK))
        found = (self._samples.find({"_id": {"$in": block}, **query}, {"_id": True}) for block in blocks)
        return [each["_id"] for some in found for each in some]

    def pictures(self, ids: Sequence[ObjectId]) -> Iterator[tuple[ObjectId, str]]:
        """The files of samples; samples that are gone are left out.

        Args:
            ids: of the samples

        Yields:
            id and file
        """
        for start in range(0, len(ids), BLOCK):
            block = {"_id": {"$in": list(ids[start : start + BLOCK])}}
            for found in self._samples.find(block, {"filepath": True}):
                yield found["_id"], str(found["filepath"])

    def write(self, ids: Sequence[ObjectId], vectors: Vectors) -> int:
        """Stores vectors; samples that are gone are left out.

        Args:
            ids: of the samples
            vectors: one row each

        Returns:
            how many samples were there
        """
        changes = [
            UpdateOne({"_id": id}, {"$set": {self.name: pack(vector)}})
            for id, vector in zip(ids, vectors, strict=True)
        ]  # fmt: skip
        return self._samples.bulk_write(changes, ordered=False).matched_count if changes else 0

    def blocks(self, among: Sequence[ObjectId] | None = None) -> Iterator[tuple[list[ObjectId], Vectors]]:
        """The vectors, some thousands at a time.

        Args:
            among: ids of samples; all if None

        Yields:
            ids and ``N x D``, in the order of the ids in MongoDB

        Raises:
            BadVectors: if vectors of several lengths, or what is no vector, are in the field
        """
        dimensions = 0
        for query in self._queries(among):
            found = list(self._samples.find({**query, self.name: {"$ne": None}}, {self.name: True}))
            if not found:
                continue
            rows = [unpack(each[self.name]) for each in found]
            dimensions = dimensions or len(rows[0])
            if {len(row) for row in rows} != {dimensions}:
                raise BadVectors(f"Vectors of several lengths are in the field {self.name!r}. Compute them all anew.")
            yield [each["_id"] for each in found], np.stack(rows)

    def _queries(self, among: Sequence[ObjectId] | None) -> Iterator[dict[str, Any]]:
        if among is not None:
            for start in range(0, len(among), BLOCK):
                yield {"_id": {"$in": list(among[start : start + BLOCK])}}
            return
        last: ObjectId | None = None
        while True:
            after = {} if last is None else {"_id": {"$gt": last}}
            ids = [found["_id"] for found in self._samples.find(after, {"_id": True}).sort("_id", 1).limit(BLOCK)]
            if not ids:
                return
            last = ids[-1]
            yield {"_id": {"$gte": ids[0], "$lte": last}}

    def matrix(
        self, among: Sequence[ObjectId] | None = None, *, at_least: int = 1, most_bytes: int | None = None
    ) -> tuple[list[ObjectId], Vectors]:
        """All the vectors at once, for what cannot do with less.

        Args:
            among: ids of samples; all if None
            at_least: so many are needed
            most_bytes: no more than so many bytes; no bound if None

        Returns:
            ids and ``N x D``

        Raises:
            NoEmbeddings: if there are fewer, or they take more
        """
        ids: list[ObjectId] = []
        many = self.count() if among is None else len(among)
        matrix: Vectors = np.empty((0, 0), np.float32)
        for some, vectors in self.blocks(among):
            if not ids:
                size = 4 * many * vectors.shape[1]
                if most_bytes is not None and size > most_bytes:
                    raise NoEmbeddings(
                        f"The vectors in {self.name!r} take {size / 1e9:.1f} GB of memory at once, and this is done "
                        f"with at most {most_bytes / 1e9:.1f} GB. Choose a view with fewer samples."
                    )
                matrix = np.empty((many, vectors.shape[1]), np.float32)
            room = min(len(some), many - len(ids))
            matrix[len(ids) : len(ids) + room] = vectors[:room]
            ids += some[:room]
        if len(ids) < at_least:
            raise NoEmbeddings(
                f"{len(ids):,} of the samples have a vector in {self.name!r}, and this needs at least {at_least:,}. "
                "Compute the embeddings first (compute_fastvss_embeddings), or choose more samples."
            )
        return ids, matrix[: len(ids)]


def _declared(dataset: fo.Dataset, name: str) -> dict[str, Any] | None:
    query = {"_id": dataset._doc.id, "sample_fields.name": name}
    found = get_db_conn()["datasets"].find_one(query, {"sample_fields.$": True})
    return None if found is None else dict(found["sample_fields"][0])


def still_declared(dataset: fo.Dataset, name: str) -> bool:
    """Whether a dataset has a field now, as MongoDB knows it.

    Args:
        dataset: the dataset
        name: of the field
    """
    return _declared(dataset, name) is not None


def fields_of(dataset: fo.Dataset) -> dict[str, Record]:
    """The fields of a dataset whose vectors this plugin made.

    Args:
        dataset: the dataset

    Returns:
        what is remembered of each, by name
    """
    fields = dataset.get_field_schema(ftype=fo.VectorField)
    found = {name: Record.from_info(field.info) for name, field in fields.items()}
    return {name: record for name, record in found.items() if record is not None}
