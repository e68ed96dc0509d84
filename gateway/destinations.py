"""From a pipeline's configuration to a destination that delivers, and what it says about itself."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final, Literal, TypeAlias

import msgspec

from common.config import gateway
from common.exporters import build, delivery
from common.exporters.destination import Destination
from common.exporters.outcomes import Proofs, Recognition
from common.service import clock
from common.service.ledger import Ledger
from common.service.settings import SettingsError
from common.service.telemetry import Reading, Whole
from common.wire import temporality
from gateway.handover import Handover, wait
from gateway.pipelines import Running
from gateway.shelves import Shelves

Entered: TypeAlias = Running[Destination]

# OTLP receivers take batches in any order, so one slow answer need not stop the others. A remote
# write receiver refuses samples that are older than what it has, so there each series has its lane.
OTLP_LANES: Final = 4


@asynccontextmanager
async def entering(
    pipeline: gateway.Pipeline, ledger: Ledger, *, shelves: Shelves, handover: Handover
) -> AsyncIterator[Destination]:
    """Run the destination of *pipeline*; leaving normally drains it, by an exception abandons it.

    Raises :class:`~common.service.settings.SettingsError`, with keys relative to the pipeline.
    """
    async with AsyncExitStack() as stack:
        try:
            exporter = await stack.enter_async_context(
                build.exporting(pipeline.output, now=clock.unix_seconds)
            )
        except SettingsError as error:
            raise error.within("output") from error
        lease, retrying = None, pipeline.retry
        if pipeline.buffer is not None:
            lease = await stack.enter_async_context(shelves.lease(pipeline.name, pipeline.buffer))
            ledger.recover(lease.recovered)
            # What is on disk may take as long as it is kept there.
            retrying = msgspec.structs.replace(retrying, max_age=pipeline.buffer.max_age)
        before = None
        write = pipeline.output.remote_write
        if write is not None and lease is None:  # a lease is a turn, too
            before = stack.enter_context(handover.turn(pipeline.name, write.url))
        yield await stack.enter_async_context(
            delivery.delivering(
                pipeline.name,
                exporter,
                ledger,
                batching=pipeline.batch,
                retrying=retrying,
                queue_bytes=pipeline.queue_bytes,
                lanes=_lanes(pipeline.output),
                random=random.random,
                lease=lease,
                buffer=pipeline.buffer,
                turn=partial(wait, before),
            )
        )


def _lanes(output: gateway.Output) -> tuple[int, int]:
    if output.remote_write is None:
        return OTLP_LANES, OTLP_LANES
    return output.remote_write.min_lanes, output.remote_write.max_lanes


def readings(running: Iterable[Entered]) -> Iterable[Reading]:
    """Return the destinations' own metrics."""
    stats = [(r.config.name, r.config, r.destination.stats()) for r in running]
    yield from _recognition({name: s.recognition for name, _, s in stats if s.recognition})
    yield from _proofs({name: s.proofs for name, _, s in stats})
    yield from _series({name: s.series for name, _, s in stats if s.series})
    gauges: tuple[tuple[str, str, list[float], Whole], ...] = (
        (
            "queue_bytes",
            "Bytes that wait or are being sent.",
            [s.bytes_held for _, _, s in stats],
            "sum",
        ),
        ("queue_limit_bytes", "The most of them.", [c.queue_bytes for _, c, _ in stats], "sum"),
        (
            "queue_oldest_seconds",
            "Age of the oldest of them.",
            [s.oldest_age for _, _, s in stats],
            "max",
        ),
        ("lanes", "Requests that may be in flight.", [s.lanes for _, _, s in stats], "sum"),
        (
            "destination_failing",
            "1 while the last attempt went wrong.",
            [int(s.condition.state == "failing") for _, _, s in stats],
            "max",
        ),
    )
    for name, words, values, whole in gauges:
        samples = zip(stats, values, strict=True)
        yield Reading(
            "gauge",
            f"headgate_gateway_{name}",
            words,
            tuple(({"pipeline": pipeline}, float(value)) for (pipeline, _, _), value in samples),
            whole,
        )
    for name, words, counts in (
        ("attempts", "Requests sent, repetitions included.", [s.attempts for _, _, s in stats]),
        ("retries", "Requests repeated.", [s.retries for _, _, s in stats]),
    ):
        samples = zip(stats, counts, strict=True)
        yield Reading(
            "counter",
            f"headgate_gateway_destination_{name}_total",
            words,
            tuple(({"pipeline": pipeline}, float(value)) for (pipeline, _, _), value in samples),
        )


def _recognition(converting: Mapping[str, Recognition]) -> Iterable[Reading]:
    """Return how the destinations that convert fare with known shapes, by pipeline."""
    yield Reading(
        "counter",
        "headgate_gateway_conversion_frames_total",
        "Resource frames that were not converted anew: of a known shape, or of a known sender.",
        tuple(
            ({"pipeline": pipeline, "how": how}, float(count))
            for pipeline, r in converting.items()
            for how, count in (("recognised", r.recognised), ("rearranged", r.rearranged))
        ),
    )
    for name, words, field in (
        ("learnt", "Shapes learnt.", "learnt"),
        ("memo_evictions", "Senders forgotten for lack of room.", "evictions"),
        ("exemplars_dropped", "Exemplars that were not sent with points.", "exemplars_dropped"),
    ):
        yield _field("counter", f"conversion_{name}_total", words, converting, field)
    for name, words, field in (
        ("memo_bytes", "Bytes of remembered series.", "size"),
        ("memo_limit_bytes", "The most of them.", "max_bytes"),
    ):
        yield _field("gauge", f"conversion_{name}", words, converting, field)


def _proofs(found: Mapping[str, Proofs]) -> Iterable[Reading]:
    """Return how the destinations fare with tokens and certificates, by pipeline."""
    for name, words, worked, failed in (
        ("tokens", "Requests for an OAuth 2.0 token.", "tokens", "token_failures"),
        (
            "certificate_reloads",
            "Changed files of certificates: taken, or unusable and the former kept.",
            "reloads",
            "reload_failures",
        ),
    ):
        yield Reading(
            "counter",
            f"headgate_gateway_destination_{name}_total",
            words,
            tuple(
                ({"pipeline": pipeline, "outcome": outcome}, float(getattr(proofs, field)))
                for pipeline, proofs in found.items()
                for outcome, field in (("ok", worked), ("failed", failed))
            ),
        )


def _series(remembered: Mapping[str, temporality.Stats]) -> Iterable[Reading]:
    """Return what the destinations that change temporality remember of series, by pipeline."""
    for name, words, field in (
        ("series", "Series remembered for temporality.", "series"),
        ("series_bytes", "Bytes that they take.", "size"),
        ("series_limit_bytes", "The most of them.", "max_bytes"),
    ):
        yield _field("gauge", name, words, remembered, field)
    yield Reading(
        "counter",
        "headgate_gateway_series_forgotten_total",
        "Series that begin anew when they come again, by why they were forgotten.",
        tuple(
            ({"pipeline": pipeline, "why": why}, float(count))
            for pipeline, s in remembered.items()
            for why, count in (("no_room", s.evictions), ("expired", s.expiries))
        ),
    )
    yield _field("counter", "series_resets_total", "Totals that began anew.", remembered, "resets")


def _field(
    kind: Literal["counter", "gauge"],
    name: str,
    words: str,
    by_pipeline: Mapping[str, object],
    field: str,
) -> Reading:
    """Return one field of what each pipeline told of itself."""
    samples = tuple(
        ({"pipeline": pipeline}, float(getattr(told, field)))
        for pipeline, told in by_pipeline.items()
    )
    return Reading(kind, f"headgate_gateway_{name}", words, samples)


def page(running: Iterable[Entered]) -> dict[str, object]:
    """Return how the destinations are, as plain values."""
    return {
        r.config.name: {
            "state": stats.condition.state,
            "last_error": stats.condition.last_error,
            "bytes_held": stats.bytes_held,
            "points_held": stats.points_held,
            "oldest_age_seconds": round(stats.oldest_age, 3),
            "lanes": stats.lanes,
            "attempts": stats.attempts,
            "retries": stats.retries,
        }
        for r in running
        for stats in (r.destination.stats(),)
    }
