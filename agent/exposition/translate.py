"""From the samples of an exposition to OTLP metrics: which samples make which points.

The rules are those of "Prometheus Metric points to OTLP" in the OpenTelemetry specification.
Nothing here depends on the numbers, so a translation holds for as long as the series do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import NamedTuple

from agent.exposition import grammar, numbers, report, text


class Kind(Enum):
    """The OTLP data types that the text format can express."""

    GAUGE = "gauge"
    SUM = "sum"  # monotonic, cumulative
    HISTOGRAM = "histogram"  # cumulative
    SUMMARY = "summary"


class Drop(StrEnum):
    """Why a point is not sent."""

    NO_COUNT = "no_count"  # a histogram or summary without its _count
    NOT_A_COUNT = "not_a_count"  # a count or bucket that is negative, fractional, NaN or decreasing
    MIXED_TIMES = "mixed_times"  # the samples of one histogram or summary differ in timestamp
    OUT_OF_BOUNDS = "out_of_bounds"  # an explicit timestamp of zero, or too far in the future


class Number(NamedTuple):
    """A point of one sample."""

    labels: grammar.Labels  # sorted by name, without empty values
    sample: int


class Distribution(NamedTuple):
    """A point of a histogram or a summary, from several samples."""

    labels: grammar.Labels  # as above, without le or quantile
    counted: int  # the sample with the count
    summed: int | None  # the sample with the sum
    steps: tuple[tuple[float, int], ...]  # upper bound or quantile, ascending, and its sample

    @property
    def samples(self) -> tuple[int, ...]:
        """Return all samples of the point, the count first."""
        summed = () if self.summed is None else (self.summed,)
        return (self.counted, *summed, *(sample for _, sample in self.steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric and its points, in the order of the text."""

    name: bytes
    kind: Kind
    type: bytes  # Prometheus' word, for the way back; "unknown" where the text has none
    help: bytes
    points: tuple[Number | Distribution, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What an exposition becomes; sample numbers beyond its own are those of the report."""

    metrics: tuple[Metric, ...]
    duplicates: int  # samples whose series had come before in the same text
    incomplete: int  # histograms and summaries dropped as `Drop.NO_COUNT`


def translate(exposition: text.Exposition, labels: grammar.Labels) -> Translation:
    """Translate *exposition*, and the report series behind it, as exposed by a target.

    *labels* are what the target adds to every point. The names ``job`` and ``instance``, which live
    in the resource, and those of *labels* are the target's own: an exposed label of such a name is
    kept as ``exported_<name>``, the prefix repeated until the name is free.
    """
    return _Translator(exposition, labels).run()


class _Part(Enum):
    NUMBER = 0
    STEP = 1
    SUM = 2
    COUNT = 3


class _Role(NamedTuple):
    # What samples of one name are to their family.
    part: _Part
    family: bytes
    kind: Kind
    type: bytes


@dataclass(slots=True)
class _Group:
    # The samples of one histogram or summary, as they turn up.
    count: int | None = None
    sum: int | None = None
    steps: dict[float, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Draft:
    numbers: list[Number] = field(default_factory=list)
    groups: dict[grammar.Labels, _Group] = field(default_factory=dict)


_SUFFIXES = ((b"_bucket", _Part.STEP), (b"_sum", _Part.SUM), (b"_count", _Part.COUNT))
_UNKNOWN = b"unknown"


class _Translator:
    """One translation; splits into series first, groups second."""

    def __init__(self, exposition: text.Exposition, labels: grammar.Labels) -> None:
        self._exposition = exposition
        self._labels = tuple((name, value) for name, value in labels if value)
        self._own = tuple(sorted(self._labels))
        self._reserved = {b"job", b"instance"} | {name for name, _ in self._labels}
        self._drafts: dict[tuple[bytes, Kind, bytes], _Draft] = {}
        self._roles: dict[bytes, _Role] = {}
        self._duplicates = 0

    def run(self) -> Translation:
        first = len(self._exposition.series)
        own = {(name, self._own) for name, _ in report.SERIES}
        self._sort_samples(own)
        incomplete = 0
        metrics = []
        for (name, kind, word), draft in self._drafts.items():
            groups = list(_distributions(draft.groups))
            incomplete += len(draft.groups) - len(groups)
            points: tuple[Number | Distribution, ...] = (*draft.numbers, *groups)
            if points:
                described = self._exposition.families.get(name, text.Family()).help
                metrics.append(
                    Metric(name=name, kind=kind, type=word, help=described, points=points)
                )
        for i, (name, described) in enumerate(report.SERIES):
            points = (Number(self._own, first + i),)
            metrics.append(
                Metric(name=name, kind=Kind.GAUGE, type=b"gauge", help=described, points=points)
            )
        return Translation(
            metrics=tuple(metrics), duplicates=self._duplicates, incomplete=incomplete
        )

    def _sort_samples(self, seen: set[tuple[bytes, grammar.Labels]]) -> None:
        timed = (self._exposition.times != text.UNTIMED).tolist()
        for i, (name, exposed) in enumerate(self._exposition.series):
            labels = self._relabelled(exposed)
            identity = (name, labels)
            # One series may have several samples if each says when it was taken.
            if not timed[i]:
                if identity in seen:
                    self._duplicates += 1
                    continue
                seen.add(identity)
            role = self._roles.get(name)
            if role is None:
                role = self._roles[name] = _role(name, self._exposition.families)
            if role.part is _Part.NUMBER:
                self._draft(role).numbers.append(Number(labels, i))
            else:
                self._add_to_group(role, name, labels, i)

    def _add_to_group(self, role: _Role, name: bytes, labels: grammar.Labels, i: int) -> None:
        step = math.nan
        if role.part is _Part.STEP:
            label = b"le" if role.kind is Kind.HISTOGRAM else b"quantile"
            step = _step(labels, label)
            if math.isnan(step):  # not a bucket, not a quantile: a series like any other
                orphan = _Role(_Part.NUMBER, name, Kind.GAUGE, _UNKNOWN)
                self._draft(orphan).numbers.append(Number(labels, i))
                return
            labels = tuple(pair for pair in labels if pair[0] != label)
        group = self._draft(role).groups.setdefault(labels, _Group())
        if role.part is _Part.STEP and step not in group.steps:
            group.steps[step] = i
        elif role.part is _Part.SUM and group.sum is None:
            group.sum = i
        elif role.part is _Part.COUNT and group.count is None:
            group.count = i
        else:  # le="1" and le="1.0" are one bucket
            self._duplicates += 1

    def _draft(self, role: _Role) -> _Draft:
        key = (role.family, role.kind, role.type)
        draft = self._drafts.get(key)
        if draft is None:
            draft = self._drafts[key] = _Draft()
        return draft

    def _relabelled(self, exposed: grammar.Labels) -> grammar.Labels:
        labels = {name: value for name, value in exposed if value}
        conflicts = self._reserved & labels.keys()
        if conflicts or self._labels:
            moved = sorted(((n, labels.pop(n)) for n in conflicts), key=lambda pair: len(pair[0]))
            labels.update(self._labels)
            for name, value in moved:
                free = b"exported_" + name
                while free in labels or free in self._reserved:
                    free = b"exported_" + free
                labels[free] = value
        return tuple(sorted(labels.items()))


def _role(name: bytes, families: dict[bytes, text.Family]) -> _Role:
    # A TYPE for the very name wins; then it may be a part of a histogram or a summary, or a counter
    # whose TYPE was written without _total.
    word = families.get(name, text.Family()).type
    if word == b"summary":
        return _Role(_Part.STEP, name, Kind.SUMMARY, word)
    if word in (b"counter", b"gauge"):
        return _Role(_Part.NUMBER, name, Kind.SUM if word == b"counter" else Kind.GAUGE, word)
    if not word:
        for suffix, part in _SUFFIXES:
            family = name.removesuffix(suffix)
            kind = families.get(family, text.Family()).type if family != name else b""
            if kind == b"histogram":
                return _Role(part, family, Kind.HISTOGRAM, kind)
            if kind == b"summary" and part is not _Part.STEP:
                return _Role(part, family, Kind.SUMMARY, kind)
        bare = name.removesuffix(b"_total")
        if bare != name and families.get(bare, text.Family()).type == b"counter":
            return _Role(_Part.NUMBER, name, Kind.SUM, b"counter")
    return _Role(_Part.NUMBER, name, Kind.GAUGE, _UNKNOWN)


def _step(labels: grammar.Labels, wanted: bytes) -> float:
    for name, value in labels:
        if name == wanted:
            try:
                return numbers.number(value)
            except ValueError:
                return math.nan
    return math.nan


def _distributions(groups: dict[grammar.Labels, _Group]) -> Iterable[Distribution]:
    for labels, group in groups.items():
        if group.count is not None:
            yield Distribution(labels, group.count, group.sum, tuple(sorted(group.steps.items())))
