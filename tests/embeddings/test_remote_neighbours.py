"""Asking a Fast-VSS for labelled neighbours, from code that blocks, against the stand-in on a real socket."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import fiftyone as fo
import numpy as np
import pytest

from fiftyone_tator.embeddings.embedder import Picture
from fiftyone_tator.embeddings.errors import NoLabels, ServiceRefused, UnknownProject, WorkerFailed
from fiftyone_tator.embeddings.pictures import probe_jpeg
from fiftyone_tator.embeddings.remote import FastVSSEmbedder
from fiftyone_tator.embeddings.suggesting import Ask, suggest_by_service
from fiftyone_tator.tests.embeddings.fastvss_server import FastVSSServer

Crops = Callable[[int], list[Path]]
KINDS = ("crab", "eel", "kelp")

pytestmark = pytest.mark.usefixtures("quick_retries")


def coloured(path: Path, kind: int, seed: int) -> Path:
    """A picture of one of three kinds, no two of which are the same."""
    noise = np.random.default_rng(seed).integers(0, 80, (48, 48, 3), dtype=np.uint8)
    noise[..., kind] += 150
    cv2.imwrite(str(path), noise)
    return path


@pytest.fixture
def indexed(fastvss: FastVSSServer, crops: Crops) -> tuple[FastVSSServer, list[Path]]:
    """A service that knows the crops it is asked about, the n-th as ``r{n}``."""
    paths = crops(40)
    for number, path in enumerate(paths):
        fastvss.projects["reef"].know(f"r{number}", KINDS[number % 3], path.read_bytes())
    return fastvss, paths


def asked(server: FastVSSServer, paths: list[Path], **options: Any) -> dict[Any, str]:
    """The nearest one's id of each crop that was answered."""
    pictures = [Picture(number, str(path)) for number, path in enumerate(paths)]
    found = FastVSSEmbedder(server.url, "reef", **options).neighbours(pictures, top_n=3)
    merged = {key: hits for part in found for key, hits in part.items()}
    assert {len(hits) for hits in merged.values()} == {3}
    assert all(hits[0].distance <= hits[1].distance <= hits[2].distance for hits in merged.values())
    return {key: hits[0].id for key, hits in merged.items()}


def test_every_crop_comes_back_with_its_neighbours(indexed: tuple[FastVSSServer, list[Path]]) -> None:
    server, paths = indexed
    assert asked(server, paths, batch_size=8) == {number: f"r{number}" for number in range(40)}
    probe, *posts = server.posts()
    assert (probe.path, [content for _, content in probe.files]) == ("/knn/1/reef", [probe_jpeg()])
    assert {(post.path, len(post.files)) for post in posts} == {("/knn/3/reef", 8)}


def test_batches_halve_to_single_pictures_where_the_service_wants_it(indexed: tuple[FastVSSServer, list[Path]]) -> None:
    server, paths = indexed
    server.faults.limit = 1
    assert len(asked(server, paths)) == 40


def test_a_crop_at_fault_is_left_out_and_logged(
    indexed: tuple[FastVSSServer, list[Path]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server, paths = indexed
    broken = paths[5].read_bytes()
    server.faults.raises = lambda content: content == broken
    paths[7].unlink()
    assert sorted(asked(server, paths)) == [number for number in range(40) if number not in (5, 7)]
    assert "crop_0005.jpg: The service's worker failed" in caplog.text
    assert "crop_0007.jpg: the file is gone" in caplog.text


def test_a_job_that_is_gone_is_asked_for_again(indexed: tuple[FastVSSServer, list[Path]]) -> None:
    server, paths = indexed
    server.faults.forgets = 1
    assert len(asked(server, paths)) == 40


def test_a_project_without_labelled_pictures_is_told_before_a_picture_is_read(fastvss: FastVSSServer) -> None:
    pictures = iter([Picture(number, "nowhere.jpg") for number in range(9)])
    with pytest.raises(NoLabels, match=r"no labelled pictures in the project 'reef' of http.*Load labelled"):
        list(FastVSSEmbedder(fastvss.url, "reef").neighbours(pictures))
    assert len(list(pictures)) == 9


@pytest.mark.parametrize("ask", [FastVSSEmbedder.probe_neighbours, lambda it: list(it.neighbours([]))])
def test_a_project_without_an_index_is_explained(fastvss: FastVSSServer, ask: Callable[[Any], object]) -> None:
    fastvss.faults.text = "ResponseError: reef: no such index"
    with pytest.raises(WorkerFailed, match=r"from the project 'reef' of http.*no such index.*Load labelled"):
        ask(FastVSSEmbedder(fastvss.url, "reef"))
    fastvss.answer("/knn", '{"error": "Error predicting images: no vectors"}')
    with pytest.raises(ServiceRefused, match=r"from the project 'reef' of http.*no vectors.*Load labelled"):
        ask(FastVSSEmbedder(fastvss.url))
    with pytest.raises(UnknownProject, match=r"'nope'\. It has: reef\.$"):
        ask(FastVSSEmbedder(fastvss.url, "nope"))


def test_a_project_with_an_index_is_ready_for_neighbours(indexed: tuple[FastVSSServer, list[Path]]) -> None:
    server, _ = indexed
    FastVSSEmbedder(server.url).probe_neighbours()
    assert len(server.posts()) == 1


def test_a_services_neighbours_become_suggestions(database: Any, fastvss: FastVSSServer, tmp_path: Path) -> None:
    for number in range(30):
        path = coloured(tmp_path / "known.png", number % 3, number)
        fastvss.projects["reef"].know(f"r{number}", KINDS[number % 3], path.read_bytes())
    dataset = fo.Dataset()
    paths = [coloured(tmp_path / f"{number:03}.png", number % 3, 100 + number) for number in range(66)]
    truth = [KINDS[number % 3] for number in range(66)]
    dataset.add_samples(
        fo.Sample(filepath=str(path), ground_truth=fo.Classification(label=truth[number]) if number < 60 else None)
        for number, path in enumerate(paths)
    )
    paths[65].unlink()
    ask: Ask = FastVSSEmbedder(fastvss.url).neighbours
    result = suggest_by_service(dataset, ask)
    assert (result.suggested, result.calibrated_on, result.accuracy) == (5, 60, 1.0)
    assert result.left_out.as_json()[0]["reason"] == "Without an answer from the service"
    assert dataset.values("top1_prediction.label") == [None] * 60 + truth[60:65] + [None]
    assert min(dataset.values("top1_prediction.confidence")[60:65]) > 0.8
    dataset.delete()
