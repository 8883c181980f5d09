from __future__ import annotations

import json
import socket
import threading
from typing import Any

import httpx
import pytest
import stamina

from fiftyone_tator.tator_client import (
    AuthenticationFailed,
    ConnectionFailed,
    IncompleteAnswer,
    InvalidRequest,
    ServerFailed,
    Tator,
    TatorError,
    Throttled,
)
from fiftyone_tator.tator_client._transport import ProxyTransport

USER = {"id": 1, "username": "admin"}
THROTTLED = {"message": "Request was throttled. Expected available in 1 second.", "details": "None"}
HTML = b"<html><h1>Internal Server Error</h1></html>"


@pytest.mark.parametrize("fault", ["empty", "cut json", "cut body", "html 500", "drop", "throttled", "hang"])
def test_reads_survive_a_fault(server: Any, token: str, fault: str) -> None:
    """A read that fails once, in whatever way, is repeated."""
    faults = {
        "empty": server.raw(b""),
        "cut json": server.cut(b'{"id": 1, "usern'),
        "cut body": server.cut(b'{"id": 1', announced=30),
        "html 500": server.raw(HTML, status=500, content_type="text/html"),
        "drop": server.drop(),
        "throttled": server.json(THROTTLED, 400),
        "hang": server.hang(b'{"id": 1, "username'),
    }
    server.will(faults[fault], server.json(USER))
    with Tator(server.url, token, timeout=0.3) as tator:
        assert tator.whoami().username == "admin"
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("empty", IncompleteAnswer), ("html", ServerFailed), ("drop", ConnectionFailed), ("throttled", Throttled)],
)
def test_faults_that_stay_are_told(server: Any, token: str, fault: str, kind: type[TatorError]) -> None:
    """After the retries the last failure is what the caller gets."""
    faults = {
        "empty": server.raw(b""),
        "html": server.raw(HTML, status=503, content_type="text/html"),
        "drop": server.drop(),
        "throttled": server.json(THROTTLED, 400),
    }
    server.will(faults[fault])
    with Tator(server.url, token, retries=2) as tator, pytest.raises(kind):
        tator.whoami()
    assert len(server.seen) == 3


def test_a_server_that_keeps_silent_is_given_up_after_three_times(server: Any, token: str) -> None:
    """Timeouts are repeated twice only, because each takes so long."""
    server.will(server.hang())
    with Tator(server.url, token, timeout=0.1) as tator, pytest.raises(ConnectionFailed) as caught:
        tator.whoami()
    assert caught.value.timed_out and len(server.seen) == 3


def test_a_trickling_answer_ends(server: Any, token: str) -> None:
    """An answer that never pauses long enough for a timeout still has to end."""

    def trickle(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while not server.over.wait(0.01):
            handler.wfile.write(b" ")

    server.will(trickle)
    with Tator(server.url, token, timeout=0.05, retries=0) as tator, pytest.raises(ConnectionFailed):
        tator.whoami()


def test_refusals_are_not_repeated(server: Any, token: str) -> None:
    """What the server refuses for good is asked once."""
    server.will(server.json({"message": "Invalid token.", "details": "None"}, 400))
    with Tator(server.url, token) as tator, pytest.raises(AuthenticationFailed):
        tator.whoami()
    assert len(server.seen) == 1


def test_the_server_is_told_to_wait_for_as_long_as_it_asks(server: Any, token: str) -> None:
    """A throttled request is repeated after the pause that the server named."""
    waits: list[float] = []
    server.will(
        server.json({"message": "Request was throttled. Expected available in 0.05 second."}, 400), server.json(USER)
    )
    old = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([lambda details: waits.append(details.wait_for)])
    try:
        with stamina.set_testing(False), Tator(server.url, token) as tator:
            tator.whoami()
    finally:
        stamina.instrumentation.set_on_retry_hooks(old)
    assert len(waits) == 1 and 0.05 <= waits[0] <= 0.55


def test_nobody_at_the_address(token: str) -> None:
    """An address where nobody answers is named, with what to check."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Tator(url, token, retries=1) as tator, pytest.raises(ConnectionFailed) as caught:
            tator.whoami()
    assert url in caught.value.message and "VPN" in caught.value.message
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize(
    ("status", "body", "headers", "words"),
    [
        (302, b"", {"Location": "https://tator.example.org/rest/"}, "https://tator.example.org/rest/"),
        (200, b"<!doctype html><html>Log in</html>", {}, "login page"),
        (404, b"<html>Not Found</html>", {}, "Tator server"),
    ],
)
def test_something_else_at_the_address(
    server: Any, token: str, status: int, body: bytes, headers: dict[str, str], words: str
) -> None:
    """A redirect, a login page or another web server is told as such."""
    server.will(server.raw(body, status=status, content_type="text/html", **headers))
    with Tator(server.url, token) as tator, pytest.raises(TatorError, match=words):
        tator.projects()
    assert len(server.seen) == 1


@pytest.mark.parametrize("answer", [{"a": 1}, ["x"], 5, None, [{"name": "no id"}]])
def test_json_that_no_tator_gives(server: Any, token: str, answer: object) -> None:
    """JSON of another shape is a failure of the server, not a crash."""
    server.will(server.json(answer))
    with Tator(server.url, token) as tator, pytest.raises(ServerFailed):
        tator.projects()


def test_long_queries_are_refused_before_they_are_sent(server: Any, token: str) -> None:
    """A request line that Tator cannot take is not sent; long lists of ids go in the body."""
    server.will(server.json(3))
    with Tator(server.url, token) as tator:
        with pytest.raises(InvalidRequest, match="too long"):
            tator.count_localizations(1, version=range(100000, 101000))
        assert tator.count_localizations(1, media_ids=range(6000)) == 6
    assert [len(seen.body["media_ids"]) for seen in server.seen] == [5000, 1000]


def test_values_that_json_cannot_hold_are_refused() -> None:
    """NaN and lone surrogates, at which Tator fails, are not sent, and the text is not repeated."""
    with Tator("http://tator.test", "t", transport=httpx.MockTransport(lambda _: httpx.Response(500))) as tator:
        for value in (float("nan"), float("inf"), "secret\ud800"):
            with pytest.raises(InvalidRequest) as caught:
                tator.update_localization(1, "abc", attributes={"x": value})
            assert "secret" not in str(caught.value)


def test_no_more_requests_at_once_than_allowed(token: str) -> None:
    """Threads that share a session share its bound on requests under way."""
    lock, under_way, most = threading.Lock(), 0, 0
    full = threading.Barrier(3, timeout=10)

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        full.wait()
        with lock:
            under_way -= 1
        return httpx.Response(200, json=USER)

    with Tator("http://tator.test", token, concurrency=3, transport=httpx.MockTransport(answer)) as tator:
        threads = [threading.Thread(target=tator.whoami) for _ in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 3


@pytest.mark.parametrize(("in_place", "requests"), [(True, 2), (False, 1)])
def test_writes_are_repeated_only_if_that_is_harmless(server: Any, token: str, in_place: bool, requests: int) -> None:
    """An edit in place may be sent twice; one that adds a mark may not, and says that it may have arrived."""
    row = {"id": 1, "type": 1, "media": 1, "version": 2, "frame": 0, "attributes": {}, "elemental_id": "e", "mark": 0}
    row |= dict.fromkeys(("x", "y", "width", "height", "u", "v", "points", "parent", "user", "created_by"))
    row |= {"variant_deleted": False, "created_datetime": "", "modified_by": 1, "modified_datetime": ""}
    server.will(server.drop(), server.json({"message": "", "object": row}))
    with Tator(server.url, token) as tator:
        try:
            tator.update_localization(2, "e", attributes={"Label": "x"}, in_place=in_place)
        except ConnectionFailed as error:
            assert error.outcome_unknown and not in_place
    assert len(server.seen) == requests


def test_proxies_of_the_environment_are_used(server: Any, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is reached through a proxy is asked through it, and hosts of NO_PROXY directly."""
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server.will(server.json(USER))
    for url in ("http://tator.example.org", server.url):
        transport = ProxyTransport(httpx.Limits())
        with Tator(url, token, transport=transport) as tator:
            tator.whoami()
    assert [seen.headers["Host"] for seen in server.seen] == ["tator.example.org", server.url.removeprefix("http://")]


def test_a_page_that_hangs_is_asked_for_in_another_size(server: Any, token: str) -> None:
    """A list answer that never ends would not end the next time either: fewer rows are asked for."""
    row = {"id": 7, "type": 1, "version": 2, "elemental_id": "e", "mark": 0}

    def answer(handler: Any) -> None:
        seen = server.seen[-1]
        if "Count" in seen.path:
            server.json(1)(handler)
        elif seen.method == "GET" and int(seen.query["after"]) < 7:
            server.hang(b'[{"id": 7')(handler)
        else:
            rows = [row] if int(seen.query["after"]) < 7 else []
            server.json(rows)(handler)

    server.will(answer)
    with Tator(server.url, token, timeout=0.2) as tator:
        assert [*tator.iter_localizations(1, types=[1], versions=[2], raw=True)] == [[row]]
    pages = [(seen.method, seen.query["stop"]) for seen in server.seen if "Count" not in seen.path]
    assert pages[:2] == [("GET", "5000"), ("PUT", "2")]


def test_what_is_sent_is_compact_json(server: Any, token: str) -> None:
    """Bodies are UTF-8 JSON with its type named."""
    server.will(server.json([]))
    with Tator(server.url, token) as tator:
        tator.read_localizations(1, elemental_ids=["AB", "ab", "cd"], version=2)
    assert server.seen[0].body == {"elemental_ids": ["ab", "cd"]}
    assert server.seen[0].headers["Content-Type"] == "application/json"
    assert json.dumps(server.seen[0].query)
