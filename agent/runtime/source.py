"""What is known of a source that is asked at intervals: for pages, metrics and the log. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never, final

from agent.scraping.response import Cause
from common.service.telemetry import Reading, labelled


class Health(StrEnum):
    """How a source is doing."""

    OFF = "off"  # nothing is asked of it
    PENDING = "pending"  # not asked yet
    UP = "up"
    FAILING = "failing"


@final
@dataclass(slots=True)
class Source:
    """A source as it was last found; times in Unix nanoseconds, 0 for never."""

    name: str
    url: str = ""
    interval: float = 0.0  # seconds
    health: Health = Health.OFF
    error: str = ""
    """Why it could not be asked, in words; "" when it could."""
    cause: Cause | None = None
    """The class of the error."""
    missing: str = ""
    """What cannot be told although the source answers, and why; "" when nothing is missing."""
    next_time: int = 0
    last_time: int = 0
    last_success: int = 0
    duration: float = 0.0  # seconds
    points: int = 0
    bytes: int = 0  # of the answer
    late: int = 0  # ticks missed, because asking took longer than the interval
    lost: int = 0  # answers dropped whole, because the queue to the gateway was full
    asked: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("up", *Cause), 0))
    """How often, by outcome: "up", or the cause of the failure."""
    total_points: int = 0
    total_seconds: float = 0.0

    @property
    def status(self) -> str:
        """How it is doing, in words for people."""
        match self.health:
            case Health.OFF:
                return "not used"
            case Health.PENDING:
                return f"{self.url} was not asked yet"
            case Health.UP:
                lack = f"; it lacks {self.missing}" if self.missing else ""
                return f"{self.url} answers; {self.points} points{lack}"
            case Health.FAILING:
                return f"{self.url} fails: {self.error}"
            case _ as never:
                assert_never(never)

    def page(self) -> dict[str, object]:
        """Return all that is known about it, as plain values."""
        return {
            "status": self.status,
            "url": self.url,
            "health": str(self.health),
            "interval_seconds": self.interval,
            "next_time_unix_nano": self.next_time,
            "last_time_unix_nano": self.last_time,
            "last_success_unix_nano": self.last_success,
            "duration_seconds": self.duration,
            "points": self.points,
            "bytes": self.bytes,
            "late": self.late,
            "lost": self.lost,
            "asked": {str(outcome): count for outcome, count in self.asked.items() if count},
        }

    def succeeded(self, at: int, took: float, points: int, size: int) -> bool:
        """Take in an answer; say whether that is a change."""
        before = self.health
        self.last_time = self.last_success = at
        self.duration, self.points, self.bytes = took, points, size
        self.health, self.error, self.cause = Health.UP, "", None
        self.asked["up"] += 1
        self.total_points += points
        self.total_seconds += took
        return before is not self.health

    def failed(self, at: int, took: float, cause: Cause, words: str) -> bool:
        """Take in a failure; say whether that, or the class of the error, is a change.

        Words may differ at every attempt, as where an answer breaks off; that is no news.
        """
        before = (self.health, self.cause)
        self.last_time, self.duration, self.points, self.bytes = at, took, 0, 0
        self.health, self.error, self.cause = Health.FAILING, words, cause
        self.asked[cause] += 1
        self.total_seconds += took
        return before != (self.health, self.cause)


def readings(source: Source) -> Iterable[Reading]:
    """Return the own metrics of *source*; none if it is off."""
    if source.health is Health.OFF:
        return
    outcomes = tuple(
        ({"source": source.name, "outcome": str(outcome)}, float(count))
        for outcome, count in source.asked.items()
    )
    words = "Times a source of the runtime input was asked, by outcome: up, or why it failed."
    yield Reading("counter", "headgate_agent_runtime_asked_total", words, outcomes)
    for name, words, value in (
        ("points_total", "Data points made of its answers.", source.total_points),
        ("seconds_total", "Seconds that asking took.", source.total_seconds),
        ("late_total", "Times left out: the one before took too long.", source.late),
        ("lost_total", "Answers dropped whole: the queue was full.", source.lost),
    ):
        full = f"headgate_agent_runtime_{name}"
        yield labelled("counter", full, words, "source", {source.name: value})
    words = "1 while a source of the runtime input answers."
    up = float(source.health is Health.UP)
    yield labelled("gauge", "headgate_agent_runtime_up", words, "source", {source.name: up})
