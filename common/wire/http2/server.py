"""The server's side of a connection: the client preface, and streams that clients open."""

from __future__ import annotations

from typing_extensions import override

from common.wire.http2 import events, frames, heads, settings
from common.wire.http2.codes import Code
from common.wire.http2.connection import Connection
from common.wire.http2.limits import Limits
from common.wire.http2.streams import Stream


def farewell(words: str) -> bytes:
    """Return all that a server says to a client it has no room for: GOAWAY, with *words*."""
    return frames.settings(()) + frames.goaway(0, Code.NO_ERROR, words.encode())


class Server(Connection):
    """A connection that a client opened; see `Connection`.

    `outgoing` has our settings from the beginning. A request is `HeadCame`, `DataCame` any number
    of times, and perhaps `TrailersCame`; one of them says or means that it ended. It is answered by
    `respond`, or by `headers` and `data`; to give the rest of it up, `reset` it afterwards.
    """

    SERVER = True

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._preface = frames.PREFACE
        self._highest = 0  # stream that the client opened
        self._last_taken = frames.MAX_STREAM  # the highest that we said we would look at
        self._out.append(settings.ours(limits, server=True))

    def drain(self, words: str = "") -> None:
        """Ask the client to open no more streams, *words* say why; what is on its way is taken."""
        self._out.append(frames.goaway(frames.MAX_STREAM, Code.NO_ERROR, words.encode()))

    def stop(self) -> None:
        """Take no more streams; a round trip after `drain` (see `ping`), so that none is lost."""
        if self._last_taken == frames.MAX_STREAM:
            self._last_taken = self._highest
            self._out.append(frames.goaway(self._highest, Code.NO_ERROR))

    @override
    def _head_came(self, number: int, block: bytes, *, ended: bool) -> None:
        state = self.streams.get(number)
        if state is not None:
            self._trailers_came(state, block, ended=ended)
            return
        head = self.decoder.decode(block, heads.request)
        if number <= self._highest or not number & 1:
            self._late(number, "HEADERS", Code.PROTOCOL_ERROR)
            return
        self._highest = number
        length = head.content_length
        if number > self._last_taken:
            self._ended.add(number, "reset by us")  # GOAWAY told the client that it is not taken
        elif len(self.streams) >= self.limits.max_concurrent_streams:
            self._refuse(number)
        elif head.size > self.limits.max_header_bytes:
            self._too_long(number)
        elif head.problem:
            self._stream_error(number, Code.PROTOCOL_ERROR, head.problem)
        elif ended and length:
            words = f"no body, where content-length says {length}"
            self._stream_error(number, Code.PROTOCOL_ERROR, words)
        else:
            state = Stream(number, self._new_receive_window, self._first_window)
            state.remote_open, state.expected = not ended, length
            self.streams[number] = state
            self._events.append(events.HeadCame(number, head, ended))

    def _refuse(self, number: int) -> None:
        self._events.append(events.Mistake(number, "streams"))
        self._out.append(frames.reset(number, Code.REFUSED_STREAM))
        self._ended.add(number, "reset by us")
        if self.acknowledged:  # before, the client could not know our limit
            self._count_reset()

    @override
    def _last_seen(self) -> int:
        return min(self._highest, self._last_taken)

    @override
    def _is_idle(self, number: int) -> bool:
        return number > self._highest or not number & 1

    @override
    def _going_away(self, last: int, code: int, debug: bytes) -> None:
        self._events.append(events.GoingAway(last, code, debug, ()))
