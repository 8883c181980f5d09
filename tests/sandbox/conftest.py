"""A sandbox on a real socket for all tests of this folder, and a client that knows the "Contract" project."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from fiftyone_tator.sandbox.testing import Running, running

Row = dict[str, Any]


@dataclass
class Api:
    """One user's view of a sandbox."""

    server: Running
    http: httpx.Client
    project: int
    box_type: int
    version: int
    lists: str = field(init=False)
    counts: str = field(init=False)
    states: str = field(init=False)

    def __post_init__(self) -> None:
        self.lists, self.counts = f"/rest/Localizations/{self.project}", f"/rest/LocalizationCount/{self.project}"
        self.states = f"/rest/States/{self.project}"

    def call(self, method: str, path: str, body: Any = None, status: int = 200, **query: Any) -> Any:
        """Asks and expects a status; gives the parsed answer."""
        content = {} if body is None else {"content": json.dumps(body), "headers": {"Content-Type": "application/json"}}
        answer = self.http.request(method, path, params=query, **content)
        assert answer.status_code == status, answer.text[:500]
        return answer.json() if "json" in answer.headers["content-type"] and answer.content else answer.text

    def refused(self, method: str, path: str, body: Any = None, status: int = 400, **query: Any) -> str:
        """Asks, expects a refusal, gives its message."""
        return str(self.call(method, path, body, status, **query)["message"])

    def spec(self, **changes: Any) -> Row:
        """A box to create, with an element id of its own."""
        box = {
            "type": self.box_type, "media_id": self.server.seeded.media, "version": self.version, "frame": 0,
            "x": 0.1, "y": 0.2, "width": 0.3, "height": 0.4, "elemental_id": str(uuid.uuid4()),
            "attributes": {"Label": "fish", "score": 0.5, "count": 1},
        }  # fmt: skip
        return {key: value for key, value in {**box, **changes}.items() if value is not ...}

    def make(self, n: int = 1, **changes: Any) -> tuple[list[int], list[str]]:
        """Creates boxes; gives ids and element ids."""
        specs = [self.spec(**changes) for _ in range(n)]
        return self.call("POST", self.lists, specs, 201)["id"], [spec["elemental_id"] for spec in specs]

    def rows(self, elements: list[str], **query: Any) -> list[Row]:
        """What a list shows of some elements."""
        found = self.call("PUT", self.lists, {"elemental_ids": elements}, **{"version": self.version, **query})
        return sorted(found, key=lambda row: row["id"])

    def row(self, element: str) -> Row:
        """The visible row of an element."""
        (row,) = self.rows([element])
        return row

    def by_id(self, id_: int) -> Row:
        """A row of any mark."""
        return self.call("GET", f"/rest/Localization/{id_}")

    def patch(self, id_: int, **body: Any) -> Row:
        """Edits one box; gives the object of the answer."""
        return self.call("PATCH", f"/rest/Localization/{id_}", body)["object"]

    def bulk(self, body: Row, **query: Any) -> str:
        """Edits many boxes; gives the message."""
        return str(self.call("PATCH", self.lists, body, **{"version": self.version, **query})["message"])


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Running]:
    with running() as server:
        yield server


def connect(server: Running, user: str) -> Api:
    seeded = server.seeded
    http = httpx.Client(base_url=server.url, headers={"Authorization": f"Token {seeded.tokens[user]}"}, timeout=20)
    return Api(server, http, seeded.project, seeded.localization_types["box"], seeded.versions["Scratch"])


@pytest.fixture(scope="session")
def api_of(sandbox: Running) -> Iterator[Callable[[str], Api]]:
    made: dict[str, Api] = {}

    def of(user: str) -> Api:
        if user not in made:
            made[user] = connect(sandbox, user)
        return made[user]

    yield of
    for api in made.values():
        api.http.close()


@pytest.fixture(scope="session")
def api(api_of: Callable[[str], Api]) -> Api:
    return api_of("editor")


@pytest.fixture(scope="session")
def admin(api_of: Callable[[str], Api]) -> Api:
    return api_of("admin")


@pytest.fixture
def connected() -> Callable[[Running, str], Api]:
    return connect


@pytest.fixture
def fresh() -> Iterator[Api]:
    """A sandbox of its own, for tests that break things."""
    with running() as server:
        api = connect(server, "admin")
        with api.http:
            yield api


@pytest.fixture
def later() -> Callable[[str], None]:
    """Waits until the clock shows another millisecond than a datetime of an answer."""

    def wait(shown: str) -> None:
        while time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1_000_000 % 1000:03}Z" <= shown:
            pass

    return wait
