"""The client's side of a connection: streams that we open, and what comes of them."""

from __future__ import annotations

from typing import Final

from typing_extensions import override

from common.wire.http2 import events, frames, heads, settings
from common.wire.http2.codes import Code
from common.wire.http2.connection import Connection
from common.wire.http2.limits import Limits
from common.wire.http2.streams import Stream

ASSUMED_STREAMS: Final = 100  # at a time, until the server says (section 6.5.2 recommends it)
_BODILESS: Final = frozenset((204, 304))  # may declare a length without sending it


class Client(Connection):
    """A connection that we opened; see `Connection`. Requests with the method HEAD are not for it.

    `outgoing` has the preface and our settings from the beginning; requests may follow at once. A
    response is `HeadCame` (interim ones first), `DataCame` any number of times, and perhaps
    `TrailersCame`; one of them says or means that it ended. `StreamReset` and `GoingAway` end it,
    too. A server that has answered may reset the stream with NO_ERROR, to be spared the rest of the
    request: then `StreamReset` comes behind the end, and means nothing.
    """

    SERVER = False

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self.going_away = False  # the server takes no more
        self._next = 1
        self._out.append(frames.PREFACE + settings.ours(limits, server=False))

    @property
    def room(self) -> int:
        """How many more requests the server takes now; 0 for ever once the connection is over."""
        if self.going_away or self.failed is not None or self._next > frames.MAX_STREAM:
            return 0
        most = ASSUMED_STREAMS if self.peer_streams is None else self.peer_streams
        return max(0, most - len(self.streams))

    def request(self, block: bytes, *, ended: bool = False) -> int | None:
        """Open a stream with the header *block* (see `headers.encode`); ``None`` without `room`.

        Its body follows by `data`; with *ended* it has none.
        """
        if not self.room:
            return None
        number, self._next = self._next, self._next + 2
        state = Stream(number, self._new_receive_window, self._first_window)
        state.awaits_head = True
        self.streams[number] = state
        self.headers(number, block, ended=ended)
        return number

    def stop(self) -> None:
        """Tell the server that nothing more will come."""
        self.going_away = True
        self._out.append(frames.goaway(0, Code.NO_ERROR))

    @override
    def _head_came(self, number: int, block: bytes, *, ended: bool) -> None:
        state = self.streams.get(number)
        if state is None:
            self.decoder.decode(block, heads.trailers)
            self._late(number, "HEADERS")
            return
        if not state.awaits_head:
            self._trailers_came(state, block, ended=ended)
            return
        head = self.decoder.decode(block, heads.response)
        interim = head.status < 200
        length = None if head.status in _BODILESS else head.content_length
        if head.size > self.limits.max_header_bytes:
            self._too_long(number)
        elif head.problem:
            self._stream_error(number, Code.PROTOCOL_ERROR, head.problem)
        elif ended and (interim or length):
            words = "an interim response that ends" if interim else f"no body of {length} bytes"
            self._stream_error(number, Code.PROTOCOL_ERROR, words)
        else:
            if not interim:
                state.awaits_head, state.expected = False, length
            if ended:
                self._end_remote(state)
            self._events.append(events.HeadCame(number, head, ended))

    @override
    def _last_seen(self) -> int:
        return 0  # servers open no streams here

    @override
    def _is_idle(self, number: int) -> bool:
        return number >= self._next or not number & 1

    @override
    def _going_away(self, last: int, code: int, debug: bytes) -> None:
        self.going_away = True
        unprocessed = tuple(number for number in self.streams if number > last)
        for number in unprocessed:
            self._forget(self.streams[number])
            self._ended.add(number, "reset by us")
        self._events.append(events.GoingAway(last, code, debug, unprocessed))
