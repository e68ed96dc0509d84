"""Bombs, absurdities and floods through both doors: bounded, answered, counted, and survived."""

import asyncio
import gzip
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest
import pytest_asyncio

from common.wire import compression
from tests.fakes import points
from tests.fuzz import (
    grpc_cases,
    grpc_link,
    http2_link,
    http2_wire as h2,
    http_cases,
    http_link,
    process,
    wire,
)
from tests.fuzz.grpc_cases import Data, GrpcCase
from tests.fuzz.http2_cases import Http2Case
from tests.fuzz.http_cases import HttpCase

pytestmark = [
    pytest.mark.wallclock,
    pytest.mark.slow,
    pytest.mark.timeout(60),
    pytest.mark.asyncio(loop_scope="module"),
]

LIMIT = 64 << 20  # bytes of a request: the default
WITHIN = 15.0  # seconds
GROWTH_MB = 300.0  # one request of 64 MiB: as it came, inflated, and while it is joined
HOSTILE = "127.0.0.2"
CALM = {"goaway:ENHANCE_YOUR_CALM"}
SMALL = points.request([1.0])


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=process.doors())
async def victim(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    bounds = {"max_request_bytes": LIMIT, "max_in_flight_bytes": 2 * LIMIT}
    async with process.gateway(folder, request.param, **bounds) as gateway:
        yield gateway
        assert gateway.complaints() == []


@asynccontextmanager
async def survived(victim: process.Victim) -> AsyncIterator[None]:
    """Check that what is done inside is over soon, costs little memory, and harms nobody."""
    before, loop = victim.look(), asyncio.get_running_loop()
    began = loop.time()
    yield
    assert loop.time() - began < WITHIN
    async with asyncio.timeout(WITHIN):
        assert await post(victim, http_cases.post(SMALL)) == "200"
        assert await call(victim, *grpc_cases.call(h2.message(SMALL))) == "OK"
    assert victim.look() - before < GROWTH_MB
    ledgers, in_flight = await victim.settled(within=WITHIN)
    assert (in_flight, ledgers["balance"], ledgers["mismatches"]) == (0, 0, 0)


@asynccontextmanager
async def counted(victim: process.Victim, name: str, **labels: str) -> AsyncIterator[None]:
    """Check that the metric *name* grew; grpcio refuses much before anybody could count it."""
    name = f"headgate_gateway_{name}_total"
    before = await victim.total(name, **labels)
    yield
    ours = labels.get("transport") == "http" or victim.door == "lean"
    assert not ours or await victim.total(name, **labels) > before, (name, labels)


async def post(victim: process.Victim, data: bytes, finish: str = "") -> str:
    link = await http_link.connect(victim.http, HOSTILE)
    case = HttpCase(name="", data=data, right=frozenset(), ending="may", finish=finish)
    _, outcome, _ = (await http_link.run(link, [case], WITHIN))[0][0]
    return outcome


async def call(victim: process.Victim, *pieces: grpc_cases.Piece) -> str:
    link = await http2_link.connect(victim.grpc, HOSTILE)
    try:
        case = GrpcCase(name="", pieces=pieces, right=frozenset())
        found, _ = await grpc_link.run(link, [case], Random(0), WITHIN)
        return found[0][1]
    finally:
        link.transport.abort()


async def flood(victim: process.Victim, data: bytes, *, opened: str = "") -> str:
    """Send *data* on a connection of its own; return what becomes of it."""
    link = await http2_link.connect(victim.grpc, HOSTILE)
    case = Http2Case(name="", data=data, right=frozenset(), opened=opened)
    return await http2_link.run_alone(link, case, WITHIN / 2)


def _large(maker, size: int = 256 << 20) -> bytes:
    chunk = bytes(1 << 20)
    return b"".join([maker.compress(chunk) for _ in range(size >> 20)]) + maker.flush()


BOMBS = {
    "gzip": lambda: _large(zlib.compressobj(1, wbits=31)),
    "deflate": lambda: _large(zlib.compressobj(1)),
    "zstd": lambda: compression.deflate(bytes(LIMIT + 1), "zstd"),
    "snappy": lambda: wire.varint(2**32 - 1) + b"\0" * 100,
    "x-snappy-framed": lambda: compression.deflate(bytes(LIMIT + 1), "x-snappy-framed"),
}


@pytest.mark.parametrize("encoding", BOMBS)
async def test_a_bomb_is_refused_at_the_limit(victim, encoding) -> None:
    bomb = BOMBS[encoding]()
    field = f"Content-Encoding: {encoding}".encode()
    async with survived(victim), counted(victim, "requests", transport="http", code="413"):
        assert await post(victim, http_cases.post(bomb, field)) == "413"
    if encoding in {"gzip", "deflate"} or (victim.door == "lean" and encoding == "zstd"):
        pieces = grpc_cases.call(h2.message(bomb, 1), (b"grpc-encoding", encoding.encode()))
        labels = {"transport": "grpc", "code": "resource_exhausted"}
        async with survived(victim), counted(victim, "requests", **labels):
            assert await call(victim, *pieces) == "RESOURCE_EXHAUSTED"


def _nested_value(depth: int) -> bytes:
    value = wire.framed(1, b"x")
    for _ in range(depth):
        value = wire.framed(5, wire.framed(1, value))
    attribute = wire.framed(1, wire.framed(1, b"deep") + wire.framed(2, value))
    return wire.framed(1, wire.framed(1, attribute))


MALFORMED = {
    "gzip-in-gzip-in-gzip": gzip.compress(gzip.compress(SMALL, 1, mtime=0), 1, mtime=0),
    "values-nested-200": _nested_value(200),
    "groups-nested-100000": b"\x7b" * 100_000 + b"\x7c" * 100_000,
    "length-2**31": b"\x0a" + wire.varint(2**31) + SMALL,
    "length-2**63": b"\x0a" + wire.varint(2**63) + SMALL,
    "length-2**70": b"\x0a" + wire.varint(2**70) + SMALL,
}


@pytest.mark.parametrize("what", MALFORMED)
async def test_an_absurdity_is_malformed(victim, what) -> None:
    body = MALFORMED[what]
    fields, more = (), ()
    if "gzip" in what:
        body = gzip.compress(body, 1, mtime=0)
        fields, more = (b"Content-Encoding: gzip",), ((b"grpc-encoding", b"gzip"),)
    labels = {"transport": "http", "code": "400"}
    async with survived(victim), counted(victim, "requests", **labels):
        assert await post(victim, http_cases.post(body, *fields)) == "400"
    labels = {"transport": "grpc", "code": "invalid_argument"}
    async with survived(victim), counted(victim, "requests", **labels):
        pieces = grpc_cases.call(h2.message(body, bool(more)), *more)
        assert await call(victim, *pieces) == "INVALID_ARGUMENT"


@pytest.mark.parametrize("depth", [200, 100_000])
async def test_json_nested_deep_is_malformed(victim, depth) -> None:
    value = '{"arrayValue":{"values":[' * depth + "]}}" * depth
    attribute = '{"key":"k","value":' + value + "}"
    body = '{"resourceMetrics":[{"resource":{"attributes":[' + attribute + "]}}]}"
    async with survived(victim), counted(victim, "requests", transport="http", code="400"):
        assert await post(victim, http_cases.post(body.encode(), kind=http_cases.JSON)) == "400"


TINY = [b"\x78\x01", b"\x0a\x00", b"\x0a\x02\x12\x00"]


@pytest.mark.parametrize("piece", TINY)
async def test_a_hundred_thousand_tiny_fields_are_refused_and_thousands_are_taken(
    victim, piece
) -> None:
    body = SMALL + piece * 100_000
    async with survived(victim), counted(victim, "requests", transport="http", code="400"):
        assert await post(victim, http_cases.post(body)) == "400"
    labels = {"transport": "grpc", "code": "invalid_argument"}
    async with survived(victim), counted(victim, "requests", **labels):
        assert await call(victim, *grpc_cases.call(h2.message(body))) == "INVALID_ARGUMENT"
    async with survived(victim):
        assert await post(victim, http_cases.post(SMALL + piece * 4000)) == "200"


async def test_64_mib_and_a_byte_are_refused_before_they_are_read(victim) -> None:
    async with survived(victim), counted(victim, "requests", transport="http", code="413"):
        head = http_cases.head(b"Content-Length: %d" % (LIMIT + 1))
        assert await post(victim, head) == "413"
    async with survived(victim):
        prefix = Data(struct.pack(">BI", 0, LIMIT + 1) + bytes(100))
        assert await call(victim, grpc_cases.head(), prefix) == "RESOURCE_EXHAUSTED"


async def test_64_mib_and_a_byte_are_refused_where_no_length_tells(victim) -> None:
    body = bytes(1 << 16)
    chunks = (b"%x\r\n%s\r\n" % (len(body), body)) * (LIMIT >> 16) + b"1\r\n\0\r\n0\r\n\r\n"
    async with survived(victim), counted(victim, "requests", transport="http", code="413"):
        data = http_cases.head(b"Transfer-Encoding: chunked") + chunks
        assert await post(victim, data) == "413"


async def test_headers_of_a_megabyte_cost_the_connection(victim) -> None:
    async with survived(victim):
        long = http_cases.post(SMALL, b"X-Long: " + b"y" * (1 << 20))
        assert await post(victim, long) in {"400", "431", "close"}
        many = http_cases.post(SMALL, *(b"X-%d: y" % n for n in range(100_000)))
        assert await post(victim, many) in {"400", "431", "close"}
    long = h2.block([*h2.REQUEST, (b"x-long", b"y" * (1 << 20))])
    parts = [long[at : at + 16_000] for at in range(0, len(long), 16_000)]
    data = h2.frame(h2.HEADERS, h2.END_STREAM, 1, parts[0])
    data += b"".join([h2.frame(h2.CONTINUATION, 0, 1, part) for part in parts[1:]])
    labels = {"transport": "grpc", "kind": "header_block"}
    async with survived(victim), counted(victim, "hostile", **labels):
        assert await flood(victim, data) in _calm(victim)


def _calm(victim: process.Victim) -> set[str]:
    """Return what becomes of a flood: grpcio breaks connections as it likes, or endures."""
    return CALM if victim.door == "lean" else {*CALM, "close", "alive", "silent"}


BLOCK_END = h2.END_HEADERS | h2.END_STREAM
FLOODS = {
    "rapid-reset": (
        "resets",
        b"".join([h2.headers(n) + h2.reset(n) for n in range(1, 20_000, 2)]),
        "",
    ),
    "resets-that-we-send": (
        "resets",
        b"".join([h2.headers(n) + h2.window_update(n, 0) for n in range(1, 20_000, 2)]),
        "",
    ),
    "continuation": (
        "header_block",
        h2.frame(h2.HEADERS, h2.END_STREAM, 1, h2.BLOCK) + h2.frame(h2.CONTINUATION, 0, 1) * 50_000,
        "",
    ),
    "ping": ("pings", h2.frame(h2.PING, 0, 0, bytes(8)) * 50_000, ""),
    "settings": ("settings", h2.settings((3, 100)) * 50_000, ""),
    "settings-ack": ("empty_frames", h2.frame(h2.SETTINGS, h2.ACK) * 50_000, ""),
    "priority": ("empty_frames", h2.frame(h2.PRIORITY, 0, 9, bytes(5)) * 50_000, ""),
    "unknown": ("empty_frames", h2.frame(0xEE, 0, 0, b"x") * 50_000, ""),
    "empty-data": ("empty_frames", h2.frame(h2.DATA, 0, 1) * 50_000, "open"),
}


@pytest.mark.parametrize("what", FLOODS)
async def test_a_flood_of_frames_is_calmed(victim, what) -> None:
    kind, data, opened = FLOODS[what]
    labels = {"transport": "grpc", "kind": kind}
    async with survived(victim), counted(victim, "hostile", **labels):
        assert await flood(victim, data, opened=opened) in _calm(victim)


async def test_tiny_window_updates_are_endured(victim) -> None:
    """They are what slow readers send, cost no more than they weigh, and nothing is kept."""
    async with survived(victim):
        outcome = await flood(victim, h2.window_update(0, 1) * 100_000)
        assert outcome in {"alive", *_calm(victim)}


async def test_an_hpack_bomb_does_not_go_off(victim) -> None:
    """4 KB go into the table once, and are named sixteen thousand times: 64 MB of fields."""
    entry = h2.literal(b"x-long", b"y" * 4000, 0x40)
    bomb = entry + h2.BLOCK + b"\xbe" * 12_000
    labels = {"transport": "grpc", "kind": "header_list"}
    async with survived(victim), counted(victim, "hostile", **labels):
        before = victim.look()
        outcome = await flood(victim, h2.frame(h2.HEADERS, BLOCK_END, 1, bomb))
        assert outcome in {"alive", *CALM, *_calm(victim)}
        assert victim.look() - before < 40


async def test_half_open_connections_are_closed(victim) -> None:
    beginnings = {
        "http-nothing": (victim.http, b""),
        "http-head": (victim.http, b"POST /v1/metrics HTTP/1.1\r\nHost:"),
        "http-body": (victim.http, http_cases.post(SMALL)[:-5]),
    }
    if victim.door == "lean":
        beginnings |= {
            "grpc-nothing": (victim.grpc, b""),
            "grpc-preface": (victim.grpc, h2.PREFACE[:10]),
            "grpc-header-block": (
                victim.grpc,
                h2.PREFACE + h2.settings() + h2.frame(h2.HEADERS, 0, 1, h2.BLOCK),
            ),
            "grpc-frame": (victim.grpc, h2.PREFACE + h2.settings() + h2.lying(100, h2.HEADERS)),
        }
    async with (
        survived(victim),
        counted(victim, "timeouts", transport="http"),
        counted(victim, "timeouts", transport="grpc"),
        asyncio.TaskGroup() as tasks,
    ):
        for name, (port, data) in beginnings.items():
            for _ in range(20):
                tasks.create_task(_closed(name, port, data))
    ended = await victim.total("headgate_gateway_connections")
    assert ended < 20


async def _closed(name: str, port: int, data: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(HOSTILE, 0))
    writer.write(data)
    try:
        async with asyncio.timeout(WITHIN / 2):
            while await reader.read(65536):
                pass
    except ConnectionError:
        return
    except TimeoutError:
        pytest.fail(f"{name} stays open")
    finally:
        writer.close()


async def test_slow_senders_are_told_off_and_nobody_waits_for_them(victim) -> None:
    """One byte at a time, in heads and in bodies."""
    loop = asyncio.get_running_loop()

    async def trickle(port: int, at_once: bytes, slowly: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(HOSTILE, 0))
        writer.write(at_once)
        end = loop.time() + WITHIN / 2
        answer = b""
        try:
            for n in range(len(slowly)):
                writer.write(slowly[n : n + 1])
                try:
                    async with asyncio.timeout(0.05):
                        piece = await reader.read(65536)
                except TimeoutError:
                    piece = None
                if piece == b"":
                    return answer
                answer += piece or b""
                assert loop.time() < end, "a slow sender may go on for ever"
        except ConnectionError:
            return answer
        finally:
            writer.close()
        pytest.fail("a slow sender got through")

    body = points.request([1.0] * 500)
    head = http_cases.head(http_cases.length(body))
    lean = victim.door == "lean"
    async with (
        survived(victim),
        counted(victim, "timeouts", transport="http"),
        counted(victim, "timeouts", transport="grpc"),
        asyncio.TaskGroup() as tasks,
    ):
        told = [tasks.create_task(trickle(victim.http, head, body)) for _ in range(10)]
        tasks.create_task(trickle(victim.http, b"", http_cases.head(*[b"X-A: b"] * 200)))
        if lean:
            greeting = h2.PREFACE + h2.settings() + h2.headers(1)
            frames = h2.frame(h2.DATA, h2.END_STREAM, 1, h2.message(body))
            for _ in range(10):
                tasks.create_task(trickle(victim.grpc, greeting, frames))
        for _ in range(20):
            began = loop.time()
            assert await post(victim, http_cases.post(SMALL)) == "200"
            assert await call(victim, *grpc_cases.call(h2.message(SMALL))) == "OK"
            assert loop.time() - began < WITHIN / 5
    assert all(b" 408 " in each.result() for each in told)


async def test_clients_that_take_no_answers_hold_a_bounded_number_of_them(victim) -> None:
    """A window of nothing: every answer with a body has to wait, and streams run out."""
    async with survived(victim):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", victim.grpc, local_addr=(HOSTILE, 0)
        )
        check = h2.block(h2.request(path=h2.HEALTH))
        requests = b"".join(
            [
                h2.headers(n, check) + h2.frame(h2.DATA, h2.END_STREAM, n, bytes(5))
                for n in range(1, 2001, 2)
            ]
        )
        writer.write(h2.PREFACE + h2.settings((4, 0)) + requests)
        before = victim.look()
        assert await post(victim, http_cases.post(SMALL)) == "200"
        assert victim.look() - before < 20
        writer.transport.abort()
        reader.feed_eof()
