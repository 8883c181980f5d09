"""Crops of the demo with what a person called them, confusable labels, and how many wrong labels are found."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import fiftyone as fo
import numpy as np
from bson import ObjectId
from PIL import Image

from fiftyone_tator.embeddings.embedder import Picture, Vectors
from fiftyone_tator.embeddings.local import DescriptorEmbedder
from fiftyone_tator.sandbox.annotators import BASELINE
from fiftyone_tator.sandbox.demo import build_demo


def view(dataset: fo.Dataset, name: str) -> list[ObjectId]:
    """The samples of a saved view."""
    return [ObjectId(id) for id in dataset.load_saved_view(name).values("id")]


def precision_and_recall(found: Sequence[ObjectId], ids: Sequence[ObjectId], wrong: np.ndarray) -> tuple[float, float]:
    """How much of what was found is wrong, and how much of what is wrong was found."""
    truth = {id for id, is_wrong in zip(ids, wrong, strict=True) if is_wrong}
    hits = len(truth & set(found))
    return hits / max(1, len(found)), hits / len(truth)


def demo_crops(folder: Path) -> list[tuple[Path, str]]:
    """What a person drew boxes around in the demo's pictures, and what they called it."""
    content = build_demo()
    pictures = {picture.name: Image.open(BytesIO(picture.data)).convert("RGB") for picture in content.pictures}
    crops = []
    for number, box in enumerate(content.localizations):
        if box.dtype != "box" or box.version != BASELINE or box.media not in pictures:
            continue
        picture, place = pictures[box.media], box.geometry
        left, top = place["x"] * picture.width, place["y"] * picture.height
        edges = (left, top, left + place["width"] * picture.width, top + place["height"] * picture.height)
        path = folder / f"{number}.jpg"
        picture.crop(tuple(map(round, edges))).save(path, quality=90)
        crops.append((path, str(box.attributes["Label"])))
    return crops


def described(paths: Sequence[Path]) -> Vectors:
    """The descriptor's vectors."""
    with DescriptorEmbedder() as embedder:
        parts = list(embedder.embed(Picture(str(path), str(path)) for path in paths))
    assert not any(part.failed for part in parts)
    return np.concatenate([part.vectors for part in parts])


def confused(vectors: Vectors, labels: np.ndarray, share: float, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Some labels made that of the most similar class.

    Returns:
        the labels, and which of them are wrong
    """
    every, numbers = np.unique(labels, return_inverse=True)
    centres = np.stack([vectors[numbers == number].mean(axis=0) for number in range(len(every))])
    centres = centres - vectors.mean(axis=0)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    near = centres @ centres.T
    np.fill_diagonal(near, -np.inf)
    wrong = np.zeros(len(labels), bool)
    wrong[np.random.default_rng(seed).choice(len(labels), round(share * len(labels)), replace=False)] = True
    return np.where(wrong, every[near.argmax(axis=1)[numbers]], labels), wrong
