"""One connection of the HTTP door: requests are read and answered in order; nothing is waited for.

A whole request is answered inside ``data_received``: what stands behind the door does not wait, so
there is no task, no queue and nothing to cancel. Bodies are cut out of what was read as one slice;
the parser sees heads only (`common.wire.http1`), and only those that are not remembered.
"""

from __future__ import annotations

import asyncio
import logging
from enum import Enum
from typing import Final, cast, final

from typing_extensions import override

from common.wire import chunked, errors, http1
from gateway.receivers import http_answers, refusals
from gateway.receivers.http_answers import Answer
from gateway.receivers.http_door import TAKEN, Door
from gateway.receivers.http_export import Ticket
from gateway.receivers.http_request import Request
from gateway.receivers.refusals import Refusal
from gateway.receivers.watch import Watch

LINGER: Final = 2.0  # seconds a refused body is still read, so that the client sees the answer
LINGER_BYTES: Final = 1 << 20  # of it that are read

log = logging.getLogger("headgate.gateway.http")


@final
class Phase(Enum):
    """What the next bytes are."""

    SILENT = "silent"  # a head, of which nothing has come
    HEAD = "head"  # the rest of one
    BODY = "body"  # of a request that was admitted
    REFUSED = "refused"  # a body that nobody wants, but short enough to wait for what follows
    CLOSING = "closing"  # of no interest: the last answer has been given


SILENT, HEAD, BODY, REFUSED, CLOSING = Phase
UNREAD: Final = Request(kind="", length=None, persists=False)


@final
class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1 with one client, whose address is *peer*."""

    def __init__(self, door: Door, peer: str | None) -> None:
        loop = asyncio.get_running_loop()
        limits = door.limits
        self._door, self._peer = door, peer
        self._time = loop.time
        self._head_bytes = limits.max_header_bytes
        self._transport = asyncio.Transport()  # until there is one, one that can do nothing
        self._phase = SILENT
        self._fresh = True  # nothing has been asked yet
        self._rest = b""  # the beginning of a head
        self._request = UNREAD
        self._ticket: Ticket | None = None  # held while a body is read
        self._missing = 0  # bytes of a body, or of what is thrown away
        self._pieces = chunked.Pieces()
        self._chunks = chunked.Chunks()
        self._leaving = self._stalled = False
        self._now = loop.time()
        self._retires = self._now + door.age()
        self._watch = Watch(loop, door.period, self._expired)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by their class
        self._door.opened(self)
        self._wait(self._door.limits.header_timeout)
        if self._door.leaving:
            self.leave()

    @override
    def data_received(self, data: bytes) -> None:
        if self._rest:
            data, self._rest = self._rest + data, b""
        self._now = self._time()
        at, end = 0, len(data)
        try:
            while at < end:
                phase = self._phase
                if phase is BODY:
                    at = self._read_body(data, at)
                elif phase is SILENT or phase is HEAD:
                    at = self._read_head(data, at)
                else:
                    at = self._throw_away(at, end)
        except Refusal as refusal:
            self._give_up(refusal)
        except Exception:
            # The edge of the program for this client, who is told; the others go on undisturbed.
            log.exception("a request failed; this is a bug")
            self._give_up(refusals.our_bug())

    @override
    def eof_received(self) -> None:
        self._now = self._time()
        if self._phase is BODY:
            self._count("cut_body")
            self._give_up(refusals.bad("the body broke off; send all of it"))
        elif self._phase is HEAD:
            self._count("cut_head")
            self._give_up(refusals.bad("the head of the request broke off; send all of it"))
        # Returning nothing lets the transport close, behind what has been written.

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._phase is BODY:
            self._count("cut_body")
        self._release()
        self._watch.stop()
        self._door.closed(self)

    @override
    def pause_writing(self) -> None:
        # Who does not read the answers is not read from.
        self._stalled = True
        self._transport.pause_reading()
        self._watch.deadline = self._time() + self._door.limits.read_timeout

    @override
    def resume_writing(self) -> None:
        self._stalled = False
        limits = self._door.limits
        self._now = self._time()
        self._wait(limits.idle_timeout if self._phase is SILENT else limits.read_timeout)
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def leave(self) -> None:
        """Close, if idle at once, else after the next answer."""
        self._leaving = True
        if self._phase is SILENT:
            self._hang_up()

    def abort(self) -> None:
        """Close now, whatever has not been sent."""
        self._transport.abort()

    def _read_head(self, data: bytes, at: int) -> int:
        if data[at] in {13, 10}:  # empty lines before a request: RFC 9112, section 2.2
            at = len(data) - len(data[at:].lstrip(b"\r\n"))
            if at == len(data):
                return at
        end = data.find(http1.END, at, at + self._head_bytes)
        if end < 0:
            return self._keep_head(data, at)
        end += 4
        try:
            request = self._door.read(data[at:end])
        except Refusal as refusal:
            self._count("large_head" if refusal.http == 431 else "malformed_head")
            raise
        self._fresh = False
        self._begin(request)
        return end

    def _keep_head(self, data: bytes, at: int) -> int:
        """Wait for the rest of a head, unless it is certain already that nothing good follows."""
        head = data[at : at + self._head_bytes]
        try:
            http1.check_beginning(head)
        except errors.Malformed as error:
            self._count("malformed_head")
            raise refusals.bad(str(error), closes=True) from error
        if len(head) == self._head_bytes:
            self._count("large_head")
            raise refusals.head_too_large(self._head_bytes)
        self._rest = head
        if self._phase is SILENT:
            self._phase = HEAD
            if not self._fresh:
                self._wait(self._door.limits.header_timeout)
        return len(data)

    def _begin(self, request: Request) -> None:
        """Admit *request*, or answer it now."""
        self._request = request
        answer = request.answer
        if answer is None:
            try:
                self._ticket = self._door.export.admit(request, self._peer)
            except Refusal as refusal:
                answer = refusals.response(refusal, request.kind)
        if answer is not None:
            self._decline(answer)
        elif request.length == 0:
            self._complete(b"")
        else:
            self._phase = BODY
            if request.length is None:
                self._chunks = chunked.Chunks()
            else:
                self._missing = request.length
            self._wait(self._door.limits.read_timeout)
            if request.expects:
                self._transport.write(http_answers.CONTINUE)

    def _read_body(self, data: bytes, at: int) -> int:
        request, missing = self._request, self._missing
        if request.length is None:
            return self._read_chunks(data, at)
        end = at + missing
        if len(data) < end:
            if missing == request.length:
                self._pieces = chunked.Pieces()
            self._pieces.add(data[at:])
            self._missing = end - len(data)
            return len(data)
        body = data[at:end]
        if missing < request.length:
            self._pieces.add(body)
            body = self._pieces.whole()
            self._pieces = chunked.Pieces()
        self._complete(body)
        return end

    def _read_chunks(self, data: bytes, at: int) -> int:
        chunks, ticket = self._chunks, self._ticket
        if ticket is None:
            raise RuntimeError("BUG: a body is read that was not admitted")
        try:
            at = chunks.feed(data, at)
        except errors.Malformed as error:
            self._door.export.check(ticket, chunks.body.size)  # was it too large before?
            self._count("malformed_chunks")
            raise refusals.bad(str(error), closes=True) from error
        self._door.export.check(ticket, chunks.body.size)
        if chunks.complete:
            self._chunks = chunked.Chunks()
            self._complete(chunks.body.whole())
        return at

    def _throw_away(self, at: int, end: int) -> int:
        gone = min(self._missing, end - at)
        self._missing -= gone
        if self._phase is REFUSED:
            if not self._missing:
                self._next()
            return at + gone
        if not self._missing:
            self._hang_up()
        return end

    def _complete(self, body: bytes) -> None:
        """Hand over a request, all of which has come, and answer it."""
        request, ticket = self._request, self._ticket
        if ticket is None:
            raise RuntimeError("BUG: a request is complete that was not admitted")
        closes = False
        try:
            answer = self._door.export.take(request, body, ticket)
        except Refusal as refusal:
            answer, closes = refusals.response(refusal, request.kind), refusal.closes
        finally:
            self._release()
        if answer is None and request.plain and self._now < self._retires and not self._leaving:
            self._door.traffic.answered("200")
            self._transport.write(self._door.taken(self._now))
            self._next()
        elif self._say(answer or TAKEN, closes=closes):
            self._next()
        else:
            self._hang_up()

    def _decline(self, answer: Answer) -> None:
        """Answer before the body has come; it is read and thrown away if it is short."""
        request = self._request
        length = request.length
        short = length is not None and length <= LINGER_BYTES and not request.expects
        if not self._say(answer, closes=not short and length != 0):
            self._linger(pending=length != 0)
        elif length:
            self._phase, self._missing = REFUSED, length
            self._watch.hasten(self._now + LINGER)
        else:
            self._next()

    def _give_up(self, refusal: Refusal) -> None:
        """Answer what cannot be read to its end, and close."""
        self._release()
        self._say(refusals.response(refusal, self._request.kind), closes=True)
        self._linger(pending=True)

    def _say(self, answer: Answer, *, closes: bool) -> bool:
        """Write *answer*; return whether the connection goes on after it."""
        request = self._request
        closes = closes or not request.persists or self._leaving or self._now >= self._retires
        if request.headers:
            headers = answer.headers + request.headers
            answer = Answer(
                status=answer.status, kind=answer.kind, headers=headers, body=answer.body
            )
        self._door.traffic.answered(str(answer.status))
        wire = http_answers.encoded(
            answer,
            date=self._door.date(self._now),
            connection=http_answers.CLOSE if closes else request.connection,
            with_body=request.with_body,
        )
        self._transport.write(wire)
        return not closes

    def _next(self) -> None:
        self._phase, self._request = SILENT, UNREAD
        if self._leaving:
            self._hang_up()
            return
        self._wait(min(self._door.limits.idle_timeout, self._retires - self._now))

    def _linger(self, *, pending: bool) -> None:
        """Close; while the client may be sending, not before it had time to see the answer.

        A closed socket answers what still arrives with a reset, which may overtake the answer.
        """
        if not pending:
            self._hang_up()
            return
        self._phase, self._missing = CLOSING, LINGER_BYTES
        self._watch.hasten(self._now + LINGER)
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _hang_up(self) -> None:
        self._phase = CLOSING
        self._wait(self._door.limits.read_timeout)  # for what is still to be written
        self._transport.close()

    def _wait(self, patience: float) -> None:
        """Give the client *patience* seconds from now, unless it is waited for already."""
        if not self._stalled:
            self._watch.deadline = self._now + patience

    def _expired(self) -> None:
        """End what took too long."""
        self._now = self._time()
        phase = self._phase
        if self._stalled:
            self._late("write")
            self._transport.abort()
        elif phase is BODY:
            self._late("body")
            self._give_up(refusals.too_slow(self._door.limits.read_timeout))
        elif phase is HEAD or (phase is SILENT and self._fresh):
            self._late("head")
            self._hang_up()
        elif phase is SILENT:
            if self._now < self._retires:
                self._late("idle")
            self._hang_up()
        elif self._transport.is_closing():
            self._late("write")
            self._transport.abort()
        else:  # it had LINGER seconds to see its answer
            self._hang_up()

    def _late(self, what: str) -> None:
        timeouts = self._door.traffic.timeouts
        timeouts[what] = timeouts.get(what, 0) + 1

    def _release(self) -> None:
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            ticket.release()

    def _count(self, cause: str) -> None:
        hostile = self._door.traffic.hostile
        hostile[cause] = hostile.get(cause, 0) + 1
