"""The chunked transfer coding, undone: RFC 9112, section 7.1, and nothing more lenient.

A size is hexadecimal digits; extensions are passed over, trailers are read and thrown away, lines
end in CR LF. Anything else is refused, since what one side takes for a body and the other for the
next request is how requests are smuggled.
"""

from __future__ import annotations

import re
from typing import Final

from common.wire import errors

MAX_LINE: Final = 1024  # bytes of a size with its extensions, which nobody needs
MAX_TRAILERS: Final = 8192  # bytes, all together
_BATCH: Final = 1024  # pieces joined into one: two bytes in an object of their own cost forty
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")


class Pieces:
    """Bytes that come in pieces and are wanted as one; many small ones do not cost more."""

    __slots__ = ("_joined", "_pieces", "size")

    def __init__(self) -> None:
        self.size = 0  # bytes
        self._pieces: list[bytes] = []
        self._joined: list[bytes] = []

    def add(self, piece: bytes) -> None:
        """Keep *piece* behind the others."""
        self.size += len(piece)
        self._pieces.append(piece)
        if len(self._pieces) == _BATCH:
            self._joined.append(b"".join(self._pieces))
            self._pieces.clear()

    def whole(self) -> bytes:
        """Return all of them as one."""
        if not self._joined and len(self._pieces) == 1:
            return self._pieces[0]
        return b"".join(self._joined + self._pieces)


class Chunks:
    """One chunked body: `feed` it what arrives until it is ``complete``; `body` holds the rest."""

    __slots__ = ("_at_line", "_last", "_left", "_line", "_trailers", "body", "complete")

    def __init__(self) -> None:
        self.body = Pieces()
        self.complete = False
        self._left = 0  # bytes missing of the chunk, the line end behind it included
        self._line = b""  # the beginning of a line whose end has not come
        self._at_line = True  # a line is next: a size, or a trailer after the last chunk
        self._last = False
        self._trailers = 0

    def feed(self, data: bytes, at: int = 0) -> int:
        """Take from *data* what belongs to the body, from *at* on; return where that ends.

        Raises `errors.Malformed`.
        """
        while at < len(data) and not self.complete:
            at = self._take_line(data, at) if self._at_line else self._take_bytes(data, at)
        return at

    def _take_bytes(self, data: bytes, at: int) -> int:
        """Take bytes of a chunk; the last two that are missing are its line end."""
        if self._left > 2:
            piece = data[at : at + self._left - 2]
            self.body.add(piece)
            self._left -= len(piece)
            return at + len(piece)
        expected = 13 if self._left == 2 else 10
        if data[at] != expected:
            raise errors.Malformed("a chunk is longer than the size before it says")
        self._left -= 1
        self._at_line = not self._left
        return at + 1

    def _take_line(self, data: bytes, at: int) -> int:
        bound = MAX_TRAILERS - self._trailers if self._last else MAX_LINE
        end = data.find(b"\n", at, at + bound - len(self._line) + 1)
        line = self._line + (data[at:] if end < 0 else data[at : end + 1])
        if len(line) > bound:
            what = "trailers" if self._last else "the line of a chunk's size"
            limit = MAX_TRAILERS if self._last else MAX_LINE
            raise errors.Malformed(f"more than {limit} bytes of {what}")
        if end < 0:
            self._line = line
            return len(data)
        self._line = b""
        if line[-2:] != b"\r\n":
            raise errors.Malformed("a line among chunks ends without CR LF")
        self._understand(line[:-2])
        return end + 1

    def _understand(self, line: bytes) -> None:
        if self._last:
            self._trailers += len(line) + 2
            self.complete = not line
            if line and not _TRAILER.fullmatch(line):
                raise errors.Malformed(f"not a trailer: {line[:40]!r}")
            return
        size = _SIZE.fullmatch(line)
        if size is None:
            raise errors.Malformed(f"not the size of a chunk: {line[:40]!r}")
        length = int(size[1], 16)
        if length:
            self._left = length + 2
            self._at_line = False
        else:
            self._last = True
