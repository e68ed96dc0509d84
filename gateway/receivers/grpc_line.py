"""The line to one gRPC client: HTTP/2 on it, how long it is waited for, and how it ends."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Final, cast

from typing_extensions import override

from common.wire import http2
from common.wire.http2 import Code
from gateway.receivers import grpc_clock
from gateway.receivers.grpc_clock import Clock
from gateway.receivers.grpc_door import Door
from gateway.receivers.grpc_waiting import Waiting

_ALIVE: Final = b"alive??\0"  # the PING of a silent connection; any byte is an answer
_LEAVING: Final = b"leaving\0"  # the PING whose answer says that the client has seen our GOAWAY


class Line(asyncio.Protocol):
    """Writes what HTTP/2 has to say, and leaves in good order; whoever serves calls builds on it.

    What the client says goes into ``_core``, and whatever comes of that is written by `_write`.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._traffic = door.traffic
        self._core = http2.Server(door.http2)
        self._waiting = Waiting(door.traffic, door.limits.read_timeout)  # complete, not answered
        self._loop = asyncio.get_running_loop()
        self._clock = Clock(door.limits, self._loop.time(), door.age())
        self._transport: asyncio.Transport | None = None

    @abstractmethod
    def _look_at_calls(self, now: float) -> bool:
        """Refuse what has taken too long; return whether a request is still coming in."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no asyncio.Transport
        self._door.opened(self)
        self._write()

    @override
    def pause_writing(self) -> None:
        # Who does not read our answers is not read from either, until the clock has enough of it.
        self._clock.unread_since = self._loop.time()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    @override
    def resume_writing(self) -> None:
        self._clock.unread_since = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def look(self, now: float) -> None:
        """See whether anything has taken too long, see `grpc_door.Watched`."""
        busy = self._look_at_calls(now)
        verdict = self._clock.look(now, self._core, busy=busy)
        if verdict is not None:
            self._carry_out(verdict, now)
        self._write()

    def leave(self, now: float, why: str = "closing") -> None:
        """Close in good order: GOAWAY, requests that are here or on their way, GOAWAY, close."""
        if self._clock.leaving_since is not None:
            return
        self._clock.leaving_since = now
        self._core.drain(why)
        if self._core.heard:
            self._core.ping(_LEAVING)
        else:
            self._core.stop()
            self._clock.stopped = True
        self._write()

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    def _carry_out(self, verdict: grpc_clock.Verdict, now: float) -> None:
        if verdict not in grpc_clock.NO_TIMEOUTS:
            self._traffic.timed_out(verdict)
        match verdict:
            case "handshake" | "headers":
                words = f"the {verdict} took too long; send faster"
                self._core.fail(Code.SETTINGS_TIMEOUT, words)
            case "keepalive":
                self._core.fail(Code.NO_ERROR, "ping_timeout")
            case "idle":
                self.leave(now, "max_idle")
            case "age":
                self._traffic.aged += 1
                self.leave(now, "max_age")
            case "ask":
                self._core.ping(_ALIVE)
            case "stop":
                self._core.stop()
            case "unread" | "close":
                self.abort()

    def _ping_answered(self, payload: bytes) -> None:
        if payload == _LEAVING and self._clock.leaving_since is not None:
            self._core.stop()
            self._clock.stopped = True

    def _write(self) -> None:
        transport = self._transport
        if transport is None or self._clock.closing_since is not None:
            return
        out = self._core.outgoing()
        if out:
            transport.write(out)
        if self._core.failed is not None:
            self._waiting.give_all_up()
            # Closing with unread bytes in the socket would take the GOAWAY back: wait for theirs.
            self._clock.closing_since = self._loop.time()
            if transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()
        elif self._clock.stopped and not self._core.streams:
            self._clock.closing_since = self._loop.time()
            transport.close()
