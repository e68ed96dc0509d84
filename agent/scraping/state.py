"""What is known of a target's scrapes: for pages, metrics and the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from agent import targets
from agent.exposition import target_state, translate
from agent.scraping.response import Cause, Failed, Fetched


class Oddity(StrEnum):
    """What is odd about a scrape that succeeded."""

    FALLBACK = "fallback"  # read as text, for its type is none of ours
    SKIPPED = "skipped"  # lines could not be read, and cost themselves only


class Health(StrEnum):
    """How a target is doing."""

    PENDING = "pending"  # not scraped yet
    UP = "up"
    FAILING = "failing"


def cause_of(answer: Fetched | Failed, told: target_state.Outcome) -> Cause | None:
    """Return why a scrape failed, ``None`` if it did not."""
    if isinstance(answer, Failed):
        return answer.cause
    if not told.error:
        return None
    return Cause.TOO_LARGE if told.too_large else Cause.MALFORMED


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
    added: int = 0  # series that the scrape before did not have
    stale: int = 0  # markers sent with the last scrape
    late: int = 0  # ticks missed so far, because a scrape took longer than the interval
    cause: Cause | None = None
    """The class of the error."""
    failures: int = 0  # scrapes that failed in a row, up to the last
    format: str = ""
    """How the last body was written, "" before the first."""
    redirects: int = 0  # followed by the last scrape
    oddities: Mapping[Oddity, str] = field(default_factory=dict)
    """What was odd about the last scrape though it succeeded, in words."""

    def note(
        self, at: int, took: float, answer: Fetched | Failed, told: target_state.Outcome
    ) -> bool:
        """Take in a scrape; say whether health, the class of the error or of what is odd is new.

        Words change with every scrape of some targets ("12 bytes came"); that is no news.
        """
        before = (self.health, self.cause, self.oddities.keys())
        self.last_scrape, self.duration = at, took
        self.samples, self.stale, self.error = told.samples, told.stale, told.error
        self.added = told.series_added
        self.cause, self.oddities, self.bytes, self.redirects = cause_of(answer, told), {}, 0, 0
        if isinstance(answer, Fetched):
            self.bytes, self.redirects = len(answer.body), answer.redirects
            self.format = answer.format
            self.oddities = _oddities(answer, told)
        self.health = Health.UP if self.cause is None else Health.FAILING
        self.failures = 0 if self.cause is None else self.failures + 1
        return before != (self.health, self.cause, self.oddities.keys())


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
    unlabelled: int = 0  # answers whose Content-Type was no exposition format, read as text
    redirects: int = 0  # followed
    skipped: int = 0  # lines left out because they could not be read
    hurried: int = 0  # targets marked stale before their time, because too many waited for it
    departed: int = 0  # targets that went for good, their series marked stale
    stale: int = 0
    known: int = 0  # scrapes whose series were those of the scrape before
    duplicates: int = 0
    dropped_points: dict[str, int] = field(default_factory=lambda: dict.fromkeys(translate.Drop, 0))
    """Points that cannot be sent, by reason."""
    lost_scrapes: int = 0  # dropped whole, because the queue to the gateway was full

    def note(self, took: float, fetched: Fetched | Failed, told: target_state.Outcome) -> None:
        """Take in a scrape."""
        if isinstance(fetched, Fetched):
            self.bytes += len(fetched.body)
            self.wire_bytes += fetched.wire_bytes
            self.unlabelled += bool(fetched.fallback)
            self.redirects += fetched.redirects
        self.scrapes[cause_of(fetched, told) or "up"] += 1
        self.seconds += took
        self.samples += told.samples
        self.stale += told.stale
        self.known += told.known
        self.duplicates += told.duplicates
        self.skipped += told.skipped
        for reason, points in told.dropped.items():
            self.dropped_points[reason] += points


def _oddities(answer: Fetched, told: target_state.Outcome) -> dict[Oddity, str]:
    found = {}
    if answer.fallback:
        found[Oddity.FALLBACK] = answer.fallback
    if told.skipped:
        found[Oddity.SKIPPED] = f"{told.skipped} lines left out, the first: {told.complaint}"
    return found
