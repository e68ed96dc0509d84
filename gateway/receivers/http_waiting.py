"""A request of one HTTP client that is taken, and answered when the disk has what it brought.

It keeps what it was admitted with until then. Answers keep their order, so what has come behind it
waits too; as soon as anything has, nothing more is read.
"""

from __future__ import annotations

from abc import abstractmethod

from typing_extensions import override

from gateway.receivers import door, refusals
from gateway.receivers.http_answers import Answer
from gateway.receivers.http_door import TAKEN, Door
from gateway.receivers.http_export import Later
from gateway.receivers.http_line import CLOSING, WAITING, Line
from gateway.receivers.http_request import UNREAD
from gateway.receivers.refusals import Refusal


class Waiting(Line):
    """A line whose last request may wait; it answers by `_answer`."""

    def __init__(self, door: Door) -> None:
        super().__init__(door)
        self._request = UNREAD
        self._rest = b""  # the beginning of a head, or what has come while WAITING
        self._later: Later | None = None  # only while WAITING

    @abstractmethod
    def _answer(self, answer: Answer, *, closes: bool = False) -> None:
        """Answer a request, all of which has come, and let go of what it was admitted with."""

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._later is not None:
            self._forget("gone")

    def _await(self, later: Later) -> None:
        """Answer *later*; at once, if there is nothing to wait for."""
        self._phase, self._later = WAITING, later
        self._door.traffic.waiting += 1
        self._wait(self._door.limits.read_timeout)
        later.commit.when_settled(self._settled)

    def _keep(self, data: bytes, at: int) -> int:
        """Put aside what has come while WAITING; one read of it is enough."""
        self._rest = data[at:]
        self._transport.pause_reading()
        return len(data)

    def _ended(self) -> bool:
        """Say whether an answer may still be read by a client that sends nothing any more."""
        self._leaving = True
        return self._transport.can_write_eof()  # within TLS nobody can close one side only

    def _settled(self) -> None:
        """Answer a request whose data is on disk, or will not be."""
        self._now = self._time()
        later = self._waited()
        if later.commit.failed:
            self._door.traffic.not_written("failed")
            self._refuse(refusals.not_written(door.FAILED, later.points))
        else:
            self._go_on(later.answer or TAKEN)

    @override
    def _not_in_time(self) -> None:
        later = self._forget("late")
        self._refuse(refusals.not_written(door.LATE, later.points))

    def _refused(self, refusal: Refusal) -> Answer:
        """Return the answer to a request that is refused, and count its points."""
        if refusal.after is not None:
            self._door.traffic.refused_points += refusal.points
        return refusals.response(refusal, self._request.kind)

    def _refuse(self, refusal: Refusal) -> None:
        self._go_on(self._refused(refusal))

    def _go_on(self, answer: Answer) -> None:
        """Give the *answer* that was waited for, and read what has come meanwhile."""
        self._answer(answer)
        rest, self._rest = self._rest, b""
        if self._phase is not CLOSING:
            self._resume()
            if rest:
                self.data_received(rest)

    def _forget(self, why: door.Unwritten) -> Later:
        """Wait no longer for the disk."""
        later = self._waited()
        later.commit.forget()
        self._door.traffic.not_written(why)
        return later

    def _waited(self) -> Later:
        later, self._later = self._later, None
        if later is None:
            raise RuntimeError("BUG: the disk has what nobody waits for")
        self._door.traffic.waiting -= 1
        return later
