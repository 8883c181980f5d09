"""What the stand-in Fast-VSS is told, and what its models see in pictures."""

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

_VARIANTS = 256

Rows: TypeAlias = npt.NDArray[np.float32]
Hits = Callable[[bytes], bool]
"""Which pictures a fault is about, by their bytes."""


@dataclass(frozen=True)
class Labelled:
    """A picture that the service knows: what ``/knn`` finds."""

    id: str
    label: str
    vector: Rows


@dataclass
class Project:
    """A project: its model is its name, or another's.

    Args:
        name: of the project
        dimensions: of its vectors
        index: the labelled pictures of ``/knn``
    """

    name: str
    dimensions: int = 384
    index: list[Labelled] = field(default_factory=list)

    def know(self, id: str, label: str, picture: bytes) -> None:
        """Adds a labelled picture to the index."""
        self.index.append(Labelled(id, label, vector_of(picture, self.name, self.dimensions)))


@dataclass
class Answer:
    """An answer out of turn, to requests whose path begins with something; ``cut`` breaks it off."""

    path: str
    body: str = ""
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    cut: bool = False


@dataclass
class Faults:
    """What goes wrong; set from the tests at any time.

    Args:
        limit: pictures a call at most
        most_bytes: a proxy before the service lets no larger request through
        delay: seconds a job takes
        dead: no worker takes any job
        dies_after: the worker dies when it has done so many more jobs
        pending: how many times a job is pending when it is asked for, however fast it was
        forgets: how many of the next jobs are gone when they are asked for
        raises: pictures that the worker raises an exception about
        fails: pictures whose job fails
        nan: pictures with a vector of NaN
        fewer: one row is missing
        ragged: the last row is shorter
        reversed: the filenames come in another order
        dimensions: the vectors have so many numbers, whatever the project says
        model: another project's model answers
        text: what the worker's result is, always
        answers: out of turn
    """

    limit: int = 32
    most_bytes: int | None = None
    delay: float = 0.0
    dead: bool = False
    dies_after: int | None = None
    pending: int = 0
    forgets: int = 0
    raises: Hits | None = None
    fails: Hits | None = None
    nan: Hits | None = None
    fewer: bool = False
    ragged: bool = False
    reversed: bool = False
    dimensions: int | None = None
    model: str | None = None
    text: str | None = None
    answers: list[Answer] = field(default_factory=list)


@dataclass(frozen=True)
class Seen:
    """A request: its files are names with contents."""

    method: str
    path: str
    files: list[tuple[str, bytes]]
    headers: dict[str, str]


@lru_cache
def _projection(model: str, dimensions: int) -> Rows:
    matrix = np.random.default_rng(zlib.crc32(model.encode())).normal(size=(192, dimensions))
    return matrix.astype(np.float32)


@cache
def _variant(number: int, dimensions: int) -> str:
    return json.dumps(np.random.default_rng(number).normal(size=dimensions).astype(np.float32).tolist())


def vector_of(picture: bytes, model: str, dimensions: int) -> Rows:
    """What a model sees in a picture: its colours on a grid, so that what looks alike is alike."""
    decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise ValueError("cannot identify image file <_io.BytesIO object at 0x7f>")
    grid = cv2.resize(decoded, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float32).ravel() / 255 - 0.5
    row: Rows = grid @ _projection(model, dimensions)
    return row


def files_of(content_type: str, body: bytes) -> list[tuple[str, bytes]] | None:
    """The parts named ``files`` of a multipart body; None if it is none."""
    _, found, boundary = content_type.partition("boundary=")
    if not found:
        return None
    files = []
    for part in body.split(b"--" + boundary.strip('"').encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        if b'name="files"' in head and b'filename="' in head:
            files.append((head.split(b'filename="')[1].split(b'"')[0].decode(), content[:-2]))
    return files or None


def neighbours(rows: list[Rows], index: list[Labelled], top_n: int) -> dict[str, Any]:
    """What ``/knn`` says of some vectors."""
    found: dict[str, list[list[Any]]] = {"predictions": [], "scores": [], "ids": []}
    for row in rows:
        scored = []
        for each in index:
            size = float(np.linalg.norm(row) * np.linalg.norm(each.vector)) or 1.0
            scored.append((1 - float(row @ each.vector) / size, each))
        nearest = sorted(scored, key=lambda pair: pair[0])[:top_n]
        found["predictions"].append([each.label for _, each in nearest])
        found["scores"].append([score for score, _ in nearest])
        found["ids"].append([each.id for _, each in nearest])
    return found


def instantly(picture: bytes, dimensions: int) -> str:
    """A vector without looking: the same for the same bytes."""
    return _variant(zlib.crc32(picture) % _VARIANTS, dimensions)
