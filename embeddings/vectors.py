"""Vectors with the samples they belong to: written and read in blocks, never all samples at once.

They lie in a :class:`fiftyone.core.fields.VectorField`, where all of FiftyOne finds them. They are written to MongoDB
directly: ``set_values`` would take four times as long, and would set ``last_modified_at``, by which a push finds edits,
and a vector is none. What made them is in the field's own info, which the App shows and which a clone keeps.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

import fiftyone as fo
import numpy as np
from bson import Binary, ObjectId
from fiftyone.core.odm import get_db_conn
from pymongo import UpdateOne
from pymongo.collection import Collection as Table

from fiftyone_tator.embeddings.embedder import Source, Vectors
from fiftyone_tator.embeddings.errors import BadVectors, NoEmbeddings, OtherModel
from fiftyone_tator.sync.documents import EMBEDDING_OF

BLOCK = 5_000
_SIGNS = 16
_CLOSE = 0.1


@lru_cache
def _header(dimensions: int) -> bytes:
    with io.BytesIO() as file:
        np.save(file, np.zeros(dimensions, np.float32))
        return file.getvalue()[: -4 * dimensions]


def pack(vector: Vectors) -> Binary:
    """A vector as FiftyOne stores it; not compressed, since noise does not get smaller, only slower.

    Args:
        vector: ``D`` numbers
    """
    return Binary(zlib.compress(_header(len(vector)) + vector.astype("<f4", copy=False).tobytes(), 0))


def unpack(data: bytes) -> Vectors:
    """A vector as FiftyOne stored it.

    Args:
        data: from :func:`pack`, or from FiftyOne

    Returns:
        ``D`` numbers

    Raises:
        BadVectors: if it is no vector
    """
    try:
        content = zlib.decompress(data)
        (length,) = struct.unpack_from("<H", content, 8)
        start = 10 + length
        count = (len(content) - start) // 4
        # NumPy parses its header as Python code, which takes longer than all the rest.
        if content[:start] == _header(count):
            return np.frombuffer(content, np.float32, offset=start)
        vector: Vectors = np.load(io.BytesIO(content), allow_pickle=False).astype(np.float32).ravel()
        return vector
    except (zlib.error, struct.error, ValueError, OSError) as error:
        raise BadVectors(f"A stored vector cannot be read: {error}. Compute the embeddings anew.") from None


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of a field's vectors.

    Args:
        source: what made them
        dimensions: numbers in each
        signs: the first numbers of the probe's vector at length 1; tells models apart that have as many dimensions
        made_at: when the first of them was made
    """

    source: Source
    dimensions: int
    signs: tuple[float, ...]
    made_at: str

    @classmethod
    def of(cls, source: Source, probe: Vectors) -> "Record":
        """What to remember.

        Args:
            source: what makes the vectors
            probe: from :meth:`fiftyone_tator.embeddings.embedder.Embedder.probe`
        """
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return cls(source, len(probe), _signs(probe), now)

    @classmethod
    def from_info(cls, info: Mapping[str, Any] | None) -> "Record | None":
        """What a field's info says; None if its vectors are not of our making.

        Args:
            info: the field's info
        """
        if not info or EMBEDDING_OF not in info:
            return None
        source = Source(info["kind"], info["model"], info.get("service"), info.get("version"))
        signs = tuple(float(part) for part in info["signs"].split())
        return cls(source, int(info["dimensions"]), signs, info["made_at"])

    def as_info(self) -> dict[str, Any]:
        """The record for a field's info, which the App shows as it is."""
        said = {key: value for key, value in asdict(self.source).items() if value is not None}
        signs = " ".join(f"{sign:.5f}" for sign in self.signs)
        return {
            EMBEDDING_OF: "filepath",
            **said,
            "dimensions": self.dimensions,
            "made_at": self.made_at,
            "signs": signs,
        }

    def matches(self, other: "Record") -> bool:
        """Whether vectors of two records can stand side by side.

        Args:
            other: the service may have moved, or be newer; the kind of service, the model and what it says of the probe
                picture are the same
        """
        mine, others = self.source, other.source
        if (mine.kind, mine.model, self.dimensions) != (others.kind, others.model, other.dimensions):
            return False
        one, two = np.array(self.signs), np.array(other.signs)
        return bool(np.linalg.norm(one - two) <= _CLOSE * max(float(np.linalg.norm(one)), 1e-3))


def _signs(probe: Vectors) -> tuple[float, ...]:
    size = float(np.linalg.norm(probe)) or 1.0
    return tuple(round(float(part), 5) for part in probe[:_SIGNS] / size)


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
            OtherModel: if vectors that we did not make, or something that is no vector, are in it
        """
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

    def clear(self) -> None:
        """Removes all vectors, and leaves the field."""
        self._samples.update_many({self.name: {"$exists": True}}, {"$unset": {self.name: ""}})

    def wanted(self, among: Sequence[ObjectId] | None = None, *, everything: bool = False) -> list[ObjectId]:
        """The samples to embed.

        Args:
            among: ids of samples; all if None
            everything: also those that have a vector

        Returns:
            their ids
        """
        query: dict[str, Any] = {} if everything else {self.name: None}
        if among is None:
            return [found["_id"] for found in self._samples.find(query, {"_id": True})]
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


def refresh_held(dataset: fo.Dataset) -> None:
    """Makes samples that this process holds show what was written to MongoDB directly.

    Args:
        dataset: the dataset
    """
    name = dataset._sample_collection_name
    held = [ObjectId(id) for id in list(fo.Sample._instances.get(name, ()))]
    there = get_db_conn()[name].find({"_id": {"$in": held}}, {"_id": True})
    # Reloading one that somebody deleted would fail.
    fo.Sample._sync_docs(name, [str(found["_id"]) for found in there])
