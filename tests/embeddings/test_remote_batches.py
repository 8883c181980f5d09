"""Batches that halve, and the picture at fault, whatever fails where."""

import asyncio
from collections.abc import Sequence
from typing import Any

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_tator.embeddings.batches import Batches, Loaded
from fiftyone_tator.embeddings.embedder import Embedded, Vectors
from fiftyone_tator.embeddings.errors import BadVectors, JobGone, TooLarge, WorkerFailed

GOOD = b"9999"


class Service:
    """Takes at most some pictures a call, our own included, and some bytes; fails at some pictures."""

    def __init__(
        self, *, most: int = 99, most_bytes: int = 10**9, bad: dict[int, type[Exception]] | None = None
    ) -> None:
        self.most, self.most_bytes, self.bad = most, most_bytes, bad or {}
        self.calls: list[int] = []

    async def send(self, contents: Sequence[bytes]) -> Vectors:
        self.calls.append(len(contents))
        await anyio.lowlevel.checkpoint()
        numbers = [int(content[:4]) for content in contents]
        if len(contents) + 1 > self.most or sum(map(len, contents)) > self.most_bytes:
            raise TooLarge("too large")
        for number in numbers:
            if number in self.bad:
                raise self.bad[number](f"cannot do {number}")
        return np.array(numbers, np.float32).reshape(-1, 1)


def pictures(count: int, *, huge: Sequence[int] = ()) -> list[Loaded]:
    return [Loaded(n, f"{n}.jpg", b"%04d" % n + b"x" * (10**6 if n in huge else 10)) for n in range(count)]


def embed(
    service: Service, all_pictures: list[Loaded], *, size: int, at_once: int = 1, **options: int
) -> list[Embedded]:
    """In batches of a size, some at once, as an embedder does."""
    batches = Batches(service.send, size=size, good=GOOD, added=1, **options)
    done: list[Embedded] = []

    async def some(part: list[Loaded]) -> None:
        came = await batches.run(part)
        rows = np.concatenate(came.rows) if came.rows else np.empty((0, 0), np.float32)
        done.append(Embedded(came.keys, rows, came.failed))

    async def main() -> None:
        parts = [all_pictures[start : start + size - 1] for start in range(0, len(all_pictures), size - 1)]
        for start in range(0, len(parts), at_once):
            await asyncio.gather(*map(some, parts[start : start + at_once]))

    asyncio.run(main())
    return done


def check(done: list[Embedded], count: int) -> set[object]:
    """Sees that every picture came back once, with its own vector or a reason; returns what failed."""
    keys: list[Any] = [key for each in done for key in each.keys]
    failed: list[Any] = [key for each in done for key in each.failed]
    assert sorted(keys + failed) == list(range(count))
    for each in done:
        assert each.vectors.shape[0] == len(each.keys)
        assert [int(row[0]) for row in each.vectors] == list(each.keys)
    return set(failed)


@given(
    count=st.integers(0, 60),
    size=st.integers(2, 40),
    most=st.integers(2, 40),
    at_once=st.integers(1, 3),
    bad=st.dictionaries(st.integers(0, 59), st.sampled_from([WorkerFailed, BadVectors])),
    huge=st.sets(st.integers(0, 59)),
)
def test_every_picture_comes_back_exactly_once_whatever_fails_where(
    count: int, size: int, most: int, at_once: int, bad: dict[int, type[Exception]], huge: set[int]
) -> None:
    service = Service(most=most, most_bytes=10**5, bad=bad)
    done = embed(service, pictures(count, huge=sorted(huge)), size=size, at_once=at_once, most_strikes=10**6)
    assert check(done, count) == {number for number in set(bad) | huge if number < count}


@given(
    count=st.integers(1, 60),
    size=st.integers(2, 40),
    at_once=st.integers(1, 3),
    bad=st.sets(st.integers(0, 59)),
    broken=st.booleans(),
)
def test_it_is_given_up_only_if_several_pictures_and_a_good_one_fail(
    count: int, size: int, at_once: int, bad: set[int], broken: bool
) -> None:
    service = Service(bad=dict.fromkeys({*bad, *([int(GOOD)] if broken else [])}, WorkerFailed))
    at_fault = {number for number in bad if number < count}
    try:
        done = embed(service, pictures(count), size=size, at_once=at_once)
    except WorkerFailed:
        assert len(at_fault) >= 3 and broken
    else:
        assert check(done, count) == at_fault


def test_pictures_that_all_fail_are_named_where_a_good_one_comes_back() -> None:
    service = Service(bad=dict.fromkeys(range(5), WorkerFailed))
    (done,) = embed(service, pictures(5), size=32)
    assert check([done], 5) == {0, 1, 2, 3, 4}
    assert done.failed[4] == "4.jpg: cannot do 4"


def test_a_good_batch_is_one_call() -> None:
    service = Service()
    check(embed(service, pictures(31), size=32), 31)
    assert service.calls == [31]


def test_a_smaller_size_is_remembered() -> None:
    service = Service(most=8)
    check(embed(service, pictures(93), size=32), 93)
    assert service.calls[:5] == [31, 15, 7, 7, 1]
    assert max(service.calls[2:]) == 7


def test_one_picture_that_is_too_large_makes_no_batch_smaller_for_ever() -> None:
    service = Service(most_bytes=10**5)
    done = embed(service, pictures(93, huge=[3]), size=32)
    assert check(done, 93) == {3}
    assert done[0].failed[3] == "3.jpg: too large for the service (1,000,004 bytes)"
    assert service.calls[-2:] == [31, 31]


def test_neighbouring_broken_pictures_are_found_without_giving_up() -> None:
    service = Service(bad=dict.fromkeys(range(10, 16), WorkerFailed))
    assert check(embed(service, pictures(31), size=32), 31) == set(range(10, 16))


def test_a_failed_picture_is_named_with_the_reason() -> None:
    (done,) = embed(Service(bad={2: WorkerFailed}), pictures(5), size=32)
    assert done.failed == {2: "2.jpg: cannot do 2"}


@pytest.mark.parametrize("kind", [WorkerFailed, BadVectors])
def test_a_service_that_always_fails_is_given_up_after_a_few_calls(kind: type[Exception]) -> None:
    service = Service(bad=dict.fromkeys([*range(1000), int(GOOD)], kind))
    with pytest.raises(kind, match=r"3 pictures failed one after the other.*one that is known to be good.*cannot do"):
        embed(service, pictures(1000), size=32)
    assert len(service.calls) < 20


def test_a_service_that_takes_one_picture_only_is_given_up() -> None:
    service = Service(most=1)
    with pytest.raises(TooLarge):
        embed(service, pictures(1000), size=32)
    assert len(service.calls) < 20


def test_other_errors_end_it_at_once() -> None:
    service = Service(bad={5: JobGone})
    with pytest.raises(JobGone):
        embed(service, pictures(31), size=32)
    assert service.calls == [31]
