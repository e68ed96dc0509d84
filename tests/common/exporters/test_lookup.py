"""Names are looked up, each for itself: one that hangs holds nobody up."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from common.config.shared import Tls
from common.exporters import credentials, grpc_answers, grpc_channel, http_posting
from common.exporters.http_posting import Answer
from common.exporters.lookup import Lookup, Resolver
from common.exporters.outcomes import Retry
from common.service import address
from tests.fakes import backends

pytestmark = pytest.mark.wallclock
MANY = 40  # more than an event loop has threads


class Names:
    """The system's resolver: names that begin with ``stuck`` hang until `let_go` is set."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked = Counter[str]()
        self._real = socket.getaddrinfo

    def __call__(self, host: str, port: int, *more: int):
        if not host.endswith(".test") or more[-1] & socket.AI_NUMERICHOST:
            return self._real(host, port, *more)
        self.asked[host] += 1
        if host.startswith("stuck"):
            assert self.let_go.wait(20.0)
        if host.startswith("nobody"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self._real("127.0.0.1", port, *more)


@pytest.fixture
def names(monkeypatch) -> Iterator[Names]:
    found = Names()
    monkeypatch.setattr(socket, "getaddrinfo", found)
    yield found
    found.let_go.set()


async def give_up(lookup: Lookup, host: str) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.005):
            await lookup.find(host, 80)


async def test_a_name_leads_to_addresses_or_to_an_error_in_words(names: Names) -> None:
    lookup = Lookup()
    ((family, kind, _, _, where),) = await lookup.find("backend.test", 80)
    assert (family, kind, where) == (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 80))
    for _ in range(2):
        with pytest.raises(OSError, match="not known"):
            await lookup.find("nobody.test", 80)
    with pytest.raises(UnicodeError):
        await lookup.find("otel..test", 80)
    assert names.asked == {"backend.test": 1, "nobody.test": 2}


@pytest.mark.parametrize("host", ["127.0.0.3", "::1"])
async def test_an_address_needs_no_lookup(names: Names, host: str) -> None:
    ((*_, where),) = await Lookup().find(host, 80)
    assert where[:2] == (host, 80)
    assert not names.asked


async def test_who_asks_while_a_lookup_hangs_waits_for_its_answer(names: Names) -> None:
    lookup = Lookup()
    for _ in range(3):
        await give_up(lookup, "stuck.test")
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(lookup.find("stuck.test", 80)) for _ in range(2)]
        names.let_go.set()
    assert names.asked["stuck.test"] == 1
    assert [task.result()[0][4] for task in waiting] == [("127.0.0.1", 80)] * 2
    await lookup.find("stuck.test", 80)
    assert names.asked["stuck.test"] == 2, "an answer serves those who waited for it"


@pytest.mark.usefixtures("names")
async def test_names_that_hang_hold_up_no_other() -> None:
    for number in range(MANY):
        await give_up(Lookup(), f"stuck{number}.test")
    async with asyncio.timeout(10):
        assert await Lookup().find("backend.test", 80)


@pytest.mark.usefixtures("names")
async def test_destinations_that_cannot_be_looked_up_do_not_delay_another() -> None:
    """Through both clients: `MANY` whose names hang, and then one that is well."""

    def posting(url: str, patience: float):
        return http_posting.posting(
            url,
            headers={},
            proof=credentials.Asked(dict),
            attempt_timeout=patience,
            tls=Tls(),
        )

    async with AsyncExitStack() as stack:
        backend = await stack.enter_async_context(backends.http())
        port = backend.url.rpartition(":")[2]
        for number in range(MANY // 2):
            stuck = await stack.enter_async_context(posting(f"http://stuck-h{number}.test", 0.005))
            assert isinstance(await stuck.post(b"x"), Retry)
            where = address.Address(f"stuck-g{number}.test", 4317)
            channel = await stack.enter_async_context(grpc_channel.opened(where, None, "a"))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.005):
                    await channel.call(b"", b"", b"")
        well = await stack.enter_async_context(posting(f"http://well.test:{port}", 10.0))
        assert isinstance(await well.post(b"x"), Answer)
        async with grpc_channel.opened(address.Address("nobody.test", 1), None, "a") as channel:
            answer = await channel.call(b"", b"", b"")
    assert (answer.code, "not known" in answer.message) == (grpc_answers.UNAVAILABLE, True)


async def test_an_address_of_one_link_keeps_its_interface(monkeypatch) -> None:
    def one(*_: object) -> list[object]:
        where = ("fe80::1", 80, 0, 3)
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", where)]

    monkeypatch.setattr(socket, "getaddrinfo", one)
    resolver = Resolver(Lookup())
    (found,) = await resolver.resolve("link.test", 80)
    await resolver.close()
    assert (found["host"], found["port"], found["hostname"]) == ("fe80::1%3", 80, "link.test")


def test_an_answer_that_comes_after_the_end_is_nobodys(monkeypatch) -> None:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    asyncio.run(give_up_one())
    names.let_go.set()
    for thread in threading.enumerate():
        if thread.name == "look up stuck.test":
            thread.join(10.0)
            assert not thread.is_alive()


async def give_up_one() -> None:
    await give_up(Lookup(), "stuck.test")
