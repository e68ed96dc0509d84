"""Targets that are gone, until it is certain that they do not come back.

As Prometheus has it (scrape loop, "end of run staleness"): wait for the tick at which the next
scrape would have been, for one more, and for a tenth of the interval; then mark the series stale at
the first of these ticks. Another agent, or the pod's next incarnation, that goes on with the same
series by then has newer samples, and is not harmed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from agent import targets
from agent.exposition import target_state
from agent.scraping import schedule
from agent.scraping.state import State

_GRACE: Final = 10  # the part of an interval that comes on top
# Markers that the queue has no room for are offered again: for as long as a query looks back, with
# the usual intervals, after which Prometheus takes a series for gone by itself.
TRIES: Final = 10
_PAUSE: Final = 30_000_000_000  # nanoseconds between two tries, at least


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leaver:
    """One of them; times in Unix nanoseconds."""

    state: State
    memory: target_state.TargetState
    stamp: int
    """When its series ended: the time of the markers."""
    due: int
    """When to send them."""
    pause: int
    """How long to wait before they are offered again, in nanoseconds."""

    @property
    def target(self) -> targets.Target:
        """What it was."""
        return self.state.target


def leaver(
    state: State, memory: target_state.TargetState, grid: schedule.Grid, now: int
) -> Leaver | None:
    """Return what to do about a target that went at *now*; ``None`` if there is nothing to do.

    That is so if it was never scraped, and if it is the API server: that is still there, and the
    agent that leads now goes on with its series at the very same ticks.
    """
    if not state.last_scrape or state.target.kind == "apiserver":
        return None
    # The tick of a scrape that was under way is taken: that scrape is lost, and this is the next.
    stamp = state.next_scrape if now < state.next_scrape <= now + grid.interval else grid.after(now)
    due = stamp + grid.interval + grid.interval // _GRACE
    return Leaver(
        state=state,
        memory=memory,
        stamp=stamp - stamp % schedule.MILLISECOND,
        due=due,
        pause=max(grid.interval, _PAUSE),
    )


@final
class Leavers:
    """All of them, at most *limit*: the one that has waited longest makes room for another."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._found: dict[tuple[object, ...], Leaver] = {}

    def __len__(self) -> int:
        return len(self._found)

    @property
    def held_bytes(self) -> int:
        """About how many bytes their shapes occupy."""
        return sum(one.memory.held_bytes for one in self._found.values())

    def add(self, one: Leaver) -> Leaver | None:
        """Take *one*; return the one whose markers have to be sent now, to keep the limit."""
        self._found[one.target.series] = one
        if len(self._found) <= self._limit:
            return None
        return self._found.pop(next(iter(self._found)))

    def back(self, target: targets.Target) -> Leaver | None:
        """Return the leaver whose series are those of *target*, which goes on with them."""
        return self._found.pop(target.series, None)

    def take(self, one: Leaver) -> None:
        """Take *one* out, who must be among them."""
        del self._found[one.target.series]
