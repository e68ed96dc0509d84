"""The calls of one connection that are taken, and answered when the disk has what they brought.

Each keeps what it was admitted with until it is answered, or its client is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import final

from gateway.receivers import door, grpc_answers, status
from gateway.receivers.grpc_answers import Refused
from gateway.receivers.grpc_call import Later


@final
class Waiting:
    """Knows them by their streams; *patience* (seconds) is what the disk gets for each."""

    __slots__ = ("_laters", "_patience", "_traffic")

    def __init__(self, traffic: door.Traffic, patience: float) -> None:
        self._traffic, self._patience = traffic, patience
        self._laters: dict[int, Later] = {}

    def add(
        self, stream: int, later: Later, since: float, now: float, then: Callable[[int], None]
    ) -> None:
        """Let the answer to a call that began at *since* wait from *now* on (the loop's time).

        *then* is called with the stream once, at once if there is nothing to wait for; it fetches
        the answer by `settled`. It is not called for what was given up, or was `late`.
        """
        call = later.call
        call.stream, call.since = stream, since
        timeout = call.asked.timeout
        call.until = now + self._patience
        if timeout is not None:
            call.until = min(call.until, since + timeout)
        self._laters[stream] = later
        self._traffic.waiting += 1
        later.commit.when_settled(partial(then, stream))

    def settled(self, stream: int) -> Later:
        """Return what was waited for, and count it if its commit has failed."""
        later = self._let_go(stream)
        if later.commit.failed:
            self._traffic.not_written("failed")
        return later

    def late(self, now: float) -> list[tuple[int, Refused]]:
        """Give up what takes too long; return for each stream what its client is to be told.

        Whose own deadline it was gets that for an answer, others shall send the request again.
        """
        found: list[tuple[int, Refused]] = []
        for stream, later in tuple(self._laters.items()):
            call = later.call
            if now < call.until:
                continue
            self._forget(stream, "late")
            timeout = call.asked.timeout
            if timeout is not None and now >= call.since + timeout:
                refused = Refused(status.DEADLINE_EXCEEDED, f"{door.LATE}, after {timeout:g} s")
            else:
                refused = grpc_answers.not_written(door.LATE, later.points)
            found.append((stream, refused))
        return found

    def give_up(self, stream: int) -> None:
        """Note that the client of *stream* has gone, if that waits."""
        if stream in self._laters:
            self._forget(stream, "gone")
            self._traffic.answered(status.NAMES[status.CANCELLED])

    def give_all_up(self) -> None:
        """Note that the connection is gone."""
        for stream in tuple(self._laters):
            self.give_up(stream)

    def _forget(self, stream: int, why: door.Unwritten) -> None:
        self._let_go(stream).commit.forget()
        self._traffic.not_written(why)

    def _let_go(self, stream: int) -> Later:
        later = self._laters.pop(stream)
        self._traffic.waiting -= 1
        later.call.asked.method.leave(later.call)
        return later
