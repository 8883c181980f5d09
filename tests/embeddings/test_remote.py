"""Embedding with a Fast-VSS from code that blocks, against the stand-in on a real socket."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from fiftyone_tator.embeddings.embedder import Embedded, Embedder, Picture, Source
from fiftyone_tator.embeddings.errors import (
    BadVectors,
    EmbeddingError,
    JobGone,
    OtherModel,
    ServiceAway,
    UnknownProject,
    WorkerDead,
    WorkerFailed,
)
from fiftyone_tator.embeddings.pictures import probe_jpeg
from fiftyone_tator.embeddings.remote import FastVSSEmbedder
from fiftyone_tator.tests.embeddings.fastvss_model import Faults, Project, vector_of
from fiftyone_tator.tests.embeddings.fastvss_server import FastVSSServer, running, running_process

Until = Callable[[Callable[[], object]], None]
Crops = Callable[[int], list[Path]]

pytestmark = pytest.mark.usefixtures("quick_retries")


def pictures(paths: Iterable[Path]) -> list[Picture]:
    return [Picture(number, str(path)) for number, path in enumerate(paths)]


def gathered(
    parts: Iterable[Embedded], paths: Sequence[Path], project: str = "reef", size: int = 384
) -> dict[object, str]:
    """Sees that every picture came back once, with its own vector or a reason; returns the reasons."""
    failed: dict[object, str] = {}
    seen: list[object] = []
    for part in parts:
        for key, vector in zip(part.keys, part.vectors, strict=True):
            assert vector.tolist() == vector_of(paths[key].read_bytes(), project, size).tolist()
        seen += [*part.keys, *part.failed]
        failed.update(part.failed)
    assert sorted(seen) == list(range(len(paths)))
    return failed


def broken(*paths: Path) -> Callable[[bytes], bool]:
    contents = {path.read_bytes() for path in paths}
    return lambda content: content in contents


def connections(server: FastVSSServer) -> list[object]:
    port = int(server.url.rpartition(":")[2])
    mine = psutil.Process().net_connections("tcp")
    return [each for each in mine if each.raddr and each.raddr.port == port and each.status == "ESTABLISHED"]


def test_every_crop_comes_back_with_its_vector(fastvss: FastVSSServer, crops: Crops) -> None:
    paths = crops(70)
    embedder: Embedder = FastVSSEmbedder(fastvss.url, "reef")
    with embedder:
        assert gathered(embedder.embed(pictures(paths)), paths) == {}
    sent = [[content for _, content in post.files] for post in fastvss.posts()]
    assert sorted(map(len, sent)) == [9, 32, 32]
    assert {contents[0] for contents in sent} == {probe_jpeg()}
    assert sorted(content for contents in sent for content in contents[1:]) == sorted(p.read_bytes() for p in paths)


def test_without_pictures_there_is_nothing_to_say(fastvss: FastVSSServer) -> None:
    assert list(FastVSSEmbedder(fastvss.url, "reef").embed([])) == []
    assert fastvss.seen == []


def test_the_source_names_project_address_and_version(fastvss: FastVSSServer) -> None:
    address = fastvss.url.replace("://", "://diver:secret@")
    embedder = FastVSSEmbedder(address, "reef")
    assert embedder.source == Source("fastvss", "reef", fastvss.url, "0.15.0")
    assert embedder.source.label == f"Fast-VSS 0.15.0, project reef, at {fastvss.url}"
    assert len(fastvss.seen) == 1


def test_a_service_that_tells_no_version_has_none(fastvss: FastVSSServer) -> None:
    fastvss.answer("/health", '{"detail": "Not Found"}', status=404)
    assert FastVSSEmbedder(fastvss.url, "reef").source.version is None


def test_the_only_project_need_not_be_named(fastvss: FastVSSServer, crops: Crops) -> None:
    paths = crops(5)
    embedder = FastVSSEmbedder(fastvss.url, batch_size=3)
    assert gathered(embedder.embed(pictures(paths)), paths) == {}
    assert embedder.source.model == "reef"
    assert sum(seen.path == "/projects" for seen in fastvss.seen) == 1


def test_of_several_projects_one_must_be_named(fastvss: FastVSSServer, crops: Crops) -> None:
    fastvss.projects["kelp"] = Project("kelp")
    for ask in (lambda it: it.source, lambda it: it.probe(), lambda it: list(it.embed(pictures(crops(1))))):
        with pytest.raises(UnknownProject, match=r"2 projects: reef, kelp\. Choose one"):
            ask(FastVSSEmbedder(fastvss.url))


def test_an_unknown_project_is_named_with_those_there_are(fastvss: FastVSSServer, crops: Crops) -> None:
    for ask in (lambda it: it.probe(), lambda it: list(it.embed(pictures(crops(1))))):
        with pytest.raises(UnknownProject, match=r"'nope'\. It has: reef"):
            ask(FastVSSEmbedder(fastvss.url, "nope"))


def test_the_probe_comes_back_as_its_vector(fastvss: FastVSSServer) -> None:
    vector = FastVSSEmbedder(fastvss.url, "reef").probe()
    assert vector.tolist() == vector_of(probe_jpeg(), "reef", 384).tolist()


def test_a_service_whose_worker_does_nothing_is_not_ready(fastvss: FastVSSServer) -> None:
    fastvss.faults.dead = True
    with pytest.raises(WorkerDead):
        FastVSSEmbedder(fastvss.url, "reef", patience=0.02).probe()


def test_a_service_that_is_away_is_not_ready(unused: int) -> None:
    with pytest.raises(ServiceAway, match="Check the address"):
        FastVSSEmbedder(f"http://127.0.0.1:{unused}", "reef").probe()


def test_it_works_in_a_thread_in_which_an_event_loop_runs(fastvss: FastVSSServer, crops: Crops) -> None:
    paths = crops(5)
    embedder = FastVSSEmbedder(fastvss.url, "reef")

    async def main() -> dict[object, str]:
        assert len(embedder.probe()) == 384
        return gathered(embedder.embed(pictures(paths)), paths)

    assert asyncio.run(main()) == {}


def test_it_works_in_a_thread_beside_an_event_loop(fastvss: FastVSSServer, crops: Crops) -> None:
    paths = crops(5)
    embedder = FastVSSEmbedder(fastvss.url, "reef")

    async def main() -> dict[object, str]:
        return await asyncio.to_thread(lambda: gathered(embedder.embed(pictures(paths)), paths))

    assert asyncio.run(main()) == {}


def test_so_many_jobs_are_in_flight_and_no_more(fastvss: FastVSSServer, crops: Crops, until: Until) -> None:
    paths = crops(24)
    fastvss.hold()
    embedder = FastVSSEmbedder(fastvss.url, "reef", batch_size=3, in_flight=4)
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(lambda: gathered(embedder.embed(pictures(paths)), paths))
        until(lambda: fastvss.open_jobs == 4)
        fastvss.release()
        assert done.result() == {}
    assert fastvss.most_open == 4


def test_no_more_than_a_few_batches_are_read_ahead(fastvss: FastVSSServer, crops: Crops) -> None:
    taken = []

    def reading() -> Iterator[Picture]:
        for picture in pictures(crops(60)):
            taken.append(picture)
            yield picture

    found = FastVSSEmbedder(fastvss.url, "reef", batch_size=3, in_flight=3).embed(reading())
    next(found)
    assert len(taken) == 2 * (3 + 2)
    found.close()


def test_batches_halve_until_the_service_takes_them_and_stay_small(fastvss: FastVSSServer, crops: Crops) -> None:
    paths = crops(120)
    fastvss.faults.limit = 8
    assert gathered(FastVSSEmbedder(fastvss.url, "reef").embed(pictures(paths)), paths) == {}
    sizes = [len(post.files) for post in fastvss.posts()]
    assert max(sizes[len(sizes) // 2 :]) == 8
    assert sum(size > 8 for size in sizes) <= 10


def test_a_crop_that_is_too_large_is_named_and_the_others_come(fastvss: FastVSSServer, crops: Crops) -> None:
    paths = crops(40)
    fastvss.faults.most_bytes = 200_000
    content = paths[7].read_bytes()
    paths[7].write_bytes(content[:-2] + b"\x00" * 300_000 + content[-2:])
    failed = gathered(FastVSSEmbedder(fastvss.url, "reef").embed(pictures(paths)), paths)
    assert list(failed) == [7]
    assert "crop_0007.jpg: too large for the service" in failed[7]


def test_a_job_that_is_gone_is_sent_again_once(fastvss: FastVSSServer, crops: Crops) -> None:
    paths = crops(10)
    fastvss.faults.forgets = 1
    assert gathered(FastVSSEmbedder(fastvss.url, "reef").embed(pictures(paths)), paths) == {}
    first, second = fastvss.posts()
    assert first.files == second.files


def test_a_job_that_is_gone_twice_ends_it(fastvss: FastVSSServer, crops: Crops) -> None:
    fastvss.faults.forgets = 2
    with pytest.raises(JobGone, match="ask again"):
        list(FastVSSEmbedder(fastvss.url, "reef").embed(pictures(crops(10))))


@pytest.mark.parametrize(
    ("fault", "why"), [("raises", "CUDA error"), ("fails", "failed at the job"), ("nan", "no finite number")]
)
def test_the_crop_at_fault_is_found_and_named_and_the_others_come(
    fastvss: FastVSSServer, crops: Crops, fault: str, why: str
) -> None:
    paths = crops(40)
    setattr(fastvss.faults, fault, broken(paths[5], paths[38]))
    failed = gathered(FastVSSEmbedder(fastvss.url, "reef").embed(pictures(paths)), paths)
    assert sorted(failed) == [5, 38]
    assert all("crop_00" in reason and why in reason for reason in failed.values())


@pytest.mark.parametrize("fault", ["raises", "fails", "nan"])
def test_crops_that_failed_are_named_again_when_they_are_all_that_is_left(
    fastvss: FastVSSServer, crops: Crops, fault: str
) -> None:
    paths = crops(60)
    at_fault = paths[20:25]
    setattr(fastvss.faults, fault, broken(*at_fault))
    embedder = FastVSSEmbedder(fastvss.url, "reef")
    assert sorted(gathered(embedder.embed(pictures(paths)), paths)) == [20, 21, 22, 23, 24]
    assert sorted(gathered(embedder.embed(pictures(at_fault)), at_fault)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("faults", "kind"),
    [
        (Faults(text="CUDA out of memory"), WorkerFailed),
        (Faults(raises=lambda content: True), WorkerFailed),
        (Faults(fails=lambda content: True), WorkerFailed),
        (Faults(fewer=True), BadVectors),
        (Faults(ragged=True), BadVectors),
        (Faults(reversed=True), BadVectors),
        (Faults(nan=lambda content: True), BadVectors),
        (Faults(dimensions=2000), BadVectors),
    ],
)
def test_a_worker_that_always_fails_is_not_asked_a_hundred_times(
    fastvss: FastVSSServer, crops: Crops, faults: Faults, kind: type[EmbeddingError]
) -> None:
    fastvss.faults = faults
    with pytest.raises(kind, match="one after the other"):
        list(FastVSSEmbedder(fastvss.url, "reef").embed(pictures(crops(100))))
    assert len(fastvss.posts()) < 40


@pytest.mark.parametrize("change", [{"model": "kelp"}, {"dimensions": 512}])
def test_another_model_that_answers_midway_is_refused(
    fastvss: FastVSSServer, crops: Crops, change: dict[str, object]
) -> None:
    paths = crops(60)
    found = FastVSSEmbedder(fastvss.url, "reef", batch_size=3).embed(pictures(paths))
    parts = [next(found)]
    fastvss.faults = Faults(**change)
    with pytest.raises(OtherModel, match="share a Redis"):
        parts.extend(found)
    for part in parts:
        for key, vector in zip(part.keys, part.vectors, strict=True):
            assert vector.tolist() == vector_of(paths[key].read_bytes(), "reef", 384).tolist()


def test_another_model_than_the_probes_is_refused(fastvss: FastVSSServer, crops: Crops) -> None:
    embedder = FastVSSEmbedder(fastvss.url, "reef")
    embedder.probe()
    fastvss.faults.model = "kelp"
    with pytest.raises(OtherModel):
        list(embedder.embed(pictures(crops(3))))


def test_a_worker_that_dies_midway_is_told_and_what_came_is_good(fastvss: FastVSSServer, crops: Crops) -> None:
    paths = crops(60)
    fastvss.faults.dies_after = 4
    parts = []
    with pytest.raises(WorkerDead, match="Is its worker running"):
        for part in FastVSSEmbedder(fastvss.url, "reef", batch_size=3, patience=0.3).embed(pictures(paths)):
            parts.append(part)
    keys = [key for part in parts for key in part.keys]
    assert len(keys) == len(set(keys)) == 8


def test_a_crop_that_is_gone_or_broken_is_named_and_the_others_come(fastvss: FastVSSServer, crops: Crops) -> None:
    paths = crops(12)
    asked = pictures(paths)
    gone, text = paths[3].with_name("gone.jpg"), paths[4].with_name("text.jpg")
    text.write_text("no picture")
    asked[3], asked[4] = Picture(3, str(gone)), Picture(4, str(text))
    failed = gathered(FastVSSEmbedder(fastvss.url, "reef").embed(asked), paths)
    assert sorted(failed) == [3, 4]
    assert "gone.jpg: the file is gone" in failed[3]
    assert "text.jpg" in failed[4]


def test_crops_that_are_all_gone_come_back_as_failed_without_a_call(fastvss: FastVSSServer, tmp_path: Path) -> None:
    (part,) = FastVSSEmbedder(fastvss.url, "reef").embed(pictures([tmp_path / "a.jpg", tmp_path / "b.jpg"]))
    assert (list(part.keys), len(part.vectors), sorted(part.failed)) == ([], 0, [0, 1])
    assert fastvss.posts() == []


def test_closing_midway_leaves_no_thread_and_no_connection(fastvss: FastVSSServer, crops: Crops, until: Until) -> None:
    before = set(threading.enumerate())
    fastvss.faults.dies_after = 1
    found = FastVSSEmbedder(fastvss.url, "reef", batch_size=3).embed(pictures(crops(60)))
    next(found)
    until(lambda: fastvss.open_jobs == 3)
    assert connections(fastvss)
    found.close()
    until(lambda: set(threading.enumerate()) <= before)
    until(lambda: not connections(fastvss))
    asked = len(fastvss.seen)
    fastvss.faults = Faults()
    until(lambda: fastvss.open_jobs == 0)
    assert len(fastvss.seen) == asked


@pytest.mark.parametrize("ask", [lambda it: it.source, lambda it: it.probe()])
def test_nothing_is_held_between_calls(
    fastvss: FastVSSServer, until: Until, ask: Callable[[FastVSSEmbedder], object]
) -> None:
    before = set(threading.enumerate())
    ask(FastVSSEmbedder(fastvss.url, "reef"))
    until(lambda: set(threading.enumerate()) <= before)
    until(lambda: not connections(fastvss))


def test_what_the_callers_pictures_raise_comes_as_it_is(fastvss: FastVSSServer, crops: Crops, until: Until) -> None:
    before = set(threading.enumerate())

    def reading() -> Iterator[Picture]:
        yield from pictures(crops(40))
        raise KeyError("the database is away")

    with pytest.raises(KeyError, match="the database is away"):
        list(FastVSSEmbedder(fastvss.url, "reef", batch_size=3).embed(reading()))
    until(lambda: set(threading.enumerate()) <= before)


def test_a_caller_that_stops_midway_leaves_nothing_behind(fastvss: FastVSSServer, crops: Crops, until: Until) -> None:
    before = set(threading.enumerate())

    def stop() -> None:
        for _ in FastVSSEmbedder(fastvss.url, "reef", batch_size=3).embed(pictures(crops(60))):
            raise KeyError("somebody asked the work to stop")

    with pytest.raises(KeyError, match="asked the work to stop") as raised:
        stop()
    assert raised.value.__context__ is None
    until(lambda: set(threading.enumerate()) <= before)
    until(lambda: not connections(fastvss))


def test_connections_are_used_again(fastvss: FastVSSServer, crops: Crops) -> None:
    paths = crops(40)
    gathered(FastVSSEmbedder(fastvss.url, "reef", batch_size=3).embed(pictures(paths)), paths)
    assert len(fastvss.posts()) == 20
    assert len(fastvss.connections) <= 5


def test_the_older_path_is_taken(fastvss: FastVSSServer, crops: Crops) -> None:
    paths = crops(3)
    embedder = FastVSSEmbedder(fastvss.url, "reef", path="/embeddings/{project}/")
    assert gathered(embedder.embed(pictures(paths)), paths) == {}
    assert [post.path for post in fastvss.posts()] == ["/embeddings/reef/"]


@pytest.mark.parametrize("size", [768, 1024, 1536])
def test_models_of_any_size_do(crops: Crops, size: int) -> None:
    paths = crops(5)
    with running(Project("deep", size)) as server:
        parts = list(FastVSSEmbedder(server.url).embed(pictures(paths)))
    assert gathered(parts, paths, "deep", size) == {}


def test_a_service_in_another_process_does(crops: Crops) -> None:
    paths = crops(40)
    with running_process("--instant", "--project", "a:16") as url:
        parts = list(FastVSSEmbedder(url).embed(pictures(paths)))
    assert sorted(key for part in parts for key in part.keys) == list(range(40))
    assert np.concatenate([part.vectors for part in parts]).shape == (40, 16)
