from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_tator.tator_client import (
    AuthenticationFailed,
    ExpiredLink,
    IncompleteAnswer,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    ServerFailed,
    StaleRow,
    TatorError,
    Throttled,
)
from fiftyone_tator.tator_client._answers import decode, object_failure, server_message

HTML = (
    b"<html><head><title>x</title><script>var secret</script></head><body><h1>Internal Server Error</h1></body></html>"
)


def said(message: str, details: str = "None") -> bytes:
    return json.dumps({"message": message, "details": details}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (400, said("Invalid token."), AuthenticationFailed, "token"),
        (400, said("Authentication credentials were not provided."), AuthenticationFailed, "token"),
        (401, b"", AuthenticationFailed, "token"),
        (400, said("Request was throttled. Expected available in 3 seconds."), Throttled, "too many"),
        (429, b"", Throttled, "too many"),
        (400, said("Invalid attribute NoSuch for entity type Box"), InvalidRequest, "NoSuch"),
        (400, said("9999"), InvalidRequest, "no version or other object with the id 9999"),
        (400, said("Request body validation error", "x" * 120_000), InvalidRequest, "null values"),
        (400, said("Pedantic mode is enabled. Can not edit prior object 1"), StaleRow, "Read it again"),
        (400, said("Safety check failed - expected 3 but would update 2"), StaleRow, "expected 3"),
        (400, b"<h1>Request Line is too large (5937 &gt; 4094)</h1>", InvalidRequest, "too large"),
        (403, said("You do not have permission to perform this action."), PermissionDenied, "level"),
        (404, said("No Project matches the given query."), NotFound, "No Project"),
        (404, b'{"message": ""}', NotFound, "no such object"),
        (404, HTML, NotFound, "Tator server?"),
        (414, HTML, InvalidRequest, "too long"),
        (500, HTML, ServerFailed, "Internal Server Error"),
        (502, b"", ServerFailed, "502"),
        (200, HTML, ServerFailed, "Tator server"),
        (200, b"", IncompleteAnswer, "empty"),
        (200, b" \n", IncompleteAnswer, "empty"),
        (200, b'[{"id": 1}, {"id"', IncompleteAnswer, "breaks off"),
        (301, b"", ServerFailed, "https instead of http"),
        (418, b"teapot", ServerFailed, "teapot"),
    ],
)
def test_what_an_answer_means(status: int, body: bytes, kind: type[TatorError], words: str) -> None:
    """The meaning of an answer is in its status, its message and whether it is whole."""
    with pytest.raises(TatorError) as caught:
        decode(status, "", body, call="GET /rest/Things/1", location="https://tator.example.org/rest/?next=secret")
    assert type(caught.value) is kind
    assert words in caught.value.message
    assert len(caught.value.message) < 700
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("status", "body", "transient"),
    [(200, b"", True), (500, HTML, True), (400, said("x"), False), (403, b"", False), (200, HTML, False)],
)
def test_what_may_pass_is_told_from_what_stays(status: int, body: bytes, transient: bool) -> None:
    """An exception tells whether the same call may succeed later."""
    with pytest.raises(TatorError) as caught:
        decode(status, "", body, call="GET /rest/Things/1")
    assert caught.value.transient is transient


def test_the_wait_that_the_server_asks_for_is_kept() -> None:
    """A throttled answer carries the seconds the server asked to wait."""
    with pytest.raises(Throttled) as caught:
        decode(400, "", said("Request was throttled. Expected available in 7 seconds."), call="GET /rest/X")
    assert caught.value.wait == 7


@pytest.mark.parametrize("value", [[], {}, 0, 302, [{"id": 1}], "text", None])
def test_whole_answers_are_their_value(value: object) -> None:
    """An empty list is an answer; an empty body is not."""
    assert decode(200, "application/json", json.dumps(value).encode(), call="GET /rest/X") == value


@given(st.binary(max_size=2000), st.booleans())
def test_server_messages_are_short_single_lines_without_queries(data: bytes, html: bool) -> None:
    """Whatever the server says is shown as one short line."""
    shown = server_message(data, html=html)
    assert len(shown) <= 300 and "\n" not in shown


def test_urls_in_server_messages_lose_their_signatures() -> None:
    """A signed URL that the server mentions is shown without its signature."""
    data = said("cannot open https://s3.example/a?X-Amz-Signature=abcdef now")
    assert server_message(data, html=False) == "cannot open https://s3.example/a?… now"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, ExpiredLink), (400, ExpiredLink), (404, NotFound), (503, ServerFailed), (429, Throttled)],
)
def test_what_an_object_store_means(status: int, kind: type[TatorError]) -> None:
    """An object store that refuses a link means that the link has expired."""
    assert type(object_failure(status, "https://s3.example/a.jpg")) is kind
