"""How long a connection may take for what, and what to do when it has taken too long."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from common.config.doors import Limits
from common.wire.http2 import Server

ROUND_TRIP: Final = 1.0  # seconds that a client may take to answer the PING behind our GOAWAY
LINGER: Final = 2.0  # seconds that a connection which was said good-bye to may stay

Verdict: TypeAlias = Literal[
    "handshake", "headers", "unread", "keepalive", "idle", "age", "ask", "stop", "close"
]
"""Too slow with the handshake or with a header block; does not read its answers; is silent even
when asked; idle; old enough. Or, of no fault of its client: *ask* whether it is alive, *stop* what
is leaving, *close* what has had its time to leave."""

NO_TIMEOUTS: Final[frozenset[Verdict]] = frozenset(("age", "ask", "stop", "close"))


class Clock:
    """The times of one connection, in seconds of the loop."""

    __slots__ = (
        "_ages", "_asked", "_limits", "_opened", "_queued_since", "busy", "closing_since", "heard",
        "leaving_since", "stopped", "unread_since",
    )  # fmt: skip

    def __init__(self, limits: Limits, now: float, age: float) -> None:
        self._limits = limits
        self._opened = now
        self._ages = now + age
        self._asked: float | None = None  # when we last asked whether it is alive, unanswered
        self._queued_since: float | None = None  # answers wait for the client's windows
        self.heard = now  # when something last came
        self.busy = now  # when a request last came
        self.unread_since: float | None = None  # answers wait in the transport
        self.leaving_since: float | None = None
        self.stopped = False  # leaving, and no more requests will be taken
        self.closing_since: float | None = None

    def look(self, now: float, core: Server, *, busy: bool) -> Verdict | None:
        """Say what is to be done; *busy*: requests are being read. One thing at a time."""
        if self.closing_since is not None:
            return "close" if now - self.closing_since >= LINGER else None
        slow = self._slowness(now, core)
        if slow is not None:
            return slow
        if self.leaving_since is not None:
            return self._leaving(now - self.leaving_since)
        if now >= self._ages:
            return "age"
        if not busy and not core.streams and now - self.busy >= self._limits.idle_timeout:
            return "idle"
        return self._silence(now)

    def _slowness(self, now: float, core: Server) -> Verdict | None:
        slow = self._limits.header_timeout
        if not core.acknowledged and now - self._opened >= slow:
            return "handshake"
        if core.unfinished_since is not None and now - core.unfinished_since >= slow:
            return "headers"
        if not core.queued:
            self._queued_since = None
        elif self._queued_since is None:
            self._queued_since = now
        for since in (self._queued_since, self.unread_since):
            if since is not None and now - since >= self._limits.read_timeout:
                return "unread"
        return None

    def _leaving(self, elapsed: float) -> Verdict | None:
        if elapsed >= self._limits.connection_grace:
            return "close"
        if not self.stopped and elapsed >= ROUND_TRIP:
            self.stopped = True
            return "stop"
        return None

    def _silence(self, now: float) -> Verdict | None:
        interval = self._limits.keepalive_interval
        if not interval or now - self.heard < interval:
            self._asked = None
            return None
        if self._asked is None:
            self._asked = now
            return "ask"
        return "keepalive" if now - self._asked >= self._limits.keepalive_timeout else None
