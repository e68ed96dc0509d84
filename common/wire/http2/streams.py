"""One stream as a connection keeps it while it is open, and how streams that ended, ended."""

from __future__ import annotations

from collections import deque
from typing import Final, Literal, TypeAlias

Ending: TypeAlias = Literal["both", "reset by peer", "reset by us"]
"""How a stream ended; it decides what a late frame on it means (RFC 9113 section 5.1, closed)."""

_REMEMBERED: Final = 1024  # ended streams; what is older counts as ended by both


class Stream:
    """An open stream: whose side still speaks, the windows, and what waits to be sent."""

    __slots__ = (
        "awaits_head", "expected", "last", "local_open", "number", "queue", "queued",
        "receive_window", "received", "remote_open", "send_window",
    )  # fmt: skip

    def __init__(self, number: int, receive_window: int, send_window: int) -> None:
        self.number = number
        self.receive_window = receive_window  # bytes the peer may still send
        self.send_window = send_window  # bytes we may still send; may be negative (section 6.9.2)
        self.remote_open = self.local_open = True
        self.awaits_head = False  # a client's stream, until the final response
        self.expected: int | None = None  # bytes of the body, by content-length
        self.received = 0  # bytes of the body
        self.queue: deque[memoryview] | None = None  # DATA that waits for the windows
        self.queued = 0  # bytes of it
        self.last: bytes | None = None  # frames to send when the queue is empty: the end


class Ended:
    """Remembers how the last streams ended, in bounded memory."""

    __slots__ = ("_endings",)

    def __init__(self) -> None:
        self._endings: dict[int, Ending] = {}

    def add(self, number: int, ending: Ending) -> None:
        """Remember the *ending* of a stream."""
        endings = self._endings
        endings[number] = ending
        if len(endings) > 2 * _REMEMBERED:  # now and then, rather than one by one
            self._endings = dict(list(endings.items())[-_REMEMBERED:])

    def get(self, number: int) -> Ending | None:
        """Return how the stream ended; ``None`` if it never was open, or that is long ago."""
        return self._endings.get(number)
