"""What a store holds of scripted targets, told by steps of their scripts instead of by time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from tests.fakes import remote_write_v1
from tests.fakes.remote_write_rules import STALE, double
from tests.fakes.remote_write_v1 import Held, Labels, Native, Shown

TARGET: Final = "target"
"""The label that says which target a series is of, whatever else the target exposes."""
OWN: Final = ("job", TARGET, "zone")
"""The labels that every target has, beside its instance."""
TICK: Final = "scrape_duration_seconds"
"""What every scrape leaves, and no target exposes; of it, only the times count."""

_Samples = TypeVar("_Samples")
Moment: TypeAlias = int | tuple[str, int]
"""The step of the scrape that a sample has the time of; or "at" and its own milliseconds."""
Series: TypeAlias = dict[Moment, int]
"""The bits of values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    """One exemplar; the moment is that of a step if it has the time of a scrape."""

    labels: Labels
    value: int
    moment: Moment


@dataclass(slots=True, kw_only=True)
class Trace:
    """What one target left behind."""

    series: dict[Labels, Series] = field(default_factory=dict)
    histograms: dict[Labels, dict[Moment, Native | Shown]] = field(default_factory=dict)
    exemplars: dict[Labels, frozenset[Exemplar]] = field(default_factory=dict)

    def report(self, name: str) -> Series:
        """Return what was reported under *name* about each scrape."""
        return _reported(self.series, name)


def is_plain(key: Labels) -> bool:
    """Say whether a series has but the labels of its target, as those about scrapes."""
    labels = dict(key)
    return labels.keys() == {"__name__", "instance", *OWN} and labels["job"] == labels[TARGET]


def _reported(series: Mapping[Labels, _Samples], name: str) -> _Samples:
    (found,) = [s for key, s in series.items() if ("__name__", name) in key and is_plain(key)]
    return found


def traces(held: Held, steps: Mapping[str, int], *, collapsing: frozenset[str]) -> dict[str, Trace]:
    """Return the first *steps* steps of each target.

    Of the targets in *collapsing*, failed scrapes one after the other count as one step, for how
    many there are is up to the pace.
    """
    scripts = {
        target: _Script(_ticks(held, target, collapse=target in collapsing), count)
        for target, count in steps.items()
    }
    found = {target: Trace() for target in steps}
    for key, samples in held.samples.items():
        target = dict(key)[TARGET]
        # No two scrapes take as long.
        values = dict.fromkeys(samples, 0) if ("__name__", TICK) in key else samples
        if told := scripts[target].told(values):
            found[target].series[key] = told
    for key, natives in held.histograms.items():
        target = dict(key)[TARGET]
        if shown := scripts[target].told(natives):
            found[target].histograms[key] = shown
    for key, exemplars in held.exemplars.items():
        target = dict(key)[TARGET]
        if placed := scripts[target].placed(exemplars):
            found[target].exemplars[key] = placed
    return found


@dataclass(frozen=True, slots=True)
class _Script:
    ticks: list[tuple[int, int]]  # times of scrapes, and their steps
    steps: int  # that count

    def moment(self, ms: int) -> Moment:
        at = bisect_left(self.ticks, (ms, -1))
        is_tick = at < len(self.ticks) and self.ticks[at][0] == ms
        return self.ticks[at][1] if is_tick else ("at", ms)

    def told(self, samples: Mapping[int, _Samples]) -> dict[Moment, _Samples]:
        """Return the samples of a series by moments."""
        found: dict[Moment, _Samples] = {}
        for ms, what in sorted(samples.items()):
            moment = self.moment(ms)
            if not self._is_later(moment):
                # Steps that are collapsed have several, but only of the report.
                assert found.setdefault(moment, what) == what
        return found

    def placed(self, exemplars: Iterable[remote_write_v1.Exemplar]) -> frozenset[Exemplar]:
        """Return the exemplars of a series with their moments."""
        every = [
            Exemplar(labels=e.labels, value=e.value, moment=self.moment(e.milliseconds))
            for e in exemplars
        ]
        return frozenset(each for each in every if not self._is_later(each.moment))

    def _is_later(self, moment: Moment) -> bool:
        return isinstance(moment, int) and moment >= self.steps


def _ticks(held: Held, target: str, *, collapse: bool) -> list[tuple[int, int]]:
    """Return the times of scrapes, ascending, each with its step."""

    of_it = {key: samples for key, samples in held.samples.items() if (TARGET, target) in key}
    ups = _reported(of_it, "up") if collapse else {}
    found: list[tuple[int, int]] = []
    failed = False
    for ms in sorted(_reported(of_it, TICK)):
        again = failed and ups.get(ms) == 0
        failed = ups.get(ms) == 0
        found.append((ms, (found[-1][1] if again else found[-1][1] + 1) if found else 0))
    return found


def shown(series: Mapping[Moment, int]) -> str:
    """Write a series down for people."""
    return " ".join(
        f"{moment if isinstance(moment, int) else moment[1]}:"
        f"{'STALE' if bits == STALE else format(double(bits), 'g')}"
        for moment, bits in series.items()
    )
