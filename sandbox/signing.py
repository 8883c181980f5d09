"""Links to media files that need no token and expire."""

import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

PREFIX = "/objects/tator/"
_STAMP = "%Y%m%dT%H%M%SZ"


class Signer:
    """Makes and checks links.

    Links are remembered for each user, so one with another lifetime than asked for may come back.

    Args:
        secret: what signatures are made with
        clock (time.time): the present time in seconds
        max_seconds (None): no link lives longer than this, whatever was asked for
    """

    def __init__(self, secret: str, *, clock: Callable[[], float] = time.time, max_seconds: int | None = None) -> None:
        self._secret = secret
        self._clock = clock
        self._max = max_seconds
        self._cache: dict[tuple[int, str, str], tuple[str, float]] = {}
        self._lock = threading.Lock()

    def _signature(self, key: str, date: str, expires: str) -> str:
        return hmac.new(self._secret.encode(), f"{key}\n{date}\n{expires}".encode(), hashlib.sha256).hexdigest()

    def link(self, base: str, key: str, seconds: int, *, user: int, fresh: bool = False) -> str:
        """A link to an object.

        Args:
            base: scheme and host of the server
            key: storage key
            seconds: how long it should live
            user: who asks
            fresh (False): never one that was made before

        Returns:
            the URL
        """
        moment = self._clock()
        with self._lock:
            cached = self._cache.get((user, base, key))
            if cached and not fresh and cached[1] > moment:
                return cached[0]
        seconds = min(seconds, self._max) if self._max else seconds
        date = datetime.fromtimestamp(moment, timezone.utc).strftime(_STAMP)
        parameters = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"sandbox/{date[:8]}/us-east-2/s3/aws4_request",
            "X-Amz-Date": date,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
            "X-Amz-Signature": self._signature(key, date, str(seconds)),
        }
        url = f"{base}{PREFIX}{quote(key)}?{urlencode(parameters)}"
        with self._lock:
            # As the real server does, hand a link out again only while a fair part of its life is left.
            self._cache[user, base, key] = (url, moment + seconds * 0.8)
        return url

    def refusal(self, key: str, query: Mapping[str, str]) -> tuple[str, str] | None:
        """Why a link is not served.

        Args:
            key: the object of the path
            query: the link's parameters

        Returns:
            an S3 error code with its message; None for a good link
        """
        date, expires = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
        if not hmac.compare_digest(query.get("X-Amz-Signature", ""), self._signature(key, date, expires)):
            if "X-Amz-Signature" not in query:
                return "AccessDenied", "Access Denied."
            return "SignatureDoesNotMatch", "The request signature we calculated does not match the signature provided."
        made = datetime.strptime(date, _STAMP).replace(tzinfo=timezone.utc).timestamp()
        return ("AccessDenied", "Request has expired") if self._clock() >= made + int(expires) else None

    def sign(self, media: dict[str, Any], base: str, seconds: int, *, user: int, fresh: bool = False) -> dict[str, Any]:
        """A media with links instead of storage keys.

        Args:
            media: the media; its ``media_files`` are changed
            base: scheme and host of the server
            seconds: how long the links should live
            user: who asks
            fresh (False): never links that were made before

        Returns:
            the media
        """
        for definitions in media["media_files"].values():
            for definition in definitions:
                for name in ("path", "segment_info"):
                    if definition.get(name):
                        definition[name] = self.link(base, definition[name], seconds, user=user, fresh=fresh)
        return media
