"""What a peer's mistakes lead to: a stream reset, or the end of the connection; floods are counted.

Sources: RFC 9113 sections 5.1 and 5.4; CVE-2023-44487 (rapid reset), CVE-2025-8671 (resets that the
peer makes us send), CVE-2019-9511 to 9518 (floods).
"""

from __future__ import annotations

from abc import abstractmethod

from common.wire.http2 import events, frames
from common.wire.http2.codes import Broken, Cause, Code, usual_cause
from common.wire.http2.flood import Flood
from common.wire.http2.limits import Limits
from common.wire.http2.sending import Sending
from common.wire.http2.streams import Stream


class Judging(Sending):
    """Knows which streams there were, counts what may come too often, and pronounces sentence."""

    SERVER: bool

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self.failed: events.Failed | None = None
        self._events: list[events.Event] = []  # of the `receive` that runs
        self._now = 0.0  # seconds, of the `receive` that runs
        seconds = limits.flood_seconds
        self._resets = Flood(limits.max_resets, seconds)
        self._pings = Flood(limits.max_pings, seconds)
        self._settings = Flood(limits.max_settings, seconds)
        self._empties = Flood(limits.max_empty_frames, seconds)

    @abstractmethod
    def _last_seen(self) -> int:
        """Return the last stream of the peer that was worked on, for GOAWAY."""

    @abstractmethod
    def _is_idle(self, number: int) -> bool:
        """Say whether nobody has opened the stream *number* yet."""

    def fail(self, code: Code, words: str) -> None:
        """End the connection with GOAWAY for a reason of the shell's, such as a timeout."""
        if self.failed is None:
            self._fail(code, words, "protocol")

    def _fail(self, code: Code, words: str, cause: Cause) -> None:
        self.failed = events.Failed(code, words, cause)
        self._out.append(frames.goaway(self._last_seen(), code, words.encode()[:256]))
        self._events.append(self.failed)
        self.streams.clear()
        self._waiting.clear()
        self.queued = 0

    def _late(self, number: int, what: str, unknown: Code = Code.STREAM_CLOSED) -> None:
        """Judge a frame on a stream that is not open; returns if it is to be ignored."""
        if not number or self._is_idle(number):
            raise Broken(Code.PROTOCOL_ERROR, f"{what} on stream {number}, which is not open")
        ending = self._ended.get(number)
        if ending == "reset by us":
            return
        words = f"{what} on stream {number}, which is closed"
        if ending != "reset by peer":
            raise Broken(unknown if ending is None else Code.STREAM_CLOSED, words)
        self._stream_error(number, Code.STREAM_CLOSED, words)

    def _stream_error(self, number: int, code: Code, words: str) -> None:
        """Reset a stream for a mistake of the peer; on one that nobody opened it costs them all."""
        if self._is_idle(number):
            raise Broken(code, words)
        self._count_reset()
        self._events.append(events.Mistake(number, usual_cause(code)))
        state = self.streams.get(number)
        if state is not None:
            self._forget(state)
            self._events.append(events.StreamReset(number, code, words))
        self._out.append(frames.reset(number, code))
        self._ended.add(number, "reset by us")

    def _wrong_length(self, state: Stream) -> None:
        words = f"a body of {state.received} bytes, where content-length says {state.expected}"
        self._stream_error(state.number, Code.PROTOCOL_ERROR, words)

    def _too_long(self, number: int) -> None:
        words = f"a header list of more than {self.limits.max_header_bytes} bytes"
        self._stream_error(number, Code.ENHANCE_YOUR_CALM, words)

    def _count_reset(self) -> None:
        # A server may refuse a client's requests as often as it likes; resets cost servers.
        if self.SERVER and self._resets.add(self._now):
            raise self._flooded("reset streams", self.limits.max_resets, "resets")

    def _useless(self, what: str) -> None:
        if self._empties.add(self._now):
            raise self._flooded(what, self.limits.max_empty_frames, "empty_frames")

    def _flooded(self, what: str, most: int, cause: Cause) -> Broken:
        words = f"more than {most} {what} within {self.limits.flood_seconds:g} s; send fewer"
        return Broken(Code.ENHANCE_YOUR_CALM, words, cause)


def fits(state: Stream, *, ended: bool) -> bool:
    """Say whether the body so far agrees with its content-length (RFC 9113 section 8.1.1)."""
    expected = state.expected
    return (
        expected is None or state.received == expected or (not ended and state.received < expected)
    )
