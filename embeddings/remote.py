"""Embeddings from a Fast-VSS, for code that blocks.

An event loop in a thread of its own does the talking, for as long as a call takes; nothing is held between calls. So it
makes no difference whether the caller is a plain thread, or one in which another event loop runs.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import chain, islice
from types import TracebackType
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import numpy as np
from anyio.from_thread import BlockingPortal, start_blocking_portal

from fiftyone_tator.embeddings.answers import Neighbour
from fiftyone_tator.embeddings.batches import Batches, Done, Loaded
from fiftyone_tator.embeddings.embedder import Embedded, Picture, Source, Vectors, alike
from fiftyone_tator.embeddings.errors import (
    BadVectors,
    JobGone,
    NoLabels,
    NoPicture,
    OtherModel,
    ServiceRefused,
    UnknownProject,
    WorkerFailed,
)
from fiftyone_tator.embeddings.fastvss import EMBED_PATH, PATIENCE, FastVSS, File, check_embeddings, check_knn
from fiftyone_tator.embeddings.pictures import probe_jpeg, small_jpeg

TOP_N = 10
"""Neighbours of each picture."""
_AHEAD = 2
"""Batches that are read while the service has all it wants."""
_log = logging.getLogger(__name__)

Part = TypeVar("Part")
Rows = TypeVar("Rows")
_Submit = Callable[[str, Sequence[File]], Awaitable[str]]


class FastVSSEmbedder:
    """Has pictures embedded by a service; see :class:`.embedder.Embedder`.

    Each call has the probe picture in it. If its vector changes, another model has answered: two projects that share a
    Redis share its queue.

    Args:
        url: the service's address
        project: of the service, which chooses the model; its only one if None
        batch_size: pictures a call, with the probe; halved when the service says they are too many
        in_flight: jobs that the service has at a time
        path: of the call that embeds, for services that name it otherwise
        patience: seconds without any job coming back after which the worker is taken for dead
        timeout: seconds of silence after which a call fails
    """

    def __init__(
        self,
        url: str,
        project: str | None = None,
        *,
        batch_size: int = 32,
        in_flight: int = 3,
        path: str = EMBED_PATH,
        patience: float = PATIENCE,
        timeout: float = 60.0,
    ) -> None:
        self._url, self._path, self._timeout, self._patience = url, path, timeout, patience
        self._project = project
        self._batch_size, self._in_flight = batch_size, in_flight
        self._source: Source | None = None
        self._first: Vectors | None = None

    def __enter__(self) -> "FastVSSEmbedder":
        """Needs nothing."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Holds nothing."""

    @property
    def source(self) -> Source:
        """What makes the vectors; the first time it asks the service."""
        if self._source is None:
            with self._conversation() as talk:
                self._source = talk.tasks.call(talk.source)
        return self._source

    def probe(self) -> Vectors:
        """Sees whether the project is listed and a picture comes back.

        Returns:
            the vector of the probe picture

        Raises:
            EmbeddingError: if it is not ready, with the reason
        """
        with self._conversation() as talk:
            return talk.tasks.call(talk.probe)

    def embed(self, pictures: Iterable[Picture]) -> Iterator[Embedded]:
        """Embeds pictures, some jobs at a time; closing the iterator ends them all.

        Args:
            pictures: as many as there are; taken one by one, in the caller's thread

        Yields:
            vectors, a batch at a time, in the order in which they come back

        Raises:
            EmbeddingError: if it cannot go on; what was yielded before is good
        """
        with self._conversation() as talk:
            yield from self._flow(talk, talk.embedding, talk.embed, pictures)

    def probe_neighbours(self) -> None:
        """Sees whether the project holds labelled pictures, and tells the nearest to a picture.

        Raises:
            NoLabels: if it holds none
            EmbeddingError: if it is not ready, with the reason
        """
        with self._conversation() as talk:
            talk.tasks.call(talk.probe_neighbours)

    def neighbours(
        self, pictures: Iterable[Picture], *, top_n: int = TOP_N
    ) -> Iterator[dict[Hashable, list[Neighbour]]]:
        """Asks for the nearest of the labelled pictures that the service holds, some jobs at a time.

        Nothing in an answer tells which model it is of. Pictures without an answer are left out, and logged.

        Args:
            pictures: as many as there are; taken one by one, in the caller's thread
            top_n: neighbours of each

        Yields:
            neighbours by the picture's key, the nearest first; a batch at a time, in the order in which they come back

        Raises:
            NoLabels: if the service holds no labelled pictures
            EmbeddingError: if it cannot go on; what was yielded before is good
        """
        with self._conversation() as talk:
            talk.tasks.call(talk.probe_neighbours)
            asking = talk.asking(top_n)
            yield from self._flow(talk, asking, partial(talk.neighbours, asking), pictures)

    def _flow(
        self,
        talk: "_Conversation",
        batches: Batches[Any],
        send: Callable[[Sequence[Picture]], Awaitable[Part]],
        pictures: Iterable[Picture],
    ) -> Iterator[Part]:
        """Sends pictures in batches, some at a time, and yields what comes back."""
        source = iter(pictures)
        under_way: set[Future[Part]] = set()
        while True:
            while len(under_way) < self._in_flight + _AHEAD:
                batch = list(islice(source, batches.room))
                if not batch:
                    break
                under_way.add(talk.tasks.start_task_soon(send, batch))
            if not under_way:
                return
            ended, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for future in sorted(ended, key=lambda future: future.exception() is not None):
                yield future.result()

    @contextmanager
    def _conversation(self) -> Iterator["_Conversation"]:
        """Opens an event loop with connections, and ends all that happens in it."""
        with start_blocking_portal() as portal:
            opened = portal.wrap_async_context_manager(self._opened())
            talk = opened.__enter__()
            try:
                yield talk
            finally:
                # What went wrong out here is none of its business: it would come back in an exception group.
                opened.__exit__(None, None, None)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator["_Conversation"]:
        client = FastVSS(self._url, embed_path=self._path, timeout=self._timeout)
        async with client, BlockingPortal() as tasks:
            try:
                yield _Conversation(self, client, tasks)
            finally:
                await tasks.stop(cancel_remaining=True)


class _Conversation:
    """What is said to the service in one go; lives in the event loop."""

    def __init__(self, embedder: FastVSSEmbedder, client: FastVSS, tasks: BlockingPortal) -> None:
        self.tasks = tasks
        self.embedding = Batches(self._embeddings, size=embedder._batch_size, good=probe_jpeg(), added=1)
        self._embedder, self._client = embedder, client
        self._slots = anyio.Semaphore(embedder._in_flight)
        self._asking = anyio.Lock()
        self._last_sign = anyio.current_time()

    async def source(self) -> Source:
        project = await self._chosen()
        try:
            version = (await self._client.health()).version
        except ServiceRefused:
            version = None
        return Source("fastvss", project, self._client.url, version)

    async def probe(self) -> Vectors:
        known, project = await self._client.projects(), await self._chosen()
        if project not in known:
            raise UnknownProject(
                f"{self._client.url} does not have the project {project!r}. It has: {', '.join(known) or 'none'}."
            )
        await self._embeddings([])
        assert self._embedder._first is not None
        return self._embedder._first

    async def embed(self, pictures: Sequence[Picture]) -> Embedded:
        done = await _loaded_and_sent(self.embedding, pictures)
        vectors = np.concatenate(done.rows) if done.rows else np.empty((0, 0), np.float32)
        return Embedded(done.keys, vectors, done.failed)

    async def probe_neighbours(self) -> None:
        where = f"the project {await self._chosen()!r} of {self._client.url}"
        way_out = "Load labelled pictures into it, or take the labels from the dataset's own samples."
        try:
            (found,) = await self._neighbours([probe_jpeg()], 1)
        except UnknownProject:
            raise
        except (ServiceRefused, WorkerFailed, BadVectors) as error:
            raise type(error)(
                f"There are no neighbours to be had from {where}: {error} If it has no index: {way_out}"
            ) from error
        if not found:
            raise NoLabels(f"There are no labelled pictures in {where} to find neighbours among. {way_out}")

    def asking(self, top_n: int) -> Batches[list[list[Neighbour]]]:
        return Batches(partial(self._neighbours, top_n=top_n), size=self._embedder._batch_size, good=probe_jpeg())

    async def neighbours(
        self, asking: Batches[list[list[Neighbour]]], pictures: Sequence[Picture]
    ) -> dict[Hashable, list[Neighbour]]:
        done = await _loaded_and_sent(asking, pictures)
        for reason in done.failed.values():
            _log.info("No neighbours of a picture: %s", reason)
        return dict(zip(done.keys, chain.from_iterable(done.rows), strict=True))

    async def _chosen(self) -> str:
        """The project; asked for once, however many tasks there are."""
        async with self._asking:
            if self._embedder._project is None:
                known = await self._client.projects()
                if len(known) != 1:
                    raise UnknownProject(
                        f"{self._client.url} has {len(known)} projects: {', '.join(known) or 'none'}. Choose one."
                    )
                self._embedder._project = known[0]
            return self._embedder._project

    async def _embeddings(self, contents: Sequence[bytes]) -> Vectors:
        """Has pictures embedded, and the probe with them."""
        project, names, result = await self._job(self._client.submit, [probe_jpeg(), *contents])
        vectors = check_embeddings(result, names)
        first = self._embedder._first
        if first is None:
            self._embedder._first = vectors[0].copy()
        elif not alike(first, vectors[0]):
            raise OtherModel(
                f"{self._client.url} answers for the project {project!r} with another model than before "
                f"({len(first):,} numbers, then {vectors.shape[1]:,}; the same picture looks different to it). Do two "
                "projects share a Redis there? What came before was kept; have the service put right, then go on."
            )
        return vectors[1:]

    async def _neighbours(self, contents: Sequence[bytes], top_n: int) -> list[list[Neighbour]]:
        _, names, result = await self._job(partial(self._client.submit_knn, top_n=top_n), contents)
        return check_knn(result, names)

    async def _job(self, submit: _Submit, contents: Sequence[bytes]) -> tuple[str, list[str], object]:
        """Has a job done, once more if it is lost; returns the project, the files' names and the result."""
        project = await self._chosen()
        files = [(f"{number}.jpg", content) for number, content in enumerate(contents)]
        async with self._slots:
            try:
                result = await self._result(submit, project, files)
            except JobGone:
                result = await self._result(submit, project, files)
        return project, [name for name, _ in files], result

    async def _result(self, submit: _Submit, project: str, files: Sequence[File]) -> object:
        job_id = await submit(project, files)
        try:
            result = await self._client.wait(
                project, job_id, patience=self._embedder._patience, sign=lambda: self._last_sign
            )
        except WorkerFailed:
            self._last_sign = anyio.current_time()
            raise
        self._last_sign = anyio.current_time()
        return result


async def _loaded_and_sent(batches: Batches[Rows], pictures: Sequence[Picture]) -> Done[Rows]:
    loaded, failed = await anyio.to_thread.run_sync(_load, pictures, abandon_on_cancel=True)
    done = await batches.run(loaded)
    return Done(done.keys, done.rows, {**failed, **done.failed})


def _load(pictures: Sequence[Picture]) -> tuple[list[Loaded], dict[Hashable, str]]:
    loaded: list[Loaded] = []
    failed: dict[Hashable, str] = {}
    for picture in pictures:
        try:
            loaded.append(Loaded(picture.key, picture.path, small_jpeg(picture.path)))
        except NoPicture as error:
            failed[picture.key] = str(error)
    return loaded, failed
