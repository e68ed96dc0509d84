"""One connection of the HTTP door: requests are read and answered in order.

A whole request is answered inside ``data_received``: what stands behind the door does not wait, so
there is no task, no queue and nothing to cancel. Only what has to be on disk first is answered
later, see `http_waiting`. Bodies are cut out of what was read as one slice; the parser sees heads
only (`common.wire.http1`), and only those that are not remembered.
"""

from __future__ import annotations

import logging
from typing import final

from typing_extensions import override

from common.wire import chunked, errors, http1
from gateway.receivers import http_answers, refusals
from gateway.receivers.http_answers import Answer
from gateway.receivers.http_door import TAKEN, Door
from gateway.receivers.http_export import Later, Ticket
from gateway.receivers.http_line import (
    BODY,
    HEAD,
    LINGER,
    LINGER_BYTES,
    REFUSED,
    SILENT,
    WAITING,
)
from gateway.receivers.http_request import UNREAD, Request
from gateway.receivers.http_waiting import Waiting
from gateway.receivers.refusals import Refusal

log = logging.getLogger("headgate.gateway.http")


@final
class Connection(Waiting):
    """Speaks HTTP/1.1 with one client, whose address is *peer*."""

    def __init__(self, door: Door, peer: str | None) -> None:
        super().__init__(door)
        self._peer = peer
        self._head_bytes = door.limits.max_header_bytes
        self._length: int | None = 0  # bytes of its body; `None`: it is chunked
        self._ticket: Ticket | None = None  # held while a body is read, and while one is written
        self._pieces = chunked.Pieces()
        self._chunks = chunked.Chunks()

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
                elif phase is WAITING:
                    at = self._keep(data, at)
                else:
                    at = self._throw_away(at, end)
        except Refusal as refusal:
            self._give_up(refusal)
        except Exception:
            # The edge of the program for this client, who is told; the others go on undisturbed.
            log.exception("a request failed; this is a bug")
            self._give_up(refusals.our_bug())

    @override
    def eof_received(self) -> bool:
        self._now = self._time()
        if self._phase is WAITING:
            return self._ended()
        if self._phase is BODY:
            self._count("cut_body")
            self._give_up(refusals.bad("the body broke off; send all of it"))
        elif self._phase is HEAD:
            self._count("cut_head")
            self._give_up(refusals.bad("the head of the request broke off; send all of it"))
        return False  # lets the transport close, behind what has been written

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._release()

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
            request, length = self._door.read(data[at:end])
        except Refusal as refusal:
            self._count("large_head" if refusal.http == 431 else "malformed_head")
            raise
        self._fresh = False
        self._begin(request, length)
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

    def _begin(self, request: Request, length: int | None) -> None:
        """Admit *request*, or answer it now."""
        self._request, self._length = request, length
        answer = request.answer
        if answer is None:
            try:
                sender = self._door.sender(request, self._peer)
                self._ticket = self._door.export.admit(request, length, sender)
            except Refusal as refusal:
                answer = self._refused(refusal)
        if answer is not None:
            self._decline(answer)
        elif length == 0:
            self._complete(b"")
        else:
            self._phase = BODY
            if length is None:
                self._chunks = chunked.Chunks()
            else:
                self._missing = length
            self._wait(self._door.limits.read_timeout)
            if request.expects:
                self._transport.write(http_answers.CONTINUE)

    def _read_body(self, data: bytes, at: int) -> int:
        length, missing = self._length, self._missing
        if length is None:
            return self._read_chunks(data, at)
        end = at + missing
        if len(data) < end:
            if missing == length:
                self._pieces = chunked.Pieces()
            self._pieces.add(data[at:])
            self._missing = end - len(data)
            return len(data)
        body = data[at:end]
        if missing < length:
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
        try:
            answer = self._door.export.take(request, body, ticket)
        except Refusal as refusal:
            self._answer(self._refused(refusal), closes=refusal.closes)
            return
        if answer is None and request.plain and self._now < self._retires and not self._leaving:
            self._ticket = None
            ticket.release()
            self._door.traffic.answered("200")
            self._transport.write(self._door.taken(self._now))
            self._next()
        elif isinstance(answer, Later):
            self._await(answer)
        else:
            self._answer(answer or TAKEN)

    @override
    def _answer(self, answer: Answer, *, closes: bool = False) -> None:
        self._release()
        if self._say(answer, closes=closes):
            self._next()
        else:
            self._hang_up()

    def _decline(self, answer: Answer) -> None:
        """Answer before the body has come; it is read and thrown away if it is short."""
        request, length = self._request, self._length
        short = length is not None and length <= LINGER_BYTES and not request.expects
        if not self._say(answer, closes=not short and length != 0):
            if length == 0:
                self._hang_up()
            else:
                self._linger()
        elif length:
            self._phase, self._missing = REFUSED, length
            self._watch.hasten(self._now + LINGER)
        else:
            self._next()

    @override
    def _give_up(self, refusal: Refusal) -> None:
        """Answer what cannot be read to its end, and close."""
        self._release()
        self._say(self._refused(refusal), closes=True)
        self._linger()

    def _say(self, answer: Answer, *, closes: bool) -> bool:
        """Write *answer*; return whether the connection goes on after it."""
        request = self._request
        closes = closes or not request.persists or self._leaving
        if not closes and self._now >= self._retires:
            self._door.traffic.aged += 1
            closes = True
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
        self._wait_for_request()

    def _release(self) -> None:
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            ticket.release()
