"""The stand-in speaks as Fast-VSS does."""

import json
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from starlette.testclient import TestClient

from fiftyone_tator.tests.embeddings.fastvss_model import Project, vector_of
from fiftyone_tator.tests.embeddings.fastvss_server import FastVSSServer


def picture(*colour: int) -> bytes:
    return cv2.imencode(".png", np.full((20, 20, 3), colour, np.uint8))[1].tobytes()


def parts(*contents: bytes) -> list[Any]:
    return [("files", (f"{number}.jpg", content)) for number, content in enumerate(contents)]


@pytest.fixture
def client() -> TestClient:
    return TestClient(FastVSSServer([Project("reef", 4)], instant=True).app, follow_redirects=False)


def test_all_files_come_back_in_the_order_in_which_they_were_sent(client: TestClient) -> None:
    answer = client.post("/embed/reef", files=parts(b"b", b"a", b"b")).json()
    assert set(answer) == {"job_id", "Comment"}
    job = client.get(f"/predict/job/{answer['job_id']}/reef").json()
    assert job["status"] == "done"
    assert job["result"]["filenames"] == ["0.jpg", "1.jpg", "2.jpg"]
    first, second, third = job["result"]["embeddings"]
    assert first == third != second
    assert len(first) == 4


def test_the_socket_tells_how_the_job_is_and_closes(client: TestClient) -> None:
    job_id = client.post("/embed/reef", files=parts(b"a")).json()["job_id"]
    with client.websocket_connect(f"/ws/predict/job/{job_id}/reef") as socket:
        frame = json.loads(socket.receive_text())
        assert (frame["status"], len(frame["result"]["embeddings"])) == ("done", 1)
        assert socket.receive()["type"] == "websocket.close"
    with client.websocket_connect("/ws/predict/job/none/reef") as socket:
        assert json.loads(socket.receive_text()) == {
            "status": "error",
            "message": "Job ID none does not exist or has expired",
        }


def test_domain_errors_have_status_200_and_a_slash_is_redirected(client: TestClient) -> None:
    unknown = client.post("/embed/nope", files=parts(b"a"))
    assert (unknown.status_code, unknown.json()) == (200, {"error": "Invalid project name nope"})
    many = client.post("/embed/reef", files=parts(*[b"a"] * 33))
    assert (many.status_code, many.json()) == (200, {"error": "Images should be less than batch size 32"})
    assert client.post("/embed/reef/", files=parts(b"a")).status_code == 307
    assert client.post("/embed/reef", data={"files": "text"}).status_code == 422
    assert client.post("/knn/many/reef", files=parts(b"a")).status_code == 422


def test_metrics_are_prometheus_text(client: TestClient) -> None:
    assert "# TYPE" in client.get("/metrics").text


def test_at_most_100_ids_are_listed(fastvss: FastVSSServer) -> None:
    for number in range(120):
        fastvss.projects["reef"].know(f"r{number}", "crab" if number % 2 else "eel", picture(number, 0, 0))
    answer = httpx.get(f"{fastvss.url}/ids/reef").json()
    assert (len(answer["ids"]), answer["classes"]) == (100, ["crab", "eel"])


def test_pictures_that_look_alike_have_vectors_that_are_alike_to_each_model_in_its_way() -> None:
    red, reddish, blue = (vector_of(picture(*colour), "reef", 64) for colour in ((0, 0, 250), (9, 9, 240), (250, 0, 0)))

    def likeness(one: np.ndarray, other: np.ndarray) -> float:
        return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))

    assert likeness(red, reddish) > 0.98 > 0.5 > likeness(red, blue)
    assert abs(likeness(red, vector_of(picture(0, 0, 250), "kelp", 64))) < 0.5
