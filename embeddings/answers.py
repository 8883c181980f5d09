"""What an answer of Fast-VSS means: pure, from status and bytes to a value or an error."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from pydantic_core import from_json

from fiftyone_tator.embeddings.embedder import Vectors
from fiftyone_tator.embeddings.errors import (
    BadVectors,
    EmbeddingError,
    JobGone,
    ServiceAway,
    ServiceRefused,
    TooLarge,
    UnknownProject,
    WorkerFailed,
)

MOST_DIMENSIONS = 1_536
_LONGEST = 300
_SPACES = re.compile(r"[\s\x00-\x1f\x7f]+")
_TAGS = re.compile(r"<(?:script|style).*?</(?:script|style)>|<[^>]*>", re.DOTALL | re.IGNORECASE)

State: TypeAlias = Literal["pending", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Health:
    """What the service says of itself.

    Args:
        status: ``ok``
        version: its version; None if it does not tell
    """

    status: str
    version: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """How a job is.

    Args:
        state: pending, done or failed
        result: of a job that is done
    """

    state: State
    result: Any = None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A labelled picture near to another.

    Args:
        label: of the neighbour
        distance: by cosine; lower is closer
        id: of the neighbour in the service
    """

    label: str
    distance: float
    id: str


def shortened(text: str) -> str:
    """One line of a text, of at most some 300 characters; the end is kept, where tracebacks say what went wrong.

    Args:
        text: any
    """
    line = _SPACES.sub(" ", text).strip()
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} … {line[-_LONGEST // 2 :]}"


def decode(status: int, content_type: str, data: bytes, *, call: str) -> dict[str, Any]:
    """The object that an answer holds.

    Args:
        status: of HTTP
        content_type: of the answer
        data: the whole body
        call: what was asked, for messages, such as ``GET http://localhost:8000/projects``

    Returns:
        the object, which is no error

    Raises:
        ServiceAway: if no Fast-VSS answers, or it fails inside; transient if it may be better later
        ServiceRefused: if it says no, as one of its kinds where that is known
    """
    html = "html" in content_type or data[:64].lstrip()[:1] == b"<"
    if not 200 <= status < 300:
        raise _failure(status, _said(data, html=html), call)
    if html:
        raise ServiceAway(
            f"{call} was answered with a web page instead of data. Is this the address of a Fast-VSS, without a "
            "login page in front of it?"
        )
    try:
        # Of many numbers, in a seventh of the time of the standard library.
        answer = from_json(data)
    except ValueError:
        raise ServiceAway(
            f"{call} was answered with what breaks off or is no JSON ({len(data):,} bytes). Is this the address of a "
            "Fast-VSS? Try again.",
            transient=True,
        ) from None
    if not isinstance(answer, dict):
        raise _no_fastvss(call, answer)
    if "error" in answer:
        raise refusal(str(answer["error"]), call)
    return answer


def _said(data: bytes, *, html: bool) -> str:
    text = data[:65_536].decode("utf-8", "replace")
    return shortened(_TAGS.sub(" ", text) if html else text) or "no reason given"


def _failure(status: int, said: str, call: str) -> EmbeddingError:
    if status == 413:
        return TooLarge(f"{call} is too large for a proxy before the service (413). Use a smaller batch size.")
    if status in (401, 403, 407):
        return ServiceRefused(
            f"{call} is not permitted ({status}): {said}. If a proxy asks for a name and password, write them into "
            "the service's address."
        )
    if status in (404, 405):
        return ServiceRefused(
            f"{call} is not known there ({status}). Check the address, and the path of the call: older services name "
            "it /embeddings/{project}/."
        )
    if status == 429 or status >= 500:
        return ServiceAway(f"{call} failed with status {status}: {said}. Try again later.", transient=True)
    return ServiceRefused(f"{call} was refused with status {status}: {said}. Check the options.")


def refusal(said: str, call: str) -> ServiceRefused:
    """The error for what the service answered as one.

    Args:
        said: its words
        call: what was asked
    """
    lower, short = said.lower(), shortened(said)
    if "batch size" in lower:
        return TooLarge(f"{call} has too many pictures: {short}. Use a smaller batch size.")
    if "job" in lower and "not exist" in lower:
        return JobGone(
            f"{call}: the service does not know the job: {short}. It keeps results for some minutes only; ask again."
        )
    if "project" in lower:
        return UnknownProject(f"{call}: {short}. Choose one of the service's projects.")
    return ServiceRefused(f"{call} was refused: {short}. Check the options, and the service's log.")


def _no_fastvss(call: str, answer: Any) -> ServiceAway:
    return ServiceAway(
        f"{call} was answered with what no Fast-VSS says: {shortened(repr(answer)[:2_000])}. Check the address."
    )


def health_of(answer: dict[str, Any], call: str) -> Health:
    """What ``/health`` says.

    Args:
        answer: the object
        call: what was asked

    Returns:
        the service's state

    Raises:
        ServiceAway: if no Fast-VSS says that
    """
    status, version = answer.get("status"), answer.get("version")
    if not isinstance(status, str):
        raise _no_fastvss(call, answer)
    return Health(status, None if version is None else str(version))


def names_of(answer: dict[str, Any], key: str, call: str) -> list[str]:
    """A list of names in an answer.

    Args:
        answer: the object
        key: where the list is
        call: what was asked

    Returns:
        the names

    Raises:
        ServiceAway: if no Fast-VSS says that
    """
    names = answer.get(key)
    if not isinstance(names, list):
        raise _no_fastvss(call, answer)
    return [str(name) for name in names]


def job_id_of(answer: dict[str, Any], call: str) -> str:
    """The id of a job that was taken.

    Args:
        answer: the object
        call: what was asked

    Returns:
        the id

    Raises:
        ServiceAway: if no Fast-VSS says that
    """
    job_id = answer.get("job_id")
    if not isinstance(job_id, str) or not job_id:
        raise _no_fastvss(call, answer)
    return job_id


def job_of(answer: dict[str, Any], call: str) -> Job:
    """How a job is.

    Args:
        answer: the object
        call: what was asked

    Returns:
        the job

    Raises:
        ServiceAway: if no Fast-VSS says that
    """
    match answer:
        case {"status": "done", "result": result}:
            return Job("done", result)
        case {"status": "pending" | "failed" as state}:
            return Job(state)
    raise _no_fastvss(call, answer)


def result_of(job: Job) -> Any:
    """The result of a job that is not pending.

    Args:
        job: done or failed

    Returns:
        its result

    Raises:
        WorkerFailed: if it failed, or its result is the text of an exception
    """
    if job.state == "failed":
        raise WorkerFailed("The service's worker failed at the job, or took longer than it may. See the service's log.")
    if isinstance(job.result, str):
        raise WorkerFailed(f"The service's worker failed: {shortened(job.result) or 'no reason given'}")
    return job.result


def check_embeddings(result: Any, names: Sequence[str]) -> Vectors:
    """The vectors in a result of ``embed``.

    Args:
        result: of the job
        names: of the pictures, as they were sent

    Returns:
        ``N x D``, finite

    Raises:
        WorkerFailed: if the result is the text of an exception
        BadVectors: if it is no object, or of other pictures, or its rows are not N finite vectors of one length
    """
    rows = _rows(result, "embeddings", names)
    try:
        matrix = np.asarray(rows)
    except ValueError:
        raise _bad("the vectors are of several lengths") from None
    if matrix.ndim != 2 or matrix.dtype.kind not in "if":
        raise _bad("the rows are no vectors of numbers")
    dimensions = matrix.shape[1]
    if not 0 < dimensions <= MOST_DIMENSIONS:
        raise _bad(f"the vectors have {dimensions:,} numbers, and at most {MOST_DIMENSIONS:,} are possible")
    with np.errstate(over="ignore"):
        vectors: Vectors = matrix.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise _bad(f"{len(bad):,} of {len(names):,} vectors hold what is no finite number")
    return vectors


def check_knn(result: Any, names: Sequence[str]) -> list[list[Neighbour]]:
    """The neighbours in a result of ``knn``.

    Args:
        result: of the job
        names: of the pictures, as they were sent

    Returns:
        of each picture, the nearest first

    Raises:
        WorkerFailed: if the result is the text of an exception
        BadVectors: if it is no object, or of other pictures, or labels, scores and ids do not belong together
    """
    columns = [_rows(result, key, names) for key in ("predictions", "scores", "ids")]
    return [_neighbours(*each) for each in zip(*columns, strict=True)]


def _neighbours(labels: Any, scores: Any, ids: Any) -> list[Neighbour]:
    try:
        found = [Neighbour(str(a), float(b), str(c)) for a, b, c in zip(labels, scores, ids, strict=True)]
    except (TypeError, ValueError, OverflowError):
        raise _bad("labels, scores and ids of the neighbours do not belong together") from None
    if not np.isfinite([each.distance for each in found]).all():
        raise _bad("a distance is no finite number")
    return sorted(found, key=lambda neighbour: neighbour.distance)


def _rows(result: Any, key: str, names: Sequence[str]) -> list[Any]:
    if isinstance(result, str):
        result_of(Job("done", result))
    rows = result.get(key) if isinstance(result, dict) else None
    if not isinstance(rows, list):
        raise _bad(f"it is no object with {key!r}")
    if len(rows) != len(names):
        raise _bad(f"{len(names):,} pictures were sent, and {len(rows):,} rows came back")
    if not rows:
        raise _bad("it is empty")
    if result.get("filenames") != list(names):
        raise _bad("its filenames are not those that were sent, in their order")
    return rows


def _bad(why: str) -> BadVectors:
    return BadVectors(f"The service's result cannot be used: {why}. Nothing of it was kept. See the service's log.")
