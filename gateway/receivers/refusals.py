"""What an HTTP client is told when its request is not taken."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Final

from gateway.receivers import door, status
from gateway.receivers.http_answers import Answer

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
ENCODINGS: Final = "gzip, deflate, zstd, snappy, identity"


class Refusal(Exception):
    """A request that is not taken, and what its sender is told; *code* is of google.rpc.Status.

    After one that *closes* the connection nothing that follows can be understood, or is wanted.
    *points* are those that are to be sent again *after* some seconds, 1 if nobody has counted them.
    """

    def __init__(
        self,
        *,
        http: int,
        code: int,
        message: str,
        after: float | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        closes: bool = False,
        points: int = 1,
    ) -> None:
        super().__init__(message)
        self.http, self.code, self.message = http, code, message
        self.after, self.headers, self.closes, self.points = after, headers, closes, points


def response(refusal: Refusal, kind: str) -> Answer:
    """Answer in the encoding *kind* of the request, as OTLP asks; in words if it is unknown."""
    message = refusal.message[: door.MAX_REASON]
    headers = refusal.headers
    if refusal.after is not None:
        headers += (("Retry-After", str(ceil(refusal.after))),)
    if kind not in {PROTOBUF, JSON}:
        return Answer(
            status=refusal.http,
            kind=TEXT,
            headers=headers,
            body=f"{message}\n".encode("utf-8", "replace"),
        )
    write: Callable[..., bytes] = status.as_json if kind == JSON else status.encoded
    body = write(refusal.code, message, retry_after=refusal.after)
    return Answer(status=refusal.http, kind=kind, headers=headers, body=body)


def bad(message: str, *, closes: bool = False) -> Refusal:
    """Refuse what is not what it claims to be."""
    return Refusal(http=400, code=status.INVALID_ARGUMENT, message=message, closes=closes)


def too_large(what: str, limit: int) -> Refusal:
    """Refuse a body of *what* (in words), more than *limit* bytes."""
    return Refusal(
        http=413,
        code=status.RESOURCE_EXHAUSTED,
        message=f"the body has {what}, the limit is {limit}; send smaller requests",
    )


def inflates_too_far(message: str) -> Refusal:
    """Refuse a body for what it would become; enough work for one connection."""
    return Refusal(http=413, code=status.RESOURCE_EXHAUSTED, message=message, closes=True)


def head_too_large(limit: int) -> Refusal:
    """Refuse a head of more than *limit* bytes (RFC 6585, section 5)."""
    return Refusal(
        http=431,
        code=status.RESOURCE_EXHAUSTED,
        message=f"the head of the request has more than {limit} bytes; send fewer headers",
        closes=True,
    )


def too_slow(patience: float) -> Refusal:
    """Refuse a body that did not arrive within *patience* seconds."""
    return Refusal(
        http=408,
        code=status.DEADLINE_EXCEEDED,
        message=f"the body took longer than {patience:g} s; send smaller requests",
        closes=True,
    )


def unknown_encoding(message: str) -> Refusal:
    """Refuse a content encoding that is none of ours, and say which are."""
    return Refusal(
        http=415,
        code=status.INVALID_ARGUMENT,
        message=message,
        headers=(("Accept-Encoding", ENCODINGS),),
    )


def unauthenticated(*, shown: bool) -> Refusal:
    """Refuse whoever shows no token of ours (RFC 6750, section 3)."""
    return Refusal(
        http=401,
        code=status.UNAUTHENTICATED,
        message="the bearer token is not known here; is it the current one?"
        if shown
        else "a bearer token is needed; send it as Authorization: Bearer <token>",
        headers=(("WWW-Authenticate", "Bearer"),),
    )


def come_again(after: float, points: int = 1) -> Refusal:
    """Refuse *points* for *after* seconds, since the process has its fill."""
    return Refusal(
        http=503,
        code=status.UNAVAILABLE,
        message=f"too much is waiting; come again in {after:.1f} s",
        after=after,
        points=points,
    )


def not_written(why: str, points: int) -> Refusal:
    """Ask for *points* once more that were taken, but are not on disk; *why*, in words."""
    return Refusal(
        http=503,
        code=status.UNAVAILABLE,
        message=f"{why}; send it again in {door.AGAIN:.1f} s",
        after=door.AGAIN,
        points=points,
    )


def one_at_a_time(after: float) -> Refusal:
    """Refuse for *after* seconds, since this sender has its fill and others shall have theirs."""
    return Refusal(
        http=429,
        code=status.RESOURCE_EXHAUSTED,
        message="requests of your address take all that one address may; "
        f"come again in {after:.1f} s, or send fewer at a time",
        after=after,
    )


def our_bug() -> Refusal:
    """Tell that it is not the client's fault; what it is stands in the log."""
    return Refusal(
        http=500,
        code=status.INTERNAL,
        message="the gateway failed at this request; its log says why",
        closes=True,
    )
