"""Samples with timestamps of their own: each series goes forward, or its sample is not sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, final

import numpy as np
import numpy.typing as npt

from agent.exposition import template

_NEVER: Final = -1
_SPARE: Final = 1000  # series that are remembered besides as many as there are


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _State:
    # What was sent so far, as *written*; made anew when it changes, so that it can be taken back.
    written: template.Template | None = None
    left: Mapping[template.Key, int] = field(default_factory=dict)
    """How far those came that are gone, or have no timestamps any more."""
    keys: tuple[template.Key, ...] = ()  # of the points with timestamps
    unique: bool = True  # no series has several of them
    points: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    samples: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    times: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """How far each of the points came."""


@final
class Newest:
    """How far each series with timestamps has come, for one target; all times in milliseconds.

    As in Prometheus, what is older than the last sample of its series is dropped, and what is as
    old is taken for the same sample again: a target may show one for many scrapes. That sample may
    have had the time of a scrape, or been a stale marker; series that are gone are remembered for a
    while. One sample that slips through costs a whole request: Prometheus 2 refuses all of it.
    """

    __slots__ = ("_before", "_marked", "_marked_before", "_state")

    def __init__(self) -> None:
        self._state = self._before = _State()
        # When the untimed series of the template were last sent, or marked stale. Not in the state:
        # it changes with every scrape, and most targets have nothing else that does.
        self._marked = self._marked_before = _NEVER

    def sift(
        self, now: template.Template, times: npt.NDArray[np.int64], scraped: int
    ) -> tuple[dict[int, None], int]:
        """Return the points of *now* that are not sent, and how many of them are older.

        *times* are those of its samples, *scraped* is that of the scrape. Call it once a scrape.
        """
        self._before = state = self._state
        self._marked_before, self._marked = self._marked, scraped
        crossed: list[int] = []
        if now is not state.written:
            state, crossed = _turned(state, now, self._marked_before, scraped)
            self._state = state
        if not state.keys:
            return {}, 0
        told = times[state.samples]
        last = state.times
        reached = np.maximum(told, last)
        if not state.unique:
            last, reached = _one_by_one(state, told)
        if crossed:  # they were marked stale at this scrape, as untimed series that are gone
            reached[crossed] = np.maximum(reached[crossed], scraped)
        self._state = replace(state, times=reached)
        points = state.points[told <= last]
        return dict.fromkeys(points.tolist()), int(np.count_nonzero(told < last))

    def miss(self, scraped: int | None) -> None:
        """Note a scrape that failed; untimed series were marked stale at *scraped*, if any were."""
        self._before, self._marked_before = self._state, self._marked
        if scraped is not None:
            self._marked = scraped

    def revert(self) -> None:
        """Forget the last scrape: nothing of it was sent."""
        self._state, self._marked = self._before, self._marked_before


def _turned(
    state: _State, now: template.Template, marked: int, scraped: int
) -> tuple[_State, list[int]]:
    # The state for another template, and those of its keys that had no timestamps a scrape before.
    keys = tuple(now.timed_keys())
    if not (keys or state.keys or state.left):  # most targets have no timestamps at all
        return replace(state, written=now), []
    known = dict(zip(state.keys, state.times.tolist(), strict=True))
    untimed = state.written.tracked() if state.written is not None else {}
    still = now.tracked() if untimed else {}
    left = {**state.left, **{key: time for key, time in known.items() if time != _NEVER}}
    for key in untimed.keys() - still.keys() - set(keys):
        left[key] = max(left.get(key, _NEVER), scraped)  # they are marked now
    before = {key for key in keys if key in untimed and key not in known}
    reached = {
        key: max(left.pop(key, _NEVER), marked if key in before else _NEVER)
        for key in dict.fromkeys(keys)
    }
    excess = len(left) - len(keys) - _SPARE
    for key in list(left)[: max(0, excess)]:
        del left[key]
    points = np.flatnonzero(now.timed)
    turned = replace(
        state,
        written=now,
        left=left,
        keys=keys,
        unique=len(reached) == len(keys),
        points=points,
        samples=now.plan.leaders[points],
        times=np.array([reached[key] for key in keys], np.int64),
    )
    return turned, [i for i, key in enumerate(keys) if key in before]


def _one_by_one(
    state: _State, told: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    # One series may have several samples in a text, each with a time.
    newest = dict.fromkeys(state.keys, _NEVER)
    for key, time in zip(state.keys, state.times.tolist(), strict=True):
        newest[key] = max(newest[key], time)
    last = np.empty(len(told), np.int64)
    for i, (key, time) in enumerate(zip(state.keys, told.tolist(), strict=True)):
        last[i] = newest[key]
        newest[key] = max(newest[key], time)
    return last, np.array([newest[key] for key in state.keys], np.int64)
