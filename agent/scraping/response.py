"""One HTTP/1.1 response to a scrape, taken from bytes as they arrive, within limits; no I/O.

Sources: RFC 9110, RFC 9112; Prometheus' scrape semantics: only 200 is an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias, final

import httptools

from common.wire import compression, errors

MAX_OVERHEAD: Final = 64 << 10  # bytes of headers, chunk sizes and trailers, the body not counted
FOREIGN_TYPES: Final = ("application/openmetrics-text", "application/vnd.google.protobuf")


class Cause(StrEnum):
    """Why a scrape brought nothing; a label of the agent's own metrics."""

    DNS = "dns"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TLS = "tls"
    STATUS = "status"
    TOO_LARGE = "too_large"
    NOT_TEXT = "not_text"
    CLOSED_EARLY = "closed_early"
    NOT_HTTP = "not_http"
    MALFORMED = "malformed"  # an exposition that breaks the text format


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A body, inflated. ``unlabelled``: its Content-Type does not say that it is text/plain."""

    body: bytes
    wire_bytes: int
    unlabelled: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """What went wrong, as a class and in words."""

    cause: Cause
    why: str


Outcome: TypeAlias = Fetched | Failed


class Response:
    """Feed it what arrives until ``done``; then ask :meth:`outcome`.

    ``reusable`` says whether the connection may carry another request. The method names that begin
    with ``on_`` are httptools' callbacks.
    """

    __slots__ = (
        "_body", "_body_bytes", "_encoding", "_failed", "_final", "_framed", "_length", "_location",
        "_max_bytes", "_parser", "_reason", "_type", "done", "received", "reusable",
    )  # fmt: skip

    def __init__(self, max_bytes: int) -> None:
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._max_bytes = max_bytes
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
                self._fail(Failed(cause=Cause.NOT_HTTP, why=f"not an HTTP/1.1 response: {error}"))
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
        if self._final and not self._framed and not words:
            self.done = True  # RFC 9112, 6.3: without a length the body ends with the connection
            return
        why = f"{words or 'the connection was closed'} before the response was complete"
        self._fail(Failed(cause=Cause.CLOSED_EARLY, why=f"closed early: {why} ({self.progress})"))

    def outcome(self) -> Outcome:
        """Return what came of it; only once ``done``."""
        if self._failed is not None:
            return self._failed
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        if body and self._type in FOREIGN_TYPES:
            return Failed(
                cause=Cause.NOT_TEXT,
                why=f"not text: the target answers {self._type} although text/plain was asked for",
            )
        try:
            inflated = compression.inflate(body, self._encoding, self._max_bytes)
        except errors.TooLarge:
            return _too_large(None, self._max_bytes)
        except errors.Malformed as error:
            return Failed(cause=Cause.NOT_HTTP, why=f"content encoding {self._encoding}: {error}")
        return Fetched(
            body=inflated,
            wire_bytes=self._body_bytes,
            unlabelled=bool(body) and self._type != "text/plain",
        )

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
                self._type = _printable(value).partition(";")[0].strip().lower()
            case b"content-encoding":
                self._encoding = _printable(value).strip().lower()
            case b"content-length":
                self._framed, self._length = True, int(value)  # llhttp has checked the digits
            case b"transfer-encoding":
                self._framed = True
            case b"location":
                self._location = _printable(value)
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
        if 300 <= status < 400 and self._location:
            words += f": redirects are not followed; let the target be {self._location}"
        elif status in {401, 403}:
            words += ": the target wants credentials, or does not like these"
        elif status == 404:
            words += ": nothing at this path; is prometheus.io/path right?"
        self._fail(Failed(cause=Cause.STATUS, why=words))

    def on_body(self, data: bytes) -> None:
        """Take a part of the body."""
        if self.done:
            return
        self._body_bytes += len(data)
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


def _printable(value: bytes) -> str:
    """Make other people's header safe to show: printable ASCII, at most 200 characters."""
    text = value[:200].decode("latin-1")
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
