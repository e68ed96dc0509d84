"""One HTTP/2 connection to a gRPC server: calls go out, answers come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar, cast

from typing_extensions import override

from common.exporters import grpc_answers
from common.exporters.grpc_answers import Answer, Reply
from common.wire import http2

# What a server may do to us. Bodies that wait for its windows are bounded by delivery: there are
# as many as it has requests in flight.
LIMITS: Final = http2.Limits(max_queued_bytes=1 << 40)

_Value = TypeVar("_Value")
_LOST: Final = Answer(code=grpc_answers.UNAVAILABLE, message="the connection was lost")


class Link(asyncio.Protocol):
    """A connection; *changed* is called when it can take more, or is gone.

    Answers may have up to *max_answer* bytes. Made by an event loop, see `asyncio.Protocol`.
    """

    def __init__(self, max_answer: int, changed: Callable[[], None]) -> None:
        self._max_answer, self._changed = max_answer, changed
        self._http2 = http2.Client(LIMITS)
        self._transport: asyncio.Transport | None = None
        self._now = asyncio.get_running_loop().time
        self._calls: dict[int, tuple[Reply, asyncio.Future[Answer]]] = {}
        self._heard = 0.0  # when the server last said anything
        self._ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.why = ""  # it is gone, once it is

    @property
    def open(self) -> bool:
        """Whether new calls may be made, now or when others have ended."""
        return self._transport is not None and not self._http2.going_away

    @property
    def room(self) -> int:
        """How many calls more the server takes now."""
        return self._http2.room if self.open else 0

    async def wait_ready(self) -> None:
        """Wait for the server's settings: only who sends them speaks HTTP/2.

        Raises :class:`ConnectionError` if something else comes, or nothing any more.
        """
        if not await self._ready:
            raise ConnectionError(self.why)

    async def call(self, block: bytes, prefix: bytes, message: bytes) -> Answer:
        """Send a request of one message behind its *prefix*, and wait for the answer.

        *block* are the encoded headers. Cancelling gives the call up. Needs `room`.
        """
        stream = self._http2.request(block)
        if stream is None or self._transport is None:
            return Answer(code=grpc_answers.UNAVAILABLE, message="no room", unprocessed=True)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._calls[stream] = Reply(self._max_answer), future
        self._http2.data(stream, prefix)
        self._http2.data(stream, message, ended=True)
        begun = self._now()
        self._write()
        try:
            return await future
        finally:
            if self._calls.pop(stream, None) is not None:
                self._http2.reset(stream)
                self._write()
                if self._heard < begun:
                    # Not a word since the call was made, an answer to the bytes themselves least
                    # of all: the other side is gone, and TCP may take a quarter of an hour to say.
                    self.abort("the server has fallen silent")

    def close(self) -> None:
        """Take leave."""
        if self._transport is not None:
            self._http2.stop()
            self._write()
            self._transport.close()

    def retire(self) -> None:
        """Take no more calls, and close when those that are under way have ended."""
        if self._transport is not None:
            self._http2.stop()
            self._write()
            if not self._calls:
                self._transport.close()

    def abort(self, why: str) -> None:
        """Hang up; all calls end as lost."""
        self.why = self.why or why
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._heard = self._now()
        self._write()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.why = self.why or (str(exc) if exc else "the server closed the connection")
        _settle(self._ready, value=False)
        calls, self._calls = self._calls, {}
        for _, future in calls.values():
            _settle(future, value=_LOST)
        self._changed()

    @override
    def data_received(self, data: bytes) -> None:
        self._heard = now = self._now()
        for event in self._http2.receive(data, now):
            match event:
                case http2.HeadCame(stream, head, ended):
                    self._head(stream, head, ended=ended)
                case http2.DataCame(stream, piece, ended):
                    self._piece(stream, piece, ended=ended)
                case http2.TrailersCame(stream, head):
                    self._ended(stream, head)
                case http2.StreamReset(stream, code, words):
                    self._settle(stream, grpc_answers.reset(code, words))
                case http2.SettingsCame():
                    _settle(self._ready, value=True)
                case http2.GoingAway():
                    self._left_behind(event)
                case http2.Failed():
                    self.why = event.words
                    self._write()
                    self.close()
                case _:
                    pass  # pings and windows: the core has seen to them
        self._write()
        self._changed()

    def _head(self, stream: int, head: http2.Head, *, ended: bool) -> None:
        call = self._calls.get(stream)
        if call is not None and head.status >= 200:
            call[0].head = head
            if ended:
                self._ended(stream, None)

    def _piece(self, stream: int, piece: bytes, *, ended: bool) -> None:
        self._http2.credit_connection(len(piece))
        call = self._calls.get(stream)
        if call is None:
            return
        if not call[0].add(piece):
            self._http2.reset(stream)
            words = f"an answer of more than {self._max_answer} bytes"
            self._settle(stream, Answer(code=grpc_answers.RESOURCE_EXHAUSTED, message=words))
        elif ended:
            self._ended(stream, None)
        else:
            self._http2.credit(stream, len(piece))

    def _ended(self, stream: int, trailers: http2.Head | None) -> None:
        call = self._calls.get(stream)
        if call is not None:
            self._settle(stream, call[0].ended(trailers))
            # A server may answer before it has read everything, and need not read the rest.
            self._http2.reset(stream, http2.Code.NO_ERROR)

    def _left_behind(self, event: http2.GoingAway) -> None:
        words = "the server is going away"
        lost = Answer(code=grpc_answers.UNAVAILABLE, message=words, unprocessed=True)
        for stream in event.unprocessed:
            self._settle(stream, lost)
        if not self._calls:
            self.close()

    def _settle(self, stream: int, answer: Answer) -> None:
        call = self._calls.pop(stream, None)
        if call is not None:
            _settle(call[1], value=answer)
        if not self._calls and self._http2.going_away:
            self.close()

    def _write(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            data = self._http2.outgoing()
            if data:
                self._transport.write(data)


def _settle(future: asyncio.Future[_Value], *, value: _Value) -> None:
    if not future.done():
        future.set_result(value)
