"""The configuration changes, requests go on, and no point is lost on the way."""

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from common.config import gateway, shared
from common.enrichment import attributes, enricher, pods
from common.exporters import delivery
from common.exporters.outcomes import Batch, Delivered, Encoding, Exporter, Request, Verdict
from common.service.ledger import DropReason, Ledger
from common.service.settings import Problem, SettingsError
from gateway import pipelines
from gateway.accounts import Accounts
from gateway.intake import Intake
from tests.gateway import samples


def pipeline(name: str = "a", *, port: int = 1, **other) -> gateway.Pipeline:
    otlp = gateway.OtlpOutput(endpoint=f"http://backend:{port}")
    return gateway.Pipeline(name=name, output=gateway.Output(otlp=otlp), **other)


@dataclass
class Backends(Exporter):
    """Destinations that are real but for the network; remembers which were entered and left."""

    log: list[str] = field(default_factory=list)
    arrived: int = 0
    wait: float = 0.01  # seconds that a backend takes to answer
    broken: str = ""

    def encode(self, batch: Batch) -> Encoding:
        return Encoding(requests=(Request(body=batch.body, points=batch.points),))

    def renew(self, output: gateway.Output) -> None:
        self.log.append(f"={output.otlp.headers['key']}")

    async def send(self, request: Request) -> Verdict:
        await asyncio.sleep(self.wait)
        self.arrived += request.points
        return Delivered()

    @asynccontextmanager
    async def enter(self, config: gateway.Pipeline, ledger: Ledger):
        where = config.output.otlp.endpoint.rpartition(":")[2]
        if where == self.broken:
            raise SettingsError([Problem("output.otlp.tls.ca_file", "is not there")])
        self.log.append(f"+{config.name}{where}")
        async with delivery.delivering(
            config.name,
            self,
            ledger,
            batching=config.batch,
            retrying=config.retry,
            queue_bytes=config.queue_bytes,
            random=lambda: 0.5,
        ) as destination:
            yield destination
        self.log.append(f"-{config.name}{where}")


@asynccontextmanager
async def started(backends: Backends, accounts: Accounts):
    heart = Intake(enricher.Enricher(attributes.Rules(), pods.PodIndex(), 1 << 20))
    async with pipelines.running(backends.enter, accounts, heart) as running:
        yield running, heart


async def test_unchanged_destinations_are_kept_and_new_ones_entered() -> None:
    backends = Backends()
    async with started(backends, Accounts()) as (running, heart):
        await running.apply([pipeline("a"), pipeline("b")])
        await running.apply([pipeline("b"), pipeline("c"), pipeline("a")])
        assert backends.log == ["+a1", "+b1", "+c1"]
        assert [route.name for route in heart.routes.pipelines] == ["b", "c", "a"]
        assert heart.routes.generation == 2


async def test_a_changed_secret_is_told_to_the_destination_which_is_kept() -> None:
    def keyed(secret: str, **other: object) -> gateway.Pipeline:
        otlp = gateway.OtlpOutput(endpoint="http://backend:1", headers={"key": secret})
        return gateway.Pipeline(name="a", output=gateway.Output(otlp=otlp), **other)

    backends = Backends()
    async with started(backends, Accounts()) as (running, _):
        await running.apply([keyed("one")])
        await running.apply([keyed("one"), pipeline("b")])
        await running.apply([keyed("two")])
        assert running.running[0].config == keyed("two")
        await running.apply([keyed("two")])
        assert [entry for entry in backends.log if entry[1:] != "b1"] == ["+a1", "=two"]
        # A new destination has the new secret from its beginning, and the former until its end.
        await running.apply([keyed("three", queue_bytes=1 << 20)])
        assert [entry for entry in backends.log if "b" not in entry] == [
            "+a1",
            "=two",
            "+a1",
            "=three",
        ]


async def test_a_secret_stays_when_another_destination_cannot_be_entered() -> None:
    def keyed(secret: str) -> gateway.Pipeline:
        otlp = gateway.OtlpOutput(endpoint="http://backend:1", headers={"key": secret})
        return gateway.Pipeline(name="a", output=gateway.Output(otlp=otlp))

    backends = Backends(broken="2")
    async with started(backends, Accounts()) as (running, _):
        await running.apply([keyed("one")])
        with pytest.raises(SettingsError):
            await running.apply([keyed("two"), pipeline("b", port=2)])
        assert backends.log == ["+a1"]
        assert running.running[0].config == keyed("one")


async def test_a_changed_filter_keeps_the_destination() -> None:
    backends = Backends()
    off = gateway.Inputs(otlp=gateway.Input(enabled=False))
    async with started(backends, Accounts()) as (running, heart):
        await running.apply([pipeline("a")])
        await running.apply([pipeline("a", inputs=off)])
        heart.take(samples.request(), None, trusted=False)
        assert backends.log == ["+a1"]
        assert running.running[0].ledger.filtered["input_disabled"] == 1


async def test_a_changed_destination_is_replaced_and_the_old_one_drained_beside() -> None:
    backends, accounts = Backends(wait=10.0), Accounts()
    async with started(backends, accounts) as (running, heart):
        await running.apply([pipeline("a", port=1)])
        heart.take(samples.request(points=3), None, trusted=False)
        await running.apply([pipeline("a", port=2)])
        heart.take(samples.request(points=4), None, trusted=False)
        await asyncio.sleep(1)
        assert (backends.log, running.draining) == (["+a1", "+a2"], 1)
        await asyncio.sleep(30)
        assert (backends.log, running.draining) == (["+a1", "+a2", "-a1"], 0)
    assert backends.log[-1] == "-a2"
    assert accounts.of("a").delivered == backends.arrived == 7


async def test_a_destination_that_cannot_be_entered_changes_nothing() -> None:
    backends = Backends(broken="9")
    async with started(backends, Accounts()) as (running, heart):
        await running.apply([pipeline("a")])
        before = heart.routes
        with pytest.raises(SettingsError, match=r"pipelines\[c\].output.otlp.tls.ca_file: is not"):
            await running.apply([pipeline("b"), pipeline("c", port=9)])
        assert heart.routes is before
        await asyncio.sleep(1)
        assert backends.log == ["+a1", "+b1", "-b1"]
        heart.take(samples.request(), None, trusted=False)
    assert backends.arrived == 1


async def test_the_number_of_destinations_being_emptied_is_bounded() -> None:
    backends = Backends(wait=1000.0)
    async with started(backends, Accounts()) as (running, heart):
        with pytest.raises(SettingsError, match="still being emptied"):  # noqa: PT012 - which one does is not the point
            for port in range(1, 100):
                await running.apply([pipeline("a", port=port)])
                heart.take(samples.request(), None, trusted=False)
                await asyncio.sleep(0.1)
        assert running.draining == pipelines.MAX_DRAINING
        await asyncio.sleep(2000)
        await running.apply([pipeline("a", port=1)])


async def test_leaving_by_an_exception_books_what_was_held() -> None:
    accounts = Accounts()
    with pytest.raises(ExceptionGroup):  # noqa: PT012 - the block is what fails
        async with started(Backends(wait=1000.0), accounts) as (running, heart):
            await running.apply([pipeline("a")])
            heart.take(samples.request(points=3), None, trusted=False)
            await running.apply([pipeline("b")])
            heart.take(samples.request(points=4), None, trusted=False)
            raise RuntimeError
    assert accounts.of("a").dropped[DropReason.SHUTDOWN] == 3
    assert accounts.of("b").dropped[DropReason.SHUTDOWN] == 4


async def test_requests_during_fifty_reloads_are_all_delivered() -> None:
    chance = random.Random(5)
    backends, accounts = Backends(), Accounts()
    batch = shared.Batching(linger=0.05)
    sent = 0
    async with started(backends, accounts) as (running, heart):
        await running.apply([pipeline("a", batch=batch), pipeline("b", batch=batch)])

        async def push() -> None:
            nonlocal sent
            for _ in range(1000):
                points = chance.randint(1, 5)
                heart.take(samples.request(points=points), None, trusted=False)
                sent += points
                await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(push())
            for _ in range(50):
                await asyncio.sleep(0.2)
                port = chance.randint(1, 3)
                wanted = [pipeline("a", port=port, batch=batch), pipeline("b", batch=batch)]
                await running.apply(chance.sample(wanted, 2))
                assert accounts.audit() == []
    for name in "ab":
        ledger = accounts.of(name)
        assert (ledger.received, ledger.delivered, ledger.held) == (sent, sent, 0)
    assert backends.arrived == 2 * sent
    assert len(backends.log) > 20
