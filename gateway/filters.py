"""What a pipeline takes, compiled once: its inputs, namespaces and metric names."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
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

    ``rule`` judges a whole frame by its namespace; ``names`` is ``None`` where every metric passes.
    """

    __slots__ = ("_diagnostic", "_enabled", "_exclude", "_globs", "_include", "names")

    def __init__(self, chosen: Input) -> None:
        self._enabled = chosen.enabled
        self._include, self._exclude = _sets(chosen.namespaces)
        self._diagnostic = isinstance(chosen, PrometheusInput) and not chosen.diagnostic_metrics
        wanted = chosen.metrics
        self._globs = Globs(wanted) if wanted.include or wanted.exclude else None
        self.names: Callable[[str], bool] | None = self._globs
        if self._diagnostic:
            self.names = _not_diagnostic if self._globs is None else self._both

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

    def metrics(self, body: otlp.Encoded, points: int) -> tuple[otlp.Encoded, int, Removed]:
        """Leave out metrics by name; return the request, its points, and what was removed by rule.

        The same object comes back when nothing is removed.
        """
        if self.names is None:
            return body, points, NOTHING
        kept, removed = otlp.select(body, points, self.names)
        if not removed:
            return kept, points - removed, NOTHING
        if self._globs is None:
            return kept, points - removed, {FilterRule.DIAGNOSTIC: removed}
        # Which of the two rules it was matters to the ledger only, so the second look is taken when
        # both exist and something went: diagnostics count as such, whatever the globs say.
        diagnostic = otlp.select(body, points, _not_diagnostic)[1] if self._diagnostic else 0
        by_rule = {FilterRule.DIAGNOSTIC: diagnostic, FilterRule.METRIC_NAME: removed - diagnostic}
        return kept, points - removed, {rule: n for rule, n in by_rule.items() if n}

    def _both(self, name: str) -> bool:
        return name not in DIAGNOSTIC and (self._globs is None or self._globs(name))


def selections(inputs: Inputs) -> Mapping[str, Selection]:
    """Compile *inputs* by the name of the source; a source that is not named here passes whole."""
    return {"otlp": Selection(inputs.otlp), "prometheus": Selection(inputs.prometheus)}


def _not_diagnostic(name: str) -> bool:
    return name not in DIAGNOSTIC


def _sets(namespaces: Namespaces) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(namespaces.include), frozenset(namespaces.exclude)


def _compile(globs: Iterable[str]) -> re.Pattern[str] | None:
    pattern = "|".join(map(fnmatch.translate, globs))
    return re.compile(pattern) if pattern else None
