"""Progress is told in time, in order, and in words that are true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_tator.sync.progress import Cancelled, Progress, Tracker


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (Progress(0.0, "Reading"), "Reading"),
        (Progress(0.0, "Reading", 1_200), "Reading: 1,200"),
        (Progress(0.0, "Cutting", 0, 10), "Cutting: 0 of 10"),
        (
            Progress(0.5, "Cutting crops", 12_300, 20_000, 2_950.4, 2.6),
            "Cutting crops: 12,300 of 20,000, 2,950 a second, 3 s left",
        ),
        (Progress(0.5, "Cutting", 1, 20, 0.05, 380.0), "Cutting: 1 of 20, 3 a minute, 6 min left"),
        (Progress(0.5, "Cutting", 1, 20, 1.0, 89.0), "Cutting: 1 of 20, 1 a second, 89 s left"),
        (Progress(0.5, "Cutting", 1, 20, 1.0, 9_000.0), "Cutting: 1 of 20, 1 a second, 2.5 h left"),
        (Progress(1.0, "Cutting", 20, 20, 5.0, 0.0), "Cutting: 20 of 20, 5 a second, 0 s left"),
    ],
)
def test_the_line_says_how_far_how_fast_and_how_long_still(progress: Progress, expected: str) -> None:
    assert progress.label == expected


def test_rate_and_time_left_are_those_of_the_stage() -> None:
    seen: list[Progress] = []
    clock = Clock()
    tracker = Tracker(seen.append, clock=clock)
    tracker.stage("Reading", 50, (0.0, 0.2))
    clock.now += 100
    tracker.stage("Cutting", 400, (0.2, 1.0))
    clock.now += 10
    tracker.advance(100)
    assert seen[-1] == Progress(0.4, "Cutting", 100, 400, 10.0, 30.0)


def test_reports_come_at_the_start_of_a_stage_and_then_no_more_often_than_the_interval() -> None:
    seen: list[Progress] = []
    clock = Clock()
    tracker = Tracker(seen.append, interval=1.0, clock=clock)
    tracker.stage("Cutting", 1_000, (0.0, 1.0))
    for _ in range(100):
        clock.now += 0.0625
        tracker.advance()
    assert [progress.done for progress in seen] == [0, 16, 32, 48, 64, 80, 96]


def test_more_items_than_were_announced_never_make_the_time_left_negative() -> None:
    seen: list[Progress] = []
    clock = Clock()
    tracker = Tracker(seen.append, clock=clock)
    tracker.stage("Reading", 10, (0.0, 0.5))
    clock.now += 5
    tracker.advance(25)
    assert (seen[-1].fraction, seen[-1].seconds_left) == (0.5, 0.0)


def test_a_stage_of_unknown_length_has_neither_a_part_nor_a_time_left() -> None:
    seen: list[Progress] = []
    clock = Clock()
    tracker = Tracker(seen.append, clock=clock)
    tracker.stage("Arranging", 0, (0.9, 1.0))
    clock.now += 5
    tracker.advance(25)
    assert seen[-1] == Progress(0.9, "Arranging", 25, 0, 5.0, None)
    assert seen[-1].label == "Arranging: 25"


@given(st.lists(st.tuples(st.integers(0, 40), st.lists(st.integers(0, 20), max_size=6)), max_size=4), st.data())
def test_the_fraction_never_falls_and_stays_between_0_and_1(
    stages: list[tuple[int, list[int]]], data: st.DataObject
) -> None:
    seen: list[Progress] = []
    clock = Clock()
    tracker = Tracker(seen.append, interval=0.5, clock=clock)
    for number, (total, steps) in enumerate(stages):
        tracker.stage(f"Stage {number}", total, (number / len(stages), (number + 1) / len(stages)))
        for step in steps:
            clock.now += data.draw(st.floats(0, 2))
            tracker.advance(step)
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert all(0 <= fraction <= 1 for fraction in fractions)


def test_a_report_that_asks_to_stop_stops_the_work() -> None:
    def stop(progress: Progress) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        Tracker(stop).stage("Reading", 1, (0.0, 1.0))


def test_without_anybody_to_report_to_nothing_is_reported() -> None:
    tracker = Tracker(interval=0.0)
    tracker.stage("Reading", 1, (0.0, 1.0))
    assert tracker.advance() is None
