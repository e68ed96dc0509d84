"""The own metrics of what stands between the doors and the queues."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from common.enrichment.enricher import Enricher
from common.service.telemetry import Reading
from common.wire.layout import Recogniser
from common.wire.memo import Memo
from gateway.intake import Intake
from gateway.receivers.trust import Trust


def of_intake(intake: Intake, trust: Trust, draining: int) -> Iterable[Reading]:
    """Return what was taken and turned away; *draining* destinations are being emptied."""
    for name, words, value in (
        ("points_taken", "Data points taken, before they were shared out.", intake.points),
        ("points_unrouted", "Data points that no pipeline was there for.", intake.rejected),
        ("full_refusals", "Requests refused: no destination had room.", intake.turned_away),
        ("token_mismatches", "Bearer tokens shown that are none of ours.", trust.mismatches),
    ):
        yield _one("counter", f"headgate_gateway_{name}_total", words, value)
    generation = intake.routes.generation
    for name, words, value in (
        ("routes_generation", "Changes of routes.", generation),
        ("destinations_draining", "Former destinations that are being emptied.", draining),
    ):
        yield Reading("gauge", f"headgate_gateway_{name}", words, (({}, float(value)),), "max")


def of_enricher(enricher: Enricher) -> Iterable[Reading]:
    """Return how resources found their pods, and how the memo does."""
    yield _labelled(
        "headgate_gateway_enrichment_hits_total",
        "Resources whose pod was found, by association.",
        "by",
        enricher.hits,
    )
    yield _labelled(
        "headgate_gateway_enrichment_misses_total",
        "Resources whose pod was not found, by cause.",
        "cause",
        enricher.misses,
    )
    yield from _memo("enrichment", "resources", enricher.memo)


def of_recogniser(recogniser: Recogniser) -> Iterable[Reading]:
    """Return how many frames had a known shape, and how the memo of shapes does."""
    for name, words, value in (
        ("recognised", "Resource frames whose shape was known.", recogniser.recognised),
        ("parsed", "Resource frames parsed in full, their shape being new.", recogniser.parsed),
    ):
        yield _one("counter", f"headgate_gateway_frames_{name}_total", words, value)
    yield from _memo("layout", "shapes", recogniser.memo)


def _memo(name: str, things: str, memo: Memo[Any, Any]) -> Iterable[Reading]:
    for fate, words, value in (
        ("hits", f"Lookups of {things} that found some.", memo.hits),
        ("misses", f"Lookups of {things} that found none.", memo.misses),
        ("evictions", f"Remembered {things} forgotten for lack of room.", memo.evictions),
    ):
        yield _one("counter", f"headgate_gateway_{name}_memo_{fate}_total", words, value)
    for fate, words, value in (
        ("bytes", f"Bytes of remembered {things}.", memo.size),
        ("limit_bytes", f"The most bytes of remembered {things}.", memo.max_bytes),
    ):
        yield _one("gauge", f"headgate_gateway_{name}_memo_{fate}", words, value)


def _one(kind: str, name: str, words: str, value: float) -> Reading:
    samples: tuple[tuple[Mapping[str, str], float], ...] = (({}, float(value)),)
    if kind == "counter":
        return Reading("counter", name, words, samples)
    return Reading("gauge", name, words, samples)


def _labelled(name: str, words: str, label: str, counts: Mapping[str, int]) -> Reading:
    samples = tuple(({label: key}, float(value)) for key, value in counts.items())
    return Reading("counter", name, words, samples)
