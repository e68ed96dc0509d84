"""A request of HTTP/1.1 answered as one would write it first: by a parser's callbacks, every time.

The headers are collected and looked up, the body is put together from the pieces that the parser
hands over, and the answer is written anew. Nothing is refused, reserved or counted.
"""

from collections.abc import Callable
from email.utils import formatdate

import httptools


class Server:
    """One connection; *take* gets each body, *write* each answer."""

    def __init__(self, take: Callable[[bytes], object], write: Callable[[bytes], None]) -> None:
        self.take, self.write = take, write
        self.parser = httptools.HttpRequestParser(self)
        self.headers: dict[str, str] = {}
        self.target, self.pieces = b"", []

    def receive(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.headers, self.target, self.pieces = {}, b"", []

    def on_url(self, piece: bytes) -> None:
        self.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        kind = self.headers["content-type"].partition(";")[0].strip().lower()
        if self.parser.get_method() != b"POST" or self.target != b"/v1/metrics":
            raise ValueError("not ours")
        self.take(b"".join(self.pieces))
        close = "" if self.parser.should_keep_alive() else "Connection: close\r\n"
        answer = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 0\r\n{close}"
            f"Date: {formatdate(0, usegmt=True)}\r\n\r\n"
        )
        self.write(answer.encode())
