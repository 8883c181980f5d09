"""An index in LanceDB: the order is that of a slow search by hand, and no more is read than is needed."""

import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import fiftyone as fo
import fiftyone.brain as fob
import lancedb
import numpy as np
import pytest
from bson import ObjectId

from fiftyone_tator.embeddings.embedder import Source, Vectors
from fiftyone_tator.embeddings.errors import EmbeddingError, NoEmbeddings
from fiftyone_tator.embeddings.lance import MOST_NEIGHBORS, LanceSimilarityConfig, LanceSimilarityIndex
from fiftyone_tator.embeddings.similarity import index
from fiftyone_tator.embeddings.vectors import Record, VectorField

KEY = "vss_similarity"
SORT = f"""
import fiftyone as fo, sys
dataset = fo.load_dataset(sys.argv[1])
print("FOUND", *dataset.sort_by_similarity(sys.argv[2], k=5, brain_key="{KEY}").values("id"))
"""
AS_A_PLUGIN = """
import sys
sys.path[:] = [path for path in sys.path if not path.endswith("/.venv/src")]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
import importlib.util, fiftyone.operators as foo
print("IMPORTABLE", importlib.util.find_spec("fiftyone_tator"))
foo.list_operators()
"""


class Made:
    """A dataset with vectors."""

    def __init__(self, many: int, dimensions: int = 16) -> None:
        self.dataset = fo.Dataset(persistent=True)
        oids = [ObjectId() for _ in range(many)]
        self.dataset._sample_collection.insert_many(
            {"_id": id, "filepath": f"/nowhere/{number}.jpg", "_media_type": "image", "tags": []}
            for number, id in enumerate(oids)
        )
        self.ids = list(map(str, oids))
        self.vectors = np.random.default_rng(5).normal(1, 1, (many, dimensions)).astype(np.float32)
        self.field = VectorField(self.dataset, "vss")
        self.field.declare(Record.of(Source("descriptor", "test"), self.vectors[0]))
        self.field.write(oids, self.vectors)

    def indexed(self, **settings: Any) -> LanceSimilarityIndex:
        index(self.dataset, "vss", backend="lancedb", **settings)
        found = self.dataset.load_brain_results(KEY)
        assert isinstance(found, LanceSimilarityIndex)
        return found

    def by_hand(self, query: Vectors, among: slice = slice(None), metric: str = "cosine") -> list[str]:
        rows = self.vectors[among].astype(np.float64)
        far = np.linalg.norm(rows - query, axis=1)
        if metric == "cosine":
            far = -(rows @ query) / np.linalg.norm(rows, axis=1)
        return [self.ids[among][row] for row in np.argsort(far, kind="stable")]

    def sorted(self, query: Any, k: int = 10, view: Any = None) -> list[str]:
        view = self.dataset if view is None else view
        return list(view.sort_by_similarity(query, k=k, brain_key=KEY).values("id"))


@pytest.fixture
def make(database: Any) -> Iterator[Callable[..., Made]]:
    all_made: list[Made] = []

    def one(*args: int) -> Made:
        all_made.append(Made(*args))
        return all_made[-1]

    yield one
    for each in all_made:
        each.dataset.delete_brain_runs()
        each.dataset.delete()


@pytest.fixture
def made(make: Callable[..., Made]) -> Made:
    return make(400)


def tables(found: LanceSimilarityIndex) -> list[str]:
    return list(lancedb.connect(found.config.uri).list_tables().tables)


def run(*command: str) -> str:
    done = subprocess.run([sys.executable, "-c", *command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_order_by_a_sample_is_the_one_by_hand(made: Made, metric: str) -> None:
    made.indexed(metric=metric)
    assert made.sorted(made.ids[7], 400) == made.by_hand(made.vectors[7], metric=metric)


def test_the_order_by_several_samples_is_that_by_their_mean(made: Made) -> None:
    made.indexed()
    assert made.sorted(made.ids[3:6]) == made.by_hand(made.vectors[3:6].mean(axis=0))[:10]


def test_the_order_by_vectors_is_the_one_by_hand(made: Made) -> None:
    made.indexed()
    query = np.random.default_rng(9).normal(size=(2, 16)).astype(np.float32)
    assert made.sorted(query[0]) == made.by_hand(query[0])[:10]
    assert made.sorted(query) == made.by_hand(query.mean(axis=0))[:10]


def test_a_view_is_sorted_by_a_sample_outside_of_it(made: Made) -> None:
    made.indexed()
    assert made.sorted(made.ids[7], view=made.dataset[100:180]) == made.by_hand(made.vectors[7], slice(100, 180))[:10]
    assert made.sorted(made.ids[7], 400, made.dataset[100:180]) == made.by_hand(made.vectors[7], slice(100, 180))
    assert made.sorted(made.ids[7], view=made.dataset.limit(0)) == []


def test_a_view_too_large_to_name_is_sorted_although_all_the_nearest_are_outside_of_it(
    make: Callable[..., Made],
) -> None:
    made = make(23_000, 4)
    query = np.array([1, -3, 2, -5], np.float32)
    order = made.by_hand(query)
    made.indexed(approximate_from=1_000)
    near = made.dataset.exclude(order[:2_000])
    assert made.sorted(query, 7, near) == order[2_000:2_007]
    assert made.sorted(query, 7) == order[:7]


def test_distances_are_stored_where_they_are_asked_for(made: Made) -> None:
    found = made.indexed()
    found.sort_by_similarity(made.ids[7], k=3, dist_field="far")
    one, other = (made.vectors[made.ids.index(id)] for id in made.by_hand(made.vectors[7])[:2])
    expected = 1 - float(one @ other) / float(np.linalg.norm(one) * np.linalg.norm(other))
    stored = dict(zip(*made.dataset.exists("far").values(["id", "far"]), strict=True))
    assert len(stored) == 3 and stored[made.ids[7]] == pytest.approx(0, abs=1e-6)
    assert sorted(stored.values())[1] == pytest.approx(expected, abs=1e-6)


def test_what_is_removed_is_not_found(made: Made) -> None:
    found = made.indexed()
    order = made.by_hand(made.vectors[7])
    found.remove_from_index(sample_ids=order[1:4])
    assert made.sorted(made.ids[7], 400) == [order[0], *order[4:]]
    assert found.total_index_size == 397
    with pytest.raises(ValueError, match="2 of the ids are not in the similarity index 'vss_similarity'"):
        found.remove_from_index(sample_ids=order[2:5], allow_missing=False)


def test_samples_that_are_deleted_take_no_place_among_the_found(made: Made) -> None:
    made.indexed()
    order = made.by_hand(made.vectors[7])
    made.dataset.delete_samples(order[1:3])
    assert made.sorted(made.ids[7], 400) == [order[0], *order[3:]]


def test_what_is_added_is_found_and_what_is_there_is_replaced_or_kept(made: Made) -> None:
    found = made.indexed(samples=[ObjectId(id) for id in made.ids[:300]])
    found.add_to_index(made.vectors[250:], made.ids[250:])
    assert made.sorted(made.ids[7], 400) == made.by_hand(made.vectors[7])
    found.add_to_index(-made.vectors[:2], made.ids[:2], overwrite=False)
    assert np.array_equal(found.get_embeddings(made.ids[:2])[0], made.vectors[:2])
    found.add_to_index(-made.vectors[:2], made.ids[:2])
    assert np.array_equal(found.get_embeddings(made.ids[:2])[0], -made.vectors[:2])
    assert found.total_index_size == 400
    with pytest.raises(ValueError, match="2 of the ids are already in"):
        found.add_to_index(made.vectors[:2], made.ids[:2], allow_existing=False)


def test_many_small_additions_are_joined_and_an_index_that_grew_large_looks_in_the_likely_places(made: Made) -> None:
    found = made.indexed(samples=[ObjectId(id) for id in made.ids[:200]], approximate_from=280)
    assert {each.index_type for each in found.table.list_indices()} == {"BTree"}
    for row in range(200, 310):
        found.add_to_index(made.vectors[row : row + 1], made.ids[row : row + 1])
    assert found.table.stats()["fragment_stats"]["num_fragments"] < 50
    assert {each.index_type for each in found.table.list_indices()} == {"BTree", "IvfFlat"}
    assert made.sorted(made.ids[7], 400) == made.by_hand(made.vectors[7], slice(310))


def test_vectors_come_back_in_the_order_that_is_asked_for(made: Made) -> None:
    found = made.indexed()
    wanted = [made.ids[9], made.ids[2], made.ids[399]]
    vectors, ids, labels = found.get_embeddings(wanted)
    assert list(ids) == wanted and labels is None and np.array_equal(vectors, made.vectors[[9, 2, 399]])
    every, ids, _ = found.get_embeddings()
    assert every.shape == (400, 16) and sorted(ids) == made.ids
    with pytest.raises(ValueError, match="1 of the ids are not in"):
        found.get_embeddings([made.ids[0], str(ObjectId())], allow_missing=False)


def test_a_large_index_looks_in_the_likely_places_and_finds_most_of_the_nearest(make: Callable[..., Made]) -> None:
    made = make(4_000, 8)
    found = made.indexed(approximate_from=4_000)
    assert {each.index_type for each in found.table.list_indices()} == {"BTree", "IvfFlat"}
    hits = [len({*made.sorted(made.ids[row])} & {*made.by_hand(made.vectors[row])[:10]}) for row in range(20)]
    assert sum(hits) >= 180
    added = str(ObjectId())
    found.add_to_index(made.vectors[:1], [added])
    assert {added, made.ids[0]} == {*found._kneighbors(made.vectors[0], k=2)[0]}


def test_filling_holds_a_few_blocks_at_a_time(made: Made) -> None:
    found = made.indexed()
    alive: list[weakref.ref[Any]] = []
    most = 0

    def blocks() -> Iterator[tuple[list[ObjectId], Vectors]]:
        nonlocal most
        for number in range(60):
            vectors = np.full((2_000, 64), number, np.float32)
            alive.append(weakref.ref(vectors))
            most = max(most, sum(each() is not None for each in alive))
            yield [ObjectId() for _ in range(2_000)], vectors

    assert found.fill(blocks()) == 120_000
    assert most <= 12


def test_a_filling_that_breaks_leaves_what_was_there(made: Made) -> None:
    found = made.indexed()

    def blocks() -> Iterator[tuple[list[ObjectId], Vectors]]:
        yield [ObjectId() for _ in range(10)], np.ones((10, 16), np.float32)
        raise OSError("the cable")

    with pytest.raises(Exception, match="the cable"):
        found.fill(blocks())
    assert made.sorted(made.ids[7], 400) == made.by_hand(made.vectors[7])


def test_no_more_than_the_most_neighbors_are_found(make: Callable[..., Made]) -> None:
    made = make(MOST_NEIGHBORS + 5, 4)
    found = made.indexed()
    assert found.config.max_k == len(found._kneighbors(made.ids[0])[0]) == MOST_NEIGHBORS


@pytest.mark.parametrize("before", ["", AS_A_PLUGIN])
def test_another_process_finds_the_index_also_where_only_the_plugin_is(made: Made, before: str) -> None:
    made.indexed()
    said = run(before + SORT, made.dataset.name, made.ids[7])
    assert f"FOUND {' '.join(made.by_hand(made.vectors[7])[:5])}" in said
    assert ("IMPORTABLE None" in said) == bool(before)


def test_a_process_that_has_the_old_index_in_memory_uses_the_new_one(made: Made) -> None:
    found = made.indexed()
    made.sorted(made.ids[7])
    made.vectors[1] = made.vectors[7]
    made.field.write([ObjectId(made.ids[1])], made.vectors[1:2])
    again = "from fiftyone_tator.embeddings.similarity import index; import fiftyone as fo, sys; "
    run(again + "index(fo.load_dataset(sys.argv[1]), 'vss', backend='lancedb', metric='euclidean')", made.dataset.name)
    assert made.dataset.load_brain_results(KEY) is found
    assert made.sorted(made.ids[7], 400) == made.by_hand(made.vectors[7], metric="euclidean")


def test_a_new_index_removes_the_table_of_the_old_one(made: Made) -> None:
    first = made.indexed()
    second = made.indexed()
    assert first.config.table_name not in tables(first) and second.config.table_name in tables(second)
    made.dataset.delete_brain_run(KEY)
    assert second.config.table_name not in tables(second)


def test_a_clone_reads_the_index_but_neither_writes_nor_removes_it(made: Made) -> None:
    found = made.indexed()
    clone = made.dataset.clone()
    try:
        copy = clone.load_brain_results(KEY)
        assert clone.sort_by_similarity(made.ids[7], k=1, brain_key=KEY).values("id") == made.ids[7:8]
        with pytest.raises(EmbeddingError, match="belongs to the dataset that this one was cloned from"):
            copy.remove_from_index(sample_ids=made.ids[:1])
        clone.delete_brain_run(KEY)
    finally:
        clone.delete()
    assert found.total_index_size == 400


def test_samples_without_a_vector_cannot_be_compared_with(made: Made) -> None:
    found = made.indexed(samples=[ObjectId(id) for id in made.ids[:300]])
    with pytest.raises(NoEmbeddings, match=f"1 of the samples to compare with, among them {made.ids[301]}"):
        made.sorted([made.ids[0], made.ids[301]])
    with pytest.raises(EmbeddingError, match="backend='sklearn' for more"):
        found.sort_by_similarity(made.ids[0], k=3, reverse=True)


def test_a_table_that_is_gone_is_told_with_the_way_out(made: Made) -> None:
    found = made.indexed()
    lancedb.connect(found.config.uri).drop_table(found.config.table_name)
    with pytest.raises(NoEmbeddings, match=r"'vss_similarity' is not in /.*lancedb\. Compute the similarity index aga"):
        made.sorted(made.ids[7])
    assert found.total_index_size == 0


def test_the_place_is_the_one_named_or_configured_or_among_our_files(tmp_path: Any, scratch: Any) -> None:
    configured = fob.brain_config.similarity_backends["lancedb"]
    assert LanceSimilarityConfig().uri == str(scratch / "data" / "lancedb")
    configured["uri"] = str(tmp_path)
    try:
        assert LanceSimilarityConfig().uri == str(tmp_path)
        assert LanceSimilarityConfig(uri="/named").uri == "/named"
    finally:
        del configured["uri"]
