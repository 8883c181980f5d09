"""What can go wrong between us and a Tator server.

TatorError
├─ ConnectionFailed      nobody answers at the address, or not in time
├─ AuthenticationFailed  the server does not know the token
├─ PermissionDenied      it knows the token, and the user may not do this
├─ NotFound              the project, version, media, localization or object is not there
├─ InvalidRequest        the server (or a check of ours) refuses what was asked
│  └─ StaleRow           rows to be changed have been edited or deleted by somebody else since
├─ Throttled             too many requests, also after waiting
├─ ServerFailed          an internal error, or an answer that no Tator gives
├─ IncompleteAnswer      an answer that was empty, cut short, or disagrees with the count
└─ ExpiredLink           a presigned object URL that is no longer accepted

Every message names the thing, the reason and the way out. None holds a token, a
signature or more than a few hundred characters of what the server said.
"""

from __future__ import annotations


class TatorError(Exception):
    """Base of everything this package raises on purpose.

    Args:
        message: what happened, why, and what to do
        transient (False): whether the same call may well succeed later
        outcome_unknown (False): whether a write may have arrived although it failed;
            read again before writing again
    """

    def __init__(self, message: str, *, transient: bool = False, outcome_unknown: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.transient = transient
        self.outcome_unknown = outcome_unknown


class ConnectionFailed(TatorError):
    """The server cannot be reached, or did not answer in time.

    Args:
        message: what happened, why, and what to do
        transient (True): whether the same call may well succeed later
        outcome_unknown (False): whether a write may have arrived although it failed
        timed_out (False): whether the server was reached but then kept silent
    """

    def __init__(
        self,
        message: str,
        *,
        transient: bool = True,
        outcome_unknown: bool = False,
        timed_out: bool = False,
    ) -> None:
        super().__init__(message, transient=transient, outcome_unknown=outcome_unknown)
        self.timed_out = timed_out


class AuthenticationFailed(TatorError):
    """The token is missing, empty or unknown to the server."""


class PermissionDenied(TatorError):
    """The user of the token may not do this."""


class NotFound(TatorError):
    """What the request names does not exist, was deleted, or is hidden from the user."""


class InvalidRequest(TatorError):
    """The server refused the content of a request, or a check before sending did."""


class StaleRow(InvalidRequest):
    """Rows to be changed are not what they were when they were read: edited since, or not there."""


class Throttled(TatorError):
    """The server still refuses for too many requests after the waiting it asked for.

    Args:
        message: what happened, why, and what to do
        wait (1.0): seconds the server asked to wait
    """

    def __init__(self, message: str, *, wait: float = 1.0) -> None:
        super().__init__(message, transient=True)
        self.wait = wait


class ServerFailed(TatorError):
    """The server failed internally, or what answers is not a Tator server."""


class IncompleteAnswer(TatorError):
    """An answer arrived but cannot be all of it."""


class ExpiredLink(TatorError):
    """A presigned object URL is refused; ask for new ones with ``medias(..., no_cache=True)``."""
