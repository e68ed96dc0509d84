"""What a pipeline takes, compiled once: its inputs, namespaces and metric names."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from common.config.gateway import Input, Inputs, PrometheusInput
from common.config.shared import Names, Namespaces
from common.service.ledger import FilterRule
from common.wire import otlp

DIAGNOSTIC: Final = frozenset({
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
})  # fmt: skip
MEMO_BYTES: Final = 1 << 20  # of names with their verdicts, per input of a pipeline
ENTRY_BYTES: Final = 160  # of one name in the memo, apart from its characters

Removed = Mapping[str, int]  # points by FilterRule
NOTHING: Final[Removed] = MappingProxyType({})


class Globs:
    """Which names a choice keeps: those that match an include, if there are any, and no exclude.

    ``*`` is any run of characters, ``?`` is one, ``[...]`` one of several; upper and lower case
    differ. Verdicts are remembered: a regular expression costs 0.5 µs a name, the memo 0.05 µs.
    """

    __slots__ = ("_exclude", "_include", "_size", "_verdicts")

    def __init__(self, names: Names) -> None:
        self._include = _compile(names.include)
        self._exclude = _compile(names.exclude)
        self._verdicts: dict[str, bool] = {}
        self._size = 0  # bytes

    def __call__(self, name: str) -> bool:
        """Say whether *name* is kept."""
        verdict = self._verdicts.get(name)
        return self._judge(name) if verdict is None else verdict

    def _judge(self, name: str) -> bool:
        include, exclude = self._include, self._exclude
        verdict = include is None or include.match(name) is not None
        if verdict and exclude is not None:
            verdict = exclude.match(name) is None
        cost = ENTRY_BYTES + 4 * len(name)
        # Emptied when full: names come from a bounded set, or the memo is of no use anyway.
        if self._size + cost > MEMO_BYTES:
            self._verdicts.clear()
            self._size = 0
        if cost <= MEMO_BYTES:
            self._verdicts[name] = verdict
            self._size += cost
        return verdict


class Selection:
    """What one pipeline takes of one input.

    ``rule`` judges a whole frame by its namespace, ``judge`` a metric by its name. ``frames`` and
    ``names`` say whether they ever leave anything out.
    """

    __slots__ = ("_diagnostic", "_enabled", "_exclude", "_globs", "_include", "frames", "names")

    def __init__(self, chosen: Input) -> None:
        self._enabled = chosen.enabled
        self._include, self._exclude = _sets(chosen.namespaces)
        self._diagnostic = isinstance(chosen, PrometheusInput) and not chosen.diagnostic_metrics
        wanted = chosen.metrics
        self._globs = Globs(wanted) if wanted.include or wanted.exclude else None
        self.names = self._diagnostic or self._globs is not None
        self.frames = not self._enabled or bool(self._include or self._exclude)

    def rule(self, namespace: str) -> FilterRule | None:
        """Return the rule by which all data of *namespace* is left out, or ``None``.

        Data without a namespace passes: a rule about namespaces says nothing about it.
        """
        if not self._enabled:
            return FilterRule.INPUT_DISABLED
        if not namespace:
            return None
        if namespace in self._exclude or (self._include and namespace not in self._include):
            return FilterRule.NAMESPACE
        return None

    def judge(self, name: str) -> FilterRule | None:
        """Return the rule by which metrics called *name* are left out, or ``None``.

        Diagnostics count as such, whatever the choice of names says.
        """
        if self._diagnostic and name in DIAGNOSTIC:
            return FilterRule.DIAGNOSTIC
        if self._globs is not None and not self._globs(name):
            return FilterRule.METRIC_NAME
        return None

    def recipe(self, frame: otlp.Frame) -> otlp.Recipe:
        """Return which metrics of *frame* are kept by name, and what goes by which rule.

        That is found anew for a frame that was not recognised only.
        """
        if frame.layout is None:
            return otlp.recipe(frame.rest, self.judge)
        return frame.layout.recipe(frame.rest, self, self.judge)


def selections(inputs: Inputs) -> Mapping[str, Selection]:
    """Compile *inputs* by the name of the source; a source that is not named here passes whole."""
    return {"otlp": Selection(inputs.otlp), "prometheus": Selection(inputs.prometheus)}


def _sets(namespaces: Namespaces) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(namespaces.include), frozenset(namespaces.exclude)


def _compile(globs: Iterable[str]) -> re.Pattern[str] | None:
    pattern = "|".join(map(fnmatch.translate, globs))
    return re.compile(pattern) if pattern else None
