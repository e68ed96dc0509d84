"""One connection to a target: requests go out, and what comes is taken as far as there is room."""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import cast

from typing_extensions import override

from agent.scraping import response
from agent.scraping.room import Lease


class Connection(asyncio.Protocol):
    """One TCP (or TLS) connection; it carries one exchange at a time."""

    __slots__ = ("_answer", "_lease", "_loop", "_transport", "_trouble", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._answer: response.Response | None = None
        self._lease: Lease | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._trouble = ""  # what was odd about its end, in words

    @property
    def open(self) -> bool:
        """Whether a request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes, answer: response.Response, lease: Lease) -> None:
        """Send *request* and feed *answer* until it is done, its body as far as *lease* has room.

        No more than one read is in memory beyond that.
        """
        if self._transport is None:  # it was lost in the moment in which it was made
            answer.closed(self._trouble)
            return
        self._answer, self._lease, self._waiter = answer, lease, self._loop.create_future()
        self._transport.write(request)
        try:
            await self._waiter
        finally:
            self._answer = self._lease = self._waiter = None

    def abort(self) -> None:
        """Close without waiting for anything."""
        if self._transport is not None:
            self._transport.abort()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            # The next response could not be told from this; ssh and smtp servers do it, too.
            self._trouble = "bytes came that nobody asked for"
            self.abort()
            return
        self._answer.feed(data)
        if self._answer.done:  # what came in one piece takes no room
            self._wake()
        elif (
            (wanted := self._answer.wanted)
            and self._lease is not None
            and not self._lease.grow(wanted, self._go_on)
            and self._transport is not None
        ):
            self._transport.pause_reading()

    def _go_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if exc is not None:
            self._trouble = lost(exc)
        if self._answer is not None:
            self._answer.closed(self._trouble)
            self._wake()

    def _wake(self) -> None:
        if (
            self._answer is not None
            and self._answer.done
            and self._waiter is not None
            and not self._waiter.done()
        ):
            self._waiter.set_result(None)


def lost(error: Exception) -> str:
    """Say why a connection ended; a server that wants another certificate says so this late."""
    if isinstance(error, ssl.SSLError):
        return f"tls: {reason(error)}"
    return of_system(error) if isinstance(error, OSError) else str(error)


def reason(error: ssl.SSLError) -> str:
    """Turn OpenSSL's WRONG_VERSION_NUMBER into words, with the likeliest explanation."""
    known: str | None = getattr(
        error, "reason", None
    )  # errors that OpenSSL did not raise have none
    words = (known or str(error)).replace("_", " ").lower()
    return f"{words} (does the target speak plain http?)" if "wrong version" in words else words


def of_system(error: OSError) -> str:
    """Say "connection reset by peer" instead of the error's representation."""
    number = error.errno
    known = number is not None and not isinstance(error, ssl.SSLError)
    return os.strerror(number).lower() if known and number else str(error)
