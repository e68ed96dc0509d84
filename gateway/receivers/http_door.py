"""What the connections of one HTTP door share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Protocol

from common.config.doors import Limits
from common.wire.memo import Memo
from gateway.receivers import cors, door, http_answers, http_request, peers
from gateway.receivers.crowd import Crowd
from gateway.receivers.http_answers import Answer
from gateway.receivers.http_export import Export
from gateway.receivers.http_request import Request
from gateway.receivers.refusals import PROTOBUF

MIN_PERIOD: Final = 0.02  # seconds: no deadline is looked at more often
MAX_REMEMBERED: Final = 4096  # bytes of a head; longer ones are hardly sent twice
REMEMBERING: Final = 1000  # bytes that one costs beside its own
_LENGTH: Final = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ([0-9]{1,15})\r\n")
TAKEN: Final = Answer(status=200, kind=PROTOBUF)


class Closable(Protocol):
    """A connection, to whoever closes the door."""

    def leave(self) -> None:
        """Close, if idle at once, else after the next answer."""
        ...

    def abort(self) -> None:
        """Close now."""
        ...


class Door(Crowd[Closable]):
    """Terms, traffic, memories and the open connections of one door.

    *wall* tells the time of day in Unix seconds, *chance* a number from 0 up to 1.
    """

    def __init__(
        self,
        terms: door.Terms,
        traffic: door.Traffic,
        *,
        wall: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        limits = terms.limits
        super().__init__(limits, chance)
        self.traffic = traffic
        self.export = Export(terms, traffic)
        self.leaving = False
        self.period = max(MIN_PERIOD, min(_patience(limits)))  # seconds, see `watch.Watch`
        self._rules = http_request.Rules(
            max_headers=limits.max_headers, pages=cors.Policy(terms.listen.cors)
        )
        proxies = terms.listen.proxies
        self._networks = peers.networks(proxies.trusted) if proxies.forwarded_for else ()
        self._memo: Memo[bytes, Request] = Memo(limits.header_memo_bytes)
        self._wall = wall
        self._date_until = float("-inf")
        self._date = self._taken = b""

    def read(self, head: bytes) -> tuple[Request, int | None]:
        """Understand *head*, or remember what it meant; see `http_request.read`.

        Returns the length of the body beside it (``None``: it is chunked), since heads are
        remembered but for that: those of compressed bodies differ in nothing else.
        """
        # What is remembered was found valid, hence has one length; a head that is the same but for
        # the digits is as valid. No head can be taken for one without digits: the key of those ends
        # before the empty line, with which all others end.
        found = _LENGTH.search(head)
        if found is None:
            key = head
        else:
            start, end = found.span(1)
            key = head[:start] + head[end:-4]
        request = self._memo.get(key)
        if request is None:
            self.traffic.heads_parsed += 1
            request = http_request.read(head, self._rules)
            if len(key) <= MAX_REMEMBERED:
                self._memo.put(key, request, len(key) + REMEMBERING)
                self.traffic.heads_forgotten = self._memo.evictions
        return request, request.length if found is None else int(found[1])

    def sender(self, request: Request, peer: str | None) -> str | None:
        """Return the address of who sent *request* over the connection of *peer*."""
        values = request.forwarded_for
        if values is None or not self._networks:
            return peer
        return peers.forwarded((values,), peer, self._networks)

    def date(self, now: float) -> bytes:
        """Return the line of the date; *now* is the loop's time."""
        if now >= self._date_until:
            self._date = http_answers.date_line(self._wall())
            self._date_until = now + 1.0
            self._taken = http_answers.encoded(TAKEN, date=self._date)
        return self._date

    def taken(self, now: float) -> bytes:
        """Return the most common answer, ready to be written."""
        if now >= self._date_until:
            self.date(now)
        return self._taken

    async def drain(self, patience: float) -> None:
        """Close the idle connections at once, others after their answer, all after *patience*."""
        self.leaving = True
        for connection in self.members:
            connection.leave()
        await self.wait_gone(patience)


def _patience(limits: Limits) -> tuple[float, ...]:
    """Return how long, in seconds, clients are waited for, for whatever it may be."""
    age = (0.9 * limits.max_connection_age,) if limits.max_connection_age else ()
    return (limits.header_timeout, limits.read_timeout, limits.idle_timeout, *age)
