"""What a destination tells people: does it work, what went wrong last, what was lost and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from common.service.ledger import DropReason

State: TypeAlias = Literal["idle", "delivering", "failing"]

# Seconds between two lines about losses for the same reason: more than the 10 s in which the log
# itself lets a message through once, or it would swallow a line and the points in it.
_QUIET = 11.0

# One message per reason, and one logger per destination: the log's own rate limit goes by both. The
# last words follow whenever they do, so they are other messages.
_LOST = {reason: f"points lost: {reason}" for reason in DropReason}
_LOST_AT_LAST = {reason: f"points lost: {reason}, until the end" for reason in DropReason}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How a destination is, in words."""

    state: State
    since: float  # seconds on the loop's clock
    last_error: str  # "" if nothing ever went wrong; kept after a recovery


class Reporter:
    """Turn outcomes into the condition of a destination, and into few lines of log.

    A change between working and failing is one WARNING. Losses are ERROR lines, at most one per
    reason in eleven seconds; each says how many points were lost since the one before.
    """

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self._log = logging.getLogger("headgate.exporters").getChild(name)
        self._name, self._now = name, now
        self._condition = Condition(state="idle", since=now(), last_error="")
        self._untold: dict[DropReason, tuple[int, str]] = {}
        self._told: dict[DropReason, float] = {}

    @property
    def condition(self) -> Condition:
        """How the destination is."""
        return self._condition

    @property
    def failing(self) -> bool:
        """Whether the last attempt went wrong."""
        return self._condition.state == "failing"

    def worked(self, message: str = "") -> None:
        """Note that the backend took a request; *message* is its warning, if any."""
        before = self._condition
        if message:
            self._log.warning("the backend warns", extra=self._extra(message))
        if before.state == "delivering":
            return
        self._condition = Condition(
            state="delivering", since=self._now(), last_error=before.last_error
        )
        if before.state == "failing":
            seconds = round(self._now() - before.since, 3)
            extra = {"destination": self._name, "failing_seconds": seconds}
            self._log.warning("destination works again", extra=extra)

    def failed(self, why: str) -> None:
        """Note that the backend did not take a request."""
        before = self._condition
        since = before.since if before.state == "failing" else self._now()
        self._condition = Condition(state="failing", since=since, last_error=why)
        if before.state != "failing":
            self._log.warning("destination is failing", extra=self._extra(why))

    def narrowed(self, max_bytes: int, refused: int, why: str) -> None:
        """Note that batches are made smaller from now on."""
        extra = {**self._extra(why), "refused_bytes": refused, "max_bytes": max_bytes}
        self._log.warning(
            "the backend takes smaller requests than batch.max_bytes; lower it", extra=extra
        )

    def lost(self, points: int, reason: DropReason, why: str) -> None:
        """Note the loss of *points*; *why* is for people."""
        untold, _ = self._untold.get(reason, (0, ""))
        self._untold[reason] = (untold + points, why)
        told = self._told.get(reason)
        if told is None or self._now() - told >= _QUIET:
            self._tell(reason, _LOST)

    def kept(self, points: int) -> None:
        """Note that *points* stay in the buffer, for whoever comes next."""
        extra = {"destination": self._name, "points": points}
        self._log.info("points stay in the buffer", extra=extra)

    def close(self) -> None:
        """Say what was not said yet."""
        for reason in list(self._untold):
            self._tell(reason, _LOST_AT_LAST)

    def _tell(self, reason: DropReason, messages: Mapping[DropReason, str]) -> None:
        points, why = self._untold.pop(reason)
        self._told[reason] = self._now()
        self._log.error(messages[reason], extra={**self._extra(why), "points": points})

    def _extra(self, why: str) -> dict[str, object]:
        return {"destination": self._name, "why": why}
