"""The lean door from outside: sockets, limits of connections, the end. See also test_otlp_grpc."""

import asyncio
import contextlib
import dataclasses
import time

import grpc
import pytest
import uvloop

from common.config.doors import Http2
from common.config.gateway import Listen
from common.wire.http2 import (
    Client,
    Code,
    GoingAway,
    Limits,
    PingAnswered,
    TrailersCame,
    frames,
)
from gateway.receivers import door, grpc_lean
from tests.gateway import samples
from tests.gateway.receivers.grpc_wire import EXPORT, framed, head
from tests.gateway.samples import hung_up

pytestmark = pytest.mark.wallclock
BLOCK = head(1)[frames.HEADER_BYTES :]


@contextlib.asynccontextmanager
async def connected(terms: door.Terms, traffic: door.Traffic | None = None):
    """Talk HTTP/2 by our own client: what `say` sends, and the events that come."""
    serving = grpc_lean.serving("127.0.0.1:0", terms, traffic or door.Traffic("grpc"))
    async with serving as bound:
        reader, writer = await asyncio.open_connection(*bound)
        try:
            yield Talk(reader, writer), bound
        finally:
            await hung_up(writer)


class Talk:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.client = Client(Limits())

    async def until(self, kind: type, *sent: bytes) -> list:
        """Send, and return the events until one is of *kind*."""
        self.writer.write(self.client.outgoing() + b"".join(sent))
        found = []
        async with asyncio.timeout(10):
            while not any(isinstance(event, kind) for event in found):
                data = await self.reader.read(1 << 16)
                assert data, found
                found += self.client.receive(data, 0.0)
                self.writer.write(self.client.outgoing())
        return found

    async def closed(self) -> None:
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(1 << 16):
                    pass


async def test_one_connection_too_many_is_told_and_closed() -> None:
    traffic = door.Traffic("grpc")
    terms = samples.terms(samples.Remembering(), max_connections=1)
    async with connected(terms, traffic) as (talk, bound):
        await talk.until(object)
        other = Talk(*await asyncio.open_connection(*bound))
        (goaway,) = [e for e in await other.until(GoingAway) if isinstance(e, GoingAway)]
        assert b"too many connections" in goaway.debug
        await other.closed()
        await hung_up(other.writer)
        assert (traffic.connections, traffic.refused_connections) == (1, 1)


async def test_a_client_that_breaks_the_rules_reads_why_before_it_is_hung_up_on() -> None:
    traffic = door.Traffic("grpc")
    async with connected(samples.terms(samples.Remembering()), traffic) as (talk, _):
        sent = head(1) + frames.frame(frames.PING, 0, 0, bytes(8)) * 5000
        found = await talk.until(GoingAway, sent)
        assert isinstance(found[-1], GoingAway)
        assert found[-1].code == Code.ENHANCE_YOUR_CALM
        await talk.closed()
    assert traffic.hostile == {"pings": 1}


async def test_a_slow_client_is_given_up() -> None:
    traffic = door.Traffic("grpc")
    terms = samples.terms(samples.Remembering(), header_timeout=0.1)
    async with connected(terms, traffic) as (talk, _):
        await talk.closed()
    assert traffic.timeouts == {"handshake": 1}


async def test_the_end_waits_for_a_request_that_is_being_sent() -> None:
    intake, body = samples.Remembering(), samples.request()
    terms = dataclasses.replace(samples.terms(intake), drain=10.0)
    opened: asyncio.Future = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()

    async def serve() -> None:
        async with grpc_lean.serving("127.0.0.1:0", terms, door.Traffic("grpc")) as bound:
            opened.set_result(bound)
            await stop.wait()

    async with asyncio.timeout(15), asyncio.TaskGroup() as tasks:
        tasks.create_task(serve())
        talk = Talk(*await asyncio.open_connection(*await opened))
        number = talk.client.request(BLOCK)
        talk.client.ping(bytes(8))
        await talk.until(PingAnswered)
        assert terms.admission.in_flight > 0
        stop.set()
        await talk.until(GoingAway)
        talk.client.data(number, framed(body), ended=True)
        found = await talk.until(TrailersCame)
        assert found[-1].head.get(b"grpc-status") == b"0"
        await talk.closed()
        await hung_up(talk.writer)
    assert intake.taken[0][0] == body


async def test_whoever_hangs_does_not_hold_the_end_up() -> None:
    terms = samples.terms(samples.Remembering())
    async with connected(terms) as (talk, _):
        await talk.until(PingAnswered, head(1), frames.frame(frames.PING, 0, 0, bytes(8)))
        started = time.monotonic()
    assert time.monotonic() - started < 5
    assert terms.admission.in_flight == 0


async def test_an_exception_closes_the_door_at_once() -> None:
    terms = dataclasses.replace(samples.terms(samples.Remembering()), drain=1000.0)

    async def fail() -> None:
        async with connected(terms) as (talk, _):
            await talk.until(PingAnswered, head(1), frames.frame(frames.PING, 0, 0, bytes(8)))
            assert terms.admission.in_flight > 0
            raise KeyError("ours")

    with pytest.raises(KeyError):
        await fail()
    assert terms.admission.in_flight == 0


def test_it_runs_on_uvloop_as_well() -> None:
    intake, body = samples.Remembering, samples.request(points=5000)

    async def main() -> None:
        remembering = intake()
        terms = samples.terms(
            remembering, listen=Listen(http2=Http2(connection_window_bytes=65_535))
        )
        traffic = door.Traffic("grpc")
        async with (
            grpc_lean.serving("127.0.0.1:0", terms, traffic) as bound,
            grpc.aio.insecure_channel(str(bound)) as channel,
        ):
            export = channel.unary_unary(EXPORT.decode())
            async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
                for _ in range(20):
                    tasks.create_task(wait(export, body))
            talk = Talk(*await asyncio.open_connection(*bound))
            await talk.until(GoingAway, head(1), b"\0" * 9)
            await talk.closed()
            await hung_up(talk.writer)
        assert [taken[0] for taken in remembering.taken] == [body] * 20
        assert (traffic.connections, traffic.hostile) == (0, {"protocol": 1})

    async def wait(export, body: bytes) -> None:
        assert await export(body) == b""

    uvloop.run(main())


async def test_bodies_larger_than_every_window_arrive() -> None:
    intake, body = samples.Remembering(), samples.request(points=60_000)
    terms = samples.terms(
        intake, listen=Listen(http2=Http2(stream_window_bytes=1000, connection_window_bytes=65_535))
    )
    assert len(body) > 1_000_000
    async with (
        grpc_lean.serving("127.0.0.1:0", terms, door.Traffic("grpc")) as bound,
        grpc.aio.insecure_channel(str(bound)) as channel,
    ):
        await channel.unary_unary(EXPORT.decode())(body, timeout=15)
    assert intake.taken[0][0] == body
