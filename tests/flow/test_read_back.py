"""What real receivers hold is what senders pushed: every series, every sample, nothing else.

Three of them: Prometheus 2.42 and VictoriaMetrics 1.79, as Debian has them, and a strict receiver
of ours, which also sees the metadata that the other two throw away.
"""

import asyncio
import math
import operator
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import aiohttp
import grpc
import pytest
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest as Request,
)

from common.service import clock
from common.wire import compression
from tests.fakes import remote_write_rules, remote_write_v1
from tests.fakes.backends import METHOD
from tests.fakes.remote_write_rules import STALE
from tests.fakes.remote_write_v1 import GONE, Held, Labels, Native, Samples, Shown
from tests.flow import programs, read_back

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(120)]

Natives: TypeAlias = dict[int, Native | Shown]
"""Native histograms by milliseconds."""

RESOURCES = 12  # of each sender, beside those that lack something
WITHIN = 40.0  # seconds until everything is delivered


class Store(Protocol):
    """Something that takes remote write and tells what it holds."""

    @property
    def write_url(self) -> str: ...

    async def held(self) -> Held: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Strict:
    """Our own receiver."""

    receiver: remote_write_v1.Receiver

    @property
    def write_url(self) -> str:
        return self.receiver.url

    async def held(self) -> Held:
        problems = [problem for write in self.receiver.writes for problem in write.problems]
        assert problems == []
        held = Held()
        for write in self.receiver.taken:
            for series in write.series:
                held.add(series)
        for series in (*held.samples.values(), *held.histograms.values()):
            assert [*series] == sorted(series), "not in order of time"
        return held

    def metadata(self) -> dict[str, tuple[str, str, str]]:
        found: dict[str, tuple[str, str, str]] = {}
        for write in self.receiver.writes:
            for family, told in write.metadata.items():
                assert found.setdefault(family, told) == told
        return found


@asynccontextmanager
async def strict(_: Path) -> AsyncIterator[Strict]:
    async with remote_write_v1.receiving() as receiver:
        yield Strict(receiver=receiver)


def nearly(held: int, sent: int) -> bool:
    """Tell whether a value is what is left of another in a store of about twelve digits."""
    kept, meant = map(remote_write_rules.double, (held, sent))
    if STALE in {held, sent} or math.isinf(meant):
        return held == sent
    return math.isclose(kept, meant, rel_tol=1e-11, abs_tol=1e-300)


def as_shown(held: Shown, sent: Native) -> bool:
    """Tell whether a histogram is shown as another is meant."""
    meant = remote_write_v1.ranges(sent)
    return (
        (held.count, held.total) == (sent.count, remote_write_rules.double(sent.total))
        and len(held.ranges) == len(meant)
        and all(
            math.isclose(shown, there, rel_tol=1e-12)
            for pair in zip(held.ranges, meant, strict=True)
            for shown, there in zip(*pair, strict=True)
        )
    )


def without_gone(natives: Natives) -> Natives:
    """Leave out stale markers."""
    return {ms: native for ms, native in natives.items() if native != GONE}


def without_nan(samples: Samples) -> Samples:
    """Leave out every NaN but stale markers."""
    return {
        ms: bits
        for ms, bits in samples.items()
        if bits == STALE or not math.isnan(remote_write_rules.double(bits))
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Referee:
    """A receiver, and what it makes of samples all by itself."""

    store: Callable[[Path], AbstractAsyncContextManager[Store]]
    keeps: Callable[[Samples], Samples] = dict
    same: Callable[[Any, Any], bool] = operator.eq
    natives: Callable[[Natives], Natives] | None = dict  # None: it has no such histograms
    same_native: Callable[[Any, Any], bool] = operator.eq
    exemplars: bool = True


REFEREES = [
    pytest.param(Referee(store=strict), id="strict"),
    pytest.param(
        Referee(
            store=lambda folder: programs.prometheus(
                folder, features=("native-histograms", "exemplar-storage")
            ),
            natives=without_gone,
            same_native=as_shown,
        ),
        id="prometheus",
        marks=pytest.mark.needs_prometheus,
    ),
    pytest.param(
        # It has no NaN, and about twelve significant digits.
        Referee(
            store=programs.victoria_metrics,
            keeps=without_nan,
            same=nearly,
            natives=None,
            exemplars=False,
        ),
        id="victoria_metrics",
        marks=pytest.mark.needs_victoria_metrics,
    ),
]


class Pushing:
    """Both doors, through which the requests of a sender go one after the other."""

    def __init__(
        self,
        gateway: programs.Gateway,
        session: aiohttp.ClientSession,
        channel: grpc.aio.Channel,
    ) -> None:
        self._url, self._session = f"{gateway.http}/v1/metrics", session
        self._export = channel.unary_unary(METHOD)

    async def grpc(self, request: Request, n: int) -> None:
        how = grpc.Compression.Gzip if n % 3 == 1 else None
        answer = await self._export(request.SerializeToString(), compression=how, timeout=10)
        assert answer == b""

    async def http(self, request: Request, n: int) -> None:
        headers = {"Content-Type": "application/x-protobuf"}
        body = request.SerializeToString()
        if n % 3 == 1:
            body = compression.deflate(body, "gzip")
            headers["Content-Encoding"] = "gzip"
        elif n % 3 == 2:
            body = MessageToJson(request, use_integers_for_enums=True).encode()
            headers["Content-Type"] = "application/json"
        async with self._session.post(self._url, data=body, headers=headers) as answer:
            assert (answer.status, await answer.read()) in {(200, b""), (200, b"{}")}


@asynccontextmanager
async def pushing(gateway: programs.Gateway) -> AsyncIterator[Pushing]:
    where = gateway.grpc.removeprefix("http://")
    async with aiohttp.ClientSession() as session, grpc.aio.insecure_channel(where) as channel:
        yield Pushing(gateway, session, channel)


def writing(store: Store, output: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a gateway whose one pipeline, p, writes to *store*."""
    write = {"url": store.write_url, **output}
    pipeline = {"name": "p", "output": {"remote_write": write}, "batch": {"linger": 0.05}}
    return {"pipelines": [pipeline]}


def agree(ledger: Mapping[str, Any], expected: read_back.Expected) -> None:
    """Check that every point that was pushed is told to be delivered, or dropped as expected."""
    assert ledger["received"] == expected.points
    assert ledger["dropped_by"] == expected.dropped
    assert ledger["delivered"] == expected.points - expected.dropped.total()
    assert ledger["balance"] == 0


def compare_samples(held: Held, expected: read_back.Expected, referee: Referee) -> None:
    """Compare the samples that are held with those that *referee* keeps of what was pushed."""
    kept = {labels: referee.keeps(samples) for labels, samples in expected.held.samples.items()}
    compare(held.samples, kept, referee.same)


@pytest.mark.parametrize("referee", REFEREES)
async def test_a_receiver_holds_what_was_pushed_and_nothing_else(
    tmp_path: Path, referee: Referee
) -> None:
    expected = read_back.Expected()
    begin = int(clock.unix_seconds() * 1000) - 60_000
    senders = {who: read_back.Sender(who, RESOURCES, begin, expected) for who in ("grpc", "http")}
    async with referee.store(tmp_path) as store:
        async with programs.gateway(tmp_path, writing(store, read_back.OUTPUT)) as gateway:
            async with pushing(gateway) as doors:
                # The first of each comes alone, so that the time of its target_info is known.
                for who, sender in senders.items():
                    await getattr(doors, who)(sender.request(0), 0)
                await settled(gateway, expected)
                async with asyncio.TaskGroup() as tasks:
                    for who, sender in senders.items():
                        tasks.create_task(further(getattr(doors, who), sender))
                await settled(gateway, expected)
            ledger = await gateway.ledger("p")
            own = await programs.metrics(gateway)
        held = await store.held()
        if isinstance(store, programs.Prometheus):
            # Of native histograms it shows markers by showing nothing, five minutes back or not.
            before, gone = ((begin + n * read_back.PACE) / 1000 for n in (9, 10))
            assert await store.query("size_bytes", before) != []
            assert await store.query("size_bytes", gone) == []
    agree(ledger, expected)
    frames = 'headgate_gateway_conversion_frames_total{how="recognised",pipeline="p"}'
    assert own[frames] > RESOURCES, own  # the fast path was on the way, too
    compare_samples(held, expected, referee)
    natives = expected.held.histograms if referee.natives else {}
    compare(
        held.histograms,
        {labels: referee.natives(each) for labels, each in natives.items() if referee.natives},
        referee.same_native,
    )
    assert held.exemplars == (expected.held.exemplars if referee.exemplars else {})
    if isinstance(store, Strict):
        assert store.metadata() == expected.metadata


async def further(push: Callable[[Request, int], object], sender: read_back.Sender) -> None:
    for n in range(1, read_back.SENDS):
        await push(sender.request(n), n)


async def settled(gateway: programs.Gateway, expected: read_back.Expected) -> None:
    async def all_of_it() -> bool:
        ledger = await gateway.ledger("p")
        return ledger["received"] == expected.points and ledger["held"] == 0

    await programs.until(all_of_it, "everything is delivered or dropped", WITHIN)


def compare(
    held: Mapping[Labels, Mapping[int, Any]],
    sent: Mapping[Labels, Mapping[int, Any]],
    same: Callable[[Any, Any], bool],
) -> None:
    """Compare series by series and sample by sample; say what is different, and how often."""
    wanted = {labels: samples for labels, samples in sent.items() if samples}
    missing = sorted(map(sorted, wanted.keys() - held.keys()))
    strange = sorted(map(sorted, held.keys() - wanted.keys()))
    assert (len(missing), len(strange)) == (0, 0), f"missing {missing[:2]}, strange {strange[:2]}"
    different = [
        (sorted(labels), {ms: (held[labels].get(ms), samples.get(ms)) for ms in off})
        for labels, samples in wanted.items()
        if (off := unlike(held[labels], samples, same))
    ]
    assert not different, f"{len(different)} series differ (held, sent): {different[:2]}"


def unlike(
    held: Mapping[int, Any], sent: Mapping[int, Any], same: Callable[[Any, Any], bool]
) -> set[int]:
    """Return the times at which two series differ."""
    shared = held.keys() & sent.keys()
    return (held.keys() ^ sent.keys()) | {ms for ms in shared if not same(held[ms], sent[ms])}
