"""The agent's own metrics of scraping and pushing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.scraping.loop import Loop
from agent.scraping.state import Health
from common.exporters.destination import Destination
from common.service import audit, otelcol
from common.service.ledger import Ledger
from common.service.telemetry import Kind, Label, Reading, labelled, single


def of_scraping(loop: Loop) -> Iterable[Reading]:
    """Return what was scraped so far."""
    states = dict.fromkeys(map(str, Health), 0)
    for state in loop.states:
        states[state.health] += 1
    yield _labelled("gauge", "targets", "Targets by state.", "state", states)
    counts = loop.counts
    yield _labelled(
        "counter",
        "scrapes_total",
        "Scrapes by outcome: up, or why they failed.",
        "outcome",
        counts.scrapes,
    )
    yield _labelled(
        "counter",
        "points_unsendable_total",
        "Points that make no sense in OTLP, by reason.",
        "reason",
        counts.dropped_points,
    )
    for name, words, value in (
        ("samples", "Samples exposed by targets.", counts.samples),
        ("body_bytes", "Bytes of expositions, inflated.", counts.bytes),
        ("received_bytes", "Bytes of expositions as they came.", counts.wire_bytes),
        ("scrape_seconds", "Seconds that scrapes took.", counts.seconds),
        ("late_scrapes", "Scrapes left out: the one before took too long.", counts.late),
        ("known_scrapes", "Scrapes with the series of the one before.", counts.known),
        ("unlabelled_scrapes", "Answers of no known type, read as text.", counts.unlabelled),
        ("redirects", "Redirects followed.", counts.redirects),
        ("room_waits", "Bodies that waited for others to be fetched.", loop.room.waits),
        ("hurried_targets", "Targets marked stale early: too many were leaving.", counts.hurried),
        ("duplicate_samples", "Samples whose series came twice.", counts.duplicates),
        ("skipped_lines", "Lines left out: they could not be read.", counts.skipped),
        ("stale_markers", "Stale markers sent.", counts.stale),
        ("lost_scrapes", "Scrapes dropped whole: the queue was full.", counts.lost_scrapes),
    ):
        yield _one("counter", f"{name}_total", words, value)
    for name, words, value in (
        ("layout_bytes", "Bytes of what is remembered of targets.", loop.held_bytes),
        ("fetching_bytes", "Bytes of bodies that are being fetched.", loop.room.used),
        ("targets_leaving", "Targets that are gone, not yet marked stale.", loop.leavers),
    ):
        yield _one("gauge", name, words, value)
    reread = loop.rereads
    for name, words, taken, failed in (
        (
            "certificate_reloads",
            "Certificates for targets read again, by outcome.",
            reread.certificates,
            reread.certificate_failures,
        ),
        (
            "token_reloads",
            "Tokens for targets read again, by outcome.",
            reread.tokens,
            reread.token_failures,
        ),
    ):
        outcomes = {"ok": taken, "failed": failed}
        yield _labelled("counter", f"{name}_total", words, "outcome", outcomes)


def of_delivery(
    ledger: Ledger, destination: Destination, queue_bytes: int, mismatches: int
) -> Iterable[Reading]:
    """Return what became of the points, and how the queue, of *queue_bytes* at most, stands."""
    for name, words, value in (
        ("points_received", "Data points scraped.", ledger.received),
        ("points_delivered", "Data points that the gateway acknowledged.", ledger.delivered),
    ):
        yield _one("counter", f"{name}_total", words, value)
    dropped = "Data points lost, by reason."
    yield _labelled("counter", "points_dropped_total", dropped, "reason", ledger.dropped)
    stats = destination.stats()
    failing = stats.condition.state == "failing"
    for name, words, value in (
        ("push_requests", "Requests sent to the gateway.", stats.attempts),
        ("push_retries", "Requests to the gateway sent again.", stats.retries),
        (
            "push_refused_tokens",
            "Times that the gateway did not believe the token; the request is repeated.",
            stats.proofs.refusals,
        ),
    ):
        yield _one("counter", f"{name}_total", words, value)
    yield _labelled(
        "counter",
        "push_certificate_reloads_total",
        "Changed files of certificates: taken, or unusable and the former kept.",
        "outcome",
        {"ok": stats.proofs.reloads, "failed": stats.proofs.reload_failures},
    )
    for name, words, reading in (
        ("points_held", "Data points that wait to be delivered.", float(ledger.held)),
        ("queue_bytes", "Bytes that wait to be delivered.", float(stats.bytes_held)),
        ("queue_limit_bytes", "The most of them.", float(queue_bytes)),
        ("queue_oldest_seconds", "Age of the oldest of them.", stats.oldest_age),
        ("push_failing", "1 while the last attempt went wrong.", float(failing)),
    ):
        yield _one("gauge", name, words, reading)
    yield audit.reading(mismatches)
    yield from otelcol.readings((ledger,))


def _one(kind: Kind, name: str, words: str, value: float) -> Reading:
    return single(kind, f"headgate_agent_{name}", words, value)


def _labelled(
    kind: Kind, name: str, words: str, label: str, values: Mapping[Label, float]
) -> Reading:
    return labelled(kind, f"headgate_agent_{name}", words, label, values)
