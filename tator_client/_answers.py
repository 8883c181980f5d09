"""What an answer of the server means: pure, from status and bytes to a value or an exception."""

from __future__ import annotations

import json
import re
from typing import Any

from .errors import (
    AuthenticationFailed,
    ConnectionFailed,
    ExpiredLink,
    IncompleteAnswer,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    ServerFailed,
    StaleRow,
    TatorError,
    Throttled,
)

_LONGEST = 300
_SIGNED = re.compile(r"\?[^\s\"'<>]*")
_SPACES = re.compile(r"[\s\x00-\x1f\x7f]+")
_TAGS = re.compile(r"<(?:script|style).*?</(?:script|style)>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_SECONDS = re.compile(r"available in (\d+(?:\.\d+)?)")
_BODY_REFUSED = (
    "Tator does not say what: look for null values, coordinates outside 0..1, missing keys, or more than 500 rows"
)


def decode(status: int, content_type: str, data: bytes, *, call: str, location: str = "") -> Any:
    """Returns the value of an answer of the REST API.

    Args:
        status: the HTTP status
        content_type: the answer's Content-Type
        data: the whole body
        call: what was asked, for messages, such as ``GET /rest/Projects``
        location (""): the target of a redirect

    Returns:
        the decoded JSON

    Raises:
        TatorError: if the answer is not a success, or not whole
    """
    html = "html" in content_type or data[:64].lstrip()[:1] == b"<"
    if not 200 <= status < 300:
        raise failure(status, html, data, call=call, location=location)
    if html:
        raise ServerFailed(
            f"{call} was answered with a web page instead of data. Is this the URL of a Tator server, "
            "without a login page in front of its /rest?"
        )
    if not data.strip():
        raise IncompleteAnswer(
            f"{call} was answered with an empty body, which is how Tator fails while it streams. "
            "Try again; if it stays, a filter or field may be one that this server does not know.",
            transient=True,
        )
    try:
        return json.loads(data)
    except ValueError:
        raise IncompleteAnswer(
            f"{call} was answered with data that breaks off or is no JSON ({len(data):,} bytes). Try again.",
            transient=True,
        ) from None


def failure(status: int, html: bool, data: bytes, *, call: str, location: str = "") -> TatorError:
    """Returns the exception for an answer of the REST API that is not a success."""
    said = server_message(data, html=html)
    if 300 <= status < 400:
        return ServerFailed(
            f"{call} was redirected to {_SIGNED.sub('', location)[:_LONGEST] or 'nowhere'}. "
            "Use the URL of the Tator server that answers itself (https instead of http?)."
        )
    if status == 400:
        return _refusal(said, html, call)
    if status == 401:
        return _unknown_token(said)
    if status == 403:
        return PermissionDenied(
            f"{call} is not permitted to this user: {said or 'no reason given'}. "
            "Ask for a higher level in the project (Can Edit to write), or use another user's token."
        )
    if status == 404 and html:
        return NotFound(f"{call}: the server does not know this path. Is this the URL of a Tator server?")
    if status == 404:
        return NotFound(f"{call}: {said or 'there is no such object'} Check the ids, and that the user may see them.")
    if status in (413, 414):
        return InvalidRequest(f"{call} is too long for the server or a proxy in front of it ({status}).")
    if status == 429:
        return _throttled(said, call)
    return ServerFailed(
        f"{call} failed inside the server with status {status}: {said or 'no reason given'}. "
        "Try again later, and tell the server's administrator if it stays.",
        transient=status >= 500,
    )


def _refusal(said: str, html: bool, call: str) -> TatorError:
    # Tator answers 400 for nearly everything; only the message tells.
    lower = said.lower()
    if not html:
        if "invalid token" in lower or "authentication credentials" in lower or "credentials were not" in lower:
            return _unknown_token(said)
        if "was throttled" in lower:
            return _throttled(said, call)
        if "pedantic mode" in lower:
            return StaleRow(
                f"{call}: the row has been edited since it was read. Read it again and decide anew. Tator says: {said}"
            )
    if "safety check failed" in lower:
        return StaleRow(
            f"{call}: some of these elements do not exist any more, or are not in this version. Nothing was changed. "
            f"Read them again and decide anew. Tator says: {said}"
        )
    if "body validation error" in lower:
        said = f"{said}. {_BODY_REFUSED}"
    elif said.isdigit():
        said = f"there is no version or other object with the id {said}"
    return InvalidRequest(f"Tator refuses {call}: {said or 'no reason given'}")


def _unknown_token(said: str) -> AuthenticationFailed:
    return AuthenticationFailed(
        f"Tator does not accept the token: {said} Copy it again from Tator's web interface (API token) "
        "and check that it belongs to this server."
    )


def _throttled(said: str, call: str) -> Throttled:
    seconds = _SECONDS.search(said)
    return Throttled(
        f"{call} was refused for too many requests: {said} Use fewer connections at once, or wait.",
        wait=float(seconds[1]) if seconds else 1.0,
    )


def server_message(data: bytes, *, html: bool) -> str:
    """Returns what the server said in one line of at most 300 characters, without URL queries.

    The ``details`` are left out: they repeat the request, up to 120 KB of it.
    """
    text = data[:65536].decode("utf-8", "replace")
    if html:
        text = _TAGS.sub(" ", text)
    else:
        try:
            answer = json.loads(data)
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            text = str(answer.get("message") or "")
    text = _SPACES.sub(" ", _SIGNED.sub("?…", text)).strip()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def object_failure(status: int, url: str) -> TatorError:
    """Returns the exception for an answer of an object store that is not a success.

    Args:
        status: the HTTP status
        url: the object's URL, without its query
    """
    if status in (400, 401, 403):
        return ExpiredLink(
            f"The link to {url} is refused ({status}): it has expired, or the object store does not accept it. "
            "Read the media again with presigned and no_cache=True."
        )
    if status in (404, 410):
        return NotFound(f"There is no object at {url} ({status}). It may be archived or deleted in Tator.")
    if status == 429:
        return Throttled(f"The object store refuses {url} for too many requests. Use fewer connections at once.")
    return ServerFailed(f"The object store failed at {url} with status {status}. Try again later.", transient=True)


def object_cut(url: str, got: int, expected: int, *, transient: bool = True) -> IncompleteAnswer:
    """Returns the exception for an object of which fewer or more bytes came than were announced."""
    return IncompleteAnswer(
        f"{url} gave {got:,} bytes where {expected:,} were announced. Try again; if it stays, the file "
        "in Tator's storage is damaged.",
        transient=transient,
    )


def unreachable(url: str, error: Exception, *, sent: bool) -> ConnectionFailed:
    """Returns the exception for a server or object store that could not be talked to."""
    reason = _SPACES.sub(" ", _SIGNED.sub("?…", str(error)))[:_LONGEST] or type(error).__name__
    certificate = "CERTIFICATE" in reason.upper()
    way_out = (
        "Its certificate is not trusted here: set SSL_CERT_FILE to your organization's certificates."
        if certificate
        else "Check the URL, the network or VPN, and that the server is up."
    )
    return ConnectionFailed(
        f"{url} cannot be reached ({reason}). {way_out}", transient=not certificate, outcome_unknown=sent
    )
