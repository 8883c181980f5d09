"""The asynchronous client, against the stand-in on a real socket."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from fiftyone_tator.embeddings.errors import (
    JobGone,
    ServiceAway,
    ServiceRefused,
    TooLarge,
    UnknownProject,
    WorkerDead,
    WorkerFailed,
)
from fiftyone_tator.embeddings.fastvss import FastVSS, Health, Job, check_embeddings, check_knn
from fiftyone_tator.tests.embeddings.fastvss_model import Project, vector_of
from fiftyone_tator.tests.embeddings.fastvss_server import FastVSSServer

T = TypeVar("T")
Until = Callable[[Callable[[], object]], None]
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


def test_the_service_tells_its_state_and_version(fastvss: FastVSSServer) -> None:
    assert talk(fastvss, FastVSS.health) == Health("ok", "0.15.0")


def test_the_service_lists_its_projects(fastvss: FastVSSServer) -> None:
    fastvss.projects["kelp"] = Project("kelp")
    assert talk(fastvss, FastVSS.projects) == ["reef", "kelp"]


def test_the_service_lists_the_ids_of_its_index(fastvss: FastVSSServer, files: list[tuple[str, bytes]]) -> None:
    fastvss.projects["reef"].know("r1", "crab", files[0][1])
    assert talk(fastvss, lambda client: client.ids("reef")) == ["r1"]


def test_pictures_sent_come_back_as_their_vectors(fastvss: FastVSSServer, files: list[tuple[str, bytes]]) -> None:
    async def say(client: FastVSS) -> Any:
        return await client.wait("reef", await client.submit("reef", files))

    vectors = check_embeddings(talk(fastvss, say), [name for name, _ in files])
    assert vectors.shape == (3, 384)
    assert [row.tolist() for row in vectors] == [vector_of(data, "reef", 384).tolist() for _, data in files]
    assert fastvss.posts()[0].files == files


def test_neighbours_of_pictures_come_from_the_index(fastvss: FastVSSServer, files: list[tuple[str, bytes]]) -> None:
    for number, (_, content) in enumerate(files):
        fastvss.projects["reef"].know(f"r{number}", ("crab", "eel", "kelp")[number], content)

    async def say(client: FastVSS) -> Any:
        return await client.wait("reef", await client.submit_knn("reef", files, 2))

    found = check_knn(talk(fastvss, say), [name for name, _ in files])
    assert [(len(each), each[0].label, each[0].id) for each in found] == [
        (2, "crab", "r0"), (2, "eel", "r1"), (2, "kelp", "r2"),
    ]  # fmt: skip
    assert all(each[0].distance < 1e-6 < each[1].distance for each in found)


def test_an_unknown_project_is_refused_with_the_list_of_those_there_are(fastvss: FastVSSServer) -> None:
    fastvss.projects["kelp"] = Project("kelp")
    with pytest.raises(UnknownProject, match=r"'nope'\. It has: kelp, reef"):
        talk(fastvss, lambda client: client.submit("nope", [("0.jpg", b"x")]))


def test_a_project_with_signs_in_its_name_is_found(fastvss: FastVSSServer, files: list[tuple[str, bytes]]) -> None:
    fastvss.projects["a & b?"] = Project("a & b?", 16)

    async def say(client: FastVSS) -> Any:
        return await client.wait("a & b?", await client.submit("a & b?", files))

    assert check_embeddings(talk(fastvss, say), [name for name, _ in files]).shape == (3, 16)


def test_too_many_pictures_are_too_large(fastvss: FastVSSServer, files: list[tuple[str, bytes]]) -> None:
    fastvss.faults.limit = 2
    with pytest.raises(TooLarge, match="batch size 2"):
        talk(fastvss, lambda client: client.submit("reef", files))


def test_a_body_that_a_proxy_refuses_is_too_large(fastvss: FastVSSServer, files: list[tuple[str, bytes]]) -> None:
    fastvss.faults.most_bytes = 100
    with pytest.raises(TooLarge, match="proxy"):
        talk(fastvss, lambda client: client.submit("reef", files))


def test_a_call_without_pictures_is_refused_with_what_the_service_says(fastvss: FastVSSServer) -> None:
    with pytest.raises(ServiceRefused, match=r"422.*Field required"):
        talk(fastvss, lambda client: client.submit("reef", []))


def test_a_job_that_nobody_knows_is_gone(fastvss: FastVSSServer) -> None:
    with pytest.raises(JobGone, match="does not exist"):
        talk(fastvss, lambda client: client.job("reef", "no such job"))


def test_a_result_is_gone_after_500_seconds(fastvss: FastVSSServer, files: list[tuple[str, bytes]]) -> None:
    async def say(client: FastVSS) -> str:
        job_id = await client.submit("reef", files)
        await client.wait("reef", job_id)
        fastvss.later(499)
        assert (await client.job("reef", job_id)).state == "done"
        fastvss.later(2)
        await client.job("reef", job_id)
        return "still there"

    with pytest.raises(JobGone):
        talk(fastvss, say)


def test_a_job_that_takes_more_than_180_seconds_has_failed(
    fastvss: FastVSSServer, files: list[tuple[str, bytes]], until: Until
) -> None:
    fastvss.hold()

    async def say(client: FastVSS) -> None:
        job_id = await client.submit("reef", files)
        assert await client.job("reef", job_id) == Job("pending")
        await anyio.to_thread.run_sync(until, lambda: fastvss.started_jobs == 1)
        fastvss.later(181)
        await client.wait("reef", job_id)

    with pytest.raises(WorkerFailed, match="longer than it may"):
        talk(fastvss, say)


def test_a_workers_exception_comes_as_such(fastvss: FastVSSServer, files: list[tuple[str, bytes]]) -> None:
    fastvss.faults.raises = lambda content: True

    async def say(client: FastVSS) -> None:
        await client.wait("reef", await client.submit("reef", files))

    with pytest.raises(WorkerFailed, match="CUDA error at crop_0000"):
        talk(fastvss, say)


def test_a_failed_job_comes_as_such(fastvss: FastVSSServer, files: list[tuple[str, bytes]]) -> None:
    fastvss.faults.fails = lambda content: True

    async def say(client: FastVSS) -> None:
        await client.wait("reef", await client.submit("reef", files))

    with pytest.raises(WorkerFailed):
        talk(fastvss, say)


def test_a_job_is_asked_for_until_it_is_done(fastvss: FastVSSServer, files: list[tuple[str, bytes]]) -> None:
    fastvss.faults.pending = 4

    async def say(client: FastVSS) -> None:
        await client.wait("reef", await client.submit("reef", files))

    talk(fastvss, say)
    assert sum(seen.path.startswith("/predict/job/") for seen in fastvss.seen) >= 5


def test_a_worker_that_gives_no_sign_in_time_is_dead(fastvss: FastVSSServer, files: list[tuple[str, bytes]]) -> None:
    fastvss.faults.dead = True

    async def say(client: FastVSS) -> None:
        await client.wait("reef", await client.submit("reef", files), patience=0.02)

    with pytest.raises(WorkerDead, match="Is its worker running"):
        talk(fastvss, say)


def test_a_sign_of_life_elsewhere_renews_the_patience(fastvss: FastVSSServer, files: list[tuple[str, bytes]]) -> None:
    fastvss.faults.pending = 5

    async def say(client: FastVSS, sign: Callable[[], float] | None) -> Any:
        return await client.wait("reef", await client.submit("reef", files), patience=0.0, sign=sign)

    with pytest.raises(WorkerDead):
        talk(fastvss, lambda client: say(client, None))
    assert talk(fastvss, lambda client: say(client, lambda: anyio.current_time() + 1))["filenames"]


@pytest.mark.parametrize("path", ["/embed/{project}/", "/embeddings/{project}/", "/embeddings/{project}"])
def test_other_paths_and_the_redirect_of_a_slash_work(
    fastvss: FastVSSServer, files: list[tuple[str, bytes]], path: str
) -> None:
    async def say(client: FastVSS) -> Any:
        return await client.wait("reef", await client.submit("reef", files))

    assert len(talk(fastvss, say, embed_path=path)["embeddings"]) == 3


def test_a_path_that_is_not_there_is_named_with_the_older_one(fastvss: FastVSSServer) -> None:
    with pytest.raises(ServiceRefused, match=r"/nothing/reef is not known there.*older services"):
        talk(fastvss, lambda client: client.submit("reef", [("0.jpg", b"x")]), embed_path="/nothing/{project}")


@pytest.mark.parametrize(
    "how",
    [
        {"status": 500, "body": "Internal Server Error"},
        {"status": 502, "body": "<html>Bad Gateway</html>", "content_type": "text/html"},
        {"status": 429},
        {"body": '{"projects": ["re'},
        {"body": '{"projects": ["re', "cut": True},
    ],
)
def test_what_fails_for_the_moment_is_tried_again(fastvss: FastVSSServer, how: dict[str, Any]) -> None:
    fastvss.answer("/projects", **how, times=2)
    assert talk(fastvss, FastVSS.projects) == ["reef"]


def test_pictures_are_sent_again_where_sending_them_failed(
    fastvss: FastVSSServer, files: list[tuple[str, bytes]]
) -> None:
    fastvss.answer("/embed", status=503)
    assert talk(fastvss, lambda client: client.submit("reef", files))
    assert [post.files for post in fastvss.posts()] == [files, files]


def test_what_fails_for_good_is_told_after_some_attempts(fastvss: FastVSSServer) -> None:
    fastvss.answer("/projects", "Internal Server Error", status=500, times=99)
    with pytest.raises(ServiceAway, match=r"GET http://127.*/projects failed with status 500: Internal Server Error"):
        talk(fastvss, FastVSS.projects)
    assert len(fastvss.seen) == 3


@pytest.mark.parametrize(
    ("path", "say"),
    [
        ("/health", FastVSS.health),
        ("/projects", FastVSS.projects),
        ("/ids", lambda client: client.ids("reef")),
        ("/embed", lambda client: client.submit("reef", [("0.jpg", b"x")])),
        ("/predict", lambda client: client.job("reef", "1")),
    ],
)
def test_another_service_at_the_address_is_recognised(
    fastvss: FastVSSServer, path: str, say: Callable[[FastVSS], Awaitable[object]]
) -> None:
    fastvss.answer(path, '{"hello": "world"}', times=9)
    with pytest.raises(ServiceAway, match=r"no Fast-VSS says.*Check the address"):
        talk(fastvss, say)
    assert len(fastvss.seen) == 1


def test_a_login_page_is_recognised(fastvss: FastVSSServer) -> None:
    fastvss.answer("/projects", "<html>Sign in</html>", content_type="text/html")
    with pytest.raises(ServiceAway, match="login page"):
        talk(fastvss, FastVSS.projects)


def test_a_service_that_is_away_is_named_with_the_way_out(unused: int) -> None:
    with pytest.raises(ServiceAway, match=rf"http://127\.0\.0\.1:{unused}/health: no answer .*Check the address"):
        talk(f"http://127.0.0.1:{unused}", FastVSS.health)


def test_a_service_that_is_silent_is_away(fastvss: FastVSSServer) -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("", request=request)

    with pytest.raises(ServiceAway, match=r"no answer .ReadTimeout"):
        talk(fastvss, FastVSS.health, transport=httpx.MockTransport(silent))


def test_a_certificate_that_is_not_trusted_is_not_tried_again() -> None:
    asked = []

    def distrusted(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed", request=request)

    with pytest.raises(ServiceAway, match="SSL_CERT_FILE"):
        talk("https://reef.example.org", FastVSS.health, transport=httpx.MockTransport(distrusted))
    assert len(asked) == 1


def test_one_client_serves_all_requests_of_a_web_server(fastvss: FastVSSServer, files: list[tuple[str, bytes]]) -> None:
    async def main() -> list[Any]:
        async with FastVSS(fastvss.url) as client:

            async def submit(request: Request) -> Response:
                return PlainTextResponse(await client.submit("reef", [("0.jpg", await request.body())]))

            async def result(request: Request) -> Response:
                job = await client.job("reef", request.path_params["uuid"])
                return JSONResponse({"state": job.state, "result": job.result})

            routes = [Route("/embed", submit, methods=["POST"]), Route("/embed/{uuid}", result)]
            transport = httpx.ASGITransport(Starlette(routes=routes))
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as browser:

                async def embed(content: bytes) -> Any:
                    job_id = (await browser.post("/embed", content=content)).text
                    while (answer := (await browser.get(f"/embed/{job_id}")).json())["state"] == "pending":
                        await anyio.lowlevel.checkpoint()
                    return answer["result"]["embeddings"][0]

                return await asyncio.gather(*[embed(content) for _, content in files])

    assert asyncio.run(main()) == [vector_of(content, "reef", 384).tolist() for _, content in files]
