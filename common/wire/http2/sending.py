"""The sending half of a connection: frames to go out, within the windows that the peer opens."""

from __future__ import annotations

from collections import deque
from typing import Final

from common.wire.http2 import frames
from common.wire.http2.codes import Broken, Code
from common.wire.http2.headers import TABLE_SIZE_ZERO
from common.wire.http2.limits import Limits
from common.wire.http2.streams import Ended, Stream

_pack: Final = frames.HEADER.pack
_LAST: Final = frames.END_HEADERS | frames.END_STREAM
_SMALL: Final = 1024  # bytes of DATA that are copied behind their header rather than referred to


class Sending:
    """Collects frames until the shell takes them (`outgoing`).

    Methods on a stream that is not open any more do nothing and return false: a peer may reset it
    at any time, and its event may still be on the way.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.streams: dict[int, Stream] = {}  # open on one side at least
        self.queued = 0  # bytes of DATA that wait for the peer's windows
        self.given_up = 0  # responses that found no room to wait in, ever
        self._out: list[bytes | memoryview] = []
        self._drained: list[int] = []  # streams whose queue the last flush emptied
        self._ended = Ended()
        self._waiting: dict[int, Stream] = {}  # streams that have DATA queued
        self._send_window = frames.DEFAULT_WINDOW  # of the connection
        self._first_window = frames.DEFAULT_WINDOW  # of new streams, as the peer set it
        self._frame_bytes = frames.DEFAULT_FRAME_BYTES  # that the peer takes
        self._block_prefix = b""  # what the next header block has to begin with
        self._unacknowledged = 0  # bytes taken off the connection that the peer has no credit for
        self._window_step = max(1, limits.connection_window_bytes // 4)
        self._receive_window = frames.DEFAULT_WINDOW  # of the connection

    def outgoing(self) -> bytes:
        """Return what is to be written to the peer now, and forget it."""
        out = self._out
        if not out:
            return b""
        self._out = []
        first = out[0]
        return first if len(out) == 1 and isinstance(first, bytes) else b"".join(out)

    def headers(self, stream: int, block: bytes, *, ended: bool = False) -> bool:
        """Send a header block (see `headers.encode`): a response, or trailers with *ended*.

        Trailers follow whatever is still queued.
        """
        state = self.streams.get(stream)
        if state is None or not state.local_open:
            return False
        if self._block_prefix:
            block, self._block_prefix = self._block_prefix + block, b""
        written = frames.header_block(stream, block, self._frame_bytes, ended=ended)
        if state.queue:
            state.last = written if state.last is None else state.last + written
        else:
            self._out.append(written)
        if ended:
            self._end_local(state)
        return True

    def data(self, stream: int, body: bytes, *, ended: bool = False) -> bool:
        """Send *body*, as far as the windows allow; the rest is queued, by reference.

        False, and nothing taken: the stream is gone, or `Limits.max_queued_bytes` would be exceeded
        by queueing it behind what is there already. One body of any size is taken into an empty
        queue. `Drained` tells when all of it has left.
        """
        state = self.streams.get(stream)
        if state is None or not state.local_open:
            return False
        size = len(body)
        if state.queue is None and (
            not size or size <= min(state.send_window, self._send_window, self._frame_bytes)
        ):
            if size or ended:
                state.send_window -= size
                self._send_window -= size
                self._write_data(state, memoryview(body), ended=ended)
        else:
            if self.queued and self.queued + size > self.limits.max_queued_bytes:
                return False
            if state.queue is None:
                state.queue = deque()
            if size:
                state.queue.append(memoryview(body))
                state.queued += size
                self.queued += size
                self._waiting[stream] = state
            if ended:
                state.last = b""  # the last piece of the queue carries the end
            if size:
                self._flush()
        if ended:
            self._end_local(state)
        return True

    def respond(self, stream: int, head: bytes, body: bytes, trailers: bytes) -> bool:
        """Send a whole response: header block, body and the block of trailers, in one go."""
        state = self.streams.get(stream)
        if state is None or not state.local_open:
            return False
        size = len(body)
        room = self._frame_bytes
        if (
            size > state.send_window
            or size > self._send_window
            or size > room
            or len(head) > room
            or len(trailers) > room
            or self._block_prefix
            or state.queue
        ):
            self.headers(stream, head)
            if not self.data(stream, body):
                self.reset(stream, Code.ENHANCE_YOUR_CALM)
                self.given_up += 1
                return False
            return self.headers(stream, trailers, ended=True)
        state.send_window -= size
        self._send_window -= size
        header = _pack
        self._out.append(
            b"".join(
                (
                    header(len(head) << 8 | frames.HEADERS, frames.END_HEADERS, stream),
                    head,
                    header(size << 8 | frames.DATA, 0, stream),
                    body,
                    header(len(trailers) << 8 | frames.HEADERS, _LAST, stream),
                    trailers,
                )
            )
        )
        self._end_local(state)
        return True

    def waits(self, stream: int) -> bool:
        """Say whether DATA of the stream waits for the peer to open its windows."""
        return stream in self._waiting

    def reset(self, stream: int, code: int = Code.CANCEL) -> bool:
        """Give the stream up: RST_STREAM; what the peer still sends on it is dropped."""
        state = self.streams.get(stream)
        if state is None:
            return False
        self._out.append(frames.reset(stream, code))
        self._forget(state)
        self._ended.add(stream, "reset by us")
        return True

    def credit(self, stream: int, size: int) -> bool:
        """Let the peer send *size* bytes more on the stream."""
        state = self.streams.get(stream)
        if state is None or not state.remote_open or size <= 0:
            return False
        size = min(size, frames.MAX_WINDOW - state.receive_window)
        if size <= 0:
            return False
        state.receive_window += size
        self._out.append(frames.window_update(stream, size))
        return True

    def credit_connection(self, size: int) -> None:
        """Let the peer send *size* bytes more on the connection; told to it in larger steps."""
        self._unacknowledged += size
        if self._unacknowledged >= self._window_step:
            self._receive_window += self._unacknowledged
            self._out.append(frames.window_update(0, self._unacknowledged))
            self._unacknowledged = 0

    def ping(self, payload: bytes) -> None:
        """Ask the peer for a sign of life; *payload* has eight bytes and comes back."""
        self._out.append(frames.frame(frames.PING, 0, 0, payload))

    def _write_data(self, state: Stream, body: memoryview, *, ended: bool) -> None:
        flags = frames.END_STREAM if ended else 0
        head = frames.header(len(body), frames.DATA, flags, state.number)
        if len(body) <= _SMALL:
            self._out.append(head + body)
        else:
            self._out += (head, body)

    def _flush(self) -> None:
        """Send what the windows allow, a frame of each stream in turn; see `_drained`."""
        waiting = self._waiting
        self._drained = []
        while waiting and self._send_window > 0:
            sent = False
            for state in list(waiting.values()):
                size = min(state.send_window, self._send_window, self._frame_bytes)
                if size > 0:
                    self._send_piece(state, size)
                    sent = True
            if not sent:
                return

    def _send_piece(self, state: Stream, most: int) -> None:
        queue = state.queue
        if not queue:
            raise RuntimeError(f"BUG: stream {state.number} waits with nothing queued")
        piece = queue[0]
        if len(piece) > most:
            queue[0] = piece[most:]
            piece = piece[:most]
        else:
            queue.popleft()
        size = len(piece)
        state.send_window -= size
        state.queued -= size
        self._send_window -= size
        self.queued -= size
        done = not queue
        self._write_data(state, piece, ended=done and state.last == b"")
        if done:
            state.queue = None
            del self._waiting[state.number]
            self._drained.append(state.number)
            if state.last:
                self._out.append(state.last)
            if not state.local_open and not state.remote_open:
                self._finish(state)

    def _end_local(self, state: Stream) -> None:
        state.local_open = False
        if not state.remote_open and not state.queue:
            self._finish(state)

    def _end_remote(self, state: Stream) -> None:
        state.remote_open = False
        if not state.local_open and not state.queue:
            self._finish(state)

    def _finish(self, state: Stream) -> None:
        """Both sides have ended."""
        del self.streams[state.number]
        self._ended.add(state.number, "both")

    def _forget(self, state: Stream) -> None:
        """Let go of an open stream and of all that it wanted to send."""
        del self.streams[state.number]
        self._waiting.pop(state.number, None)
        self.queued -= state.queued

    def _first_window_changed(self, size: int) -> None:
        """Apply the peer's SETTINGS_INITIAL_WINDOW_SIZE, to open streams too (section 6.9.2)."""
        change = size - self._first_window
        self._first_window = size
        for state in self.streams.values():
            state.send_window += change
            if state.send_window > frames.MAX_WINDOW:
                words = f"SETTINGS make the window of stream {state.number} exceed 2**31 - 1"
                raise Broken(Code.FLOW_CONTROL_ERROR, words)

    def _table_size_changed(self, size: int) -> None:
        """Tell the peer that we use no table, should it allow us less than the default."""
        if size < frames.DEFAULT_TABLE_BYTES:
            self._block_prefix = TABLE_SIZE_ZERO
