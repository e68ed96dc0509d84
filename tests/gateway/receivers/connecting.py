"""Protocols and clients with which the tests of listening connect, on both event loops."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import uvloop

from gateway.receivers import door
from gateway.receivers.listening import Sockets, listening

LOOPS = {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}
PATIENCE = 5.0  # seconds; what is waited for takes milliseconds


def run(loop: str, main: Callable[[], Awaitable[None]]) -> None:
    """Run *main* on the event loop of that name; it may complain about nothing."""
    complaints: list[object] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
        async with asyncio.timeout(PATIENCE):
            await main()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(watched())
    assert not complaints


class Echo(asyncio.Protocol):
    """Says who is there, then what it is told."""

    def __init__(self, room: "Room", peer: str | None) -> None:
        self.room, self.peer = room, peer
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.room.inside.append(self)
        transport.write(f"{self.peer}\n".encode())

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        self.room.inside.remove(self)
        self.room.left.set()


class BufferedEcho(asyncio.BufferedProtocol):
    """The same with a buffer of its own."""

    def __init__(self, room: "Room", peer: str | None) -> None:
        self.echo = Echo(room, peer)
        self.buffer = bytearray(1 << 16)
        self.connection_made, self.connection_lost = (
            self.echo.connection_made,
            self.echo.connection_lost,
        )

    def get_buffer(self, _: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, size: int) -> None:
        self.echo.data_received(bytes(self.buffer[:size]))


class Room:
    """A door whose protocols echo."""

    def __init__(self, kind: type = Echo) -> None:
        self.kind = kind
        self.inside: list[Echo] = []
        self.left = asyncio.Event()
        self.traffic = door.Traffic("grpc")
        self.port = 0

    @contextlib.asynccontextmanager
    async def open(self, listen: str = "127.0.0.1:0", **settings: object) -> AsyncIterator["Room"]:
        sockets = Sockets(**settings)
        try:
            async with listening(
                listen, lambda peer: self.kind(self, peer), sockets, self.traffic
            ) as bound:
                self.port = bound.port
                yield self
        finally:
            while self.inside:  # as a door does that closes
                self.left.clear()
                for echo in self.inside:
                    echo.transport.abort()
                await self.left.wait()

    @staticmethod
    async def until(true: Callable[[], bool]) -> None:
        """Wait until what a door counts says so; nothing tells when it does."""
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def connected(
    port: int,
    host: str = "127.0.0.1",
    context: ssl.SSLContext | None = None,
    first: bytes = b"",
    name: str = "gateway",
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect, say *first*, and shake hands with *context* if there is one."""
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setblocking(False)
    try:
        await loop.sock_connect(sock, (host, port))
        await loop.sock_sendall(sock, first)
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=context, server_hostname=name if context else None
        )
    except BaseException:
        sock.close()
        raise
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def greeted(
    port: int, *, context: ssl.SSLContext | None = None, first: bytes = b"", host: str = "127.0.0.1"
) -> str:
    """Return whom the door takes a client for that connects, and see that it echoes."""
    async with connected(port, host, context, first) as (reader, writer):
        peer = (await reader.readline()).decode().strip()
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        return peer


async def shut_out(port: int, first: bytes = b"", context: ssl.SSLContext | None = None) -> bytes:
    """Return what a client is told that the door hangs up on."""
    try:
        async with connected(port, context=context, first=first) as (reader, _):
            return await reader.read()
    except OSError:
        return b""
