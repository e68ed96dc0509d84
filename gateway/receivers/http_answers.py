"""Answers of the HTTP door, as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, final

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
NO_CONTENT: Final = 204
CLOSE: Final = "close"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status, the media type of the body ("" for none), headers beside it, and the body."""

    status: int
    kind: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def encoded(
    answer: Answer, *, date: bytes = b"", connection: str = "", with_body: bool = True
) -> bytes:
    """Return *answer* as it goes over the wire.

    *date* is a whole header line, or nothing; *connection* is the value of that header, or "".
    Without body it still says how long that would be, which is what HEAD asks for.
    """
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"]
    if answer.kind:
        lines.append(f"Content-Type: {answer.kind}\r\n")
    if answer.status != NO_CONTENT:  # RFC 9110, section 8.6: it must not tell a length
        lines.append(f"Content-Length: {len(answer.body)}\r\n")
    lines += [f"{name}: {value}\r\n" for name, value in answer.headers]
    if connection:
        lines.append(f"Connection: {connection}\r\n")
    # What is echoed, an origin, may hold any byte but controls; latin-1 gives it back unchanged.
    head = "".join(lines).encode("latin-1")
    return b"".join((head, date, b"\r\n", answer.body if with_body else b""))


def date_line(unix_seconds: float) -> bytes:
    """Return the ``Date`` header line, which RFC 9110, section 6.6.1 asks for."""
    return f"Date: {formatdate(unix_seconds, usegmt=True)}\r\n".encode()
