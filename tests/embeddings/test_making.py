"""What is made of vectors right after they were computed."""

from collections.abc import Iterator

import fiftyone as fo
import numpy as np
import pytest
from bson import ObjectId

from fiftyone_tator.embeddings.embedder import Source
from fiftyone_tator.embeddings.making import make
from fiftyone_tator.embeddings.options import EmbedOptions
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
