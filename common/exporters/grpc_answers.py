"""What a gRPC server answered: status, message and details, from the frames of HTTP/2.

Sources: the gRPC protocol over HTTP/2 (its mapping of HTTP statuses and of reset codes included);
google/rpc/code.proto for names and numbers.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, final
from urllib.parse import unquote

from common.wire.http2 import Code, Head

NAMES: Final = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
OK: Final = 0
CANCELLED: Final = 1
UNKNOWN: Final = 2
DEADLINE_EXCEEDED: Final = 4
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
UNAUTHENTICATED: Final = 16

_BY_HTTP: Final[Mapping[int, int]] = {
    400: INTERNAL, 401: UNAUTHENTICATED, 403: PERMISSION_DENIED, 404: UNIMPLEMENTED,
    429: UNAVAILABLE, 502: UNAVAILABLE, 503: UNAVAILABLE, 504: UNAVAILABLE,
}  # fmt: skip
_BY_RESET: Final[Mapping[int, int]] = {
    Code.REFUSED_STREAM: UNAVAILABLE,
    Code.CANCEL: CANCELLED,
    Code.ENHANCE_YOUR_CALM: RESOURCE_EXHAUSTED,
    Code.INADEQUATE_SECURITY: PERMISSION_DENIED,
}
_RESETS: Final[Mapping[int, str]] = {code.value: code.name for code in Code}
_PREFIX: Final = 5  # bytes in front of a message: whether it is compressed, and its length


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a call ended; *body* is the message of an answer that is OK."""

    code: int
    message: str = ""
    body: bytes = b""
    details: bytes | None = None
    """An encoded google.rpc.Status, if the server sent one."""
    unprocessed: bool = False
    """The server says that it never looked at the request: it may be sent again at once."""

    @property
    def name(self) -> str:
        """The name of the code."""
        return NAMES[self.code] if self.code < len(NAMES) else str(self.code)


@final
@dataclass(slots=True)
class Reply:
    """Collects the answer to one call, up to *max_bytes* of message."""

    max_bytes: int
    head: Head | None = None
    size: int = 0
    pieces: list[bytes] = field(default_factory=list)

    def add(self, piece: bytes) -> bool:
        """Keep a piece of the body; false if the answer is too long to be believed."""
        self.size += len(piece)
        if self.size > self.max_bytes + _PREFIX:
            return False
        self.pieces.append(piece)
        return True

    def ended(self, trailers: Head | None) -> Answer:
        """Return the answer, when its stream has ended; *trailers* if there were any."""
        head = self.head
        if head is None:
            return Answer(code=INTERNAL, message="the stream ended without an answer")
        said = trailers if trailers is not None else head  # an answer may be trailers only
        status = said.get(b"grpc-status")
        if status is None or not status.isdigit() or len(status) > 4:
            code = _BY_HTTP.get(head.status, UNKNOWN) if head.status != 200 else UNKNOWN
            words = f"HTTP {head.status} without a grpc-status; is this a gRPC server?"
            return Answer(code=code, message=words)
        code = int(status)
        message = unquote((said.get(b"grpc-message") or b"").decode("latin-1"), errors="replace")
        if code != OK:
            return Answer(code=code, message=message, details=_details(said))
        body = b"".join(self.pieces)
        if len(body) < _PREFIX or int.from_bytes(body[1:_PREFIX]) != len(body) - _PREFIX:
            return Answer(code=INTERNAL, message=f"OK with {len(body)} bytes that are no message")
        if body[0]:
            return Answer(code=INTERNAL, message="OK with a compressed message, not asked for")
        return Answer(code=OK, message=message, body=body[_PREFIX:])


def reset(code: int, words: str) -> Answer:
    """Return the answer to a call whose stream was reset with *code*; *words* if it was by us."""
    name = _RESETS.get(code, str(code))
    return Answer(
        code=_BY_RESET.get(code, INTERNAL),
        message=words or f"the server reset the stream: {name}",
        unprocessed=code == Code.REFUSED_STREAM,
    )


def _details(said: Head) -> bytes | None:
    text = said.get(b"grpc-status-details-bin")
    if text is None:
        return None
    text = text.partition(b",")[0].rstrip(b"=")
    try:  # senders leave the padding out, receivers take it either way
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return None
