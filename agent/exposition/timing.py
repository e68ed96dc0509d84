"""Samples with timestamps of their own: each series goes forward, or its sample is not sent."""

from __future__ import annotations

from typing import Final, final

import numpy as np
import numpy.typing as npt

from agent.exposition import template

_NEVER: Final = -1


@final
class Newest:
    """How far each series with timestamps has come, for one target.

    As in Prometheus, what is older than the last sample of its series is dropped, and what is as
    old is taken for the same sample again: a target may show one for many scrapes.
    """

    __slots__ = ("_before", "_keys", "_samples", "_template", "_times")

    def __init__(self) -> None:
        self._template: template.Template | None = None
        self._keys: list[template.Key] = []
        self._samples: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self._times: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._before = self._times

    def sift(
        self, now: template.Template, times: npt.NDArray[np.int64]
    ) -> tuple[dict[int, None], int]:
        """Return the points of *now* that are not sent, and how many of them are older.

        *times* are those of its samples, in milliseconds. Call it once a scrape.
        """
        if now is not self._template:
            self._turn_to(now)
        if not self._keys:
            self._before = self._times
            return {}, 0
        told = times[self._samples]
        if len(set(self._keys)) == len(self._keys):
            last = self._times
            reached = np.maximum(told, last)
        else:
            last, reached = self._one_by_one(told)
        self._before, self._times = self._times, reached
        points = np.flatnonzero(now.timed)[told <= last]
        return dict.fromkeys(points.tolist()), int(np.count_nonzero(told < last))

    def keep(self) -> None:
        """Hold on to the last scrape, whatever becomes of what is sent next: a failure, an end."""
        self._before = self._times

    def revert(self) -> None:
        """Forget the last scrape: nothing of it was sent."""
        self._times = self._before

    def _turn_to(self, now: template.Template) -> None:
        known = dict(zip(self._keys, self._times.tolist(), strict=True))
        self._template = now
        self._keys = now.timed_keys()
        self._samples = now.plan.leaders[now.timed]
        self._times = np.array([known.get(key, _NEVER) for key in self._keys], np.int64)

    def _one_by_one(
        self, told: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        # One series may have several samples in a text, each with a time.
        newest = dict.fromkeys(self._keys, _NEVER)
        for key, time in zip(self._keys, self._times.tolist(), strict=True):
            newest[key] = max(newest[key], time)
        last = np.empty(len(told), np.int64)
        for i, (key, time) in enumerate(zip(self._keys, told.tolist(), strict=True)):
            last[i] = newest[key]
            newest[key] = max(newest[key], time)
        return last, np.array([newest[key] for key in self._keys], np.int64)
