"""Samples with timestamps of their own: each series goes forward, or its sample is not sent."""

from __future__ import annotations

from typing import Final, final

import numpy as np
import numpy.typing as npt

from agent.exposition import template

_NEVER: Final = -1
_SPARE: Final = 1000  # series that are remembered besides as many as there are


@final
class Newest:
    """How far each series with timestamps has come, for one target.

    As in Prometheus, what is older than the last sample of its series is dropped, and what is as
    old is taken for the same sample again: a target may show one for many scrapes. That sample may
    have had the time of a scrape, or been a stale marker; series that are gone are remembered for a
    while. One sample that slips through costs a whole request: Prometheus 2 refuses all of it.
    """

    __slots__ = (
        "_before", "_crossed", "_keys", "_knew", "_left", "_marked", "_marked_before", "_samples",
        "_template", "_times",
    )  # fmt: skip

    def __init__(self) -> None:
        self._template: template.Template | None = None
        self._marked = _NEVER  # when the untimed series of the template were last sent or marked
        self._left: dict[template.Key, int] = {}  # how far those came that are no more, or untimed
        self._marked_before, self._knew = self._marked, self._left  # before the last scrape
        self._crossed: list[int] = []  # of the keys: those that had no timestamps a scrape before
        self._keys: list[template.Key] = []
        self._samples: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self._times: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._before = self._times

    def sift(
        self, now: template.Template, times: npt.NDArray[np.int64], scraped: int
    ) -> tuple[dict[int, None], int]:
        """Return the points of *now* that are not sent, and how many of them are older.

        *times* are those of its samples, and *scraped* that of the scrape, in milliseconds. Call it
        once a scrape.
        """
        self._knew = self._left
        if now is not self._template:
            self._turn_to(now, scraped)
        self._marked_before, self._marked = self._marked, scraped
        if not self._keys:
            self._before = self._times
            return {}, 0
        told = times[self._samples]
        if len(set(self._keys)) == len(self._keys):
            last = self._times
            reached = np.maximum(told, last)
        else:
            last, reached = self._one_by_one(told)
        if self._crossed:  # they were marked stale at this scrape, as untimed ones that are gone
            reached[self._crossed] = np.maximum(reached[self._crossed], scraped)
            self._crossed = []
        self._before, self._times = self._times, reached
        points = np.flatnonzero(now.timed)[told <= last]
        return dict.fromkeys(points.tolist()), int(np.count_nonzero(told < last))

    def miss(self, scraped: int) -> None:
        """Note that all untimed series were marked stale at *scraped*, in milliseconds."""
        self._marked = scraped

    def keep(self) -> None:
        """Hold on to the last scrape, whatever becomes of what is sent next: a failure, an end."""
        self._before, self._knew, self._marked_before = self._times, self._left, self._marked

    def revert(self) -> None:
        """Forget the last scrape: nothing of it was sent."""
        self._times, self._left, self._marked = self._before, self._knew, self._marked_before

    def _turn_to(self, now: template.Template, scraped: int) -> None:
        known = dict(zip(self._keys, self._times.tolist(), strict=True))
        keys = now.timed_keys()
        former, self._template = self._template, now
        found: dict[template.Key, int] = {}
        if keys or known or self._left:  # most targets have no timestamps at all
            self._left = self._knew = self._left | {k: t for k, t in known.items() if t != _NEVER}
            untimed = former.tracked() if former is not None else {}
            gone = untimed.keys() - now.tracked().keys() if untimed else ()
            crossed = {key for key in keys if key in untimed and key not in known}
            found = {key: self._left.get(key, _NEVER) for key in keys}
            found |= {key: max(found[key], self._marked) for key in crossed}
            self._crossed = [i for i, key in enumerate(keys) if key in crossed]
            self._left = {k: t for k, t in self._left.items() if k not in found}
            late = {k: max(scraped, self._left.get(k, _NEVER)) for k in gone if k not in found}
            self._left |= late
            excess = len(self._left) - len(keys) - _SPARE
            for key in list(self._left)[: max(0, excess)]:
                del self._left[key]
        self._keys = keys
        self._samples = now.plan.leaders[now.timed]
        self._times = np.array([found[key] for key in keys], np.int64)

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
