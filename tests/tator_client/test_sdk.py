from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fiftyone_tator.sandbox.testing import Running, running
from fiftyone_tator.tator_client import (
    AuthenticationFailed,
    ConnectionFailed,
    IncompleteAnswer,
    InvalidRequest,
    NotFound,
    Sdk,
    Tator,
    TatorError,
)
from fiftyone_tator.tator_client.sdk import _quiet


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def tator(sandbox: Running) -> Iterator[Tator]:
    with Tator(sandbox.url, sandbox.tokens["admin"]) as session:
        yield session


def test_tator_py_is_connected_once(tator: Tator) -> None:
    """tator-py reads the server's whole description, so it is made once and kept."""
    assert tator.sdk() is tator.sdk()
    assert tator.sdk().api is tator.sdk().api


VIDEO = bytes(range(256)) * 40
SIGNED = "X-Amz-Signature=5ec7e7"


def operation(name: str, *, query: tuple[str, ...] = (), body: str = "") -> dict[str, Any]:
    """One entry of an OpenAPI document, as tator-py reads it."""
    schema = {"$ref": f"#/components/schemas/{body}"} if body[:1].isupper() else {"type": "array"}
    made: dict[str, Any] = {"operationId": name, "responses": {"200": {}, "201": {}}}
    made["parameters"] = [{"name": each, "in": "query", "schema": {"type": "integer"}} for each in query]
    return {**made, "requestBody": {"content": {"application/json": {"schema": schema}}}} if body else made


def file_of(server: Any, name: str, size: int) -> dict[str, Any]:
    return {"path": f"{server.url}/objects/{name}?{SIGNED}", "size": size, "resolution": [360, 640], "codec": "h264"}


class Uploads:
    """The part of a Tator that uploads and videos need, which the sandbox does not have."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.objects: dict[str, bytes] = {"/objects/video.mp4": VIDEO}
        self.files = {"archival": [], "streaming": [file_of(server, "video.mp4", len(VIDEO))]}
        server.will(self)

    def schema(self) -> dict[str, Any]:
        paths = {
            "/rest/Media/{id}": {"get": operation("GetMedia", query=("presigned",))},
            "/rest/MediaType/{id}": {"get": operation("GetMediaType")},
            "/rest/UploadInfo/{project}": {"get": operation("GetUploadInfo", query=("num_parts", "bucket_id"))},
            "/rest/DownloadInfo/{project}": {
                "post": operation("GetDownloadInfo", query=("expiration",), body="DownloadInfoSpec")
            },
            "/rest/Medias/{project}": {"post": operation("CreateMediaList", body="list")},
        }
        return {"openapi": "3.0.0", "paths": paths, "components": {"schemas": {"DownloadInfoSpec": {}}}}

    def __call__(self, handler: Any) -> None:
        seen, server = self.server.seen[-1], self.server
        answers: dict[str, Any] = {
            "/schema": self.schema(),
            "/rest/Media/3": {"id": 3, "project": 1, "media_files": self.files},
            "/rest/MediaType/2": {"id": 2, "project": 1},
            "/rest/UploadInfo/1": {"urls": [f"{server.url}/objects/new?{SIGNED}"], "key": "new", "upload_id": ""},
            "/rest/DownloadInfo/1": [{"url": f"{server.url}/objects/new?{SIGNED}"}],
            "/rest/Medias/1": {"message": "", "id": [77]},
        }
        if seen.path in answers:
            server.json(answers[seen.path], 201 if seen.path == "/rest/Medias/1" else 200)(handler)
        elif seen.method == "PUT":
            self.objects[seen.path] = seen.body
            server.raw(b"", ETag="etag")(handler)
        elif seen.path in self.objects:
            server.raw(self.objects[seen.path])(handler)
        else:
            server.raw(b"", status=403)(handler)


def test_an_image_is_uploaded(server: Any, token: str, tmp_path: Path) -> None:
    """An upload sends the bytes to the object store without the token, and then makes the media."""
    uploads = Uploads(server)
    path = tmp_path / "reef.jpg"
    path.write_bytes(b"picture")
    steps: list[float] = []
    made = Sdk(server.url, token).upload_media(2, path, attributes={"Station": "S9"}, on_progress=steps.append)
    assert made == 77 and steps[-1] == 100 and uploads.objects["/objects/new"] == b"picture"
    spec = server.seen[-1].body
    assert (spec["name"], spec["type"], spec["attributes"]) == ("reef.jpg", 2, {"Station": "S9"})
    stores = [seen for seen in server.seen if seen.path.startswith("/objects")]
    assert stores and all("Authorization" not in seen.headers for seen in stores)


def test_a_video_is_downloaded(server: Any, token: str, tmp_path: Path) -> None:
    """A video arrives whole, replaces what was there, and leaves no other file."""
    Uploads(server)
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")
    steps: list[float] = []
    assert Sdk(server.url, token).download_video(3, path, on_progress=steps.append) == len(VIDEO)
    assert path.read_bytes() == VIDEO and steps[-1] == 100 and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("fault", ["refused", "short", "disk"])
def test_a_video_that_does_not_arrive_is_told(
    server: Any, token: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """tator-py ends in silence when a download fails; here that is an exception, and no signature is logged."""
    caplog.set_level(logging.DEBUG)
    uploads = Uploads(server)
    path = tmp_path / "clip.mp4"
    if fault == "refused":
        uploads.objects.clear()
    elif fault == "short":
        uploads.objects["/objects/video.mp4"] = VIDEO[:100]
    else:
        path = tmp_path / "missing" / "clip.mp4"
    with pytest.raises(IncompleteAnswer, match="media 3"):
        Sdk(server.url, token).download_video(3, path)
    assert list(tmp_path.iterdir()) == [] and "5ec7e7" not in caplog.text and token not in caplog.text


def test_a_media_without_a_video_is_told(tator: Tator, sandbox: Running, tmp_path: Path) -> None:
    """Asking for the video of an image, or of nothing, is not found, and leaves no file."""
    for media in (sandbox.seeded.media, 999_999):
        with pytest.raises(NotFound):
            tator.sdk().download_video(media, tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_unknown_kind_is_not_uploaded(tator: Tator, tmp_path: Path) -> None:
    """A name without a telling extension is refused before anything is sent."""
    with pytest.raises(InvalidRequest, match="extension"):
        tator.sdk().upload_media(1, tmp_path / "mystery")


def test_a_wrong_token_is_told(sandbox: Running) -> None:
    """What tator-py raises becomes our exceptions."""
    with pytest.raises(AuthenticationFailed):
        Sdk(sandbox.url, "0" * 40).download_video(1, "nowhere.mp4")


@pytest.mark.parametrize("answer", ["html", "nothing", "silence"])
def test_something_else_at_the_address(server: Any, token: str, answer: str) -> None:
    """A server that is no Tator, or keeps silent, is told without waiting for ever."""
    page = server.raw(b"<html>hello</html>", content_type="text/html")
    server.will({"html": page, "nothing": server.drop(), "silence": server.hang()}[answer])
    with pytest.raises(TatorError) as caught:
        _ = Sdk(server.url, token, patience=1.0).api
    assert (token not in str(caught.value) and server.url.split("//")[1] in caught.value.message) or answer == "silence"


def test_a_step_that_hangs_is_given_up(token: str) -> None:
    """tator-py has no timeouts: a call without progress ends by ours."""
    over = threading.Event()

    def work() -> Iterator[int]:
        yield 1
        over.wait(20)

    steps = Sdk("http://tator.test", token, patience=0.1)._steps(work, "test")
    assert next(steps) == 1
    with pytest.raises(ConnectionFailed, match="no progress"):
        next(steps)
    over.set()


def test_signed_urls_in_the_logs_of_others_lose_their_signatures(caplog: pytest.LogCaptureFixture) -> None:
    """What tator-py and its libraries log while they work for us holds no signatures."""
    caplog.set_level(logging.DEBUG)
    with _quiet():
        logging.getLogger("tator.util._download_file").error("Failed http://s3/a?X-Amz-Signature=5ec7e7 on attempt 1")
        logging.getLogger("urllib3.connectionpool").debug('%s "GET %s"', "s3", "/a?b=1&X-Amz-Signature=5ec7e7")
        logging.getLogger("urllib3.connectionpool").debug('%s "GET %s"', "s3", "/a?page=2")
    assert "5ec7e7" not in caplog.text and "page=2" in caplog.text
    assert not logging.getLogger("urllib3.connectionpool").filters
