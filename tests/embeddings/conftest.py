"""A stand-in Fast-VSS on a real socket, pictures to embed, and waiting for a condition."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import stamina

from fiftyone_tator.tests.embeddings.fastvss_model import Project
from fiftyone_tator.tests.embeddings.fastvss_server import FastVSSServer, running


@pytest.fixture
def fastvss() -> Iterator[FastVSSServer]:
    """A running service with one project, ``reef``; add to ``projects`` for more."""
    with running(Project("reef")) as server:
        yield server


@pytest.fixture
def quick_retries() -> Iterator[None]:
    """Retries without pausing."""
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Waits until something is so."""

    def wait(so: Callable[[], object]) -> None:
        end = time.monotonic() + 20
        while not so():
            assert time.monotonic() < end, "it never came to be so"
            time.sleep(0.005)

    return wait


@pytest.fixture
def crops(tmp_path: Path) -> Callable[[int], list[Path]]:
    """Makes crops, no two of which have the same colours."""

    def make(count: int) -> list[Path]:
        paths = []
        for number in range(count):
            noise = np.random.default_rng(number).integers(0, 255, (6, 8, 3), dtype=np.uint8)
            path = tmp_path / f"crop_{number:04}.jpg"
            cv2.imwrite(str(path), cv2.resize(noise, (64, 48), interpolation=cv2.INTER_LINEAR))
            paths.append(path)
        return paths

    return make


@pytest.fixture
def unused() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
