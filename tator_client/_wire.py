"""The wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from ._urls import normalise_url

Params = Mapping[str, str | int] | None


class Wire:
    """Requests to one server."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float,
        retries: int,
        concurrency: int,
        transport: httpx.BaseTransport | None,
    ) -> None:
        self.url = normalise_url(url)

    def get(self, path: str, params: Params = None) -> Any:
        """Reads."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes."""
