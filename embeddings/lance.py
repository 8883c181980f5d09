"""An index in LanceDB that may outgrow memory.

FiftyOne's own LanceDB backend reads the whole table into memory for every query by a sample or in a view, and writes it
anew for every addition. This one has the same table (``id``, ``sample_id``, ``vector``) and asks LanceDB for no more
than what is needed.

A run remembers the names of these classes, not of FiftyOne's, which would load without this package but break the
promise on memory where it counts, in the App's server; there, and in delegated workers, the plugin puts the package
in place. Any other process needs it installed (``pip install``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any, cast

import fiftyone.brain as fob
import lancedb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from bson import ObjectId
from fiftyone.brain.internal.core import lancedb as theirs
from fiftyone.core.odm.runs import RunDocument
from lancedb.index import BTree, IvfFlat

from fiftyone_tator.embeddings.embedder import Vectors
from fiftyone_tator.embeddings.errors import EmbeddingError, NoEmbeddings
from fiftyone_tator.media.folders import data_root

METRICS = {"cosine": "cosine", "euclidean": "l2"}
MOST_NEIGHBORS = 10_000
"""A view that selects more samples in order takes MongoDB minutes, and far more do not fit into a query."""
APPROXIMATE_FROM = 100_000
_MOST_BY_NAME = 20_000
_SURE = 100
"""The index of likely places is good for the nearest hundredth of all; what goes further looks everywhere."""
_MANY_PIECES = 100
_CHUNK = 5_000

Ids = Sequence[str] | npt.NDArray[np.str_]


class LanceSimilarityConfig(theirs.LanceDBSimilarityConfig):  # type: ignore[misc]
    """What a run remembers of its index.

    Args:
        table_name: chosen if left out
        metric: ``cosine`` or ``euclidean``
        uri: of the database; the one in FiftyOne's brain config if left out, else a folder among this plugin's files.
            The run remembers it, so that other processes find the index
        approximate_from: from so many vectors on the nearest of all are looked for in the likely places only
        owner: id of the dataset that the table is of; a clone remembers the same table, and may not change it
        **kwargs: for :class:`fiftyone.brain.similarity.SimilarityConfig`
    """

    def __init__(
        self,
        table_name: str | None = None,
        metric: str = "cosine",
        uri: str | None = None,
        approximate_from: int = APPROXIMATE_FROM,
        owner: str | None = None,
        **kwargs: Any,
    ) -> None:
        configured = fob.brain_config.similarity_backends.get("lancedb", {}).get("uri")
        uri = uri or configured or str(data_root() / "lancedb")
        super().__init__(table_name=table_name, metric=metric, uri=uri, **kwargs)
        self.approximate_from = approximate_from
        self.owner = owner

    @property
    def max_k(self) -> int:
        """So many neighbors at most; the App asks for no more."""
        return MOST_NEIGHBORS

    def attributes(self) -> list[str]:
        """What is stored with the run."""
        return [*super().attributes(), "uri"]

    def load_credentials(self, uri: str | None = None) -> None:
        """Takes another address than the one that was remembered.

        Args:
            uri: of the database
        """
        if uri is not None:
            self.uri = uri


class LanceSimilarity(theirs.LanceDBSimilarity):  # type: ignore[misc]
    """Makes an index."""

    def initialize(self, samples: Any, brain_key: str) -> "LanceSimilarityIndex":
        """Makes an index without vectors.

        Args:
            samples: the dataset
            brain_key: of the run
        """
        return LanceSimilarityIndex(samples, self.config, brain_key, backend=self)

    def cleanup(self, samples: Any, key: str) -> None:
        """Removes the table of a run of ``samples`` that is deleted, unless it is another dataset's."""
        if self.config.owner == _id(samples):
            lancedb.connect(self.config.uri).drop_table(self.config.table_name, ignore_missing=True)


class LanceSimilarityIndex(theirs.LanceDBSimilarityIndex):  # type: ignore[misc]
    """An index in LanceDB.

    Args:
        samples: the dataset
        config: of the run
        brain_key: of the run
        backend: who made it
    """

    def _initialize(self) -> None:
        if "://" not in self.config.uri:
            Path(self.config.uri).mkdir(parents=True, exist_ok=True)
        self._db = lancedb.connect(self.config.uri)
        if self.config.owner is None:
            self.config.owner = _id(self._samples)
            self.config.table_name = self.config.table_name or f"fiftyone-{self.config.owner}-{ObjectId()}"
            self.save_config()

    @property
    def table(self) -> Any:
        """The table as it is now, whoever wrote to it; None if there is none yet."""
        found = self._open()
        if found is None:
            # An App that has this index in memory does not hear when another process makes a new one.
            run = RunDocument.objects(dataset_id=ObjectId(_id(self._samples)), key=self.key).first()
            config = {} if run is None else run.config
            if config.get("cls") == self.config.cls and config["table_name"] != self.config.table_name:
                self.config.table_name, self.config.uri = config["table_name"], config["uri"]
                self.config.metric = config["metric"]
                self._db = lancedb.connect(self.config.uri)
                found = self._open()
        return found

    def _open(self) -> Any:
        try:
            return self._db.open_table(self.config.table_name)
        except ValueError as error:
            if "not found" not in str(error):
                raise
            return None

    def _needed(self) -> Any:
        table = self.table
        if table is None:
            raise NoEmbeddings(
                f"The similarity index {self.key!r} is not in {self.config.uri}. Compute the similarity index again."
            )
        return table

    def _writable(self) -> Any:
        if self.config.owner != _id(self._samples):
            raise EmbeddingError(
                f"The similarity index {self.key!r} belongs to the dataset that this one was cloned from. Compute an "
                "index of this dataset's own."
            )
        return self.table

    @property
    def total_index_size(self) -> int:
        """How many vectors are in the index."""
        table = self.table
        return 0 if table is None else int(table.count_rows())

    def fill(self, blocks: Iterable[tuple[Sequence[ObjectId], Vectors]]) -> int:
        """Fills the index with vectors in place of those that are there, which can be searched until it is done.

        Args:
            blocks: ids and ``N x D``; asked for the next one only when there is room for it

        Returns:
            how many vectors were taken
        """
        self._writable()  # or refuses
        stream = iter(blocks)
        first = next(stream, None)
        if first is None:
            raise NoEmbeddings("There are no vectors that can be compared. Compute the embeddings first.")
        batches = (_rows(list(map(str, ids)), vectors) for ids, vectors in chain([first], stream))
        schema = _schema(first[1].shape[1])
        reader = pa.RecordBatchReader.from_batches(schema, batches)
        mode = "create" if self._open() is None else "overwrite"
        table = self._db.create_table(self.config.table_name, data=reader, schema=schema, mode=mode)
        table.create_index("id", config=BTree())
        self._find_places(table)
        self.reload()
        return int(table.count_rows())

    def _find_places(self, table: Any) -> None:
        if table.count_rows() >= self.config.approximate_from:
            # Of all kinds this one is made fastest, and loses nothing but what lies in the wrong place.
            table.create_index("vector", config=IvfFlat(distance_type=METRICS[self.config.metric]))

    def add_to_index(
        self,
        embeddings: Vectors,
        sample_ids: Ids,
        label_ids: Ids | None = None,
        overwrite: bool = True,
        allow_existing: bool = True,
        warn_existing: bool = False,
        reload: bool = True,
    ) -> None:
        """Adds vectors, with the same arguments as any similarity index of FiftyOne."""
        ids = list(map(str, sample_ids if label_ids is None else label_ids))
        table = self._writable()
        if table is not None and (warn_existing or not allow_existing):
            there = sum(table.count_rows(where) for where in _named(ids))
            self._mind(there, "already in", allow_existing, warn_existing)
        if table is None:
            table = self._db.create_table(self.config.table_name, schema=_schema(embeddings.shape[1]))
        rows = pa.Table.from_batches([_rows(ids, embeddings, list(map(str, sample_ids)))])
        merge = table.merge_insert("id").when_not_matched_insert_all()
        (merge.when_matched_update_all() if overwrite else merge).execute(rows)
        self._written(table, reload)

    def remove_from_index(
        self,
        sample_ids: Ids | None = None,
        label_ids: Ids | None = None,
        allow_missing: bool = True,
        warn_missing: bool = False,
        reload: bool = True,
    ) -> None:
        """Removes vectors, with the same arguments as any similarity index of FiftyOne."""
        ids = list(map(str, label_ids if label_ids is not None else sample_ids if sample_ids is not None else []))
        table = self._writable()
        if table is None:
            return
        if warn_missing or not allow_missing:
            missing = len(set(ids)) - sum(table.count_rows(where) for where in _named(ids))
            self._mind(missing, "not in", allow_missing, warn_missing)
        for where in _named(ids):
            table.delete(where)
        self._written(table, reload)

    def _written(self, table: Any, reload: bool) -> None:
        # Each addition is a piece of its own. Joining them writes all of them anew, so it is done for many at once.
        if table.stats()["fragment_stats"]["num_fragments"] > _MANY_PIECES:
            table.optimize(cleanup_older_than=timedelta(hours=1))
            self._find_places(table)
        if reload:
            self.reload()

    def _mind(self, count: int, what: str, allowed: bool, warn: bool) -> None:
        if count and not allowed:
            raise ValueError(f"{count:,} of the ids are {what} the similarity index {self.key!r}.")
        if count and warn:
            theirs.logger.warning("%d of the ids are %s the similarity index %r", count, what, self.key)

    def get_embeddings(
        self,
        sample_ids: Ids | str | None = None,
        label_ids: Ids | str | None = None,
        allow_missing: bool = True,
        warn_missing: bool = False,
    ) -> tuple[Vectors, npt.NDArray[np.str_], npt.NDArray[np.str_] | None]:
        """Reads vectors, with the same arguments as any similarity index of FiftyOne; without ids all of them."""
        of_labels = self.config.patches_field is not None
        wanted = sample_ids if label_ids is None else label_ids
        column = "id" if label_ids is not None or not of_labels else "sample_id"
        ids = [wanted] if isinstance(wanted, str) else None if wanted is None else list(map(str, wanted))
        rows = self._read(column, ids)
        if ids is not None:
            order = {id: place for place, id in enumerate(ids)}
            there = rows[column].to_pylist()
            self._mind(len(set(ids) - set(there)), "not in", allow_missing, warn_missing)
            rows = rows.take(sorted(range(len(there)), key=lambda row: order[there[row]]))
        labels = np.array(rows["id"].to_pylist()) if of_labels else None
        return _matrix(rows), np.array(rows["sample_id"].to_pylist()), labels

    def _read(self, column: str, ids: list[str] | None) -> Any:
        table = self._needed()
        if ids is None:
            return table.to_arrow()
        parts = [table.search().where(where).limit(None).to_arrow() for where in _named(ids, column)]
        return pa.concat_tables(parts) if parts else table.schema.empty_table()

    def cleanup(self) -> None:
        """Removes the table."""
        self.backend.cleanup(self._samples, self.key)

    def _kneighbors(
        self,
        query: Any = None,
        k: int | None = None,
        reverse: bool = False,
        aggregation: str | None = None,
        return_dists: bool = False,
    ) -> tuple[Any, ...]:
        if query is None or reverse or aggregation not in (None, "mean"):
            raise EmbeddingError(
                "LanceDB finds what is nearest to a sample or a vector, or to the mean of several, and nothing else. "
                "Compute the similarity index with backend='sklearn' for more."
            )
        table, queries = self._needed(), self._vectors(query)
        if aggregation == "mean" and queries.ndim == 2:
            queries = queries.mean(axis=0)
        found = [self._nearest(table, vector, k) for vector in np.atleast_2d(queries)]
        columns = [[rows[name].to_pylist() for rows in found] for name in ("sample_id", "id", "_distance")]
        samples, labels, dists = [column[0] for column in columns] if queries.ndim == 1 else columns
        answer = samples, labels if self.config.patches_field is not None else None
        return (*answer, dists) if return_dists else answer

    def _vectors(self, query: Any) -> Vectors:
        if not isinstance(query, str):
            array = np.asarray(query)
            if np.issubdtype(array.dtype, np.number):
                return array.astype(np.float32)
        ids = [query] if isinstance(query, str) else list(map(str, query))
        rows = self._read("id", ids)
        if missing := set(ids) - set(rows["id"].to_pylist()):
            raise NoEmbeddings(
                f"{len(missing):,} of the samples to compare with, among them {min(missing)}, are not in the "
                f"similarity index {self.key!r}. Compute their embeddings and the index again, or choose other samples."
            )
        vectors = _matrix(rows)
        return cast(Vectors, vectors[0]) if isinstance(query, str) else vectors

    def _nearest(self, table: Any, vector: Vectors, k: int | None) -> Any:
        k = min(k or MOST_NEIGHBORS, MOST_NEIGHBORS)
        total = table.count_rows()
        if not self.has_view:
            return self._search(table, vector, k, exact=k * _SURE > total)
        plain = self.config.patches_field is None and not self.view._is_patches
        if (self.view.count() if plain else len(self._ids_in_view())) <= _MOST_BY_NAME:
            where = next(_named(list(self._ids_in_view()), size=_MOST_BY_NAME), "false")
            return self._search(table, vector, k, where=where)
        # To name so many ids, or to read them all, takes longer than to leave out afterwards what is not in the view.
        reach = 2 * k
        while True:
            rows = self._search(table, vector, reach, exact=reach * _SURE > total)
            ask = plain and len(rows) <= _MOST_BY_NAME
            inside = self.view.select(rows["id"].to_pylist()).values("id") if ask else self._ids_in_view()
            kept = rows.filter(pc.is_in(rows["id"], value_set=pa.array(inside, pa.string()))).slice(0, k)
            if len(kept) == k or reach >= total:
                return kept
            reach *= 8

    def _ids_in_view(self) -> Ids:
        ids: Ids = self.current_sample_ids if self.config.patches_field is None else self.current_label_ids
        return ids

    def _search(self, table: Any, vector: Vectors, k: int, *, exact: bool = True, where: str | None = None) -> Any:
        search = table.search(vector, vector_column_name="vector").distance_type(METRICS[self.config.metric])
        if exact:
            search = search.bypass_vector_index()
        if where is not None:
            search = search.where(where, prefilter=True)
        return search.select(["id", "sample_id", "_distance"]).limit(k).to_arrow()

    @classmethod
    def _from_dict(
        cls, d: Mapping[str, Any], samples: Any, config: LanceSimilarityConfig, brain_key: str
    ) -> "LanceSimilarityIndex":
        return cls(samples, config, brain_key)


def _id(samples: Any) -> str:
    return str(samples._root_dataset._doc.id)


def _schema(dimensions: int) -> Any:
    text = [(name, pa.string()) for name in ("id", "sample_id")]
    return pa.schema([*text, ("vector", pa.list_(pa.float32(), dimensions))])


def _rows(ids: list[str], vectors: Vectors, sample_ids: list[str] | None = None) -> Any:
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    rows = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    columns = [pa.array(ids), pa.array(sample_ids or ids), rows]
    return pa.RecordBatch.from_arrays(columns, schema=_schema(vectors.shape[1]))


def _matrix(rows: Any) -> Vectors:
    column = rows["vector"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return cast(Vectors, flat.reshape(len(rows), column.type.list_size))


def _named(ids: list[str], column: str = "id", size: int = _CHUNK) -> Iterator[str]:
    """The conditions that name ids, some thousands in each."""
    for start in range(0, len(ids), size):
        names = ",".join("'" + id.replace("'", "''") + "'" for id in ids[start : start + size])
        yield f"{column} IN ({names})"
