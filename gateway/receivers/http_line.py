"""The line to one HTTP client: how long it is waited for, and how it ends."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from enum import Enum
from typing import Final, cast, final

from typing_extensions import override

from gateway.receivers import refusals
from gateway.receivers.http_door import Door
from gateway.receivers.refusals import Refusal
from gateway.receivers.watch import Watch

LINGER: Final = 2.0  # seconds a refused body is still read, so that the client sees the answer
LINGER_BYTES: Final = 1 << 20  # of it that are read


@final
class Phase(Enum):
    """What the next bytes are."""

    SILENT = "silent"  # a head, of which nothing has come
    HEAD = "head"  # the rest of one
    BODY = "body"  # of a request that was admitted
    WAITING = "waiting"  # of no interest yet: a request is answered when it is on disk
    REFUSED = "refused"  # a body that nobody wants, but short enough to wait for what follows
    CLOSING = "closing"  # of no interest: the last answer has been given


SILENT, HEAD, BODY, WAITING, REFUSED, CLOSING = Phase


class Line(asyncio.Protocol):
    """A connection without what is said over it, which is a subclass's.

    That one moves the ``_phase``, waits with `_wait`, and ends with `_hang_up` or `_linger`. While
    it is WAITING, reading may be paused, and nobody but the subclass resumes it.
    """

    def __init__(self, door: Door) -> None:
        loop = asyncio.get_running_loop()
        self._door, self._time = door, loop.time
        self._transport = asyncio.Transport()  # until there is one, one that can do nothing
        self._phase = SILENT
        self._fresh = True  # nothing has been asked yet
        self._missing = 0  # bytes of a body, or of what is thrown away
        self._leaving = self._stalled = False
        self._now = loop.time()  # when the bytes came that are being worked on
        self._retires = self._now + door.age()
        self._watch = Watch(loop, door.period, self._expired)

    @abstractmethod
    def _give_up(self, refusal: Refusal) -> None:
        """Answer what cannot be read to its end, and close."""

    @abstractmethod
    def _not_in_time(self) -> None:
        """Answer a request that should be on disk by now."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by their class
        self._door.opened(self)
        self._wait(self._door.limits.header_timeout)
        if self._door.leaving:
            self.leave()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._phase is BODY:
            self._count("cut_body")
        self._phase = CLOSING
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
        self._now = self._time()
        if self._phase is SILENT:
            self._wait_for_request()
        else:
            self._wait(self._door.limits.read_timeout)
        if self._phase is not WAITING:
            self._resume()

    def leave(self) -> None:
        """Close, if idle at once, else after the next answer."""
        self._leaving = True
        if self._phase is SILENT:
            self._hang_up()

    def abort(self) -> None:
        """Close now, whatever has not been sent."""
        self._transport.abort()

    def _resume(self) -> None:
        """Read on, unless answers are not read."""
        if not self._stalled and not self._transport.is_closing():
            self._transport.resume_reading()

    def _wait(self, patience: float) -> None:
        """Give the client *patience* seconds from now, unless it is waited for already."""
        if not self._stalled:
            self._watch.deadline = self._now + patience

    def _wait_for_request(self) -> None:
        self._wait(min(self._door.limits.idle_timeout, self._retires - self._now))

    def _hang_up(self) -> None:
        self._phase = CLOSING
        self._wait(self._door.limits.read_timeout)  # for what is still to be written
        self._transport.close()

    def _linger(self) -> None:
        """Close, but not before a client that may still be sending had time to see its answer.

        A closed socket answers what still arrives with a reset, which may overtake the answer.
        """
        self._phase, self._missing = CLOSING, LINGER_BYTES
        self._watch.hasten(self._now + LINGER)
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _expired(self) -> None:
        """End what took too long."""
        self._now = self._time()
        phase = self._phase
        if self._stalled or self._transport.is_closing():
            self._late("write")
            self._transport.abort()
        elif phase is BODY:
            self._late("body")
            self._give_up(refusals.too_slow(self._door.limits.read_timeout))
        elif phase is WAITING:
            self._not_in_time()
        elif phase is HEAD or (phase is SILENT and self._fresh):
            self._late("head")
            self._hang_up()
        else:  # idle, or it had LINGER seconds to see its answer
            if phase is SILENT:
                if self._now < self._retires:
                    self._late("idle")
                else:
                    self._door.traffic.aged += 1
            self._hang_up()

    def _late(self, what: str) -> None:
        timeouts = self._door.traffic.timeouts
        timeouts[what] = timeouts.get(what, 0) + 1

    def _count(self, cause: str) -> None:
        hostile = self._door.traffic.hostile
        hostile[cause] = hostile.get(cause, 0) + 1
