"""A channel finds a server, keeps to it, and tells what became of each call."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from common.config.shared import Tls
from common.exporters import grpc_answers, grpc_channel, grpc_link
from common.exporters.lookup import Found, Lookup
from common.exporters.tls import Certificates
from common.service import address
from common.wire import http2
from tests.fakes import certificates

pytestmark = pytest.mark.wallclock

BLOCK = http2.encode(
    [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/s/m"), (b":authority", b"a")]
)
HEAD = http2.encode([(b":status", b"200"), (b"content-type", b"application/grpc")])
FINE = http2.encode([(b"grpc-status", b"0")])


class Server(asyncio.Protocol):
    """An HTTP/2 server that does with each finished request what *act* says."""

    def __init__(self, act: Callable[["Server", int], None], seen: list["Server"]) -> None:
        self.act, self.seen = act, seen
        self.http2 = http2.Server(http2.Limits())
        self.requests = 0
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.seen.append(self)
        self.flush()

    def connection_lost(self, _: Exception | None) -> None:
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        for event in self.http2.receive(data, 0.0):
            if isinstance(event, http2.DataCame):
                self.http2.credit_connection(len(event.data))
                self.http2.credit(event.stream, len(event.data))
                if event.ended:
                    self.requests += 1
                    self.act(self, event.stream)
        self.flush()

    def flush(self) -> None:
        self.transport.write(self.http2.outgoing())


def agree(server: Server, stream: int) -> None:
    server.http2.respond(stream, HEAD, b"\0\0\0\0\2ok", FINE)


def ignore(server: Server, stream: int) -> None:
    del server, stream


@asynccontextmanager
async def serving(act=agree, host: str = "127.0.0.1", port: int = 0, tls=None):
    seen: list[Server] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(act, seen), host, port, ssl=tls)
    try:
        yield seen, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for each in seen:
            each.transport.abort()
        await server.wait_closed()


@asynccontextmanager
async def calling(port: int, host: str = "127.0.0.1", tls: Certificates | None = None):
    async with grpc_channel.opened(address.Address(host, port), tls, host) as channel:
        yield lambda message=b"hello": channel.call(
            BLOCK, b"\0" + len(message).to_bytes(4), message
        )


def places(*ports: int) -> Found:
    """Return addresses as a name leads to them: loopback, with one of *ports* each."""
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]


async def test_calls_share_a_connection_and_bodies_of_any_size_arrive() -> None:
    async with serving() as (seen, port), calling(port) as call:
        assert (await call()).body == b"ok"
        assert (await call(bytes(3_000_000))).body == b"ok"
        async with asyncio.TaskGroup() as tasks:
            many = [tasks.create_task(call(bytes(70_000))) for _ in range(10)]
        assert {task.result().body for task in many} == {b"ok"}
    assert len(seen) == 1
    assert seen[0].requests == 12


async def test_leaving_says_goodbye() -> None:
    async with serving() as (seen, port):
        async with calling(port) as call:
            await call()
        await seen[0].lost.wait()


async def test_a_call_that_a_leaving_server_never_saw_is_made_again_elsewhere() -> None:
    def leave(server: Server, stream: int) -> None:
        if len(server.seen) == 1:
            server.transport.write(b"\0\0\x08\x07\0\0\0\0\0" + bytes(8))  # GOAWAY: none was seen
        else:
            agree(server, stream)

    async with serving(leave) as (seen, port), calling(port) as call:
        assert (await call()).body == b"ok"
        assert [server.requests for server in seen] == [1, 1]


async def test_a_server_that_leaves_again_and_again_is_unavailable() -> None:
    def leave(server: Server, stream: int) -> None:
        del stream
        server.transport.write(b"\0\0\x08\x07\0\0\0\0\0" + bytes(8))

    async with serving(leave) as (seen, port), calling(port) as call:
        answer = await call()
        assert answer.code == grpc_answers.UNAVAILABLE
        assert len(seen) == grpc_channel.ATTEMPTS


async def test_a_connection_that_breaks_loses_its_calls_and_is_made_again() -> None:
    def hang_up(server: Server, stream: int) -> None:
        if len(server.seen) == 1:
            server.transport.abort()
        else:
            agree(server, stream)

    async with serving(hang_up) as (seen, port), calling(port) as call:
        assert (await call()).code == grpc_answers.UNAVAILABLE
        assert (await call()).body == b"ok"
        assert len(seen) == 2


async def test_a_server_that_has_fallen_silent_is_left() -> None:
    async with serving(ignore) as (seen, port), calling(port) as call:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await call()
        await seen[0].lost.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await call()
        assert len(seen) == 2


async def test_cancelling_resets_the_stream() -> None:
    resets: list[int] = []

    class Noting(Server):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if data[3:4] == b"\x03":  # RST_STREAM
                resets.append(int.from_bytes(data[5:9]))
                noted.set()

    noted = asyncio.Event()
    seen: list[Server] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Noting(ignore, seen), "127.0.0.1", 0)
    async with server, calling(server.sockets[0].getsockname()[1]) as call:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await call()
        await noted.wait()
        seen[0].transport.abort()
    assert resets == [1]


async def test_an_answer_without_end_is_refused(monkeypatch) -> None:
    def babble(server: Server, stream: int) -> None:
        server.http2.headers(stream, HEAD)
        server.http2.data(stream, bytes(50_000))

    monkeypatch.setattr(grpc_channel, "MAX_ANSWER", 10_000)
    async with serving(babble) as (_, port), calling(port) as call:
        answer = await call()
    assert answer.code == grpc_answers.RESOURCE_EXHAUSTED


async def test_replicas_are_called_in_turn(monkeypatch) -> None:
    async with AsyncExitStack() as stack:
        seen, port = await stack.enter_async_context(serving())
        others, other = await stack.enter_async_context(serving())

        async def two(_, host, port):
            return places(port, other) if host == "backend.test" else places(port)

        monkeypatch.setattr(Lookup, "find", two)
        call = await stack.enter_async_context(calling(port, host="backend.test"))
        async with asyncio.timeout(5):
            while not (seen and others and seen[0].requests > 2 and others[0].requests > 2):
                assert (await call()).body == b"ok"


async def test_a_worn_connection_is_replaced_and_its_calls_end_on_it() -> None:
    waiting: list[int] = []
    held = asyncio.Event()

    def slow(server: Server, stream: int) -> None:
        if server is server.seen[0] and server.requests == 2:
            waiting.append(stream)
            held.set()
        else:
            agree(server, stream)

    async with (
        serving(slow) as (seen, port),
        grpc_channel.opened(address.Address("127.0.0.1", port), None, "a") as channel,
        asyncio.timeout(5),
        asyncio.TaskGroup() as tasks,
    ):

        def call():
            return channel.call(BLOCK, b"\0\0\0\0\5", b"hello")

        await call()
        under_way = tasks.create_task(call())
        await held.wait()
        channel._places[0].worn = 0.0
        while len(seen) < 2 or not seen[1].requests:
            assert (await call()).body == b"ok"
        assert not under_way.done()
        assert not seen[0].lost.is_set()
        agree(seen[0], waiting[0])
        seen[0].flush()
        assert (await under_way).body == b"ok"
        await seen[0].lost.wait()
        await call()
    assert len(seen) == 2


async def test_a_worn_connection_is_used_while_no_other_can_be_made(monkeypatch) -> None:
    async with (
        serving() as (seen, port),
        grpc_channel.opened(address.Address("127.0.0.1", port), None, "a") as channel,
    ):

        def call():
            return channel.call(BLOCK, b"\0\0\0\0\5", b"hello")

        await call()
        tried = asyncio.Event()

        async def refuse(*_: object, **__: object) -> object:
            tried.set()
            raise OSError("no more connections")

        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", refuse)
        channel._places[0].worn = 0.0
        assert (await call()).body == b"ok"
        await tried.wait()
        assert (await call()).body == b"ok"
    assert len(seen) == 1


async def test_new_addresses_get_traffic_and_those_that_are_gone_are_left(monkeypatch) -> None:
    monkeypatch.setattr(grpc_channel, "RESOLVE_AGAIN", 0.0)
    async with AsyncExitStack() as stack:
        first, port = await stack.enter_async_context(serving())
        second, other = await stack.enter_async_context(serving())
        ports = [port]

        async def moving(_, host, __):
            return places(*ports) if host == "backend.test" else places(port)

        monkeypatch.setattr(Lookup, "find", moving)
        call = await stack.enter_async_context(calling(port, host="backend.test"))
        async with asyncio.timeout(5):
            assert (await call()).body == b"ok"
            ports.append(other)
            while not (second and second[0].requests):
                assert (await call()).body == b"ok"
            ports.remove(port)
            await call()
            while not first[0].lost.is_set():
                assert (await call()).body == b"ok"
        before = first[0].requests
        assert (await call()).body == b"ok"
        assert (len(first), first[0].requests) == (1, before)


async def test_an_address_where_nobody_answers_does_not_stop_the_others(monkeypatch) -> None:
    async with AsyncExitStack() as stack:
        seen, port = await stack.enter_async_context(serving())
        async with serving() as (_, dead):
            pass

        async def both(_, host, __):
            return places(dead, port) if host == "backend.test" else places(port)

        monkeypatch.setattr(Lookup, "find", both)
        call = await stack.enter_async_context(calling(port, host="backend.test"))
        assert [(await call()).body for _ in range(5)] == [b"ok"] * 5
    assert seen[0].requests == 5


async def test_a_name_that_does_not_exist_is_unavailable_in_words(monkeypatch) -> None:
    async def nothing(*_: object, **__: object) -> object:
        raise OSError("Name or service not known")

    monkeypatch.setattr(Lookup, "find", nothing)
    async with calling(4317, host="nowhere.test") as call:
        answer = await call()
    assert answer.code == grpc_answers.UNAVAILABLE
    assert answer.message == "cannot reach nowhere.test:4317: Name or service not known"


async def test_what_does_not_speak_http2_over_tls_is_told_so(tmp_path) -> None:
    files = certificates.write(tmp_path, "backend.test")
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(files.certificate, files.key)
    trust = Tls(ca_file=str(files.authority), insecure_skip_verify=True)
    ours = Certificates(trust, now=0.0, alpn=("h2",))
    async with serving(tls=theirs) as (_, port), calling(port, tls=ours) as call:
        answer = await call()
    assert answer.code == grpc_answers.UNAVAILABLE
    assert "does not speak HTTP/2" in answer.message


async def test_what_is_no_http2_at_all_is_a_lost_connection() -> None:
    class Shouting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:
            transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Shouting, "127.0.0.1", 0)
    async with server, calling(server.sockets[0].getsockname()[1]) as call:
        answer = await call()
    assert answer.code == grpc_answers.UNAVAILABLE


def test_the_limits_of_a_link_leave_bodies_to_delivery() -> None:
    assert grpc_link.LIMITS.max_queued_bytes >= 1 << 40
