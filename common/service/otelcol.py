"""What an account says by the names that OpenTelemetry Collectors give it, so that alerts fire.

A collector tells of each exporter how many data points were sent, how many were lost before they
reached the exporter's queue, and how many behind it. Rules watch the rates of the three.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

from common.service.ledger import DropReason, Ledger
from common.service.telemetry import Reading

Failure: TypeAlias = Literal["enqueue_failed", "send_failed"]

FAILURES: Final[Mapping[DropReason, Failure | None]] = {
    # There was no room to keep it, in memory or on disk, until it could be sent.
    DropReason.INBOX_FULL: "enqueue_failed",
    DropReason.BUFFER_FULL: "enqueue_failed",
    DropReason.BUFFER_EXPIRED: "enqueue_failed",
    DropReason.BUFFER_FAILED: "enqueue_failed",
    # The backend did not take it, or could not be reached for too long.
    DropReason.TOO_OLD: "send_failed",
    DropReason.REFUSED: "send_failed",
    DropReason.REJECTED_BY_BACKEND: "send_failed",
    DropReason.TOO_LARGE: "send_failed",
    # It was kept, and lost before it was sent.
    DropReason.SHUTDOWN: "send_failed",
    DropReason.WORKER_LOST: "send_failed",
    DropReason.BUFFER_CORRUPT: "send_failed",
    # The exporter could not say it in the backend's protocol, or knew that it would be refused.
    DropReason.DELTA_UNSUPPORTED: "send_failed",
    DropReason.UNSUPPORTED_TYPE: "send_failed",
    DropReason.UNNAMEABLE: "send_failed",
    DropReason.INVALID_POINT: "send_failed",
    DropReason.DUPLICATE: "send_failed",
    DropReason.OUT_OF_ORDER: "send_failed",
    # Not a failure: every new series has one where deltas are asked for, in collectors too, which
    # count it nowhere. Counted here, the alert would never rest where pods come and go.
    DropReason.BASELINE: None,
}
"""How a collector would count each loss."""

_WORDS: Final[Mapping[Failure, str]] = {
    "send_failed": "Data points that were kept and could not be delivered.",
    "enqueue_failed": "Data points that there was no room to keep.",
}


def readings(ledgers: Iterable[Ledger]) -> Iterable[Reading]:
    """Return what was sent and lost, of the *ledgers* whose exporter has such a name."""
    named = [ledger for ledger in ledgers if ledger.exporter]
    if not named:
        return
    yield _reading("sent", "Data points delivered.", named, [float(led.delivered) for led in named])
    for failure, words in _WORDS.items():
        lost = [
            float(sum(n for why, n in ledger.dropped.items() if _failure(why) == failure))
            for ledger in named
        ]
        yield _reading(failure, words, named, lost)


def _failure(reason: str) -> Failure | None:
    return FAILURES[DropReason(reason)]  # an account that another process sent has plain texts


def _reading(name: str, words: str, ledgers: list[Ledger], values: list[float]) -> Reading:
    return Reading(
        "counter",
        f"otelcol_exporter_{name}_metric_points_total",
        words,
        tuple(
            ({"exporter": ledger.exporter}, value)
            for ledger, value in zip(ledgers, values, strict=True)
        ),
    )
