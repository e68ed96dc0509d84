"""What a store holds of scripted targets, told by steps of their scripts instead of by time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from tests.fakes.remote_write_rules import STALE, double
from tests.fakes.remote_write_v1 import GONE, Held, Labels, Native, Shown

TARGET: Final = "target"
"""The label that says which target a series is of, whatever else the target exposes."""
TICK: Final = "scrape_duration_seconds"
"""What every scrape leaves, and no target exposes; of it, only the times count."""

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

    def of(self, name: str, **labels: str) -> Series:
        """Return the one series called so that has these labels."""
        wanted = {("__name__", name), *labels.items()}
        (found,) = [series for key, series in self.series.items() if key >= wanted]
        return found


def traces(held: Held, steps: Mapping[str, int], *, collapsing: frozenset[str]) -> dict[str, Trace]:
    """Return the first *steps* steps of each target.

    Of the targets in *collapsing*, failed scrapes one after the other count as one step, for how
    many there are is up to the pace.
    """
    ticks = {
        target: _ticks(held, target, collapse=target in collapsing) for target in steps
    }
    found = {target: Trace() for target in steps}

    def moments(target: str, samples: Mapping[int, object]) -> dict[Moment, object]:
        told: dict[Moment, object] = {}
        for ms, what in sorted(samples.items()):
            moment = _moment(ticks[target], ms)
            if isinstance(moment, int) and moment >= steps[target]:
                continue
            if moment in told:  # of collapsed steps; only the report has several
                assert told[moment] == what
                continue
            told[moment] = what
        return told

    for key, samples in held.samples.items():
        if ("__name__", TICK) in key:
            samples = dict.fromkeys(samples, 0)  # no two scrapes take as long
        if told := moments(dict(key)[TARGET], samples):
            found[dict(key)[TARGET]].series[key] = told
    for key, samples in held.histograms.items():
        if told := moments(dict(key)[TARGET], samples):
            found[dict(key)[TARGET]].histograms[key] = told
    for key, exemplars in held.exemplars.items():
        target = dict(key)[TARGET]
        placed = [
            Exemplar(
                labels=each.labels,
                value=each.value,
                moment=_moment(ticks[target], each.milliseconds),
            )
            for each in exemplars
        ]
        found[target].exemplars[key] = frozenset(
            each
            for each in placed
            if not isinstance(each.moment, int) or each.moment < steps[target]
        )
    return found


def _ticks(held: Held, target: str, *, collapse: bool) -> list[tuple[int, int]]:
    """Return the times of scrapes, ascending, each with its step."""

    def reported(name: str) -> Mapping[int, int]:
        wanted = {("__name__", name), ("job", target), (TARGET, target)}
        (found,) = [samples for key, samples in held.samples.items() if key >= wanted]
        return found

    ups = reported("up") if collapse else {}
    found: list[tuple[int, int]] = []
    failed = False
    for ms in sorted(reported(TICK)):
        again = failed and ups.get(ms) == 0
        failed = ups.get(ms) == 0
        found.append((ms, (found[-1][1] if again else found[-1][1] + 1) if found else 0))
    return found


def _moment(ticks: list[tuple[int, int]], ms: int) -> Moment:
    at = bisect_left(ticks, (ms, -1))
    return ticks[at][1] if at < len(ticks) and ticks[at][0] == ms else ("at", ms)


def shown(series: Mapping[Moment, int]) -> str:
    """Write a series down for people."""
    return " ".join(
        f"{moment if isinstance(moment, int) else moment[1]}:"
        f"{'STALE' if bits == STALE else format(double(bits), 'g')}"
        for moment, bits in series.items()
    )
