"""A transport without a socket: what was written lies there, and time is the test's."""

import asyncio


class Wire(asyncio.Transport):
    """Delivers nothing; tells its protocol about its end as a socket's transport would."""

    def __init__(self, protocol: asyncio.Protocol, *, half_closes: bool = True) -> None:
        super().__init__()
        self.protocol, self.half_closes = protocol, half_closes
        self.written = b""
        self.room: int | None = None  # bytes that are taken before writing is paused
        self.closed = asyncio.Event()
        self.closing = self.lost = self.aborted = self.ended = self.paused = False
        protocol.connection_made(self)

    def receive(self, data: bytes) -> None:
        """Deliver *data* to the protocol, unless nobody reads any more."""
        if not self.closing and not self.paused:
            self.protocol.data_received(data)

    def hang_up(self) -> None:
        """End the other side in good order."""
        if not self.closing and not self.protocol.eof_received():
            self.close()

    def write(self, data: bytes) -> None:
        assert not (self.closing or self.ended), "written behind the end"
        self.written += data
        if self.room is not None and len(self.written) > self.room:
            self.protocol.pause_writing()

    def drained(self) -> None:
        """Take everything after all."""
        self.room = None
        self.protocol.resume_writing()
        if self.closing:
            self._lose()

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self.closed.set()
            if self.room is None:
                self._lose()

    def abort(self) -> None:
        self.closing = self.aborted = True
        self.closed.set()
        self._lose()

    def _lose(self) -> None:
        if not self.lost:
            self.lost = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return self.half_closes

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False
