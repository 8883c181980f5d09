"""How far a long piece of work is: stage, rate and time left, in one line."""

import time
from collections.abc import Callable
from dataclasses import dataclass

Report = Callable[["Progress"], None]
"""Called with each new state; may raise :class:`Cancelled` to stop the work at a safe point."""


class Cancelled(Exception):
    """Somebody asked the work to stop."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a piece of work.

    Args:
        fraction: of the whole work, between 0 and 1
        stage: what is being done, for example ``Cutting crops``
        done: how many of the stage's items are done
        total: how many there are, 0 if unknown
        rate: items a second, 0 if unknown
        seconds_left: of this stage, None if unknown
    """

    fraction: float
    stage: str
    done: int = 0
    total: int = 0
    rate: float = 0.0
    seconds_left: float | None = None

    @property
    def label(self) -> str:
        """The line to show: ``Cutting crops: 12,300 of 20,000, 2,950 a second, 3 s left``."""
        if not self.total:
            return f"{self.stage}: {self.done:,}" if self.done else self.stage
        parts = [f"{self.stage}: {self.done:,} of {self.total:,}"]
        if self.rate:
            parts.append(f"{self.rate:,.0f} a second" if self.rate >= 1 else f"{self.rate * 60:,.0f} a minute")
        if self.seconds_left is not None:
            parts.append(f"{_duration(self.seconds_left)} left")
        return ", ".join(parts)


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    return f"{round(whole / 60)} min" if whole < 5400 else f"{whole / 3600:.1f} h"


class Tracker:
    """Follows a piece of work through its stages and reports, but no more often than need be.

    Args:
        report: called with each new state
        interval: the least time between two reports of one stage, in seconds
        clock: gives the time in seconds
    """

    def __init__(
        self, report: Report | None = None, *, interval: float = 0.5, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._report = report or (lambda progress: None)
        self._interval = interval
        self._clock = clock
        self._stage, self._span = "", (0.0, 1.0)
        self._done = self._total = 0
        self._started = self._reported = clock()

    def stage(self, name: str, total: int, span: tuple[float, float]) -> None:
        """Begins a stage.

        Args:
            name: what is being done
            total: how many items it has, 0 if unknown
            span: where the stage begins and ends within the whole work, between 0 and 1
        """
        self._stage, self._total, self._span, self._done = name, total, span, 0
        self._started = self._clock()
        self._send()

    def advance(self, items: int = 1) -> None:
        """Tells that items are done.

        Args:
            items: how many
        """
        self._done += items
        if self._clock() - self._reported >= self._interval:
            self._send()

    def _send(self) -> None:
        now = self._reported = self._clock()
        seconds = now - self._started
        rate = self._done / seconds if seconds >= self._interval and self._done else 0.0
        part = min(1.0, self._done / self._total) if self._total else 0.0
        start, end = self._span
        left = max(0.0, (self._total - self._done) / rate) if rate and self._total else None
        self._report(Progress(start + (end - start) * part, self._stage, self._done, self._total, rate, left))
