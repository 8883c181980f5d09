"""The fault switch: makes the server misbehave on purpose, and a log of what was asked.

A rule is a JSON object. ``match`` names a method (or ``*``) and a path or its beginning, such as
``GET /rest/Localizations``; ``kind`` says what happens:

===================  ===========================================================================
kind                 the matching request ...
===================  ===========================================================================
``fail``             gets ``status`` (500) with an HTML page, for 400 with a JSON message
``cut``              gets half of its answer, as if it were all
``empty``            gets 200 with nothing in it
``hang``             gets no answer until the client goes away or the server stops
``slow``             is answered ``seconds`` later
``throttle``         gets 400 "Request was throttled."
``drop-connection``  finds the connection closed
``restart``          makes the server go away, and come back ``seconds`` later
===================  ===========================================================================

``after`` requests pass first, then ``times`` (1; 0 for all) are hit. ``query`` must occur in the query string. With
``"when": "after"`` the request is served before its answer is lost; by default it is not served at all.
"""

import os
import socket
import stat
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any
from urllib.parse import unquote

KINDS = ("fail", "cut", "empty", "hang", "slow", "throttle", "drop-connection", "restart")


@dataclass
class Rule:
    """One armed fault; see the module's text.

    Args:
        match: method and path
        kind: what happens
        after (0): how many matching requests pass first
        times (1): how many are hit then; 0 for all
        seconds (0.2): for ``slow`` and ``restart``
        status (500): for ``fail``
        query (""): text that the query string must hold
        when ("before"): ``after`` serves the request and loses the answer
        hits: how many requests were hit
    """

    match: str
    kind: str
    after: int = 0
    times: int = 1
    seconds: float = 0.2
    status: int = 500
    query: str = ""
    when: str = "before"
    hits: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {self.kind}")
        if self.when not in ("before", "after"):
            raise ValueError(f"when must be before or after, not {self.when}")
        if not self.match.partition(" ")[2].startswith("/"):
            raise ValueError(f"match must be a method and a path, such as GET /rest/Localizations, not {self.match}")

    def matches(self, method: str, path: str, query: str) -> bool:
        """Whether the rule speaks of a request.

        Args:
            method: GET, PUT, ...
            path: without the query
            query: the query string, unquoted

        Returns:
            true for the path itself and what is below it
        """
        wanted, _, prefix = self.match.partition(" ")
        below = path == prefix or path.startswith(prefix.rstrip("/") + "/")
        return wanted in ("*", method) and below and self.query in query


class Faults:
    """The armed rules and the log of requests; tests and ``/sandbox/faults`` use it alike."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._log: deque[dict[str, Any]] = deque(maxlen=20_000)
        self.restart: Callable[[float], Awaitable[None]] | None = None
        """What makes the server go away and come back; the running server sets it."""

    def arm(self, match: str, kind: str, **options: Any) -> Rule:
        """Adds a rule.

        Args:
            match: method and path, such as ``GET /rest/Localizations``
            kind: what happens
            **options: ``after``, ``times``, ``seconds``, ``status``, ``query``, ``when``

        Returns:
            the rule, whose ``hits`` count

        Raises:
            ValueError: if the rule is not understood
        """
        unknown = set(options) - {option.name for option in fields(Rule)}
        if unknown:
            raise ValueError(f"unknown options: {', '.join(sorted(unknown))}")
        rule = Rule(match, kind, **options)
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Removes all rules."""
        with self._lock:
            self._rules.clear()

    def rules(self) -> list[dict[str, Any]]:
        """The armed rules as JSON objects."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def hit(self, method: str, path: str, query: str) -> Rule | None:
        """The fault that a request meets; counts it.

        Args:
            method: GET, PUT, ...
            path: without the query
            query: the query string

        Returns:
            the first rule that applies, or None
        """
        with self._lock:
            for rule in self._rules:
                if not rule.matches(method, path, unquote(query)):
                    continue
                if rule.after > 0:
                    rule.after -= 1
                elif not rule.times or rule.hits < rule.times:
                    rule.hits += 1
                    return rule
        return None

    def record(self, entry: dict[str, Any]) -> None:
        """Adds a request to the log; who adds it goes on filling it.

        Args:
            entry: what to remember
        """
        self._log.append(entry)

    def requests(self, match: str = "* /") -> list[dict[str, Any]]:
        """The requests so far, without credentials.

        Args:
            match ("* /"): method and path, as in a rule

        Returns:
            ``method``, ``path``, ``query``, ``status``, ``bytes``, ``fault`` and ``seconds`` of each, in the order of
            arrival; ``seconds`` is None while a request is served
        """
        wanted = Rule(match, "empty")
        return [entry for entry in list(self._log) if wanted.matches(entry["method"], entry["path"], "")]

    def forget(self) -> None:
        """Empties the log."""
        self._log.clear()


def close_connection(client: tuple[str, int]) -> None:
    """Closes the connection to a client at once; web servers offer no way to do so without an answer.

    Args:
        client: its address
    """
    for name in os.listdir("/dev/fd"):
        try:
            if not stat.S_ISSOCK(os.stat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as connection:
                if connection.getpeername()[:2] == tuple(client[:2]):
                    connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue


def redacted(query: str) -> str:
    """A query string without what would open a media link.

    Args:
        query: the query string

    Returns:
        the same with the signature's value removed
    """
    parts = query.split("&") if query else []
    return "&".join("X-Amz-Signature=" if part.startswith("X-Amz-Signature=") else part for part in parts)
