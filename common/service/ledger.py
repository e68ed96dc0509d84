"""The account of one pipeline: every point received is delivered, filtered, dropped or held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class DropReason(StrEnum):
    """Why a point that was accepted never arrived; docs/operations.md explains each."""

    INBOX_FULL = "inbox_full"  # the destination's queue had no room
    TOO_OLD = "too_old"  # retried until the age limit
    REFUSED = "refused"  # the backend answered with an error that is final
    REJECTED_BY_BACKEND = "rejected_by_backend"  # partial success: the backend took the rest
    TOO_LARGE = "too_large"  # a single point exceeds what the backend accepts
    DELTA_UNSUPPORTED = "delta_unsupported"  # remote write has no deltas
    UNSUPPORTED_TYPE = (
        "unsupported_type"  # the destination's protocol cannot carry this kind of metric
    )
    UNNAMEABLE = "unnameable"  # no valid name is left after translation
    INVALID_POINT = "invalid_point"  # it contradicts itself, as more bounds than buckets do
    DUPLICATE = "duplicate"  # another point of the batch is the same sample of the same series
    SHUTDOWN = "shutdown"  # still held when the grace period ended
    WORKER_LOST = "worker_lost"  # held by a worker process that died, as far as it had told
    BASELINE = "baseline"  # the first total of a series, from which differences are counted
    OUT_OF_ORDER = "out_of_order"  # older than what its series was last seen with
    BUFFER_FULL = "buffer_full"  # on disk, in the oldest segment when the byte limit was reached
    BUFFER_EXPIRED = "buffer_expired"  # on disk for longer than the age limit
    BUFFER_CORRUPT = "buffer_corrupt"  # on disk, but no longer what was written
    BUFFER_FAILED = "buffer_failed"  # the disk did not take it, and memory had no room


class FilterRule(StrEnum):
    """Which choice of the pipeline took a point out; docs/operations.md explains each.

    The first that does counts; they are asked in this order.
    """

    UNKNOWN_INPUT = "unknown_input"  # the agent says an input that this gateway does not know
    INPUT_DISABLED = "input_disabled"
    NAMESPACE = "namespace"
    RUNTIME_RESOURCE = "runtime_resource"  # the pipeline takes nothing of such things
    ADDITIONAL_METRIC = "additional_metric"  # has to be asked for by name, and was not
    DIAGNOSTIC = "diagnostic"  # what a scrape tells about itself
    ENVOY = "envoy"
    METRIC_NAME = "metric_name"


@dataclass(slots=True)
class Ledger:
    """Counters in points; ``received == delivered + filtered + dropped + held`` at every moment.

    *held* is kept by itself instead of being derived, so that :meth:`balance` can prove the others.
    """

    pipeline: str
    received: int = 0
    delivered: int = 0
    held: int = 0
    recovered: int = 0  # of those received, points that a former process had left on disk
    stored: int = 0  # of those held, points that are on disk
    filtered: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FilterRule, 0))
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DropReason, 0))
    exporter: str = ""  # by which name `common.service.otelcol` tells of it; none: it does not

    def receive(self, points: int, filtered: Mapping[str, int]) -> None:
        """Book *points* that came in; what was not *filtered* at once is held."""
        self.received += points
        for rule, removed in filtered.items():
            self.filtered[rule] += removed
            points -= removed
        self.held += points

    def recover(self, points: int) -> None:
        """Book *points* found on disk: received by a former process, and held again."""
        self.received += points
        self.recovered += points
        self.held += points

    def bequeath(self) -> None:
        """Take off what is on disk: whoever comes next will have received it."""
        points = min(self.stored, self.held)  # some may have been sent since it was counted
        self.received -= points
        self.recovered -= points
        self.held -= points
        self.stored = 0

    def drop(self, points: int, reason: DropReason) -> None:
        """Book the loss of held points, where it becomes certain."""
        self.dropped[reason] += points
        self.held -= points

    def deliver(self, points: int) -> None:
        """Book held points that the backend acknowledged."""
        self.delivered += points
        self.held -= points

    def include(self, other: Ledger) -> None:
        """Add the account *other*, of the same pipeline elsewhere, to this one."""
        self.received += other.received
        self.delivered += other.delivered
        self.held += other.held
        self.recovered += other.recovered
        self.stored += other.stored
        for rule, points in other.filtered.items():
            self.filtered[rule] = self.filtered.get(rule, 0) + points
        for reason, points in other.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + points
        if other.pipeline == self.pipeline:
            self.exporter = other.exporter or self.exporter

    def balance(self) -> int:
        """Return by how many points the account is off: zero, or there is a bug."""
        return (
            self.received
            - self.delivered
            - self.held
            - sum(self.filtered.values())
            - sum(self.dropped.values())
        )

    def summary(self) -> dict[str, object]:
        """Return the account as plain values for ``/debug/ledger`` and the demo."""
        return {
            "received": self.received,
            "recovered": self.recovered,
            "stored": self.stored,
            "filtered": sum(self.filtered.values()),
            "delivered": self.delivered,
            "dropped": sum(self.dropped.values()),
            "held": self.held,
            "balance": self.balance(),
            "filtered_by": {rule: n for rule, n in self.filtered.items() if n},
            "dropped_by": {reason: n for reason, n in self.dropped.items() if n},
        }
