"""One HTTP/1.1 response to a scrape, taken from bytes as they arrive, within limits; no I/O.

Sources: RFC 9110, RFC 9112; Prometheus' scrape semantics: only 200 is an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias, final

import httptools

from agent.exposition.model import Format
from agent.scraping import negotiation, redirects, room
from common.wire import compression, errors

MAX_OVERHEAD: Final = 64 << 10  # bytes of headers, chunk sizes and trailers, the body not counted
_MAX_PLACE: Final = 4 << 10  # bytes of a Location; what is longer leads nowhere
_ALERT: Final = b"\x15\x03"  # how a TLS server begins to say that it was not spoken to in TLS


class Cause(StrEnum):
    """Why a scrape brought nothing; a label of the agent's own metrics."""

    DNS = "dns"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TLS = "tls"
    CREDENTIALS = "credentials"  # our certificates or our token cannot be used
    STATUS = "status"
    REDIRECT = "redirect"  # to where we do not go
    TOO_LARGE = "too_large"  # the body, or what is in it: samples, labels
    NO_ROOM = "no_room"  # others' bodies took all the room there is, for too long
    CONTENT_TYPE = "content_type"  # none of ours, and nothing to fall back on
    CLOSED_EARLY = "closed_early"
    NOT_HTTP = "not_http"
    MALFORMED = "malformed"  # an exposition that breaks its format


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A body, inflated."""

    body: bytes
    wire_bytes: int
    format: Format = Format.TEXT
    fallback: str = ""
    """Why it is read as text although its Content-Type does not say so; "" if it does."""
    redirects: int = 0
    """How many were followed on the way."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """What went wrong, as a class and in words."""

    cause: Cause
    why: str
    status: int = 0
    """The status of an answer that is none, 0 for other causes."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The answer is said to be elsewhere."""

    location: str
    status: str
    """In words."""


Outcome: TypeAlias = Fetched | Failed


class Response:
    """Feed it what arrives until ``done``; then ask :meth:`outcome`.

    ``reusable`` says whether the connection may carry another request. The method names that begin
    with ``on_`` are httptools' callbacks.
    """

    __slots__ = (
        "_body", "_body_bytes", "_encoding", "_failed", "_fallback", "_final", "_framed", "_length",
        "_location", "_max_bytes", "_moved", "_parser", "_reason", "_type", "done", "received",
        "reusable",
    )  # fmt: skip

    def __init__(self, max_bytes: int, *, fallback: bool = True) -> None:
        """Take at most *max_bytes*; with *fallback*, what has no usable type is text."""
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._max_bytes, self._fallback = max_bytes, fallback
        self._moved: Moved | None = None
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._failed: Failed | None = None
        self._final = False  # the headers of the answer proper, not of a 1xx, are complete
        self._framed = False  # the headers say where the body ends
        self._length = 0  # what they promise
        self._type = self._encoding = self._location = self._reason = ""
        self.received = 0  # bytes of all kinds
        self.done = False
        self.reusable = False

    @property
    def progress(self) -> str:
        """How far it came, in words."""
        if not self.received:
            return "no answer came"
        if not self._final:
            return f"{self.received} bytes of headers came"
        return f"{self._body_bytes} bytes of the body came"

    @property
    def wanted(self) -> int:
        """How many bytes of room the body needs from now on, as far as can be told."""
        if self.done or not self._final or self._moved is not None:
            return 0
        if self._length:
            return self._length
        step = room.STEP
        return max(self._body_bytes, min(-(-self._body_bytes // step) * step, self._max_bytes))

    def feed(self, data: bytes) -> None:
        """Take bytes; what follows the end of the response spoils the connection."""
        self.received += len(data)
        if self._parser is None:
            self.reusable = False
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(Failed(cause=Cause.NOT_HTTP, why="the server switched to another protocol"))
        except httptools.HttpParserError as error:
            if not self.done:
                secure = self.received == len(data) and data.startswith(_ALERT)
                words = "it speaks TLS" if secure else str(error)
                self._fail(Failed(cause=Cause.NOT_HTTP, why=f"not an HTTP/1.1 response: {words}"))
            self.reusable = False
        if not self.done and self.received - self._body_bytes > MAX_OVERHEAD + self._body_bytes:
            why = f"headers exceed the limit of {MAX_OVERHEAD} bytes"
            self._fail(Failed(cause=Cause.TOO_LARGE, why=why))
        if self.done:
            # It holds our callbacks: bodies that wait for the cycle collector cost 0.6 ms per
            # 830 KB in fresh pages, twice as much as everything else here.
            self._parser = None

    def closed(self, words: str) -> None:
        """Note the end of the connection, *words* saying what was odd about it, or ""."""
        if self.done:
            return
        if self._moved is not None or (self._final and not self._framed and not words):
            self.done = True  # RFC 9112, 6.3: without a length the body ends with the connection
            return
        why = f"{words or 'the connection was closed'} before the response was complete"
        self._fail(Failed(cause=Cause.CLOSED_EARLY, why=f"closed early: {why} ({self.progress})"))

    def outcome(self) -> Fetched | Failed | Moved:
        """Return what came of it; only once ``done``."""
        if self._failed is not None:
            return self._failed
        if self._moved is not None:
            return self._moved
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        try:
            inflated = compression.inflate(body, self._encoding, self._max_bytes)
        except errors.TooLarge:
            return _too_large(None, self._max_bytes)
        except errors.Malformed as error:
            return Failed(cause=Cause.NOT_HTTP, why=f"content encoding {self._encoding}: {error}")
        kind, fallback = Format.TEXT, ""
        if inflated:  # nothing is no mistake in any format
            found = negotiation.format_of(self._type)
            if found is not None:
                kind = found
            else:
                what = f"content type {self._type!r}" if self._type else "no content type"
                if not self._fallback:
                    return _untyped(what)
                fallback = f"{what} is no exposition format; read as text"
        return Fetched(body=inflated, wire_bytes=self._body_bytes, format=kind, fallback=fallback)

    def _fail(self, failed: Failed) -> None:
        self._failed = failed
        self.done, self.reusable = True, False
        self._body.clear()

    def _status(self) -> int:
        return 0 if self._parser is None else self._parser.get_status_code()

    def on_status(self, reason: bytes) -> None:
        """Take (a part of) the reason phrase."""
        self._reason = _printable(reason)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers come here too, and mean nothing."""
        if self._final:
            return
        match name.lower():
            case b"content-type":
                self._type = _printable(value).strip()
            case b"content-encoding":
                self._encoding = _printable(value).strip().lower()
            case b"content-length":
                self._framed, self._length = True, int(value)  # llhttp has checked the digits
            case b"transfer-encoding":
                self._framed = True
            case b"location":
                # Not made safe to show: whoever shows it does that.
                self._location = value[:_MAX_PLACE].decode("latin-1").strip()
            case _:
                return  # says nothing that matters here

    def on_headers_complete(self) -> None:
        """Judge the status."""
        status = self._status()
        if self.done or status < 200:
            return
        self._final = True
        if status == 200:
            if self._length > self._max_bytes:
                self._fail(_too_large(self._length, self._max_bytes))
            return
        words = f"status {status} {self._reason}".rstrip()
        if status in redirects.STATUSES and self._location:
            self._moved = Moved(location=self._location, status=words)
            self._body.clear()
            return
        self._fail(Failed(cause=Cause.STATUS, why=words, status=status))

    def on_body(self, data: bytes) -> None:
        """Take a part of the body."""
        if self.done:
            return
        self._body_bytes += len(data)
        if self._moved is not None:
            # Read to its end, so that the connection can be used for the next request, but a page
            # that says "moved" and does not end is not waited for.
            self.done = self._body_bytes > MAX_OVERHEAD
            return
        if self._body_bytes > self._max_bytes:
            self._fail(_too_large(None, self._max_bytes))
            return
        self._body.append(data)

    def on_message_begin(self) -> None:
        """Forget the headers of a 1xx response, and notice one too many."""
        if self.done:
            self.reusable = False
            return
        self._framed, self._length = False, 0
        self._type = self._encoding = self._location = self._reason = ""

    def on_message_complete(self) -> None:
        """Notice the end, unless it was that of a 1xx response."""
        if self._final and not self.done:
            self.done = True
            self.reusable = self._parser is not None and self._parser.should_keep_alive()


def _too_large(size: int | None, limit: int) -> Failed:
    fact = "the body has more" if size is None else f"the body has {size} bytes, more"
    return Failed(
        cause=Cause.TOO_LARGE,
        why=f"too large: {fact} than {limit} bytes; raise scraping.max_body_bytes or expose less",
    )


def _untyped(what: str) -> Failed:
    return Failed(
        cause=Cause.CONTENT_TYPE,
        why=f"{what} is no exposition format; scraping.fallback_format: text would read it as text",
    )


def _printable(value: bytes) -> str:
    """Make other people's header safe to show: printable ASCII, at most 200 characters."""
    text = value[:200].decode("latin-1")
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
