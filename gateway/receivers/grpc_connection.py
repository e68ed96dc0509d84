"""One connection of the lean gRPC door: unary calls on HTTP/2, no task of their own.

What stands behind the door is synchronous, so a call whose body came in the read that brought its
headers is answered before the read is over, and all answers of one read go out in one write. Only
what has to be on disk first is answered later, see `grpc_waiting`.
"""

from __future__ import annotations

from typing import final

from typing_extensions import override

from common.wire import http2
from common.wire.http2 import Code
from gateway.receivers import door, grpc_answers, status
from gateway.receivers.grpc_answers import EMPTY, Refused
from gateway.receivers.grpc_call import Answered, Asked, Call, Later
from gateway.receivers.grpc_door import Door
from gateway.receivers.grpc_line import Line


@final
class Connection(Line):
    """Serves the client at the address *peer*."""

    def __init__(self, peer: str | None, door: Door) -> None:
        super().__init__(door)
        self._peer = peer
        self._calls: dict[int, Call] = {}  # begun, not complete
        self._given_up = 0  # answers that found no room to wait in
        self._answered: dict[int, float] = {}  # in HTTP, not over; until when they may last

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for call in tuple(self._calls.values()):
            self._let_go(call)
            self._traffic.answered(status.NAMES[status.CANCELLED])
        self._waiting.give_all_up()
        self._door.closed(self)

    @override
    def data_received(self, data: bytes) -> None:
        clock = self._clock
        if clock.closing_since is not None:
            return  # said good-bye; what still comes is of no interest
        now = self._loop.time()
        clock.heard = now
        begun: http2.HeadCame | None = None  # the head of the event before, its body still to come
        for event in self._core.receive(data, now):
            if isinstance(event, http2.DataCame):
                if begun is None:
                    self._data(event)
                elif event.ended and event.stream == begun.stream:
                    self._whole(begun, event)
                    begun = None
                else:
                    self._begin(begun, now)
                    begun = None
                    self._data(event)
                continue
            if begun is not None:
                self._begin(begun, now)
                begun = None
            if isinstance(event, http2.HeadCame):
                begun = event
            else:
                self._other(event)
        if begun is not None:
            self._begin(begun, now)
        self._write()

    @override
    def _look_at_calls(self, now: float) -> bool:
        for call in tuple(self._calls.values()):
            if now >= call.until:
                self._refuse(call.stream, grpc_answers.too_slow(call.until - call.since))
                self._traffic.timed_out("body")
            elif call.weighed:
                self._grant(call)  # the acknowledgement of SETTINGS may have taken some away
        for stream, refused in self._waiting.late(now):
            self._refuse(stream, refused)
        for stream in [stream for stream, until in self._answered.items() if now >= until]:
            del self._answered[stream]
            self._core.reset(stream, Code.NO_ERROR)
            self._traffic.timed_out("body")
        return bool(self._calls)

    def _whole(self, head: http2.HeadCame, data: http2.DataCame) -> None:
        """Answer a request that is here with all of its body."""
        core, stream, body = self._core, head.stream, data.data
        core.credit_connection(len(body))
        asked = self._asked(head)
        if asked is None:
            return
        self._clock.busy = self._clock.heard
        try:
            if asked.timeout == 0:
                raise grpc_answers.too_slow(0)
            answer = asked.method.whole(body, self._door.sender(self._peer, asked), asked)
        except Refused as refused:
            self._refuse(stream, refused)
            return
        if answer is not EMPTY and isinstance(answer, Later):
            self._waiting.add(stream, answer, self._clock.heard, self._clock.heard, self._settled)
            return
        self._traffic.answered("ok")
        if not core.respond(stream, grpc_answers.HEAD, answer, grpc_answers.OK):
            self._not_sent()

    def _begin(self, head: http2.HeadCame, now: float) -> None:
        """Let a request in of which nothing but the headers is here."""
        asked = self._asked(head)
        if asked is None:
            return
        stream, window = head.stream, self._door.http2.stream_window_bytes
        patience = self._door.limits.read_timeout
        if asked.timeout is not None:
            patience = min(asked.timeout, patience)
        sender = self._door.sender(self._peer, asked)
        call = Call(stream, sender, asked, now, now + patience)
        self._clock.busy = now
        try:
            asked.method.enter(call, window if asked.length is None else asked.length)
        except Refused as refused:
            self._refuse(stream, refused)
            return
        self._calls[stream] = call
        if head.ended:
            self._complete(call)

    def _asked(self, head: http2.HeadCame) -> Asked | None:
        """Return what is asked for; ``None`` if that has been answered."""
        asked = self._door.asked(head.head)
        if not isinstance(asked, Answered):
            return asked
        stream = head.stream
        self._traffic.answered(asked.code)
        self._core.headers(stream, asked.block, ended=not asked.words)
        if asked.words:
            self._core.data(stream, asked.words, ended=True)
        if asked.grpc:
            self._core.reset(stream, Code.NO_ERROR)  # if the body is still to come
        elif stream in self._core.streams:
            # A reset would cut waiting words off. What comes is judged as ever, and thrown away.
            self._answered[stream] = self._loop.time() + self._door.limits.read_timeout
        return None

    def _data(self, event: http2.DataCame) -> None:
        stream, data, ended = event
        self._core.credit_connection(len(data))
        call = self._calls.get(stream)
        if call is None:
            if ended:
                self._answered.pop(stream, None)
            return
        try:
            call.add(data)
            if call.length >= 0 and not call.weighed:
                call.asked.method.weigh(call)
                call.weighed = True
        except Refused as refused:
            self._refuse(stream, refused)
            return
        if ended:
            self._complete(call)
        elif call.weighed:
            self._grant(call)

    def _grant(self, call: Call) -> None:
        """Open the stream's window for the rest of a message that was admitted as a whole."""
        state = self._core.streams.get(call.stream)
        if state is not None:
            self._core.credit(call.stream, call.missing - state.receive_window)

    def _complete(self, call: Call) -> None:
        stream = call.stream
        try:
            if self._clock.heard >= call.until:
                raise grpc_answers.too_slow(call.until - call.since)
            answer = call.asked.method.answer(call)
        except Refused as refused:
            self._refuse(stream, refused)
            return
        if answer is not EMPTY and isinstance(answer, Later):
            del self._calls[stream]
            self._waiting.add(stream, answer, call.since, self._clock.heard, self._settled)
            return
        self._let_go(call)
        self._traffic.answered("ok")
        if not self._core.respond(stream, grpc_answers.HEAD, answer, grpc_answers.OK):
            self._not_sent()

    def _settled(self, stream: int) -> None:
        """Answer a call whose data is on disk, or will not be."""
        later = self._waiting.settled(stream)
        if later.commit.failed:
            self._refuse(stream, grpc_answers.not_written(door.FAILED, later.points))
        else:
            self._traffic.answered("ok")
            if not self._core.respond(stream, grpc_answers.HEAD, later.message, grpc_answers.OK):
                self._not_sent()
        self._write()

    def _not_sent(self) -> None:
        """Count an answer that found no room to wait in, unless its stream was gone before."""
        given_up = self._core.given_up
        if given_up > self._given_up:
            self._given_up = given_up
            self._traffic.attacked("queue")

    def _refuse(self, stream: int, refused: Refused) -> None:
        """Answer that the request is not taken, and be spared what still comes of it."""
        call = self._calls.get(stream)
        if call is not None:
            self._let_go(call)
        self._traffic.answered(status.NAMES[refused.code])
        if refused.after is not None:
            self._traffic.refused_points += refused.points
        self._core.headers(stream, grpc_answers.refusal(refused), ended=True)
        self._core.reset(stream, Code.NO_ERROR)

    def _let_go(self, call: Call) -> None:
        del self._calls[call.stream]
        call.asked.method.leave(call)

    def _other(self, event: http2.Event) -> None:
        match event:
            case http2.StreamReset(stream=stream):
                self._answered.pop(stream, None)
                call = self._calls.get(stream)
                if call is not None:
                    self._let_go(call)
                    self._traffic.answered(status.NAMES[status.CANCELLED])
                self._waiting.give_up(stream)
            case http2.TrailersCame(stream=stream):
                self._answered.pop(stream, None)
                call = self._calls.get(stream)  # what they say is of no interest to unary calls
                if call is not None:
                    self._complete(call)
            case http2.PingAnswered(payload=payload):
                self._ping_answered(payload)
            case http2.Mistake(cause=cause) | http2.Failed(cause=cause):
                self._traffic.attacked(cause)
            case _:
                pass  # a client's settings, windows and farewells need no answer of ours
