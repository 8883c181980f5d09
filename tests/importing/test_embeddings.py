"""Embeddings beside the import and the push: a vector is no edit, and follows its crop."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bson import ObjectId

from fiftyone_tator.embeddings.embedder import Source
from fiftyone_tator.embeddings.maps import visualize
from fiftyone_tator.embeddings.similarity import index
from fiftyone_tator.embeddings.suggesting import suggest
from fiftyone_tator.embeddings.suspicious import find
from fiftyone_tator.embeddings.vectors import Record, VectorField
from fiftyone_tator.sync.reverting import revert

Elements = Callable[[Any], list[str]]


def embed(house: Any, name: str = "fastvss") -> VectorField:
    """Gives every sample a vector."""
    dataset = house.dataset()
    field = VectorField(dataset, name)
    field.declare(Record.of(Source("fastvss", "reef", "http://localhost:8000"), np.ones(4, np.float32)))
    ids = [ObjectId(id) for id in dataset.values("id")]
    assert field.write(ids, np.random.default_rng(1).normal(size=(len(ids), 4)).astype(np.float32)) == len(ids)
    return field


def with_vector(house: Any, name: str = "fastvss") -> set[str]:
    return {each["elemental_id"] for each in house.stored() if each.get(name) is not None}


def test_writing_embeddings_is_no_edit_that_a_push_would_look_at(village: Any) -> None:
    village.run()
    embed(village)
    assert village.push().as_json()["looked_at"] == 0


def test_a_push_after_embeddings_sends_just_the_edit(village: Any, elements: Elements) -> None:
    village.run()
    embed(village)
    sample = village.sample(elements(village)[0])
    sample.ground_truth.label = "lobster"
    sample.save()
    result = village.push().as_json()
    assert (result["looked_at"], result["changed"]) == (1, 1)
    assert with_vector(village) == set(elements(village))


def test_a_crop_that_is_cut_anew_loses_the_vector_of_the_old_one_and_no_other_does(
    village: Any, elements: Elements
) -> None:
    village.run()
    embed(village)
    moved, *others = elements(village)
    village.edit(moved, geometry={"x": 0.3})
    village.run()
    assert with_vector(village) == set(others)


def test_a_new_label_in_tator_leaves_the_vector(village: Any, elements: Elements) -> None:
    village.run()
    embed(village)
    village.edit(elements(village)[0], Label="lobster")
    village.run()
    assert village.sample(elements(village)[0]).ground_truth.label == "lobster"
    assert with_vector(village) == set(elements(village))


def test_a_vector_that_comes_from_tator_stays_when_its_crop_is_cut_anew(village: Any, elements: Elements) -> None:
    village.run()
    assert with_vector(village, "embedding")
    before = with_vector(village, "embedding")
    village.edit(elements(village)[0], geometry={"x": 0.3})
    village.run()
    assert with_vector(village, "embedding") == before


@pytest.mark.parametrize("compare", ["full", "changes"])
def test_an_import_without_changes_leaves_samples_with_vectors_as_they_are(village: Any, compare: str) -> None:
    village.run()
    embed(village)
    before = village.stored()
    village.run(compare=compare)
    assert village.stored() == before


MAKE: dict[str, Callable[[Any], Any]] = {
    "a map": lambda dataset: visualize(dataset, "fastvss", method="pca"),
    "an index": lambda dataset: index(dataset, "fastvss"),
    "suggestions": lambda dataset: suggest(dataset, "fastvss", samples=[ObjectId(id) for id in dataset.values("id")]),
    "suspicions": lambda dataset: find(dataset, "fastvss"),
}


@pytest.mark.parametrize("made", MAKE)
def test_what_is_made_of_embeddings_once_or_twice_is_no_edit_that_a_push_would_look_at(village: Any, made: str) -> None:
    village.run()
    embed(village)
    for _ in range(2):
        MAKE[made](village.dataset())
        assert village.push().as_json()["looked_at"] == 0


def test_what_was_made_of_embeddings_stays_when_an_edit_is_taken_back(village: Any, elements: Elements) -> None:
    village.run()
    embed(village)
    for make in MAKE.values():
        make(village.dataset())
    first = elements(village)[0]
    before = village.sample(first).to_dict()
    sample = village.sample(first)
    sample.ground_truth.label = "lobster"
    sample.save()
    revert(village.dataset())
    after = village.sample(first).to_dict()
    assert after["ground_truth"]["label"] == before["ground_truth"]["label"]
    kept = {name for name in before if name not in ("last_modified_at", "ground_truth", "tator_modified_at")}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_a_clone_that_is_rebuilt_gets_crops_of_its_own_and_wants_vectors_of_them(
    village: Any, elements: Elements
) -> None:
    village.run()
    embed(village)
    village.dataset().clone("village-clone", persistent=True)
    village.run(dataset_name="village-clone", rebuild=True)
    field = VectorField(village.dataset("village-clone"), "fastvss")
    assert field.record is not None
    assert len(field.wanted()) == len(elements(village))
    assert with_vector(village) == set(elements(village))
