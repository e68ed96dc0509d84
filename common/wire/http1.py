"""The heads of HTTP/1.1 requests: where they end, and what they say if they are in order.

What is in order is decided by llhttp, by way of httptools, at its strictest: lengths that are given
twice or contradict each other, folded lines, control bytes, bare line feeds and spaces before
colons are all refused, since two readings of one head are how requests are smuggled (RFC 9112,
sections 5.2, 6.3 and 11.2). It is fed the head alone; bodies are cut out by whoever knows the
length, which is cheaper than having them copied piece by piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import httptools

from common.wire import errors

END: Final = b"\r\n\r\n"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The first line of a request and its headers; names in small letters, values as they came."""

    method: bytes
    target: bytes
    version: str
    """``1.1`` or whatever else it claims to be."""
    fields: tuple[tuple[bytes, bytes], ...]


def parse_head(text: bytes) -> Head:
    """Read a whole head, the empty line at its end included.

    Raises `errors.Malformed`. What is valid by itself may still be wrong together; that the length
    is unambiguous is certain.
    """
    reading = _Reading()
    parser = httptools.HttpRequestParser(reading)
    _feed(parser, text)
    if not reading.whole:
        raise errors.Malformed("the head of the request ends before it is complete")
    return Head(
        method=parser.get_method(),
        target=reading.target,
        version=parser.get_http_version(),
        fields=tuple(reading.fields),
    )


def check_beginning(text: bytes) -> None:
    """Raise `errors.Malformed` if no head can begin with *text*."""
    _feed(httptools.HttpRequestParser(_Reading()), text)


def _feed(parser: httptools.HttpRequestParser, text: bytes) -> None:
    try:
        parser.feed_data(text)
    except httptools.HttpParserUpgrade:
        return  # the head is whole; whether to speak something else from here is not decided here
    except httptools.HttpParserError as error:
        raise errors.Malformed(f"not a request of HTTP/1.1: {error}") from error


class _Reading:
    """What httptools calls back while it reads."""

    __slots__ = ("fields", "target", "whole")

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.target = b""
        self.whole = False

    def on_url(self, piece: bytes) -> None:
        self.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.whole = True
