"""The fault switch, the log of requests, restarts and processes."""

import gzip
import json
import threading
import time

import httpx
import pytest

from fiftyone_tator.sandbox.faults import Rule, redacted
from fiftyone_tator.sandbox.testing import running, running_process

LIST = "GET /rest/Localizations"


@pytest.fixture(autouse=True)
def calm(sandbox):
    yield
    sandbox.faults.clear()


@pytest.mark.parametrize(
    ("match", "request_", "hits"),
    [
        (LIST, "GET /rest/Localizations/1", True),
        (LIST, "GET /rest/Localizations", True),
        ("GET /rest/Localization", "GET /rest/Localizations/1", False),
        (LIST, "PUT /rest/Localizations/1", False),
        ("* /rest/Localizations/1", "PUT /rest/Localizations/1", True),
        ("* /", "GET /rest/Projects", True),
    ],
)
def test_what_a_rule_speaks_of(match, request_, hits):
    """A rule names a method and a path with what is below it."""
    method, path = request_.split()
    assert Rule(match, "fail").matches(method, path, "") is hits


@pytest.mark.parametrize("rule", [("GET /x", "explode"), ("/x", "fail")])
def test_rules_that_are_not_understood(api, rule):
    """A rule with an unknown kind or without a method is refused, by Python and by HTTP."""
    with pytest.raises(ValueError, match="must be"):
        api.server.faults.arm(*rule)
    answer = api.http.post("/sandbox/faults", json={"match": rule[0], "kind": rule[1]})
    assert answer.status_code == 400


def test_after_and_times(api):
    """A rule lets some requests pass, then hits some, and counts."""
    rule = api.server.faults.arm(LIST, "fail", after=1, times=2, status=502)
    statuses = [api.http.get(api.lists, params={"stop": 1}).status_code for _ in range(5)]
    assert statuses == [200, 502, 502, 200, 200] and rule.hits == 2


def test_rules_by_http(api):
    """Rules are armed, listed and removed over HTTP; only JSON is taken."""
    rule = {"match": LIST, "kind": "throttle", "query": "version=77", "times": 0}
    assert api.http.post("/sandbox/faults", json=rule).json()[0]["kind"] == "throttle"
    assert api.refused("GET", api.lists, version=77).startswith("Request was throttled.")
    assert api.call("GET", api.lists, version=78) == []
    assert api.http.post("/sandbox/faults", content=json.dumps(rule)).status_code == 400
    assert api.http.delete("/sandbox/faults").status_code == 200
    assert api.http.get("/sandbox/faults").json() == []


def test_cut_and_empty(api):
    """A cut answer is half of the text, well packed; an empty one is 200 without a byte."""
    api.make(2)
    whole = api.http.get(api.lists, params={"version": api.version, "stop": 2}).text
    api.server.faults.arm(LIST, "cut")
    cut = api.http.get(api.lists, params={"version": api.version, "stop": 2})
    assert cut.status_code == 200 and cut.text == whole[: len(whole) // 2]
    with pytest.raises(ValueError):
        cut.json()
    api.server.faults.arm(LIST, "empty")
    empty = api.http.get(api.lists)
    assert (empty.status_code, empty.content) == (200, b"")


def test_slow(api):
    """A slow answer comes complete, later."""
    api.server.faults.arm(LIST, "slow", seconds=0.2)
    start = time.monotonic()
    assert api.http.get(api.lists, params={"stop": 1}).status_code == 200
    assert time.monotonic() - start >= 0.2


def test_hang(api):
    """A hanging answer ends when the client goes away."""
    api.server.faults.arm(LIST, "hang")
    with pytest.raises(httpx.ReadTimeout):
        api.http.get(api.lists, params={"stop": 1}, timeout=0.2)
    deadline = time.monotonic() + 5
    while api.server.faults.requests(LIST)[-1]["seconds"] is None:
        assert time.monotonic() < deadline


def test_the_server_stops_while_answers_hang(connected):
    """Stopping does not wait for hanging answers."""
    errors = []

    def ask(api):
        try:
            api.http.get(api.lists)
        except httpx.HTTPError as error:
            errors.append(error)

    with running() as server:
        api = connected(server, "editor")
        rule = server.faults.arm(LIST, "hang")
        thread = threading.Thread(target=ask, args=(api,))
        thread.start()
        while not rule.hits:
            pass
        start = time.monotonic()
    assert time.monotonic() - start < 3
    thread.join(5)
    api.http.close()
    assert errors


@pytest.mark.parametrize(("when", "written"), [("before", 0), ("after", 1)])
def test_lost_answers(api, when, written):
    """A dropped connection gives no answer, before or after the request did its work."""
    spec = api.spec()
    api.server.faults.arm("POST /rest/Localizations", "drop-connection", when=when)
    with pytest.raises(httpx.TransportError):
        api.http.post(api.lists, json=[spec])
    deadline = time.monotonic() + 5
    while api.server.faults.requests("POST /rest/Localizations")[-1]["seconds"] is None:
        assert time.monotonic() < deadline
    assert len(api.rows([spec["elemental_id"]])) == written


def test_restart(fresh):
    """The server goes away and comes back on the same port with the same data."""
    _, (element,) = fresh.make()
    fresh.server.faults.arm("GET /rest/Projects", "restart", seconds=0.3)
    with pytest.raises(httpx.TransportError):
        fresh.http.get("/rest/Projects")
    refused = 0
    deadline = time.monotonic() + 10
    while True:
        assert time.monotonic() < deadline
        try:
            answer = fresh.http.get("/rest/User/GetCurrent", timeout=1)
            break
        except httpx.TransportError:
            refused += 1
    assert answer.status_code == 200 and refused and fresh.row(element)


def test_the_log(fresh):
    """The log tells what was asked, without what opens anything."""
    link = fresh.call("GET", "/rest/Media/1", presigned=60)["media_files"]["image"][0]["path"]
    httpx.get(link)
    fresh.call("GET", fresh.lists, version=fresh.version, stop=3)
    first, picture, last = fresh.server.faults.requests()
    assert (first["method"], first["path"], first["query"], first["status"]) == (
        "GET", "/rest/Media/1", "presigned=60", 200,
    )  # fmt: skip
    assert picture["query"].endswith("X-Amz-Signature=") and picture["bytes"] > 1000
    assert last["query"] == f"version={fresh.version}&stop=3" and last["bytes"] == len(gzip.compress(b"[]", 1))
    token = fresh.server.tokens["admin"]
    assert token not in str(fresh.server.faults.requests())
    by_http = fresh.http.get("/sandbox/requests", params={"match": LIST}).json()
    assert [entry["path"] for entry in by_http] == [fresh.lists]
    fresh.http.delete("/sandbox/requests")
    assert fresh.server.faults.requests() == []


def test_redaction():
    """Only the signature's value is taken out of a query."""
    assert redacted("a=1&X-Amz-Signature=abc&b=2") == "a=1&X-Amz-Signature=&b=2"
    assert redacted("") == ""


def test_data_survive_a_kill(tmp_path):
    """A killed process leaves its data, tokens and port to the next."""
    db = tmp_path / "sandbox.sqlite"
    body = [{"type": 1, "media_id": 1, "version": 2, "frame": 0, "attributes": {"Label": "kept"}}]
    with running_process(db, "--no-demo") as server:
        headers = {"Authorization": f"Token {server.tokens['editor']}"}
        (id_,) = httpx.post(f"{server.url}/rest/Localizations/1", json=body, headers=headers).json()["id"]
        server.kill()
    with running_process(db, "--no-demo", port=int(server.url.rpartition(":")[2])) as again:
        assert (again.url, again.tokens) == (server.url, server.tokens)
        row = httpx.get(f"{again.url}/rest/Localization/{id_}", headers=headers).json()
        assert row["attributes"]["Label"] == "kept"
        assert again.ids["projects"][0]["versions"] == {"Baseline": 1, "Scratch": 2}
        again.process.terminate()
        assert again.process.wait(20) == 0
