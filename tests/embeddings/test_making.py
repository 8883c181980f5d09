"""What is made of vectors right after they were computed."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import fiftyone as fo
import numpy as np
import pytest
from bson import ObjectId

from fiftyone_tator.embeddings.embedder import Source
from fiftyone_tator.embeddings.making import make, note_stale
from fiftyone_tator.embeddings.maps import visualize
from fiftyone_tator.embeddings.options import EmbedOptions
from fiftyone_tator.embeddings.similarity import index
from fiftyone_tator.embeddings.vectors import Record, VectorField


@pytest.fixture
def dataset() -> Iterator[fo.Dataset]:
    """Forty samples in two heaps, all but two with the label of their heap."""
    found = fo.Dataset()
    labels = [fo.Classification(label="crab" if number % 2 else "kelp") if number > 1 else None for number in range(40)]
    found.add_samples(
        [fo.Sample(filepath=f"/nowhere/{number}.jpg", ground_truth=label) for number, label in enumerate(labels)]
    )
    field = VectorField(found, "fastvss")
    field.declare(Record.of(Source("fastvss", "reef", "http://localhost:8000"), np.ones(8, np.float32)))
    some = np.random.default_rng(1).normal(0, 0.1, (40, 8)).astype(np.float32)
    some[::2, 0] += 3
    some[1::2, 1] += 3
    field.write([ObjectId(id) for id in found.values("id")], some)
    yield found
    found.delete()


def test_only_what_is_asked_for_is_made(dataset: fo.Dataset) -> None:
    assert make(dataset, "fastvss", EmbedOptions()) == {}
    assert dataset.list_brain_runs() == []
    assert make(dataset, "fastvss", EmbedOptions(map="pca")).keys() == {"map"}
    assert dataset.list_brain_runs() == ["fastvss_pca"]


def test_a_map_an_index_and_suggestions_are_made_under_the_brain_key(dataset: fo.Dataset) -> None:
    options = EmbedOptions(map="pca", similarity=True, suggestions=True, brain_key="reef", seed=7)
    made = make(dataset, "fastvss", options)
    assert (made["map"]["key"], made["map"]["seed"]) == ("reef_pca", 7)
    assert made["similarity"]["key"] == "reef_similarity"
    assert sorted(dataset.list_brain_runs()) == ["reef_pca", "reef_similarity"]
    dataset.reload()
    assert [sample.top1_prediction.label for sample in dataset.limit(2)] == ["kelp", "crab"]
    assert made["suggestions"]["suggested"] == 2


def test_suggestions_are_made_for_the_samples_that_are_meant(dataset: fo.Dataset) -> None:
    ids = [ObjectId(id) for id in dataset.values("id")[5:8]]
    assert make(dataset, "fastvss", EmbedOptions(suggestions=True), samples=ids)["suggestions"]["suggested"] == 3


@pytest.mark.parametrize("key", ["not a key", None])
def test_what_cannot_be_made_is_told_and_keeps_nothing_else_from_it(dataset: fo.Dataset, key: str | None) -> None:
    if key is None:
        dataset.set_field("ground_truth", None).save()
    options = EmbedOptions(map="pca", similarity=True, suggestions=True, brain_key=key)
    made = make(dataset, "fastvss", options)
    problems = {name for name, result in made.items() if "problem" in result}
    assert problems == ({"suggestions"} if key is None else {"map", "similarity"})
    assert made.keys() == {"map", "similarity", "suggestions"}


def test_what_was_made_before_the_vectors_came_is_named_with_what_to_do(dataset: fo.Dataset) -> None:
    visualize(dataset, "fastvss", method="pca")
    index(dataset, "fastvss", backend="lancedb")
    since = datetime.now(timezone.utc)
    assert note_stale(dataset, "fastvss", since=since) == [
        "The map fastvss_pca was made before these vectors came; make it again (visualize_embeddings).",
        "The similarity index fastvss_similarity was made before these vectors came; make it again "
        "(compute_similarity).",
    ]
    visualize(dataset, "fastvss", method="pca")
    assert ["similarity" in note for note in note_stale(dataset, "fastvss", since=since)] == [True]


def test_what_is_of_other_vectors_is_not_named(dataset: fo.Dataset) -> None:
    visualize(dataset, "fastvss", method="pca")
    assert note_stale(dataset, "other", since=datetime.now(timezone.utc)) == []
    assert note_stale(dataset, "fastvss", since=datetime.now(timezone.utc) - timedelta(hours=1)) == []


def test_an_index_in_memory_that_was_used_sorts_by_samples_that_got_their_vector_later(dataset: fo.Dataset) -> None:
    late = dataset.add_sample(fo.Sample(filepath="/nowhere/late.jpg"))
    index(dataset, "fastvss", backend="sklearn")
    dataset.sort_by_similarity(dataset.first().id, k=3, brain_key="fastvss_similarity")
    since = datetime.now(timezone.utc)
    VectorField(dataset, "fastvss").write([ObjectId(late)], np.ones((1, 8), np.float32))
    with pytest.raises(ValueError, match="do not exist in this index"):
        dataset.sort_by_similarity(late, k=3, brain_key="fastvss_similarity")
    assert note_stale(dataset, "fastvss", since=since, in_app=True) == []
    assert dataset.sort_by_similarity(late, k=3, brain_key="fastvss_similarity").first().id == late
    (note,) = note_stale(dataset, "fastvss", since=since)
    assert "An App that is open may hold the similarity index fastvss_similarity as it was" in note
