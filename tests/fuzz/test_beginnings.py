"""Connections that begin badly, where they begin with a PROXY header or a handshake of TLS."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from tests.fakes import certificates, otlp_wire, points
from tests.flow import programs
from tests.fuzz import http2_wire as h2, http_cases, process

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(60)]

WITHIN = 10.0  # seconds
CONNECTIONS, TOGETHER = 600, 20
BODY = points.request([1.0])
POST = http_cases.post(BODY, b"Connection: close")
CALL = h2.PREFACE + h2.settings() + h2.headers(1) + h2.frame(h2.DATA, 1, 1, h2.message(BODY))
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LINE = b"PROXY TCP4 10.9.8.7 10.0.0.2 4711 4317\r\n"
BINARY = SIGNATURE + b"\x21\x11\x00\x0c" + bytes((10, 9, 8, 7, 10, 0, 0, 2, 1, 2, 3, 4))


def headers(random: Random) -> Iterator[bytes]:
    """Yield PROXY headers, most with one thing wrong."""
    while True:
        size = random.choice((0, 11, 12, 36, 216, 4096, 65_535))
        command, family = random.choice(b"\x20\x21\x22\x11\xff"), random.choice(b"\x11\x21\x31\xf1")
        given = random.randbytes(random.choice((size, min(size, 12), 0)))
        yield random.choice(
            (
                otlp_wire.damaged(LINE, random),
                otlp_wire.damaged(BINARY, random),
                SIGNATURE + bytes((command, family)) + size.to_bytes(2) + given,
                b"PROXY UNKNOWN " + b"x" * random.choice((0, 90, 94, 10_000)) + b"\r\n",
                b"PROXY TCP6 "
                + random.choice((b"::1 ::2", b"fe80::1%1 ::", b"1.2.3.4 ::"))
                + b" 1 2\r\n",
                LINE * 2,
                BINARY + LINE,
                b"",
                LINE[: random.randrange(len(LINE))],
                BINARY[: random.randrange(len(BINARY))],
            )
        )


async def ends(port: int, data: bytes) -> bytes:
    """Send *data*, nothing more, and read until the connection ends, which it has to do soon."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = b""
    try:
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(WITHIN):
            while piece := await reader.read(65536):
                found += piece
    except OSError:  # reset, or gone before we were done
        return found
    finally:
        writer.close()
    return found


async def answered(
    port: int, beginning: bytes = b"", context: ssl.SSLContext | None = None
) -> None:
    """Check that an ordinary request is served."""
    name = None if context is None else "localhost"
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=name
    )
    writer.write(beginning + POST)
    async with asyncio.timeout(WITHIN):
        assert (await reader.read(12)) == b"HTTP/1.1 200"
    writer.close()


@asynccontextmanager
async def unharmed(folder, listen):
    async with process.gateway(folder, "lean", listen=listen) as victim:
        before = victim.look()
        yield victim
        assert victim.look() - before < 40
        ledgers, in_flight = await victim.settled(WITHIN)
        assert (ledgers["balance"], in_flight) == (0, 0)
        assert await victim.total("headgate_gateway_hostile_total") > 0

        async def all_gone() -> bool:
            return not await victim.total("headgate_gateway_connections")

        await programs.until(all_gone, "no connection is left", WITHIN)
        assert victim.complaints() == []


async def all_end(victim: process.Victim, beginnings: list[bytes]) -> None:
    for at in range(0, len(beginnings), TOGETHER):
        async with asyncio.TaskGroup() as tasks:
            for n, data in enumerate(beginnings[at : at + TOGETHER]):
                tasks.create_task(ends(*(victim.http, data) if n % 2 else (victim.grpc, data)))


async def test_hostile_proxy_headers_cost_their_own_connection_only(tmp_path) -> None:
    made = headers(Random(1))
    listen = {"proxies": {"trusted": ["127.0.0.0/8"], "proxy_protocol": True}}
    async with unharmed(tmp_path, listen) as victim:
        half = CONNECTIONS // 2
        await all_end(victim, [next(made) + (POST, CALL)[n % 2] for n in range(half)])
        await answered(victim.http, LINE)
        await all_end(victim, [next(made) for _ in range(half)])
        await answered(victim.http, BINARY)


def hello() -> bytes:
    """Return how a client of TLS begins."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    sent = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


async def test_hostile_handshakes_cost_their_own_connection_only(tmp_path) -> None:
    made = certificates.write(tmp_path, "localhost")
    files = {"cert_file": str(made.certificate), "key_file": str(made.key)}
    context = ssl.create_default_context(cafile=str(made.authority))
    random, good = Random(2), hello()
    async with unharmed(tmp_path, {"tls": files}) as victim:
        beginnings = [
            random.choice(
                (
                    otlp_wire.damaged(good, random),
                    good[: random.randrange(len(good))],
                    good + random.randbytes(200),
                    random.randbytes(300),
                    POST,
                    CALL,
                    b"\x16\x03\x01\xff\xff" + bytes(100),
                    b"",
                )
            )
            for _ in range(CONNECTIONS)
        ]
        await all_end(victim, beginnings[: CONNECTIONS // 2])
        await answered(victim.http, context=context)
        await all_end(victim, beginnings[CONNECTIONS // 2 :])
        await answered(victim.http, context=context)
