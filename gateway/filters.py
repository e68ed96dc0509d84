"""What a pipeline takes, compiled once: its inputs, namespaces and metric names.

A point that is left out counts under the first rule that leaves it out. They are asked in this
order: is the input known, is it on, is the namespace taken (these judge whole frames); then, by the
name of the metric, the runtime resource, the additional metrics, the diagnostics, Envoy's own, and
last the globs. Sources of the order and of what a rule means: sections 4.2 and 5.2 of what is known
of Kyma's telemetry module; globs are ours.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from common.config import input_names, runtime_metrics
from common.config.gateway import Input, Inputs, IstioInput, PrometheusInput, RuntimeInput
from common.config.shared import Names, Namespaces
from common.service.ledger import FilterRule
from common.wire import otlp

ENVOY: Final = "envoy_"
MEMO_BYTES: Final = 1 << 20  # of names with their verdicts, per input of a pipeline
ENTRY_BYTES: Final = 160  # of one name in the memo, apart from its characters

Removed = Mapping[str, int]  # points by FilterRule
NOTHING: Final[Removed] = MappingProxyType({})

Rule: TypeAlias = Callable[[str], FilterRule | None]
"""Returns itself if it leaves out metrics of a name, ``None`` if it does not."""


class Judge:
    """The *rules* about names, in their order: the first that leaves a metric out counts.

    Verdicts are remembered: a regular expression costs 0.5 µs a name, the memo 0.05 µs.
    """

    __slots__ = ("_rules", "_size", "_verdicts")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._verdicts: dict[str, FilterRule | None] = {}
        self._size = 0  # bytes

    def __bool__(self) -> bool:
        """Whether there are rules at all."""
        return bool(self._rules)

    def __call__(self, name: str) -> FilterRule | None:
        """Return the rule by which metrics called *name* are left out, or ``None``."""
        try:
            return self._verdicts[name]
        except KeyError:  # once per name: what fails costs twenty times what hits
            return self._judge(name)

    def _judge(self, name: str) -> FilterRule | None:
        verdict = None
        for rule in self._rules:
            verdict = rule(name)
            if verdict is not None:
                break
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

    __slots__ = ("_enabled", "_exclude", "_include", "frames", "judge", "names")

    def __init__(self, chosen: Input) -> None:
        self._enabled = chosen.enabled
        self._include, self._exclude = _sets(chosen.namespaces)
        self.judge: Final = Judge(_rules(chosen))
        self.names = bool(self.judge)
        self.frames = not self._enabled or bool(self._include or self._exclude)

    def rule(self, namespace: str) -> FilterRule | None:
        """Return the rule by which all data of *namespace* is left out, or ``None``.

        Data without a namespace passes, that of nodes for one: a rule about namespaces says nothing
        about it.
        """
        if not self._enabled:
            return FilterRule.INPUT_DISABLED
        if not namespace:
            return None
        if namespace in self._exclude or (self._include and namespace not in self._include):
            return FilterRule.NAMESPACE
        return None

    def recipe(self, frame: otlp.Frame) -> otlp.Recipe:
        """Return which metrics of *frame* are kept by name, and what goes by which rule.

        That is found anew for a frame that was not recognised only.
        """
        if frame.layout is None:
            return otlp.recipe(frame.rest, self.judge)
        return frame.layout.recipe(frame.rest, self, self.judge)


def selections(inputs: Inputs) -> Mapping[str, Selection]:
    """Compile *inputs* by the name of the source.

    Nobody has asked for a source that is not named here: it is that of an agent newer than this
    gateway, and `FilterRule.UNKNOWN_INPUT` leaves it out.
    """
    runtime = inputs.runtime
    return {
        input_names.OTLP: Selection(inputs.otlp),
        input_names.PROMETHEUS: Selection(inputs.prometheus),
        input_names.ISTIO: Selection(inputs.istio),
        input_names.RUNTIME: Selection(runtime),
        # The API server is scraped, so its metrics come with diagnostics; nobody can ask for them.
        input_names.APISERVER: Selection(
            PrometheusInput(
                enabled=runtime.enabled and runtime.resources.apiserver,
                namespaces=runtime.namespaces,
                metrics=runtime.metrics,
            )
        ),
    }


def globs(names: Names) -> Callable[[str], bool]:
    """Say what *names* keep: whatever matches an include, if there are any, and no exclude.

    ``*`` is any run of characters, ``?`` is one, ``[...]`` one of several; upper and lower case
    differ.
    """
    include, exclude = _compile(names.include), _compile(names.exclude)

    def keeps(name: str) -> bool:
        if include is not None and include.match(name) is None:
            return False
        return exclude is None or exclude.match(name) is None

    return keeps


def _rules(chosen: Input) -> Iterable[Rule]:
    if isinstance(chosen, RuntimeInput):
        yield _runtime(chosen)
    if isinstance(chosen, PrometheusInput) and not chosen.diagnostic_metrics:
        yield lambda name: FilterRule.DIAGNOSTIC if name in input_names.DIAGNOSTIC else None
    if isinstance(chosen, IstioInput) and not chosen.envoy_metrics:
        yield lambda name: FilterRule.ENVOY if name.startswith(ENVOY) else None
    if chosen.metrics.include or chosen.metrics.exclude:
        keeps = globs(chosen.metrics)
        yield lambda name: None if keeps(name) else FilterRule.METRIC_NAME


def _runtime(chosen: RuntimeInput) -> Rule:
    """Leave out resources that are off, and what has to be asked for and was not.

    What is asked for by name is kept even if its resource is off. A name that is no metric of the
    runtime input we know of belongs to its resource, if it has one, and else to nobody: it is kept.
    """
    listed = frozenset(chosen.additional_metrics)
    off = frozenset(
        resource
        for resource in runtime_metrics.DEFAULT
        if not getattr(chosen.resources, resource)
    )  # fmt: skip

    def rule(name: str) -> FilterRule | None:
        if name in listed:
            return None
        if runtime_metrics.resource_of(name) in off:
            return FilterRule.RUNTIME_RESOURCE
        return FilterRule.ADDITIONAL_METRIC if name in runtime_metrics.ADDITIONAL else None

    return rule


def _sets(namespaces: Namespaces) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(namespaces.include), frozenset(namespaces.exclude)


def _compile(patterns: Iterable[str]) -> re.Pattern[str] | None:
    pattern = "|".join(map(fnmatch.translate, patterns))
    return re.compile(pattern) if pattern else None
