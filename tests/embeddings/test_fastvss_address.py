"""What is sent goes to the address that was given, and to no other; its password is shown nowhere."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from fiftyone_tator.embeddings.errors import ServiceAway, UnknownProject
from fiftyone_tator.embeddings.fastvss import FastVSS
from fiftyone_tator.embeddings.options import parse_embed_options
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.tests.embeddings.fastvss_server import FastVSSServer, running

T = TypeVar("T")
Crops = Callable[[int], list[Path]]

pytestmark = pytest.mark.usefixtures("quick_retries")


def talk(server: FastVSSServer | str, say: Callable[[FastVSS], Awaitable[T]], **options: Any) -> T:
    async def main() -> T:
        async with FastVSS(server if isinstance(server, str) else server.url, **options) as client:
            return await say(client)

    return asyncio.run(main())


@pytest.fixture
def files(crops: Crops) -> list[tuple[str, bytes]]:
    return [(path.name, path.read_bytes()) for path in crops(3)]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("../x", b"..%2Fx"),
        ("a/b", b"a%2Fb"),
        ("?x", b"%3Fx"),
        ("#x", b"%23x"),
        ("@x", b"%40x"),
        ("..", b"%2E%2E"),
        (".", b"%2E"),
        ("%2e%2e", b"%252e%252e"),
        ("v1.0", b"v1.0"),
    ],
)
def test_a_project_or_job_named_like_a_way_elsewhere_is_only_a_name(name: str, part: bytes) -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path)
        return httpx.Response(200, json={"job_id": "1", "status": "pending"})

    async def say(client: FastVSS) -> None:
        await client.submit(name, [("0.jpg", b"x")])
        await client.job(name, name)

    talk("http://localhost:8000", say, transport=httpx.MockTransport(answer))
    assert asked == [b"/embed/" + part, b"/predict/job/" + part + b"/" + part]


@pytest.mark.parametrize("name", ["?x", "#x", "@x", "a b", "..", "%2e%2e"])
def test_such_a_project_is_told_as_unknown(fastvss: FastVSSServer, name: str) -> None:
    with pytest.raises(UnknownProject, match=r"does not have the project .*It has: reef"):
        talk(fastvss, lambda client: client.submit(name, [("0.jpg", b"x")]))


NO_PATHS = [
    "@127.0.0.1:9/embed/{project}",
    "embed/{project}",
    ":9/{project}",
    ".example.org/{project}",
    "/a@b/{project}",
    "/embed/{project}?x",
    "/embed/{project}#x",
    "/embed\\{project}",
    "/embed /{project}",
    "/embed/{project}\n",
    "/embed",
    "/{project}/{project}",
    "",
]


@pytest.mark.parametrize("path", NO_PATHS)
@pytest.mark.parametrize("which", ["embed_path", "knn_path"])
def test_a_path_that_may_lead_elsewhere_is_refused(path: str, which: str) -> None:
    options: dict[str, Any] = {which: path}
    with pytest.raises(InvalidOption, match=r"begin with a slash, hold \{project\} once.* like /embed/\{project\}"):
        FastVSS("http://diver:secret@localhost:8000", **options)


@pytest.mark.parametrize("path", NO_PATHS[:-1])
def test_such_a_path_is_refused_among_the_options_too(path: str) -> None:
    with pytest.raises(InvalidOption, match=r"The form: the option path cannot be .*begin with a slash"):
        parse_embed_options(("The form", {"path": path}))
    assert parse_embed_options(("The form", {"path": "/embeddings/{project}/"})).path == "/embeddings/{project}/"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("elsewhere", ["http://ann:pw@127.0.0.1:{port}/embed/reef?key=pw", "//127.0.0.1:{port}/pw"])
def test_a_redirect_to_another_address_gets_nothing_and_is_named(
    fastvss: FastVSSServer, files: list[tuple[str, bytes]], status: int, elsewhere: str
) -> None:
    with running() as other:
        port = other.url.rpartition(":")[2]
        fastvss.answer("/embed", status=status, headers={"Location": elsewhere.format(port=port)})
        address = fastvss.url.replace("://", "://diver:secret@")
        with pytest.raises(ServiceAway, match=rf"leads to {other.url}/, which nobody named") as raised:
            talk(address, lambda client: client.submit("reef", files))
        assert other.seen == []
    assert not any(secret in str(raised.value) for secret in ("pw", "ann", "secret"))


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/health", "ftp://127.0.0.1/health", "http://localhost:{port}/health"]
)
def test_a_redirect_to_another_scheme_or_name_is_refused_for_any_call(fastvss: FastVSSServer, url: str) -> None:
    fastvss.answer("/health", status=307, headers={"Location": url.format(port=fastvss.url.rpartition(":")[2])})
    with pytest.raises(ServiceAway, match="which nobody named as a service"):
        talk(fastvss, FastVSS.health)


def test_name_and_password_go_along_where_the_service_redirects_to_itself(
    fastvss: FastVSSServer, files: list[tuple[str, bytes]]
) -> None:
    fastvss.answer("/embed/reef", status=308, headers={"Location": "/embeddings/reef/"})
    assert talk(fastvss.url.replace("://", "://a:b@"), lambda client: client.submit("reef", files))
    assert [post.files for post in fastvss.posts()] == [files, files]
    assert len({post.headers["authorization"] for post in fastvss.posts()}) == 1


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("mailto:ann", "redirected to what is no address"),
        ("http:\\\\ann:pw@elsewhere", "redirected to what is no address"),
        ("http://ann:pw@elsewhere:port/", "Invalid URL in location header"),
        ("http://ann:pw@[elsewhere", "which nobody named as a service"),
    ],
)
def test_a_redirect_to_what_is_no_address_is_told_in_words(location: str, why: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "localhost"
        return httpx.Response(307, headers={"Location": location})

    with pytest.raises(ServiceAway, match=why) as raised:
        talk("http://localhost:8000", FastVSS.health, transport=httpx.MockTransport(answer))
    assert "pw" not in str(raised.value)


def test_redirects_without_end_end(fastvss: FastVSSServer) -> None:
    fastvss.answer("/projects", status=307, headers={"Location": "/projects"}, times=99)
    with pytest.raises(ServiceAway, match=r"redirected 6 times, at last to http://.*/projects\."):
        talk(fastvss, FastVSS.projects)
    assert fastvss.faults.answers[0].times == 99 - 6


def test_a_redirect_that_forgets_the_pictures_is_refused_with_where_it_leads(fastvss: FastVSSServer) -> None:
    fastvss.answer("/embed", status=302, headers={"Location": "/health?token=secret"})
    with pytest.raises(ServiceAway, match=r"redirected to http://127\.0\.0\.1:\d+/health\. ") as raised:
        talk(fastvss, lambda client: client.submit("reef", [("0.jpg", b"x")]))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["", "ftp://reef:pw@x", "http://", "http://a b", "http://user:pw@:80:80", "http://[pw"])
def test_an_address_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ServiceAway, match="Write it like") as raised:
        FastVSS(url)
    assert "pw" not in str(raised.value)


def test_an_address_without_scheme_and_with_a_slash_is_taken(fastvss: FastVSSServer) -> None:
    assert talk(fastvss.url.removeprefix("http://") + "/", FastVSS.projects) == ["reef"]


def test_name_and_password_of_the_address_are_sent_and_shown_nowhere(
    fastvss: FastVSSServer, unused: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    address = fastvss.url.replace("://", "://diver:se%20cret@")
    assert FastVSS(address).url == fastvss.url
    talk(address, FastVSS.health)
    assert httpx.BasicAuth("diver", "se cret")._auth_header == fastvss.seen[0].headers["authorization"]
    with pytest.raises(ServiceAway) as raised:
        talk(f"http://diver:se%20cret@127.0.0.1:{unused}", FastVSS.health)
    told = f"{raised.value!r} {caplog.text}"
    assert "health" in told
    assert not any(secret in told for secret in ("cret", "diver"))
