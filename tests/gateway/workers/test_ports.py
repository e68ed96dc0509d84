"""A reserved port is everybody's of ours, and nobody else's."""

import errno
import socket

import pytest

from gateway.workers import ports

pytestmark = pytest.mark.wallclock


def listening(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port), reuse_port=True)


def test_several_listen_on_a_reserved_port_and_all_connections_are_theirs() -> None:
    with (
        ports.reserved("127.0.0.1:0", "tests") as where,
        listening(*where) as one,
        listening(*where) as two,
    ):
        one.setblocking(False)
        two.setblocking(False)
        clients = [socket.create_connection(where, timeout=5) for _ in range(32)]
        taken = 0
        for server in (one, two):
            for _ in range(32):
                try:
                    server.accept()[0].close()
                except BlockingIOError:
                    break
                taken += 1
        for client in clients:
            client.close()
    assert taken == 32, "the reservation itself took one"


def test_the_port_is_free_afterwards() -> None:
    with ports.reserved("127.0.0.1:0", "tests") as where:
        pass
    with ports.reserved(str(where), "tests") as again:
        assert again == where


@pytest.mark.parametrize("shared", [True, False])
def test_a_port_that_somebody_listens_on_is_refused_even_if_it_could_be_shared(
    *, shared: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=shared) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(OSError, match=f"cannot listen on {where} for OTLP") as caught,
            ports.reserved(where, "OTLP"),
        ):
            pytest.fail("reserved")
    assert caught.value.errno == errno.EADDRINUSE


def test_a_host_that_is_not_ours_is_refused_in_words() -> None:
    with (
        pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1:4317 for OTLP"),
        ports.reserved("192.0.2.1:4317", "OTLP"),
    ):
        pytest.fail("reserved")


def test_what_the_block_raises_is_not_about_ports() -> None:
    with pytest.raises(OSError, match=r"^other$"), ports.reserved("127.0.0.1:0", "tests"):
        raise OSError("other")
