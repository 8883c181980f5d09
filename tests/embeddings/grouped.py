"""Datasets whose vectors form two groups."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args

import fiftyone as fo
import numpy as np
from bson import ObjectId

from fiftyone_tator.embeddings.embedder import Source
from fiftyone_tator.embeddings.options import Method
from fiftyone_tator.embeddings.vectors import Record, VectorField

FIELD = "fastvss"
METHODS: tuple[Method, ...] = get_args(Method)

Make = Callable[..., fo.Dataset]


def two_groups(count: int, dimensions: int = 8, seed: int = 0) -> Any:
    """Vectors of two groups, far from each other, in turn."""
    vectors = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    vectors[::2, 0] += 20
    vectors[1::2, 1] += 20
    return vectors


@contextmanager
def datasets() -> Iterator[Make]:
    """Makes datasets of samples, the first of which have the vectors, and deletes them in the end."""
    made = []

    def dataset(vectors: Any, *, without: int = 0) -> fo.Dataset:
        found = fo.Dataset(persistent=False)
        made.append(found)
        add(found, vectors)
        found.add_samples([fo.Sample(filepath=f"/nowhere/none {number}.jpg") for number in range(without)])
        return found

    yield dataset
    for each in made:
        each.delete()


def add(dataset: fo.Dataset, vectors: Any) -> list[ObjectId]:
    """Adds samples that have vectors."""
    ids = dataset.add_samples([fo.Sample(filepath=f"/nowhere/{ObjectId()}.jpg") for _ in vectors])
    field = VectorField(dataset, FIELD)
    if not field.exists:
        field.declare(Record.of(Source("fastvss", "reef"), vectors[0]))
    field.write([ObjectId(id) for id in ids], vectors)
    return [ObjectId(id) for id in ids]
