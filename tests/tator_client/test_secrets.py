from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Any

import pytest
import stamina

from fiftyone_tator.tator_client import MediaFile, Tator, TatorError

SIGNATURE = "5ec7e75197a7u7e"


def everything(caplog: pytest.LogCaptureFixture, errors: list[TatorError]) -> str:
    logged = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    told = ["".join(traceback.format_exception(error)) + repr(error) + repr(vars(error)) for error in errors]
    held = [repr(vars(cause)) for error in errors for cause in (error.__cause__, error.__context__) if cause]
    return "\n".join(logged + told + held)


@pytest.fixture
def everywhere(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection", "stamina", "urllib3"):
        caplog.set_level(logging.DEBUG, logger=name)
    stamina.instrumentation.set_on_retry_hooks(None)
    return caplog


def test_the_token_is_nowhere(server: Any, token: str, everywhere: pytest.LogCaptureFixture) -> None:
    """No log down to DEBUG, no repr and no exception holds the token, whatever fails."""
    echo = server.json({"message": f"what is Token {token} doing here", "details": token}, 400)
    faults = [
        *(server.raw(b""), server.drop(), server.cut(b"[", announced=9), server.hang(), echo),
        *(server.raw(token.encode(), status=500), server.json({"message": "Invalid token."}, 400)),
        *(server.json({"message": "Request was throttled."}, 400), server.raw(b"<html>", content_type="text/html")),
    ]
    errors: list[TatorError] = []
    with Tator(server.url, token, timeout=0.1, retries=1) as tator:
        for fault in faults:
            server.will(fault)
            for call in (tator.projects, lambda: tator.update_localization(1, "e", attributes={"a": 1})):
                with pytest.raises(TatorError) as caught:
                    call()
                errors.append(caught.value)
        shown = repr(tator) + str(tator) + repr(vars(tator)) + repr(vars(tator._wire._api)) + repr(tator.sdk())
    assert all(seen.headers["Authorization"] == f"Token {token}" for seen in server.seen)
    assert token not in shown
    assert token not in everything(everywhere, errors)
    assert "HTTP Request" in everywhere.text and "send_request_headers" in everywhere.text


def test_signatures_are_nowhere(server: Any, token: str, everywhere: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """No log down to DEBUG, no repr and no exception holds the query of a presigned URL."""
    url = f"{server.url}/objects/a.jpg?X-Amz-Signature={SIGNATURE}"
    file = MediaFile.from_json({"path": url, "size": 3, "resolution": [3, 4]})
    errors: list[TatorError] = []
    with Tator(server.url, token, timeout=0.1, retries=1) as tator:
        server.will(server.raw(b"abc"))
        tator.download(file, tmp_path / "a")
        for fault in (server.raw(b"", status=403), server.raw(b"", status=500), server.drop(), server.hang()):
            server.will(fault)
            with pytest.raises(TatorError) as caught:
                tator.download(file, tmp_path / "a")
            errors.append(caught.value)
        for wrong in (f"5/1/a.jpg?X-Amz-Signature={SIGNATURE}", f"http://[::/a?X-Amz-Signature={SIGNATURE}"):
            with pytest.raises(TatorError) as caught:
                tator.fetch(wrong)
            errors.append(caught.value)
    assert all(seen.query["X-Amz-Signature"] == SIGNATURE for seen in server.seen)
    assert all("Authorization" not in seen.headers for seen in server.seen)
    assert SIGNATURE not in everything(everywhere, errors) + repr(file)
