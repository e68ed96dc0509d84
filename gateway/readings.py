"""The own metrics of what stands between the doors and the queues."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from common.enrichment.enricher import Enricher
from common.service.telemetry import Reading, labelled, single
from common.wire.layout import Recogniser
from common.wire.memo import Memo
from gateway.intake import Intake
from gateway.receivers.trust import Trust


def of_intake(intake: Intake, trust: Trust, draining: int) -> Iterable[Reading]:
    """Return what was taken and turned away; *draining* destinations are being emptied."""
    for name, words, value in (
        ("points_taken", "Data points taken, before they were shared out.", intake.points),
        ("points_unrouted", "Data points that no pipeline was there for.", intake.rejected),
        ("full_refusals", "Requests refused: a required one had no room.", intake.turned_away),
        ("token_mismatches", "Bearer tokens shown that are none of ours.", trust.mismatches),
    ):
        yield single("counter", f"headgate_gateway_{name}_total", words, value)
    yield labelled(
        "counter",
        "headgate_gateway_points_rejected_total",
        "Data points that nobody could be given, by reason; the sender was told.",
        "reason",
        intake.refused,
    )
    generation = intake.routes.generation
    for name, words, value in (
        ("routes_generation", "Changes of routes.", generation),
        ("destinations_draining", "Former destinations that are being emptied.", draining),
    ):
        yield single("gauge", f"headgate_gateway_{name}", words, value, "max")


def of_enricher(enricher: Enricher) -> Iterable[Reading]:
    """Return how resources found their pods, and how the memo does."""
    yield labelled(
        "counter",
        "headgate_gateway_enrichment_hits_total",
        "Resources whose pod was found, by association.",
        "by",
        enricher.hits,
    )
    yield labelled(
        "counter",
        "headgate_gateway_enrichment_misses_total",
        "Resources whose pod was not found, by cause.",
        "cause",
        enricher.misses,
    )
    yield from _memo("enrichment", "resources", enricher.memo)


def of_recogniser(recogniser: Recogniser) -> Iterable[Reading]:
    """Return how many frames had a known shape, and how the memos of shapes do."""
    for name, words, value in (
        ("frames_recognised", "Resource frames whose shape was known.", recogniser.recognised),
        ("frames_parsed", "Resource frames whose shape was new.", recogniser.parsed),
        (
            "metrics_recognised",
            "Metrics of known shape in frames of new shape, which were not parsed.",
            recogniser.metrics_recognised,
        ),
        (
            "layout_lessons",
            "Shapes of frames and metrics learnt.",
            recogniser.shapes.lessons + recogniser.metrics.lessons,
        ),
    ):
        yield single("counter", f"headgate_gateway_{name}_total", words, value)
    yield from _memo("layout", "shapes", *recogniser.memos)


def _memo(name: str, things: str, *memos: Memo[Any, Any]) -> Iterable[Reading]:
    for fate, words in (
        ("hits", f"Lookups of {things} that found some."),
        ("misses", f"Lookups of {things} that found none."),
        ("evictions", f"Remembered {things} forgotten for lack of room."),
    ):
        value = sum([getattr(memo, fate) for memo in memos])
        yield single("counter", f"headgate_gateway_{name}_memo_{fate}_total", words, value)
    for fate, words, value in (
        ("bytes", f"Bytes of remembered {things}.", sum([memo.size for memo in memos])),
        (
            "limit_bytes",
            f"The most bytes of remembered {things}.",
            sum([memo.max_bytes for memo in memos]),
        ),
    ):
        yield single("gauge", f"headgate_gateway_{name}_memo_{fate}", words, value)
