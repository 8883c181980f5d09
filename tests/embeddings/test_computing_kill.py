"""Embedding that is killed, or whose service dies, goes on where it was."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import fiftyone as fo
import numpy as np
import pytest

from fiftyone_tator.embeddings.computing import compute
from fiftyone_tator.embeddings.errors import ServiceAway, WorkerDead
from fiftyone_tator.embeddings.options import EmbedOptions
from fiftyone_tator.embeddings.remote import FastVSSEmbedder
from fiftyone_tator.embeddings.vectors import VectorField

CROPS = 4_000
COMPUTE = """
import sys
import fiftyone as fo
from fiftyone_tator.embeddings.computing import compute
from fiftyone_tator.embeddings.options import EmbedOptions
from fiftyone_tator.embeddings.remote import FastVSSEmbedder

print(compute(FastVSSEmbedder(sys.argv[2], "reef"), fo.load_dataset(sys.argv[1]), EmbedOptions()))
"""


def until(condition: Callable[[], Any], what: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)


@pytest.fixture
def dataset(tmp_path: Path) -> Iterator[fo.Dataset]:
    path = str(tmp_path / "crop.jpg")
    cv2.imwrite(path, np.random.default_rng(1).integers(0, 255, (48, 48, 3), dtype=np.uint8))
    found = fo.Dataset(persistent=True)
    found.add_samples([fo.Sample(filepath=path) for _ in range(CROPS)])
    yield found
    found.delete()


def pictures(fastvss: Any) -> int:
    """Pictures that the service was sent, without the probes."""
    return sum(len(post.files) - 1 for post in fastvss.posts())


def test_a_run_that_is_killed_loses_at_most_what_was_under_way(dataset: fo.Dataset, fastvss: Any) -> None:
    field = VectorField(dataset, "fastvss")
    process = subprocess.Popen(
        [sys.executable, "-c", COMPUTE, dataset.name, fastvss.url], stdout=subprocess.DEVNULL, env=dict(os.environ)
    )
    until(lambda: field.count() >= 1_000 or process.poll() is not None, "the first vectors")
    process.kill()
    process.wait()
    kept, sent = field.count(), pictures(fastvss)
    assert 1_000 <= kept < CROPS
    result = compute(FastVSSEmbedder(fastvss.url, "reef"), dataset, EmbedOptions())
    assert (result.embedded, result.already) == (CROPS - kept, kept)
    assert pictures(fastvss) - sent == CROPS - kept
    assert field.count() == CROPS


def test_a_service_that_dies_leaves_what_came_and_says_how_many(dataset: fo.Dataset, fastvss: Any) -> None:
    fastvss.faults.dies_after = 40
    with pytest.raises(WorkerDead, match=r"[\d,]+ of 4,000 were embedded and are kept; do the same again"):
        compute(FastVSSEmbedder(fastvss.url, "reef", patience=1), dataset, EmbedOptions())
    kept = VectorField(dataset, "fastvss").count()
    assert 0 < kept < CROPS


def test_a_service_that_is_away_from_the_start_leaves_the_dataset_as_it_was(dataset: fo.Dataset) -> None:
    with pytest.raises(ServiceAway):
        compute(FastVSSEmbedder("http://127.0.0.1:9", "reef"), dataset, EmbedOptions())
    dataset.reload()
    assert dataset.get_field("fastvss") is None
