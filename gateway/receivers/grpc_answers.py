"""What gRPC clients are answered, as header blocks and bodies ready to be sent.

Sources: gRPC over HTTP/2 (PROTOCOL-HTTP2.md of grpc/grpc), "Responses"; OTLP specification.
"""

from __future__ import annotations

import base64
import re
from typing import Final

from common.wire import http2
from gateway.receivers import door, status

ENCODINGS: Final = ("identity", "gzip", "deflate", "zstd", "snappy")

_START: Final = ((b":status", b"200"), (b"content-type", b"application/grpc"))
HEAD: Final = http2.encode(_START)
OK: Final = http2.encode(((b"grpc-status", b"0"),))
EMPTY: Final = bytes(5)  # the message of no bytes, framed
NOT_FOR_HTTP: Final = b"this port takes OTLP over gRPC: POST application/grpc\n"
"""What a person with an HTTP client is told."""

_ACCEPTED: Final = (b"grpc-accept-encoding", ",".join(ENCODINGS).encode())
_TO_ESCAPE: Final = re.compile(rb"[^\x20-\x24\x26-\x7e]")

_IN_WORDS: Final = (
    (b"content-type", b"text/plain"),
    (b"content-length", b"%d" % len(NOT_FOR_HTTP)),
)
NOT_POST: Final = http2.encode(((b":status", b"405"), (b"allow", b"POST"), *_IN_WORDS))
NOT_GRPC: Final = http2.encode(((b":status", b"415"), (b"accept", b"application/grpc"), *_IN_WORDS))


class Refused(Exception):
    """A request that is not taken: a *code* of gRPC, words, perhaps *after* how many seconds more.

    *encodings*: the client shall learn which encodings there are. *points* are those that it shall
    send again, 1 if nobody has counted them.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        after: float | None = None,
        encodings: bool = False,
        points: int = 1,
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.after, self.encodings = code, message, after, encodings
        self.points = points


def refusal(refused: Refused) -> bytes:
    """Return the only header block of the answer (Trailers-Only), Status details included."""
    message = refused.message[: door.MAX_REASON]
    details = status.encoded(refused.code, message, retry_after=refused.after)
    fields = [
        *_START,
        (b"grpc-status", b"%d" % refused.code),
        (b"grpc-message", escaped(message)),
        (b"grpc-status-details-bin", base64.b64encode(details).rstrip(b"=")),
    ]
    if refused.encodings:
        fields.append(_ACCEPTED)
    return http2.encode(fields)


def framed(message: bytes) -> bytes:
    """Put the prefix of gRPC (not compressed, the length) in front of *message*."""
    return b"\0" + len(message).to_bytes(4) + message


def escaped(message: str) -> bytes:
    """Percent-encode a Status-Message."""
    return _TO_ESCAPE.sub(lambda found: b"%%%02X" % found[0][0], message.encode())


def come_again(after: float, points: int = 1) -> Refused:
    """Refuse *points* for *after* seconds."""
    words = f"too much is waiting; come again in {after:.1f} s"
    return Refused(status.UNAVAILABLE, words, after=after, points=points)


def not_written(why: str, points: int) -> Refused:
    """Ask for *points* once more that were taken, but are not on disk; *why*, in words."""
    words = f"{why}; send it again in {door.AGAIN:.1f} s"
    return Refused(status.UNAVAILABLE, words, after=door.AGAIN, points=points)


def too_large(size: int, limit: int) -> Refused:
    """Refuse a message of *size* bytes."""
    words = f"the message has {size} bytes, the limit is {limit}; send smaller requests"
    return Refused(status.RESOURCE_EXHAUSTED, words)


def too_slow(seconds: float) -> Refused:
    """Give a request up that is not here after *seconds*."""
    words = f"the request was not complete after {seconds:g} s; send it faster, or smaller ones"
    return Refused(status.DEADLINE_EXCEEDED, words)
