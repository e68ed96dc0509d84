"""Whatever a target does, it costs itself a scrape, is explained, and no other target notices."""

import asyncio
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count, repeat
from pathlib import Path

import pytest
from backports import zstd

from agent import targets
from agent.exposition import model
from agent.scraping import credentials, loop as scraping
from agent.scraping.response import Cause
from agent.scraping.state import Health, State
from agent.scraping.terms import Terms
from common.config import agent as config, shared
from common.service import clock
from tests.agent.exposer import HANG, HANG_UP, Exposer, Say, exposing, page
from tests.fakes import certificates

pytestmark = pytest.mark.wallclock

INTERVAL, TIMEOUT = 0.5, 0.4
MAX_BYTES = 1 << 20
TEXT = b"Content-Type: text/plain; version=0.0.4\r\n"
OK = b"HTTP/1.1 200 OK\r\n" + TEXT
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = page(b"# TYPE a gauge\na 1\n")
MEGABYTE = b"x 1\n" * (1 << 18)


def gzip_bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()


def zstd_bomb() -> bytes:
    packer = zstd.ZstdCompressor()
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()


@dataclass(frozen=True)
class Streaming:
    """Answers every request with *head*, and then with one of *pieces* every *pause* seconds.

    It does not stop before the other side does, and never sends faster than that side reads.
    """

    head: bytes
    piece: Callable[[int], bytes]
    pause: float = 0.0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.head)
            for number in count():
                writer.write(self.piece(number))
                await writer.drain()
                if self.pause:
                    await asyncio.sleep(self.pause)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.transport.abort()


@asynccontextmanager
async def streaming(script: Streaming) -> AsyncIterator[Exposer]:
    where = Exposer([])
    open_tasks: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as tasks:

        def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = tasks.create_task(script.answer(reader, writer))
            open_tasks.add(task)
            task.add_done_callback(open_tasks.discard)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        where.port = server.sockets[0].getsockname()[1]
        try:
            yield where
        finally:
            server.close()
            for task in open_tasks:
                task.cancel()


def target(url: str, job: str, profile: str = "") -> targets.Target:
    return targets.Target(
        url=url, job=job, instance=url.partition("://")[2].partition("/")[0], subject=job,
        attributes=(), interval=INTERVAL, timeout=TIMEOUT, kind="static", credentials=profile,
    )  # fmt: skip


async def suffer(
    evil: str, *, rounds: int = 2, document: config.Agent | None = None, profile: str = ""
) -> tuple[State, scraping.Loop]:
    """Scrape *evil* beside a good target until it had *rounds* scrapes.

    The good one must not have missed a tick by then, nor have failed.
    """
    taken = asyncio.Event()
    loops: list[scraping.Loop] = []

    def offer(*_: object) -> bool:
        taken.set()
        return True

    terms = Terms(
        max_body_bytes=MAX_BYTES,
        max_concurrency=10,
        max_fetching_bytes=2 * MAX_BYTES,
        max_redirects=3,
        max_leaving=10,
        limits=model.Limits(samples=1000),
        version="1",
        credentials=credentials.profiles(
            document or config.Agent(), asyncio.get_running_loop().time
        ),
        wall=clock.unix_nanoseconds,
        stopwatch=time.perf_counter,
    )
    async with exposing(GOOD) as good, scraping.scraping(terms, offer) as loop:
        loops.append(loop)
        wanted = [target(good.url, "good"), target(evil, "evil", profile)]
        loop.update({one.url: one for one in wanted})
        async with asyncio.timeout(30):
            while scrapes(loop) < 2 * rounds or min(map(seen, loop.states)) == 0:
                taken.clear()
                await taken.wait()
        (fine,) = [state for state in loop.states if state.target.job == "good"]
        (bad,) = [state for state in loop.states if state.target.job == "evil"]
        assert (fine.health, fine.error, fine.late) == (Health.UP, "", 0)
        assert loop.counts.scrapes["up"] >= rounds
        assert loop.room.used <= 2 * MAX_BYTES
    return bad, loops[0]


def scrapes(loop: scraping.Loop) -> int:
    return sum(loop.counts.scrapes.values())


def seen(state: State) -> int:
    return state.last_scrape


SAYING = [
    ("a gigabyte promised", Say(OK + b"Content-Length: 1000000000\r\n\r\n" + MEGABYTE),
     Cause.TOO_LARGE, "too large: the body has 1000000000 bytes, more than 1048576 bytes; raise"),
    ("accepts and never answers", HANG,
     Cause.TIMEOUT, "timeout: no complete answer within 0.4 s (no answer came): does that port"),
    ("promises more than it has", Say(OK + b"Content-Length: 99\r\n\r\na 1\n"),
     Cause.TIMEOUT, "timeout: no complete answer within 0.4 s (4 bytes of the body came): does"),
    ("closes mid-way", Say(OK + b"Content-Length: 99\r\n\r\na 1\n", close=True),
     Cause.CLOSED_EARLY, "closed early: the connection was closed before the response was"),
    ("hangs up", HANG_UP, Cause.CLOSED_EARLY, "closed early: "),
    ("chunks of garbage", Say(CHUNKED + b"zz\r\nno chunk\r\n"),
     Cause.NOT_HTTP, "not an HTTP/1.1 response: Invalid character in chunk size"),
    ("two lengths", Say(OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\na 1\n"),
     Cause.NOT_HTTP, "not an HTTP/1.1 response: "),
    ("not HTTP at all", Say(b"\x00\xff" * 500), Cause.NOT_HTTP, "not an HTTP/1.1 response: "),
    ("a wrong encoding", page(b"a 1\n", b"Content-Encoding: gzip"),
     Cause.NOT_HTTP, "content encoding gzip: "),
    ("an unknown encoding", page(b"a 1\n", b"Content-Encoding: br"),
     Cause.NOT_HTTP, "content encoding br: unknown encoding 'br'; use one of "),
    ("a gzip bomb", page(gzip_bomb(), b"Content-Encoding: gzip"),
     Cause.TOO_LARGE, "too large: the body has more than 1048576 bytes; raise"),
    ("a zstd bomb", page(zstd_bomb(), b"Content-Encoding: zstd"),
     Cause.TOO_LARGE, "too large: the body has more than 1048576 bytes; raise"),
    ("invalid UTF-8", page(b'a{b="\xff\xfe"} 1\n'), Cause.MALFORMED, "line 1, "),
    ("a label twice", page(b'a 1\nb{c="1",c="2"} 1\n'),
     Cause.MALFORMED, "line 2, byte 6: a label name is empty, reserved or repeated"),
    ("too many samples", page(b"".join(b"a%d 1\n" % n for n in range(1001))),
     Cause.TOO_LARGE, "1001 samples exceed the limit of 1000"),
    ("a circle of redirects", page(b"", b"Location: /metrics", status=b"301 Moved"),
     Cause.REDIRECT, "status 301 Moved: it redirects in a circle: /metrics -> /metrics"),
    ("a redirect to the cloud's secrets",
     page(b"", b"Location: http://169.254.169.254/latest/", status=b"302 Found"),
     Cause.REDIRECT, "status 302 Found: it redirects to http://169.254.169.254/latest/, but only"),
    ("a page for people", page(b"<html><body>hello"),
     Cause.MALFORMED, "line 1, "),
]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "cause", "why"), [case[1:] for case in SAYING], ids=[case[0] for case in SAYING]
)
async def test_what_a_target_says_costs_nobody_else_a_tick(
    said: Say, cause: Cause, why: str
) -> None:
    async with exposing(said) as evil:
        found, loop = await suffer(evil.url)
    assert found.cause is cause
    assert why in found.error
    assert found.error.isprintable()
    assert found.failures == loop.counts.scrapes[cause] >= 1


STREAMING = [
    ("a gigabyte in chunks", Streaming(CHUNKED, lambda _: b"100000\r\n" + MEGABYTE + b"\r\n"),
     Cause.TOO_LARGE, "too large: the body has more than 1048576 bytes"),
    ("a gigabyte without a length", Streaming(OK + b"\r\n", lambda _: MEGABYTE),
     Cause.TOO_LARGE, "too large: the body has more than 1048576 bytes"),
    ("a byte now and then", Streaming(OK + b"\r\n", lambda _: b"a", pause=0.05),
     Cause.TIMEOUT, "timeout: no complete answer within 0.4 s ("),
    ("headers that never end", Streaming(OK, lambda n: b"X-%d: y\r\n" % n * 1000),
     Cause.TOO_LARGE, "headers exceed the limit of 65536 bytes"),
    ("one header that never ends", Streaming(OK + b"X: ", lambda _: b"y" * 10_000),
     Cause.TOO_LARGE, "headers exceed the limit of 65536 bytes"),
    ("a header now and then", Streaming(OK, lambda n: b"X-%d: y\r\n" % n, pause=0.05),
     Cause.TIMEOUT, "bytes of headers came"),
    ("tiny chunks without end", Streaming(CHUNKED, lambda _: b"1;%s\r\nx\r\n" % (b"e" * 900)),
     Cause.TOO_LARGE, "headers exceed the limit of 65536 bytes"),
    ("early hints without end", Streaming(b"", lambda _: b"HTTP/1.1 103 Early Hints\r\n\r\n" * 99),
     Cause.TOO_LARGE, "headers exceed the limit of 65536 bytes"),
    ("a redirect whose page never ends",
     Streaming(b"HTTP/1.1 302 Found\r\nLocation: /metrics\r\n\r\n", lambda _: b"x" * 10_000),
     Cause.REDIRECT, "it redirects in a circle"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "cause", "why"),
    [case[1:] for case in STREAMING],
    ids=[case[0] for case in STREAMING],
)
async def test_what_never_ends_is_ended(script: Streaming, cause: Cause, why: str) -> None:
    async with streaming(script) as evil:
        found, _ = await suffer(evil.url)
    assert found.cause is cause
    assert why in found.error


async def test_a_target_that_says_more_than_it_promised_is_read_as_promised() -> None:
    lie = Say(OK + b"Content-Length: 4\r\n\r\na 1\nb 2\nc 3\n")
    async with exposing(lie) as evil:
        found, _ = await suffer(evil.url)
    assert (found.health, found.samples, found.bytes) == (Health.UP, 1, 4)
    assert evil.connections >= 2  # what came behind could not be told from an answer


async def test_tls_where_http_is_expected_and_the_other_way_round(tmp_path: Path) -> None:
    files = certificates.write(tmp_path, "localhost")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(files.certificate, files.key)
    async with exposing(GOOD, tls=server) as evil:
        found, _ = await suffer(evil.url)
        assert found.cause in {Cause.CLOSED_EARLY, Cause.NOT_HTTP}
        assert found.error.endswith(": is it https? see the target's url in static_targets")
        unknown, _ = await suffer(f"https://localhost:{evil.port}/metrics")
        assert unknown.cause is Cause.TLS
        assert unknown.error == (
            "tls: unable to get local issuer certificate: name its authority in "
            "inputs.prometheus.tls.ca_file, or set inputs.prometheus.tls.insecure_skip_verify"
        )
        trusting = config.Agent(
            static_targets=(
                config.StaticTarget(url="http://x", tls=shared.Tls(ca_file=str(files.authority))),
            )
        )
        known, _ = await suffer(
            f"https://localhost:{evil.port}/metrics", document=trusting, profile="static:0"
        )
        assert (known.health, known.samples) == (Health.UP, 1)
    hello = b"\x16\x03\x01"
    async with exposing(Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), end=hello) as evil:
        plain, _ = await suffer(f"https://127.0.0.1:{evil.port}/metrics")
    assert plain.cause is Cause.TLS
    assert "does the target speak plain http?" in plain.error


async def test_many_that_drip_large_bodies_leave_room_for_the_small_ones() -> None:
    # Each of them holds as much as it promised, and there is room for two.
    promise = OK + b"Content-Length: %d\r\n\r\n" % MAX_BYTES
    async with AsyncExitStack() as stack:
        drip = Streaming(promise, lambda _: b"x" * 1000, pause=0.05)
        evil = [await stack.enter_async_context(streaming(drip)) for _ in repeat(None, 6)]
        good = await stack.enter_async_context(exposing(GOOD))
        done = asyncio.Event()
        terms = Terms(
            max_body_bytes=MAX_BYTES, max_concurrency=10, max_fetching_bytes=2 * MAX_BYTES,
            max_redirects=0, max_leaving=1, limits=model.Limits(), version="1",
            credentials=credentials.profiles(config.Agent(), asyncio.get_running_loop().time),
            wall=clock.unix_nanoseconds, stopwatch=time.perf_counter,
        )  # fmt: skip

        def offer(*_: object) -> bool:
            done.set()
            return True

        loop = await stack.enter_async_context(scraping.scraping(terms, offer))
        wanted = [target(good.url, "good")]
        wanted += [target(one.url, f"evil{n}") for n, one in enumerate(evil)]
        loop.update({one.url: one for one in wanted})
        async with asyncio.timeout(30):
            while loop.counts.scrapes["up"] < 4:
                done.clear()
                await done.wait()
                assert loop.room.used <= 2 * MAX_BYTES
        (fine,) = [state for state in loop.states if state.target.job == "good"]
        assert (fine.health, fine.late) == (Health.UP, 0)
        assert loop.counts.scrapes[Cause.TIMEOUT] + loop.counts.scrapes[Cause.NO_ROOM] > 0
