"""What an HTTP client is told when its request is not taken."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Final

from aiohttp import hdrs, web

from gateway.receivers import door, status

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"


class Refusal(Exception):
    """A request that is not taken, and what its sender is told; *code* is of google.rpc.Status."""

    def __init__(
        self,
        *,
        http: int,
        code: int,
        message: str,
        after: float | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.http, self.code, self.message = http, code, message
        self.after, self.headers = after, headers


def response(refusal: Refusal, kind: str) -> web.Response:
    """Answer in the encoding *kind* of the request, as OTLP asks; in words if it is unknown."""
    message = refusal.message[: door.MAX_REASON]
    headers = dict(refusal.headers)
    if refusal.after is not None:
        headers[hdrs.RETRY_AFTER] = str(ceil(refusal.after))
    if kind not in {PROTOBUF, JSON}:
        return web.Response(status=refusal.http, text=f"{message}\n", headers=headers)
    write: Callable[..., bytes] = status.as_json if kind == JSON else status.encoded
    headers[hdrs.CONTENT_TYPE] = kind
    body = write(refusal.code, message, retry_after=refusal.after)
    return web.Response(status=refusal.http, body=body, headers=headers)


def bad(message: str) -> Refusal:
    """Refuse what is not what it claims to be."""
    return Refusal(http=400, code=status.INVALID_ARGUMENT, message=message)


def too_large(what: str, limit: int) -> Refusal:
    """Refuse a body of *what* (in words), more than *limit* bytes."""
    return Refusal(
        http=413,
        code=status.RESOURCE_EXHAUSTED,
        message=f"the body has {what}, the limit is {limit}; send smaller requests",
    )


def come_again(after: float) -> Refusal:
    """Refuse for *after* seconds."""
    return Refusal(
        http=503,
        code=status.UNAVAILABLE,
        message=f"too much is waiting; come again in {after:.1f} s",
        after=after,
    )
