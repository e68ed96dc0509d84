"""What comes before a protocol: PROXY headers and TLS handshakes, within their time."""

import asyncio
import errno
import os
import socket
import ssl
from pathlib import Path

import pytest

from common.config.doors import Proxies, ServerTls
from gateway.receivers import arrivals, places, proxy_protocol
from tests.fakes import certificates
from tests.gateway.receivers import connecting
from tests.gateway.receivers.connecting import Room, connected, greeted, run, shut_out

pytestmark = [pytest.mark.wallclock, pytest.mark.parametrize("loop", connecting.LOOPS)]
TRUSTED = Proxies(trusted=("127.0.0.0/8",), proxy_protocol=True)
V1 = b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 4317\r\n"
V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x07\x0a\x00\x00\x01\x12\x67\x10\xdd"
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
LONG = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x0f\xf0" + V2[16:] + bytes(proxy_protocol.MAX - len(V2))
HEADERS = {
    "v1": (V1, "198.51.100.7"),
    "v2": (V2, "198.51.100.7"),
    "the longest": (LONG, "198.51.100.7"),
    "local": (LOCAL, "127.0.0.1"),
    "unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> certificates.Files:
    return certificates.write(tmp_path_factory.mktemp("tls"), "gateway")


def tls(files: certificates.Files, **more: str) -> ServerTls:
    return ServerTls(cert_file=str(files.certificate), key_file=str(files.key), **more)


def client(files: certificates.Files) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(files.authority))


@pytest.mark.parametrize(("header", "peer"), HEADERS.values(), ids=HEADERS)
def test_a_trusted_balancer_says_who_calls(loop, header: bytes, peer: str) -> None:
    async def main() -> None:
        async with Room().open(proxies=TRUSTED) as room:
            assert await greeted(room.port, first=header) == peer

    run(loop, main)


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_the_header_comes_before_the_handshake(loop, files, header: bytes) -> None:
    async def main() -> None:
        async with Room().open(proxies=TRUSTED, tls=tls(files)) as room:
            assert await greeted(room.port, context=client(files), first=header) == "198.51.100.7"
            assert await shut_out(room.port, context=client(files)) == b""
            assert room.traffic.hostile == {"proxy_header": 1}

    run(loop, main)


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_a_header_may_come_in_pieces_and_with_what_follows(loop, header: bytes) -> None:
    async def main() -> None:
        async with Room().open(proxies=TRUSTED) as room, connected(room.port) as (reader, writer):
            for i in range(len(header)):
                writer.write(header[i : i + 1])
                await asyncio.sleep(0)
            writer.write(b"first words\n")
            assert await reader.readline() == b"198.51.100.7\n"
            assert await reader.readline() == b"first words\n"

    run(loop, main)


def test_who_has_to_tell_and_does_not_is_refused_and_counted(loop) -> None:
    async def main() -> None:
        async with Room().open(proxies=TRUSTED) as room:
            for first in (b"POST /v1/metrics HTTP/1.1\r\n", b"PROXY TCP9 a b c d\r\n"):
                assert await shut_out(room.port, first) == b""
            assert room.traffic.hostile == {"proxy_header": 2}
            async with connected(room.port, first=V1[:20]):
                pass
            await room.until(lambda: room.traffic.hostile == {"proxy_header": 3})
            await room.until(lambda: room.traffic.connections == 0)

    run(loop, main)


def test_others_cannot_tell_tales(loop) -> None:
    async def main() -> None:
        proxies = Proxies(trusted=("192.0.2.0/24",), proxy_protocol=True)
        async with (
            Room().open(proxies=proxies) as room,
            connected(room.port, first=V1) as (reader, _),
        ):
            assert await reader.readline() == b"127.0.0.1\n"
            assert await reader.readline() == V1  # for the protocol to call garbage

    run(loop, main)


def test_probes_that_say_nothing_are_no_enemies(loop, files) -> None:
    async def main() -> None:
        for settings in ({"proxies": TRUSTED}, {"tls": tls(files)}):
            async with Room().open(**settings) as room:
                async with connected(room.port):
                    await room.until(lambda: room.traffic.connections == 1)
                await room.until(lambda: room.traffic.connections == 0)
                assert (room.traffic.hostile, room.traffic.timeouts) == ({}, {})

    run(loop, main)


@pytest.mark.parametrize(
    ("settings", "first", "kind"),
    [
        ({"proxies": TRUSTED}, b"", "proxy_header"),
        ({"proxies": TRUSTED}, V1[:-1], "proxy_header"),
        ({"proxies": TRUSTED}, V2[:20], "proxy_header"),
        ({"tls": True}, b"", "tls_handshake"),
        ({"tls": True}, b"\x16\x03\x01\x02\x00\x01", "tls_handshake"),
        ({"tls": True, "proxies": TRUSTED}, V1, "tls_handshake"),
    ],
)
def test_the_silent_and_the_slow_hold_their_place_no_longer_than_their_time(
    loop, files, settings, first: bytes, kind: str
) -> None:
    async def main() -> None:
        more = {"tls": tls(files)} if "tls" in settings else {}
        proxies = settings.get("proxies", Proxies())
        async with Room().open(
            proxies=proxies, max_connections=2, header_timeout=0.2, **more
        ) as room:
            async with connected(room.port, first=first) as (reader, _), connected(room.port):
                assert await shut_out(room.port, first) == b""
                assert room.traffic.refused_connections == 1
                assert await reader.read() == b""  # hung up on
            await room.until(lambda: room.traffic.connections == 0)
            assert room.traffic.timeouts[kind] >= 1
            assert not room.traffic.hostile
            context = client(files) if more else None
            begin = V1 if proxies.proxy_protocol else b""
            assert await greeted(room.port, context=context, first=begin)

    run(loop, main)


def test_a_header_that_does_not_go_on_costs_nothing_while_it_is_waited_for(
    loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that were seen must not stay where they make the socket readable."""
    looked = 0

    def parse(start: bytes) -> proxy_protocol.Parsed:
        nonlocal looked
        looked += 1
        return proxy_protocol.NeedMore() if start != V1 else proxy_protocol.Header(None, len(V1))

    async def main() -> None:
        async with Room().open(proxies=TRUSTED) as room, connected(room.port, first=V1[:9]) as both:
            reader, writer = both
            await room.until(lambda: looked == 1)
            for _ in range(50):
                await asyncio.sleep(0)
            assert looked == 1
            writer.write(V1[9:])
            assert await reader.readline() == b"127.0.0.1\n"
            assert looked == 2

    monkeypatch.setattr(proxy_protocol, "parse", parse)
    run(loop, main)


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", os.urandom(300), bytes(600)])
def test_what_is_no_handshake_is_counted(loop, files, garbage: bytes) -> None:
    async def main() -> None:
        async with Room().open(tls=tls(files), full=b"never in clear") as room:
            assert b"never" not in await shut_out(room.port, b"\x00" + garbage)
            await room.until(lambda: room.traffic.hostile == {"tls_handshake": 1})
            assert await greeted(room.port, context=client(files)) == "127.0.0.1"

    run(loop, main)


def test_nothing_is_said_in_clear_to_who_finds_no_place(loop, files) -> None:
    async def main() -> None:
        async with Room().open(tls=tls(files), max_connections=1, full=b"full") as room:
            async with connected(room.port, context=client(files)) as (reader, _):
                await reader.readline()
                assert await shut_out(room.port) == b""
            assert room.traffic.refused_connections == 1

    run(loop, main)


def test_the_protocol_agreed_on_is_the_doors(loop, files) -> None:
    async def main() -> None:
        async with Room().open(tls=tls(files), alpn=("h2",)) as room:
            context = client(files)
            context.set_alpn_protocols(["http/1.1", "h2"])
            async with connected(room.port, context=context) as (reader, writer):
                await reader.readline()
                assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
                inside = room.inside[0].transport.get_extra_info("ssl_object")
                assert inside.selected_alpn_protocol() == "h2"

    run(loop, main)


def test_leaving_drops_those_who_are_not_ready(loop, files) -> None:
    async def main() -> None:
        room = Room()
        async with room.open(tls=tls(files)):
            silent = connected(room.port)
            reader, _ = await silent.__aenter__()
            await room.until(lambda: room.traffic.connections == 1)
        assert await reader.read() == b""
        assert room.traffic.connections == 0
        await silent.__aexit__(None, None, None)

    run(loop, main)


class Exhausted(socket.socket):
    """A listening socket of a machine that ran out of something, for a while."""

    failures = (errno.EMFILE, errno.ECONNABORTED, errno.ENOMEM)

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            number, *self.failures = self.failures
            raise OSError(number, os.strerror(number))
        return super().accept()


def test_without_file_descriptors_it_waits_says_so_and_goes_on(
    loop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        room = Room()
        desk = arrivals.Desk(
            factory=lambda peer: connecting.Echo(room, peer),
            places=places.Places(5, room.traffic),
            certificates=None,
            networks=(),
            patience=1.0,
            full=b"",
        )
        with Exhausted() as listener:
            listener.setblocking(False)
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            async with asyncio.TaskGroup() as tasks:
                accepting = tasks.create_task(desk.accept(listener))
                assert await greeted(listener.getsockname()[1]) == "127.0.0.1"
                await room.until(lambda: room.traffic.connections == 0)
                accepting.cancel()

    monkeypatch.setattr(arrivals, "PAUSE", 0.01)
    run(loop, main)
    assert [record.getMessage() for record in caplog.records] == ["cannot accept connections"] * 2


def test_a_client_has_to_show_a_certificate_of_the_authority(loop, files, tmp_path: Path) -> None:
    async def main() -> None:
        others = certificates.write(tmp_path, "client")
        asked = tls(files, client_ca_file=str(others.authority))
        async with Room().open(tls=asked) as room:
            known, unknown, bare = (client(files) for _ in range(3))
            known.load_cert_chain(others.certificate, others.key)
            unknown.load_cert_chain(files.certificate, files.key)
            assert await greeted(room.port, context=known) == "127.0.0.1"
            for context in (unknown, bare):
                assert await shut_out(room.port, context=context) == b""
            await room.until(lambda: room.traffic.hostile == {"tls_handshake": 2})

    run(loop, main)
