"""The agent's own metrics have names that follow the rules, and true figures."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent import readings
from agent.exposition import model
from agent.scraping import loop as scraping
from agent.scraping.state import Health
from agent.scraping.terms import Terms
from common.config import shared
from common.exporters import delivery
from common.exporters.outcomes import (
    Batch,
    Delivered,
    Encoding,
    Exporter,
    Proofs,
    Request,
    Retry,
    Verdict,
)
from common.service.ledger import DropReason, Ledger
from common.service.telemetry import Reading
from common.wire import otlp


class Backend(Exporter):
    """Takes everything, but for one point a request."""

    def encode(self, batch: Batch) -> Encoding:
        return Encoding(requests=(Request(body=batch.body, points=batch.points),))

    async def send(self, _: Request) -> Verdict:
        return Delivered(rejected=1)

    def proofs(self) -> Proofs:
        return Proofs(reloads=2, reload_failures=1, refusals=5)


class Away(Backend):
    """Takes nothing."""

    async def send(self, _: Request) -> Verdict:
        return Retry("it is away")


def values(found: list[Reading], name: str) -> dict[tuple[str, ...], float]:
    (reading,) = [one for one in found if one.name == f"headgate_agent_{name}"]
    return {tuple(labels.values()): value for labels, value in reading.samples}


@asynccontextmanager
async def pushing(
    ledger: Ledger, backend: Exporter | None = None
) -> AsyncIterator[delivery.Destination]:
    """Deliver to a *backend*; five points, of ten bytes, are held for a second and then sent."""
    async with delivery.delivering(
        "gateway",
        backend or Backend(),
        ledger,
        batching=shared.Batching(linger=1.0),
        retrying=shared.Retrying(),
        queue_bytes=1000,
        random=lambda: 0.5,
    ) as destination:
        ledger.receive(5, {})
        destination.offer(otlp.Encoded(b"x" * 10), 5)
        yield destination


async def test_scraping_is_counted_by_state_and_outcome() -> None:
    terms = Terms(
        max_body_bytes=1,
        max_concurrency=1,
        limits=model.Limits(),
        version="1",
        max_fetching_bytes=1,
        max_redirects=0,
        max_leaving=1,
        credentials={},
        wall=lambda: 0,
        stopwatch=asyncio.get_running_loop().time,
    )
    async with scraping.scraping(terms, lambda _, __: True) as loop:
        loop.counts.scrapes["up"] = 3
        loop.counts.late = 4
        loop.counts.redirects = 5
        loop.room.lease().grow(1, lambda: None)
        loop.room.lease().grow(1, lambda: None)
        found = list(readings.of_scraping(loop))
    assert values(found, "targets") == {(state,): 0.0 for state in Health}
    assert values(found, "scrapes_total")["up",] == 3.0
    assert values(found, "late_scrapes_total") == {(): 4.0}
    assert values(found, "redirects_total") == {(): 5.0}
    assert values(found, "fetching_bytes") == {(): 1.0}
    assert values(found, "room_waits_total") == {(): 1.0}
    assert values(found, "targets_leaving") == {(): 0.0}
    assert values(found, "certificate_reloads_total") == {("ok",): 0.0, ("failed",): 0.0}
    assert values(found, "token_reloads_total") == {("ok",): 0.0, ("failed",): 0.0}
    assert all((one.kind == "counter") == one.name.endswith("_total") for one in found)


async def test_the_push_shows_what_became_of_the_points() -> None:
    ledger = Ledger("gateway")
    async with pushing(ledger) as destination:
        held = list(readings.of_delivery(ledger, destination, 1000, 3))
        await asyncio.sleep(2)
        sent = list(readings.of_delivery(ledger, destination, 1000, 3))
    assert values(held, "points_held") == {(): 5.0}
    assert values(held, "queue_bytes") == {(): 10.0}
    assert values(held, "queue_limit_bytes") == {(): 1000.0}
    assert values(held, "push_failing") == {(): 0.0}
    assert values(held, "push_certificate_reloads_total") == {("ok",): 2.0, ("failed",): 1.0}
    assert values(held, "push_refused_tokens_total") == {(): 5.0}
    assert values(sent, "points_held") == {(): 0.0}
    assert values(sent, "points_delivered_total") == {(): 4.0}
    assert values(sent, "points_dropped_total")[DropReason.REJECTED_BY_BACKEND,] == 1.0
    assert values(sent, "push_requests_total") == {(): 1.0}
    shown = {one.name: one.samples for one in sent}
    assert shown["headgate_ledger_mismatch_total"] == (({}, 3.0),)
    assert not [name for name in shown if name.startswith("otelcol_")]
    assert all((one.kind == "counter") == one.name.endswith("_total") for one in sent)


async def test_a_gateway_that_is_away_is_told() -> None:
    ledger = Ledger("gateway")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5), pushing(ledger, Away()) as destination:
            await asyncio.sleep(2)
            found = list(readings.of_delivery(ledger, destination, 1000, 0))
    assert values(found, "push_failing") == {(): 1.0}
    assert values(found, "points_held") == {(): 5.0}


async def test_the_push_is_told_by_the_names_of_collectors_if_it_has_one() -> None:
    ledger = Ledger("gateway", exporter="otlp_grpc/gateway")
    async with pushing(ledger) as destination:
        await asyncio.sleep(2)
        found = readings.of_delivery(ledger, destination, 1000, 0)
        shown = {one.name: one.samples for one in found}
    label = {"exporter": "otlp_grpc/gateway"}
    name = "otelcol_exporter_{}_metric_points_total"
    assert shown[name.format("sent")] == ((label, 4.0),)
    assert shown[name.format("send_failed")] == ((label, 1.0),)
    assert shown[name.format("enqueue_failed")] == ((label, 0.0),)
