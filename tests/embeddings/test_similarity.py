"""The similarity index of a field: in memory, in a database, and what stands in its way."""

from collections.abc import Iterator
from typing import Any

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest
from bson import ObjectId
from fiftyone.brain.internal.core.lancedb import LanceDBSimilarityConfig
from fiftyone.brain.similarity import SimilarityConfig

from fiftyone_tator.embeddings import similarity
from fiftyone_tator.embeddings.embedder import Source, Vectors
from fiftyone_tator.embeddings.errors import BadVectors, EmbeddingError, NoEmbeddings, NotInstalled, OtherModel
from fiftyone_tator.embeddings.similarity import index, similar_to
from fiftyone_tator.embeddings.vectors import BLOCK, Record, VectorField
from fiftyone_tator.sync.errors import InvalidOption

KEY = "vss_similarity"
RANDOM = np.random.default_rng(3)
VECTORS = RANDOM.normal(2, 1, (60, 12)).astype(np.float32)
LEFT_OUT = 10


@pytest.fixture
def dataset(database: Any) -> Iterator[fo.Dataset]:
    """Sixty samples, the last ten of which have no vector."""
    found = fo.Dataset(persistent=True)
    found.add_samples([fo.Sample(filepath=f"/nowhere/{number}.jpg") for number in range(len(VECTORS))])
    field = VectorField(found, "vss")
    field.declare(Record.of(Source("descriptor", "test"), VECTORS[0]))
    field.write([ObjectId(id) for id in found.values("id")[:-LEFT_OUT]], VECTORS[:-LEFT_OUT])
    yield found
    for key in found.list_brain_runs():
        found.delete_brain_run(key)
    found.delete()


@pytest.fixture
def theirs(tmp_path: Any) -> Iterator[str]:
    """A backend that is not ours, added as FiftyOne's brain config adds any: its own LanceDB."""
    fob.brain_config.similarity_backends["other"] = {
        "config_cls": LanceDBSimilarityConfig,
        "uri": str(tmp_path / "other"),
    }
    yield "other"
    del fob.brain_config.similarity_backends["other"]


class Talkative(SimilarityConfig):
    """A backend that cannot be reached and says too much."""

    def __init__(
        self, url: str | None = None, api_key: str | None = None, metric: str = "cosine", **kwargs: Any
    ) -> None:
        raise ValueError(f"cannot reach {url}\n with {api_key}")


def by_hand(dataset: fo.Dataset, query: Vectors, rows: Vectors = VECTORS[:-LEFT_OUT]) -> list[str]:
    order = np.argsort(-(rows @ query) / np.linalg.norm(rows, axis=1), kind="stable")
    return [dataset.values("id")[row] for row in order]


@pytest.mark.parametrize("backend", ["sklearn", "lancedb"])
def test_the_result_tells_what_is_in_the_index_and_what_is_not(dataset: fo.Dataset, backend: str) -> None:
    result = index(dataset, "vss", backend=backend).as_json()
    assert result.pop("seconds") >= 0
    assert result == {"key": KEY, "backend": backend, "samples": 50, "left_out": LEFT_OUT}
    assert dataset.list_brain_runs() == [KEY]
    assert dataset.load_brain_results(KEY).total_index_size == 50


@pytest.mark.parametrize("backend", ["sklearn", "lancedb"])
def test_a_picture_that_is_not_in_the_dataset_finds_its_like(dataset: fo.Dataset, backend: str) -> None:
    index(dataset, "vss", backend=backend)
    # FiftyOne's index in memory shifts its vectors when it is asked by a sample.
    dataset.sort_by_similarity(dataset.first().id, k=3, brain_key=KEY)
    query = RANDOM.normal(1, 1, 12).astype(np.float32)
    assert similar_to(dataset, KEY, query, k=50).values("id") == by_hand(dataset, query)
    part = similar_to(dataset[:20], KEY, query, k=5).values("id")
    assert part == by_hand(dataset, query, VECTORS[:20])[:5]


def test_vectors_that_come_later_are_found_by_a_picture(dataset: fo.Dataset) -> None:
    index(dataset, "vss")
    similar_to(dataset, KEY, VECTORS[55], k=1)
    late = dataset.skip(55).first().id
    VectorField(dataset, "vss").write([ObjectId(late)], VECTORS[55:56])
    assert similar_to(dataset, KEY, VECTORS[55], k=1).values("id") == [late]


def test_the_index_in_memory_keeps_no_vectors_of_its_own(dataset: fo.Dataset) -> None:
    index(dataset, "vss")
    found = dataset.load_brain_results(KEY)
    assert set(found.serialize()) == {"cls"} and found.config.embeddings_field == "vss"
    centered = VECTORS[:-LEFT_OUT] - VECTORS[:-LEFT_OUT].mean(axis=0)
    others = dataset.sort_by_similarity(dataset.first().id, k=50, brain_key=KEY).values("id")
    assert set(others) == set(dataset.values("id")[:-LEFT_OUT])
    assert others[1:] == by_hand(dataset, centered[0], centered)[1:]


def test_a_part_of_the_samples_can_be_indexed(dataset: fo.Dataset) -> None:
    chosen = [ObjectId(id) for id in dataset.values("id")[45:55]]
    result = index(dataset, "vss", backend="lancedb", samples=[*chosen, *chosen])
    assert (result.samples, result.left_out) == (5, 5)
    with pytest.raises(NoEmbeddings):
        index(dataset, "vss", backend="lancedb", samples=chosen[5:])
    assert similar_to(dataset, KEY, VECTORS[46], k=60).count() == 5


def test_a_new_index_replaces_one_of_another_kind(dataset: fo.Dataset) -> None:
    for backend in ("lancedb", "sklearn", "lancedb"):
        index(dataset, "vss", backend=backend)
        assert dataset.list_brain_runs() == [KEY]
        assert dataset.get_brain_info(KEY).config.method == backend


def test_the_old_index_stays_when_the_new_one_cannot_be_made(dataset: fo.Dataset) -> None:
    index(dataset, "vss", backend="lancedb")
    old = dataset.load_brain_results(KEY)
    with pytest.raises(EmbeddingError, match=r"backend mongodb cannot be used: You must be running MongoDB Atlas"):
        index(dataset, "vss", backend="mongodb")
    assert dataset.list_brain_runs() == [KEY] and dataset.load_brain_results(KEY) is old
    assert similar_to(dataset, KEY, VECTORS[4], k=1).values("id") == [dataset.values("id")[4]]


def test_what_a_dead_process_left_unfinished_is_removed(dataset: fo.Dataset) -> None:
    index(dataset, "vss", backend="lancedb")
    dataset.rename_brain_run(KEY, KEY + "_unfinished")
    left = dataset.load_brain_results(KEY + "_unfinished")
    index(dataset, "vss")
    assert dataset.list_brain_runs() == [KEY] and left.table is None


@pytest.fixture
def large(dataset: fo.Dataset) -> fo.Dataset:
    """As many samples more as make two blocks."""
    dataset.add_samples([fo.Sample(filepath=f"/nowhere/more{number}.jpg") for number in range(BLOCK)])
    vectors = RANDOM.normal(2, 1, (BLOCK, 12)).astype(np.float32)
    VectorField(dataset, "vss").write([ObjectId(id) for id in dataset.values("id")[len(VECTORS) :]], vectors)
    return dataset


@pytest.mark.parametrize("backend", ["sklearn", "lancedb", "other"])
def test_vectors_of_several_lengths_stop_it_and_leave_nothing_behind(
    large: fo.Dataset, theirs: str, backend: str
) -> None:
    VectorField(large, "vss").write([ObjectId(large.last().id)], VECTORS[:1, :5])
    with pytest.raises(BadVectors, match=r"several lengths are in the field 'vss'"):
        index(large, "vss", backend=backend)
    assert large.list_brain_runs() == []


@pytest.fixture
def broken(dataset: fo.Dataset) -> fo.Dataset:
    """Vectors of somebody else's, some of which hold what is no number."""
    rows = VECTORS[:3].copy()
    rows[0, 3], rows[1, 0], rows[2, 5] = np.nan, np.inf, 1e30
    VectorField(dataset, "vss").write([ObjectId(id) for id in dataset.values("id")[:3]], rows)
    return dataset


@pytest.mark.parametrize("backend", ["lancedb", "other"])
def test_vectors_that_cannot_be_compared_are_left_out(broken: fo.Dataset, theirs: str, backend: str) -> None:
    result = index(broken, "vss", backend=backend)
    assert (result.samples, result.left_out) == (47, LEFT_OUT + 3)
    found = broken.sort_by_similarity(broken.values("id")[7], k=60, brain_key=KEY).values("id")
    assert set(found) == set(broken.values("id")[3:-LEFT_OUT])


@pytest.mark.parametrize("backend", ["lancedb", "other"])
def test_vectors_none_of_which_can_be_compared_make_no_index(dataset: fo.Dataset, theirs: str, backend: str) -> None:
    ids = [ObjectId(id) for id in dataset.values("id")]
    VectorField(dataset, "vss").write(ids, np.full_like(VECTORS, np.nan))
    with pytest.raises(NoEmbeddings, match=r"can be compared\. Compute the embeddings"):
        index(dataset, "vss", backend=backend)
    assert dataset.list_brain_runs() == []


def test_the_index_in_memory_refuses_vectors_on_which_sorting_fails(broken: fo.Dataset) -> None:
    with pytest.raises(BadVectors, match=r"3 of the vectors in 'vss' hold .*Choose backend='lancedb', which leaves"):
        index(broken, "vss", backend="sklearn")
    assert broken.list_brain_runs() == []


def test_a_picture_finds_its_like_although_vectors_came_later_that_cannot_be_compared(dataset: fo.Dataset) -> None:
    index(dataset, "vss")
    late = [ObjectId(id) for id in dataset.values("id")[-2:]]
    VectorField(dataset, "vss").write(late, np.full_like(VECTORS[:2], np.nan))
    assert similar_to(dataset, KEY, VECTORS[4], k=60).values("id") == by_hand(dataset, VECTORS[4])


def test_another_backend_gets_the_vectors_in_blocks(large: fo.Dataset, theirs: str) -> None:
    result = index(large, "vss", backend=theirs)
    assert (result.backend, result.samples, result.left_out) == ("other", BLOCK + 50, LEFT_OUT)
    found = large.load_brain_results(KEY)
    assert len(found.table) == BLOCK + 50 and len(found.table.list_versions()) == 2
    assert similar_to(large, KEY, VECTORS[7], k=1).values("id") == [large.values("id")[7]]


def test_a_place_that_a_person_named_is_neither_shared_with_the_old_index_nor_removed_with_it(
    dataset: fo.Dataset, theirs: str
) -> None:
    index(dataset, "vss", backend=theirs, table_name="reef")
    with pytest.raises(InvalidOption, match=r"'vss_similarity' is in the table_name 'reef'. Name another one, or le"):
        index(dataset, "vss", backend=theirs, table_name="reef")
    named = dataset.load_brain_results(KEY)
    index(dataset, "vss", backend=theirs)
    unnamed = dataset.load_brain_results(KEY)
    index(dataset, "vss")
    assert named._db.list_tables().tables == ["reef"] and unnamed.config.table_name.startswith("fiftyone-")


def test_no_secret_is_in_what_a_backend_says() -> None:
    fob.brain_config.similarity_backends["talkative"] = {"config_cls": Talkative, "url": "db://me:hunter2@host:1/x"}
    found = fo.Dataset(persistent=False)
    try:
        found.add_sample(fo.Sample(filepath="/nowhere/1.jpg"))
        VectorField(found, "vss").declare(Record.of(Source("descriptor", "test"), VECTORS[0]))
        VectorField(found, "vss").write([ObjectId(found.first().id)], VECTORS[:1])
        with pytest.raises(EmbeddingError) as caught:
            index(found, "vss", backend="talkative", api_key="s3cr3t")
    finally:
        found.delete()
        del fob.brain_config.similarity_backends["talkative"]
    assert "cannot reach db://***@host:1/x with ***." in str(caught.value)
    assert "FIFTYONE_BRAIN_SIMILARITY_TALKATIVE_..." in str(caught.value)


def test_what_cannot_be_is_told_with_the_way_out(dataset: fo.Dataset) -> None:
    with pytest.raises(
        NotInstalled, match=r"backend qdrant needs a package that is not installed .*Install it with pip"
    ):
        index(dataset, "vss", backend="qdrant")
    with pytest.raises(InvalidOption, match=r"no similarity backend 'faiss'. There are .*lancedb, .*sklearn"):
        index(dataset, "vss", backend="faiss")
    with pytest.raises(InvalidOption, match=r"lancedb has no setting 'urj'. The settings are: uri, approximate_from"):
        index(dataset, "vss", backend="lancedb", urj="/tmp")
    with pytest.raises(InvalidOption, match=r"'a b_similarity' cannot be a brain key"):
        index(dataset, "vss", brain_key="a b")
    with pytest.raises(NoEmbeddings, match=r"No sample has a vector in 'nothing'. Compute the embeddings first"):
        index(dataset, "nothing")
    with pytest.raises(EmbeddingError, match=r"lancedb cannot be used: Unsupported metric 'taxi'"):
        index(dataset, "vss", backend="lancedb", metric="taxi")
    assert dataset.list_brain_runs() == []


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("foo", r"metric 'foo' cannot be used .*Choose cosine, euclidean, manhattan"),
        ("cosin", r"metric 'cosin' cannot be used .*Did you mean cosine"),
        ("precomputed", r"metric 'precomputed' cannot be used"),
        (["cosine"], r"Similarity index: the option metric cannot be \['cosine'\].* should be a text"),
    ],
)
def test_a_metric_on_which_sorting_would_fail_makes_no_index(dataset: fo.Dataset, metric: Any, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        index(dataset, "vss", metric=metric)
    assert dataset.list_brain_runs() == []


@pytest.mark.parametrize("metric", [*similarity._METRICS, "canberra"])
def test_a_metric_that_is_taken_sorts(dataset: fo.Dataset, metric: str) -> None:
    index(dataset, "vss", metric=metric)
    assert len(dataset.sort_by_similarity(dataset.first().id, k=3, brain_key=KEY)) == 3


def test_a_view_handed_in_for_a_dataset_gets_no_index(dataset: fo.Dataset) -> None:
    view: Any = dataset.limit(3)
    with pytest.raises(InvalidOption, match="is a DatasetView, and should be a dataset"):
        index(view, "vss")


def test_a_picture_cannot_be_compared_without_an_index_or_by_another_model(dataset: fo.Dataset) -> None:
    with pytest.raises(NoEmbeddings, match=r"There is no similarity index 'vss_similarity'"):
        similar_to(dataset, KEY, VECTORS[0], k=1)
    index(dataset, "vss")
    with pytest.raises(
        OtherModel, match=r"vector has 5 numbers, and those in 'vss' have 12. Embed the picture with the"
    ):
        similar_to(dataset, KEY, VECTORS[0, :5], k=1)


def test_the_backend_is_chosen_by_what_fits_into_memory() -> None:
    assert similarity._choose(similarity.MOST_BYTES_AT_HOME) == "sklearn"
    assert similarity._choose(similarity.MOST_BYTES_AT_HOME + 1) == "lancedb"
