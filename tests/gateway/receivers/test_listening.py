"""Connections reach a door's protocols, as many as it has room for, on both event loops."""

import asyncio
import socket

import pytest

from common.config.doors import Proxies, ServerTls
from common.service.settings import SettingsError
from gateway.receivers import listening as module
from gateway.receivers.listening import Sockets, listening
from tests.gateway.receivers import connecting
from tests.gateway.receivers.connecting import Room, connected, greeted, run, shut_out

pytestmark = [pytest.mark.wallclock, pytest.mark.parametrize("loop", connecting.LOOPS)]
# The plain way, and the way by the desk (which a PROXY header or TLS need), must do the same.
WAYS = {
    "plain": Proxies(),
    "desk": Proxies(trusted=("192.0.2.0/24",), proxy_protocol=True),
}
ways = pytest.mark.parametrize("proxies", WAYS.values(), ids=WAYS)


@ways
@pytest.mark.parametrize("kind", [connecting.Echo, connecting.BufferedEcho])
def test_a_connection_gets_a_protocol_that_knows_its_address(loop, proxies, kind) -> None:
    async def main() -> None:
        async with Room(kind).open(proxies=proxies) as room:
            async with connected(room.port) as (reader, writer):
                assert await reader.readline() == b"127.0.0.1\n"
                writer.write(b"x" * 100_000)
                assert await reader.readexactly(100_000) == b"x" * 100_000
                assert room.traffic.connections == 1
            await room.until(lambda: room.traffic.connections == 0)
            assert not room.inside

    run(loop, main)


@ways
@pytest.mark.parametrize(
    ("listen", "host", "peer"),
    [
        (":0", "127.0.0.1", "127.0.0.1"),
        ("localhost:0", "127.0.0.1", "127.0.0.1"),
        ("[::1]:0", "::1", "::1"),
        ("[::]:0", "::1", "::1"),
        ("[::]:0", "127.0.0.1", "127.0.0.1"),  # whatever the default of the machine is
    ],
)
def test_names_and_both_kinds_of_addresses_can_be_listened_on(
    loop, proxies, listen, host, peer
) -> None:
    async def main() -> None:
        async with Room().open(listen, proxies=proxies) as room:
            assert await greeted(room.port, host=host) == peer

    run(loop, main)


def test_one_port_stands_for_all_addresses_of_a_name(loop, monkeypatch) -> None:
    async def addresses(_: object) -> object:
        return [
            (socket.AF_INET6, ("::1", 0, 0, 0)),
            (socket.AF_INET, ("127.0.0.1", 0)),
            (socket.AF_INET, ("192.0.2.1", 0)),  # not of this machine
        ]

    async def main() -> None:
        async with Room().open("both:0") as room:
            for host in ("127.0.0.1", "::1"):
                assert await greeted(room.port, host=host) == host

    monkeypatch.setattr(module, "_addresses", addresses)
    run(loop, main)


@ways
def test_a_port_in_use_is_an_error_in_words(loop, proxies) -> None:
    async def main() -> None:
        async with Room().open(proxies=proxies) as room:
            words = (
                rf"cannot listen on 127\.0\.0\.1:{room.port}: address already in use; is another"
            )
            with pytest.raises(OSError, match=words):
                async with Room().open(f"127.0.0.1:{room.port}"):
                    pytest.fail("two doors at one port")
            assert await greeted(room.port)

    run(loop, main)


@pytest.mark.parametrize("listen", ["192.0.2.1:0", "nowhere.invalid:0"])
def test_an_address_that_is_not_ours_is_an_error_in_words(loop, listen) -> None:
    async def main() -> None:
        with pytest.raises(OSError, match=f"cannot listen on {listen}: "):
            async with Room().open(listen):
                pytest.fail("listens elsewhere")

    run(loop, main)


@ways
def test_processes_share_a_port_when_told_to(loop, proxies) -> None:
    async def main() -> None:
        async with (
            Room().open(proxies=proxies, reuse_port=True) as room,
            Room().open(f"127.0.0.1:{room.port}", proxies=proxies, reuse_port=True) as other,
        ):
            for _ in range(20):
                assert await greeted(other.port) == "127.0.0.1"

    run(loop, main)


@ways
def test_who_finds_no_place_is_told_so_and_counted(loop, proxies) -> None:
    async def main() -> None:
        room = Room()
        async with room.open(proxies=proxies, max_connections=2, full=b"full\n"):
            async with connected(room.port) as (reader, _), connected(room.port) as (other, _):
                assert await reader.readline() == await other.readline() == b"127.0.0.1\n"
                for _ in range(3):
                    assert await shut_out(room.port) == b"full\n"
                assert room.traffic.refused_connections == 3
                assert room.traffic.connections == 2
            await room.until(lambda: not room.inside)
            assert await greeted(room.port)
        assert room.traffic.refused_connections == 3

    run(loop, main)


@ways
def test_leaving_ends_accepting_but_not_what_is_inside(loop, proxies) -> None:
    async def main() -> None:
        room = Room()
        sockets = Sockets(proxies=proxies)
        serving = listening(
            "127.0.0.1:0", lambda peer: connecting.Echo(room, peer), sockets, room.traffic
        )
        async with serving as bound:
            stack = connected(bound.port)
            reader, writer = await stack.__aenter__()
            await reader.readline()
        with pytest.raises(OSError, match=r"[Cc]onnect"):
            await greeted(bound.port)
        writer.write(b"still here\n")
        assert await reader.readline() == b"still here\n"
        await stack.__aexit__(None, None, None)
        await room.until(lambda: room.traffic.connections == 0)

    run(loop, main)


def test_certificates_that_cannot_be_used_are_the_users_to_mend(loop, tmp_path) -> None:
    async def main() -> None:
        tls = ServerTls(cert_file=str(tmp_path / "none"), key_file=str(tmp_path / "none"))
        with pytest.raises(SettingsError, match=r"^listen\.tls\.cert_file: cannot read"):
            async with Room().open(tls=tls):
                pytest.fail("no certificate, and yet TLS")

    run(loop, main)


@ways
def test_a_crowd_is_served(loop, proxies) -> None:
    async def main() -> None:
        async with Room().open(proxies=proxies) as room:
            async with asyncio.TaskGroup() as clients:
                tasks = [clients.create_task(greeted(room.port)) for _ in range(100)]
            assert {task.result() for task in tasks} == {"127.0.0.1"}
            await room.until(lambda: room.traffic.connections == 0)

    run(loop, main)
