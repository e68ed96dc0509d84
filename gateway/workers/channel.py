"""The socket between the supervisor and one worker: whole messages, in order."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final

from gateway.workers import messages

LINGER: Final = 2.0  # seconds for the last words; a healthy peer takes them at once


class Line:
    """One end. What it writes to a peer that is gone goes nowhere; hearing tells that it is."""

    __slots__ = ("_reader", "_writer")

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @property
    def waiting(self) -> int:
        """Bytes that the other end has yet to take."""
        return self._writer.transport.get_write_buffer_size()

    def tell(self, *frames: bytes) -> None:
        """Send *frames* (see :func:`messages.framed`) without waiting."""
        if not self._writer.is_closing():
            self._writer.writelines(frames)

    async def tell_all(self, frames: Iterable[bytes]) -> None:
        """Send *frames* one after another, no faster than the other end takes them."""
        for frame in frames:
            self.tell(frame)
            with suppress(ConnectionError):  # hearing tells
                await self._writer.drain()

    async def hear(self) -> bytes | None:
        """Wait for a message; ``None`` when the other end is gone."""
        try:
            size = int.from_bytes(await self._reader.readexactly(messages.HEAD), "big")
            if size > messages.MAX_BYTES:
                raise RuntimeError(f"BUG: a message of {size} bytes, see messages.MAX_BYTES")
            return await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None


@asynccontextmanager
async def line(end: socket.socket) -> AsyncIterator[Line]:
    """Talk over *end* of a pair of stream sockets, which is closed on leaving.

    What was told is sent first, unless the other end is gone.
    """
    reader, writer = await asyncio.open_unix_connection(sock=end)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()
        try:
            async with asyncio.timeout(LINGER):
                await writer.wait_closed()
        except ConnectionError:
            return  # it is gone: there is nobody to tell
        except TimeoutError:
            writer.transport.abort()
