"""Datasets of labelled vectors, and labels that are wrong on purpose."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId

from fiftyone_tator.embeddings.embedder import Source, Vectors
from fiftyone_tator.embeddings.vectors import Record, VectorField

FIELD = "fastvss"


@contextmanager
def labelled(vectors: Vectors, labels: Sequence[str | None]) -> Iterator[tuple[fo.Dataset, list[ObjectId]]]:
    """A dataset, and the ids of its samples in the order of the vectors."""
    dataset = fo.Dataset(persistent=False)
    dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    found = dataset.add_samples(
        [
            fo.Sample(
                filepath=f"/nowhere/{number}.jpg",
                ground_truth=None if label is None else fo.Classification(label=label),
            )
            for number, label in enumerate(labels)
        ]
    )
    ids = [ObjectId(id) for id in found]
    field = VectorField(dataset, FIELD)
    field.declare(Record.of(Source("fastvss", "reef", "http://localhost:8000"), np.ones(vectors.shape[1], np.float32)))
    field.write(ids, vectors)
    yield dataset, ids
    dataset.delete()


def blobs(many: int, *, seed: int = 0, spread: float = 1.0, dimensions: int = 32) -> tuple[Vectors, np.ndarray]:
    """Vectors around the centres of six classes that overlap; the first class is ten times as frequent as the last."""
    chance = np.random.default_rng(seed)
    shares = np.geomspace(10, 1, 6)
    labels = chance.choice(6, many, p=shares / shares.sum())
    centres = chance.normal(3, 0.75, (6, dimensions))
    return (centres[labels] + chance.normal(0, spread, (many, dimensions))).astype(np.float32), labels


def names(labels: Any) -> list[str]:
    """Labels as text."""
    return [f"class {label}" for label in labels]


def flipped(labels: np.ndarray, share: float = 0.05, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Some labels made another one.

    Returns:
        the labels, and which of them are wrong
    """
    chance = np.random.default_rng(seed)
    wrong = np.zeros(len(labels), bool)
    wrong[chance.choice(len(labels), round(share * len(labels)), replace=False)] = True
    every = np.unique(labels)
    other = [chance.choice(every[every != label]) for label in labels]
    return np.where(wrong, other, labels), wrong
