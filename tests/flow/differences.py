"""Where agent and gateway mean to differ from Prometheus 2.42, each with its reason, and no more.

Each rule turns what Prometheus has into what is expected instead. A rule that changes nothing of
what it is about has no place here: `Expected.applied` counts what each has changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.fakes.remote_write_rules import STALE, bits, double
from tests.fakes.remote_write_v1 import Labels
from tests.flow import histories
from tests.flow.traces import Moment, Series, Trace, is_plain

REPORT: Final = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
}
COUNTS: Final = REPORT - {"up", "scrape_duration_seconds"}

ADDED: Final[Mapping[str, Mapping[int, int]]] = {
    # Prometheus counts texts: a series that is written in another way, or twice, is new to it.
    "vanishing": {8: 0, 9: 0},
    "spaced": {1: 0, 2: 0},
    "twice": {2: 1, 5: 1},
    # It counts a series when it can first store a sample of it, which is not always the first one.
    "mixed": {6: 1},
    "timed": {10: 1, 11: 1},
    # It forgets what it knew when a scrape that fails has very many new series.
    "limited": {4: 0},
}
"""``scrape_series_added`` by target and step."""

AGAIN: Final[Mapping[tuple[str, str], int]] = {("composites", "composites_h_sum"): 3}
"""Steps of stale markers that say again what an earlier one said, by target and name.

A histogram is marked as a whole, and its marker does not tell whether it had a sum.
"""

FAMILIES: Final[Mapping[str, str | None]] = {
    # A metric is called as its series are, a family of OpenMetrics without the suffix.
    "ex": "ex_total",
    "om_orders": "om_orders_total",
    "om_build": "om_build_info",
    # There are no such metrics: see `Expected.some_series_are_none`.
    "om_queue": None,
    "target": None,
}
"""What metadata is of, by the name it has in Prometheus."""

UNSENT: Final = ("far",)
"""Metrics without a sample that can be sent: metadata goes with samples."""

PARTED: Final = ("composites_h_bucket", "composites_h_sum")
"""Buckets and sums that left histograms which stay: each is marked stale as a metric of its own."""

CANONICAL: Final = bits(double(0x7FF8000000000001))


@dataclass(slots=True)
class Expected:
    """Applies the rules."""

    applied: Counter[str] = field(default_factory=Counter)
    """By rule, how many series it changed."""

    def of(self, target: str, direct: Trace) -> Trace:
        """Return what is expected of *target* where Prometheus has *direct*."""
        rules: list[Callable[[str, Trace], Trace]] = [
            self.failed_scrapes_are_nothing,
            self.some_series_are_none,
            self.bounds_are_numbers,
            self.nan_is_canonical,
            self.series_are_not_texts,
            self.markers_are_of_whole_histograms,
        ]
        for rule in rules:
            after = rule(target, direct)
            changed = [
                key
                for key in after.series.keys() | direct.series.keys()
                if after.series.get(key) != direct.series.get(key)
            ]
            self.applied[rule.__name__] += len(changed)
            direct = after
        return direct

    @staticmethod
    def failed_scrapes_are_nothing(_: str, trace: Trace) -> Trace:
        """Of a scrape that failed nothing counts, however far it had been read.

        Prometheus 2.42 marks only those series stale that it had not come to yet when a line was
        wrong or a limit hit. Those that it had come to, new ones too, are marked after the next
        scrape if they are not in that. Its report tells how far it had come, and what was new there
        is not new any more in the next scrape. Too many samples both tell the number of.
        """
        failed = {step for step, value in trace.report("up").items() if value == 0}
        found = Trace(histograms=trace.histograms, exemplars=trace.exemplars)
        for key, series in trace.series.items():
            name = dict(key)["__name__"]
            if name in REPORT and is_plain(key):
                told = _carried(series, failed) if name == "scrape_series_added" else series
                found.series[key] = {
                    step: 0 if step in failed and _is_partial(name, value) else value
                    for step, value in told.items()
                }
            elif any(value != STALE for value in series.values()):
                found.series[key] = _marked(series, failed)
        return found

    @staticmethod
    def some_series_are_none(target: str, trace: Trace) -> Trace:
        """Created timestamps become start times, ``target_info`` a resource; gauge histograms go.

        Created timestamps are no samples then. The others are samples without a series.
        """
        created = {k for k in trace.series if target == "openmetrics" and _ends(k, "_created")}
        others = {k for k in trace.series if dict(k)["__name__"] == "target_info"}
        if target == "openmetrics":
            suffixes = ("_bucket", "_gcount", "_gsum")
            others |= {k for k in trace.series if _begins(k, "om_queue") and _ends(k, *suffixes)}
        found = Trace(histograms=trace.histograms, exemplars=trace.exemplars)
        for key, series in trace.series.items():
            name = dict(key)["__name__"]
            if key in created | others:
                continue
            changed = dict(series)
            if name in COUNTS and is_plain(key):
                gone = created if name != "scrape_series_added" else created | others
                for step in [step for step, value in series.items() if value]:
                    less = [
                        each
                        for each in gone
                        if _lives(trace.series[each], step)
                        and (name != "scrape_series_added" or _is_new(trace.series[each], step))
                    ]
                    changed[step] = bits(double(series[step]) - len(less))
            found.series[key] = changed
        return found

    @staticmethod
    def bounds_are_numbers(_: str, trace: Trace) -> Trace:
        """Bounds and quantiles are numbers on the way: all are spelt as Go's client spells them."""
        return Trace(
            series={_spelt(key): series for key, series in trace.series.items()},
            histograms=trace.histograms,
            exemplars={_spelt(key): told for key, told in trace.exemplars.items()},
        )

    @staticmethod
    def nan_is_canonical(_: str, trace: Trace) -> Trace:
        """Every NaN is the same, and none a stale marker; Prometheus 2.42 has that of text only."""
        return Trace(
            series={
                key: {step: _canonical(value) for step, value in series.items()}
                for key, series in trace.series.items()
            },
            histograms=trace.histograms,
            exemplars=trace.exemplars,
        )

    @staticmethod
    def series_are_not_texts(target: str, trace: Trace) -> Trace:
        """New series are counted by what they are: see `ADDED`."""
        return _patched(trace, "scrape_series_added", {
            step: bits(float(count)) for step, count in ADDED.get(target, {}).items()
        })  # fmt: skip

    @staticmethod
    def markers_are_of_whole_histograms(target: str, trace: Trace) -> Trace:
        """See `AGAIN`."""
        for (where, name), step in AGAIN.items():
            if where == target:
                trace = _patched(trace, name, {step: STALE})
        return trace


def _is_partial(name: str, value: int) -> bool:
    """Say whether a report of a scrape that failed tells how far it had come."""
    if name not in COUNTS:
        return False
    return name == "scrape_series_added" or double(value) <= histories.MAX_SAMPLES


def _marked(series: Series, failed: set[Moment]) -> Series:
    """Mark what was there stale at the first of the steps that *failed*, and only once."""
    found: Series = {}
    live = False
    last = max(failed | {step for step in series if isinstance(step, int)}, default=-1)
    for step in range(last + 1):
        if step in failed:
            if live:
                found[step] = STALE
            live = False
        elif step in series and (live or series[step] != STALE):
            found[step] = series[step]
            live = series[step] != STALE
    return found | {at: value for at, value in series.items() if not isinstance(at, int)}


def _carried(added: Series, failed: set[Moment]) -> Series:
    """Count as new in the scrape after one that *failed* what was new in that."""
    found = dict(added)
    for step in sorted(step for step in failed if isinstance(step, int)):
        if step + 1 in found:
            found[step + 1] = bits(double(found[step + 1]) + double(found[step]))
    return found


def _patched(trace: Trace, name: str, values: Mapping[int, int]) -> Trace:
    if not values:
        return trace
    return Trace(
        series={
            key: {**series, **values} if is_plain(key) and ("__name__", name) in key else series
            for key, series in trace.series.items()
        },
        histograms=trace.histograms,
        exemplars=trace.exemplars,
    )


def _lives(series: Series, step: Moment) -> bool:
    return series.get(step, STALE) != STALE


def _is_new(series: Series, step: Moment) -> bool:
    """Say whether a series that has a sample at *step* was not there before."""
    before = [value for at, value in series.items() if isinstance(at, int) and at < step]
    return not before or before[-1] == STALE


def _ends(key: Labels, *suffixes: str) -> bool:
    return dict(key)["__name__"].endswith(suffixes)


def _begins(key: Labels, prefix: str) -> bool:
    return dict(key)["__name__"].startswith(prefix)


def _spelt(key: Labels) -> Labels:
    return frozenset(
        (name, _number(value) if name in {"le", "quantile"} else value) for name, value in key
    )


def _number(text: str) -> str:
    value = float(text)
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value.is_integer() else repr(value)


def _canonical(value: int) -> int:
    number = double(value)
    return value if number == number or value == STALE else CANONICAL  # noqa: PLR0124 - NaN is not
