"""What the parts of a session share: the wire, and how a list of objects is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ._wire import Params, Wire
from .errors import ServerFailed

T = TypeVar("T")


class Connected:
    """Base of the parts of :class:`.session.Tator`."""

    _wire: Wire

    def _list(self, path: str, make: Callable[[Mapping[str, Any]], T], params: Params = None) -> list[T]:
        return [made(make, row, path) for row in rows_of(self._wire.get(path, params), path)]

    def _one(self, path: str, make: Callable[[Mapping[str, Any]], T]) -> T:
        return made(make, self._wire.get(path), path)


def rows_of(answer: Any, path: str) -> list[dict[str, Any]]:
    """Returns the answer if it is a list of objects, and raises ``ServerFailed`` if not."""
    if isinstance(answer, list) and (not answer or isinstance(answer[0], dict)):
        return answer
    raise ServerFailed(
        f"Tator answered {path} with {type(answer).__name__} where a list of objects belongs. {_WAY_OUT}"
    )


def number_of(answer: Any, path: str) -> int:
    """Returns the answer if it is a whole number, and raises ``ServerFailed`` if not."""
    if isinstance(answer, int) and not isinstance(answer, bool):
        return answer
    raise _unexpected(answer, path, "a number")


def made(make: Callable[[Mapping[str, Any]], T], row: Any, path: str) -> T:
    """Returns ``make(row)``; an object without the keys of a Tator object is ``ServerFailed``."""
    try:
        return make(row)
    except (KeyError, TypeError, AttributeError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise ServerFailed(
            f"Tator answered {path} with an object that lacks something ({problem}). {_WAY_OUT}"
        ) from error


def _unexpected(answer: Any, path: str, wanted: str) -> ServerFailed:
    return ServerFailed(f"Tator answered {path} with {type(answer).__name__} where {wanted} belongs. {_WAY_OUT}")


_WAY_OUT = "Check that the URL is that of a Tator server of release 1.5 or newer."
