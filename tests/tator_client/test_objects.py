from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fiftyone_tator.tator_client import (
    ConnectionFailed,
    ExpiredLink,
    IncompleteAnswer,
    InvalidRequest,
    MediaFile,
    NotFound,
    ServerFailed,
    Tator,
    TatorError,
)

DATA = bytes(range(256)) * 4000


def test_an_object_is_downloaded_whole(server: Any, token: str, tmp_path: Path) -> None:
    """A download writes the file in one go and says how many bytes it has."""
    server.will(server.raw(DATA))
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    with Tator(server.url, token) as tator:
        assert tator.download(f"{server.url}/objects/a.jpg?X-Amz-Signature=s", path) == len(DATA)
        assert tator.fetch(f"{server.url}/objects/a.jpg") == DATA
    assert path.read_bytes() == DATA and list(tmp_path.iterdir()) == [path]
    assert server.seen[0].query == {"X-Amz-Signature": "s"}


@pytest.mark.parametrize("fault", ["cut", "drop", "failing"])
def test_a_download_that_breaks_off_is_repeated(server: Any, token: str, tmp_path: Path, fault: str) -> None:
    """A download that fails for the moment starts again, and leaves nothing behind."""
    faults = {"cut": server.cut(DATA[:5000], announced=len(DATA)), "drop": server.drop()}
    server.will(faults.get(fault, server.raw(b"", status=503)), server.raw(DATA))
    with Tator(server.url, token) as tator:
        assert tator.download(f"{server.url}/a", tmp_path / "a") == len(DATA)
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("status", "kind", "requests"), [(403, ExpiredLink, 1), (404, NotFound, 1), (500, ServerFailed, 3)]
)
def test_a_download_that_fails_leaves_the_old_file(
    server: Any, token: str, tmp_path: Path, status: int, kind: type[TatorError], requests: int
) -> None:
    """A refused link is told as such at once, and the file that was there stays."""
    server.will(server.raw(b"<Error/>", status=status))
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    with Tator(server.url, token, retries=2) as tator, pytest.raises(kind):
        tator.download(f"{server.url}/a.jpg?X-Amz-Signature=s", path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    assert len(server.seen) == requests


def test_a_hanging_object_store_is_given_up(server: Any, token: str, tmp_path: Path) -> None:
    """A download that keeps silent ends by timeout."""
    server.will(server.hang(DATA[:100]))
    with Tator(server.url, token, timeout=0.1, retries=0) as tator, pytest.raises(ConnectionFailed):
        tator.download(f"{server.url}/a", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def media_file(path: str, size: int) -> MediaFile:
    return MediaFile.from_json({"path": path, "size": size, "resolution": [3, 4]})


def test_a_file_of_another_size_than_tator_says_is_refused(server: Any, token: str, tmp_path: Path) -> None:
    """An object that is whole but not what Tator recorded is damaged; asking again would not help."""
    server.will(server.raw(DATA))
    with Tator(server.url, token) as tator:
        assert tator.download(media_file(f"{server.url}/a", len(DATA)), tmp_path / "a") == len(DATA)
        with pytest.raises(IncompleteAnswer, match="damaged"):
            tator.download(media_file(f"{server.url}/a", 17), tmp_path / "b")
    assert len(server.seen) == 2


@pytest.mark.parametrize("path", ["5/1/1/image.jpeg", "file:///etc/passwd", "s3://bucket/key", ""])
def test_a_storage_key_is_not_a_link(token: str, tmp_path: Path, path: str) -> None:
    """A path that is no URL is refused with a hint to ask for presigned ones."""
    with Tator("http://tator.test", token) as tator, pytest.raises(InvalidRequest, match="presigned"):
        tator.download(media_file(path, 17), tmp_path / "a")


def test_redirects_are_followed_without_the_token(server: Any, token: str) -> None:
    """A relative link belongs to the server, redirects are followed, and the token never goes along."""
    server.will(server.raw(b"", status=302, Location="/b?X-Amz-Signature=two"), server.raw(b"data"))
    with Tator(server.url, token) as tator:
        assert tator.fetch("/a?X-Amz-Signature=one") == b"data"
    assert [(seen.path, seen.query["X-Amz-Signature"]) for seen in server.seen] == [("/a", "one"), ("/b", "two")]
    assert all("Authorization" not in seen.headers for seen in server.seen)


def test_redirects_in_circles_end(server: Any, token: str) -> None:
    """An object store that redirects for ever is given up."""
    server.will(server.raw(b"", status=302, Location="/a"))
    with Tator(server.url, token) as tator, pytest.raises(ServerFailed, match="circles"):
        tator.fetch("/a")
