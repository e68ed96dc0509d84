"""Header blocks on their way in: HEADERS, CONTINUATION, and the bounds of what they may become.

Sources: RFC 9113 sections 6.2 and 6.10; CVE-2024-27316 and its kin (floods of CONTINUATION).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

from common.wire.http2 import events, frames, heads
from common.wire.http2.codes import Broken, Code
from common.wire.http2.control import Control
from common.wire.http2.judging import fits
from common.wire.http2.limits import Limits
from common.wire.http2.streams import Stream

_word: Final = frames.WORD.unpack_from


class Blocks(Control):
    """Puts header blocks together, and takes trailers."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._block: list[bytes] = []  # of the header block that waits for CONTINUATION
        self._block_stream = 0  # whose it is; 0: none waits
        self._block_bytes = 0
        self._block_since = 0.0
        self._block_ends = False
        self._block_depends = 0  # the stream it depends on; 0: it does not say
        self._block_limit = limits.max_header_bytes

    @abstractmethod
    def _head_came(self, number: int, block: bytes, *, ended: bool) -> None:
        """Take a whole header block on stream *number*, which is not 0."""

    def _headers(self, number: int, flags: int, payload: bytes) -> None:
        if not number:
            raise Broken(Code.PROTOCOL_ERROR, "HEADERS on stream 0")
        depends = 0
        if flags & frames.PADDED:
            payload = unpadded(payload)
        if flags & frames.PRIORITISED:
            if len(payload) < 5:
                raise Broken(Code.FRAME_SIZE_ERROR, "HEADERS too short for their priority")
            depends = _word(payload)[0] & frames.MAX_STREAM
            payload = payload[5:]
        self._check_block(len(payload))
        if flags & frames.END_HEADERS:
            self._block_came(number, payload, depends, ended=bool(flags & frames.END_STREAM))
            return
        self._block, self._block_stream, self._block_bytes = [payload], number, len(payload)
        self._block_ends, self._block_depends = bool(flags & frames.END_STREAM), depends
        self._block_since = self._now

    def _continuation(self, number: int, flags: int, payload: bytes) -> None:
        if not self._block_stream:
            raise Broken(Code.PROTOCOL_ERROR, "CONTINUATION of nothing")
        self._block.append(payload)
        self._block_bytes += len(payload)
        self._check_block(self._block_bytes)
        if flags & frames.END_HEADERS:
            block, self._block, self._block_stream = b"".join(self._block), [], 0
            self._block_came(number, block, self._block_depends, ended=self._block_ends)
        elif len(self._block) > self.limits.max_continuations:
            words = f"more than {self.limits.max_continuations} CONTINUATION frames; send fewer"
            raise Broken(Code.ENHANCE_YOUR_CALM, words, "header_block")

    def _check_block(self, size: int) -> None:
        if size > self.limits.max_header_bytes:
            most = self.limits.max_header_bytes
            words = f"a header block of more than {most} bytes; send fewer or shorter headers"
            raise Broken(Code.ENHANCE_YOUR_CALM, words, "header_block")

    def _block_came(self, number: int, block: bytes, depends: int, *, ended: bool) -> None:
        self._head_came(number, block, ended=ended)
        if depends == number:
            self._stream_error(number, Code.PROTOCOL_ERROR, "the stream depends on itself")

    def _trailers_came(self, state: Stream, block: bytes, *, ended: bool) -> None:
        head = self.decoder.decode(block, heads.trailers)
        number = state.number
        if not state.remote_open:
            self._stream_error(number, Code.STREAM_CLOSED, "HEADERS behind the end of the stream")
        elif not ended:
            words = "a second header block that does not end the stream"
            self._stream_error(number, Code.PROTOCOL_ERROR, words)
        elif head.size > self.limits.max_header_bytes:
            self._too_long(number)
        elif head.problem:
            self._stream_error(number, Code.PROTOCOL_ERROR, head.problem)
        elif not fits(state, ended=True):
            self._wrong_length(state)
        else:
            self._end_remote(state)
            self._events.append(events.TrailersCame(number, head))


def unpadded(payload: bytes) -> bytes:
    """Take the padding off (section 6.1: its length in front, itself behind)."""
    if not payload:
        raise Broken(Code.FRAME_SIZE_ERROR, "a padded frame without the length of its padding")
    padding = payload[0]
    if padding >= len(payload):
        words = f"padding of {padding} bytes in a frame of {len(payload)}"
        raise Broken(Code.PROTOCOL_ERROR, words)
    return payload[1 : len(payload) - padding]
