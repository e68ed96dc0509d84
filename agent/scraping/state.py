"""What is known of a target's scrapes: for pages, metrics and the log."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from agent import targets
from agent.exposition import target_state, translate
from agent.scraping.response import Cause, Failed, Fetched


class Health(StrEnum):
    """How a target is doing."""

    PENDING = "pending"  # not scraped yet
    UP = "up"
    FAILING = "failing"


@final
@dataclass(slots=True)
class State:
    """One target as its last scrape left it; times in Unix nanoseconds, 0 for never."""

    target: targets.Target
    health: Health = Health.PENDING
    error: str = ""
    """Why the last scrape failed, in words; "" when it did not."""
    next_scrape: int = 0
    last_scrape: int = 0
    duration: float = 0.0  # seconds
    samples: int = 0
    bytes: int = 0  # of the body, inflated
    stale: int = 0  # markers sent with the last scrape
    late: int = 0  # ticks missed so far, because a scrape took longer than the interval

    def note(
        self, at: int, took: float, fetched: Fetched | None, told: target_state.Outcome
    ) -> bool:
        """Take in a scrape; say whether the target's health, or the reason for it, has changed."""
        before = (self.health, self.error)
        self.last_scrape, self.duration = at, took
        self.samples, self.stale, self.error = told.samples, told.stale, told.error
        self.bytes = 0 if fetched is None else len(fetched.body)
        self.health = Health.FAILING if told.error else Health.UP
        return before != (self.health, self.error)


@final
@dataclass(slots=True)
class Counts:
    """What all scrapes of this process came to; every number only grows."""

    scrapes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("up", *Cause), 0))
    """By outcome: "up", or the cause of the failure."""
    samples: int = 0
    bytes: int = 0  # of bodies, inflated
    wire_bytes: int = 0  # of bodies, as they came
    seconds: float = 0.0
    late: int = 0
    unlabelled: int = 0  # answers whose Content-Type was not text/plain, read as text all the same
    stale: int = 0
    known: int = 0  # scrapes whose series were those of the scrape before
    duplicates: int = 0
    dropped_points: dict[str, int] = field(default_factory=lambda: dict.fromkeys(translate.Drop, 0))
    """Points that cannot be sent, by reason."""
    lost_scrapes: int = 0  # dropped whole, because the queue to the gateway was full

    def note(self, took: float, fetched: Fetched | Failed, told: target_state.Outcome) -> None:
        """Take in a scrape."""
        outcome = "up"
        if isinstance(fetched, Failed):
            outcome = fetched.cause
        else:
            self.bytes += len(fetched.body)
            self.wire_bytes += fetched.wire_bytes
            self.unlabelled += fetched.unlabelled
            outcome = Cause.MALFORMED if told.error else "up"
        self.scrapes[outcome] += 1
        self.seconds += took
        self.samples += told.samples
        self.stale += told.stale
        self.known += told.known
        self.duplicates += told.duplicates
        for reason, points in told.dropped.items():
            self.dropped_points[reason] += points
