"""From the samples of an exposition to OTLP metrics: which samples make which points.

The rules are those of "Prometheus Metric points to OTLP" in the OpenTelemetry specification.
Nothing here depends on the numbers, so a translation holds for as long as the series do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import NamedTuple, TypeAlias

from agent.exposition import grammar, model, numbers, relabelling, report


class Kind(Enum):
    """The OTLP data types that the exposition formats can express."""

    GAUGE = "gauge"
    SUM = "sum"  # monotonic, cumulative
    UPDOWN = "updown"  # a sum that is cumulative, but not monotonic: info and stateset
    HISTOGRAM = "histogram"  # cumulative
    SUMMARY = "summary"
    EXPONENTIAL = "exponential"  # cumulative


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
    started: int | None = None  # the sample whose value says since when, in seconds


class Distribution(NamedTuple):
    """A point of a histogram or a summary, from several samples."""

    labels: grammar.Labels  # as above, without le or quantile
    counted: int  # the sample with the count
    summed: int | None  # the sample with the sum
    steps: tuple[tuple[float, int], ...]  # upper bound or quantile, ascending, and its sample
    started: int | None = None  # as above

    @property
    def samples(self) -> tuple[int, ...]:
        """Return all samples of the point, the count first."""
        summed = () if self.summed is None else (self.summed,)
        return (self.counted, *summed, *(sample for _, sample in self.steps))


class NativePoint(NamedTuple):
    """A point of a native histogram, of which `model.Exposition.natives` tells the buckets.

    Its metric is of kind `Kind.EXPONENTIAL`, or of `Kind.HISTOGRAM` for schema -53.
    """

    labels: grammar.Labels  # as above
    sample: int
    started: int | None = None  # as above


class Scope(NamedTuple):
    """Who made a metric: an encoded InstrumentationScope, and the URL of its schema."""

    message: bytes = b""
    schema_url: bytes = b""


OWN = Scope()
"""The scope of what does not say who made it: that of the agent itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric and its points, in the order of the text."""

    name: bytes
    kind: Kind
    type: bytes  # Prometheus' word, for the way back; "unknown" where the text has none
    help: bytes
    points: tuple[Number | Distribution, ...]
    unit: bytes = b""  # as UCUM has it
    scope: Scope = OWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What an exposition becomes; sample numbers beyond its own are those of the report."""

    metrics: tuple[Metric, ...]
    duplicates: int  # samples whose series had come before in the same text
    incomplete: int  # histograms and summaries dropped as `Drop.NO_COUNT`
    info: grammar.Labels = ()
    """What ``target_info`` says of the target, sorted by name: attributes of its resource."""
    hidden: int = 0
    """Samples that are no series of their own: created timestamps."""
    filtered: int = 0
    """Samples that the rules of the target leave out."""


def translate(exposition: model.Exposition, labels: grammar.Labels) -> Translation:
    """Translate *exposition*, and the report series behind it, as exposed by a target.

    *labels* are what the target adds to every point; see `relabelling` for exposed ones of the same
    names. Repeated samples of one series without timestamps are one, the first. Those with
    timestamps are several points; where several make a histogram or summary, the n-th sample of
    each of its series belongs to the n-th point.
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


_Spot: TypeAlias = float | _Part
"""What a sample is to its histogram or summary: a bound or quantile, or the part there is once."""

_Group: TypeAlias = dict[_Spot, int]
"""The samples of one histogram or summary."""


@dataclass(slots=True)
class _Draft:
    numbers: list[Number] = field(default_factory=list)
    groups: dict[grammar.Labels, _Group] = field(default_factory=dict)
    # The same at other times. Samples repeat only with times of their own, which hardly any do.
    further: dict[tuple[grammar.Labels, int], _Group] = field(default_factory=dict)
    taken: dict[tuple[grammar.Labels, _Spot], int] = field(default_factory=dict)  # how often more
    untimed: set[tuple[grammar.Labels, _Spot]] = field(default_factory=set)  # not the first time

    def distributions(self) -> list[Distribution]:
        groups = [*self.groups.items()]
        groups += [(labels, group) for (labels, _), group in self.further.items()]
        return [
            Distribution(
                labels,
                group[_Part.COUNT],
                group.get(_Part.SUM),
                tuple(sorted([(s, i) for s, i in group.items() if isinstance(s, float)])),
            )
            for labels, group in groups
            if _Part.COUNT in group
        ]


@dataclass(slots=True)
class _Name:
    # What is known of all samples of one name.
    role: _Role
    draft: _Draft | None = None
    seen: set[grammar.Labels] = field(default_factory=set)  # series without times of their own


_SUFFIXES = ((b"_bucket", _Part.STEP), (b"_sum", _Part.SUM), (b"_count", _Part.COUNT))
_UNKNOWN = b"unknown"


class _Translator:
    """One translation; splits into series first, groups second."""

    def __init__(self, exposition: model.Exposition, labels: grammar.Labels) -> None:
        self._exposition = exposition
        self._relabelled = relabelling.Relabelled(labels)
        self._drafts: dict[tuple[bytes, Kind, bytes], _Draft] = {}
        self._names: dict[bytes, _Name] = {}
        self._orphans: dict[bytes, _Name] = {}
        self._bounds: dict[bytes, float] = {}
        self._timed = (exposition.times != model.UNTIMED).tolist()
        self._duplicates = 0

    def run(self) -> Translation:
        first = len(self._exposition.names)
        for name, _ in report.SERIES:
            self._name(name).seen.add(self._relabelled.own)
        self._sort_samples()
        incomplete = 0
        metrics = []
        for (name, kind, word), draft in self._drafts.items():
            groups = draft.distributions()
            incomplete += len(draft.groups) + len(draft.further) - len(groups)
            points: tuple[Number | Distribution, ...] = (*draft.numbers, *groups)
            if points:
                described = self._exposition.families.get(name, model.Family()).help
                metrics.append(
                    Metric(name=name, kind=kind, type=word, help=described, points=points)
                )
        for i, (name, described) in enumerate(report.SERIES):
            points = (Number(self._relabelled.own, first + i),)
            metrics.append(
                Metric(name=name, kind=Kind.GAUGE, type=b"gauge", help=described, points=points)
            )
        return Translation(
            metrics=tuple(metrics), duplicates=self._duplicates, incomplete=incomplete
        )

    def _sort_samples(self) -> None:
        names = self._names
        rows = zip(self._exposition.names, self._exposition.labels, strict=True)
        for i, (name, exposed) in enumerate(rows):
            known = names.get(name) or self._name(name)
            if known.role.part is _Part.NUMBER:
                self._add_number(known, exposed, i)
            else:
                self._add_to_group(known, name, exposed, i)

    def _name(self, name: bytes) -> _Name:
        known = self._names[name] = _Name(_role(name, self._exposition.families))
        return known

    def _add_number(self, known: _Name, exposed: grammar.Labels, i: int) -> None:
        labels = self._relabelled[exposed]
        # One series may have several samples if each says when it was taken.
        if not self._timed[i]:
            if labels in known.seen:
                self._duplicates += 1
                return
            known.seen.add(labels)
        draft = known.draft
        if draft is None:
            draft = known.draft = self._draft(known.role)
        draft.numbers.append(Number(labels, i))

    def _add_to_group(self, known: _Name, name: bytes, exposed: grammar.Labels, i: int) -> None:
        role = known.role
        spot: _Spot = role.part
        if role.part is _Part.STEP:
            label = b"le" if role.kind is Kind.HISTOGRAM else b"quantile"
            labels, spot = self._step(exposed, label)
            if math.isnan(spot):  # not a bucket, not a quantile: a series like any other
                orphans = self._orphans.get(name)
                if orphans is None:
                    role = _Role(_Part.NUMBER, name, Kind.GAUGE, _UNKNOWN)
                    orphans = self._orphans[name] = _Name(role, seen=known.seen)
                self._add_number(orphans, exposed, i)
                return
        else:
            labels = self._relabelled[exposed]
        draft = known.draft
        if draft is None:
            draft = known.draft = self._draft(role)
        group = draft.groups.get(labels)
        if group is None:
            group = draft.groups[labels] = {}
        holder = group.setdefault(spot, i)
        if holder != i:
            self._add_again(draft, labels, spot, i, holder)

    def _add_again(
        self, draft: _Draft, labels: grammar.Labels, spot: _Spot, i: int, holder: int
    ) -> None:
        place = (labels, spot)
        if not self._timed[i]:
            if not self._timed[holder] or place in draft.untimed:
                self._duplicates += 1  # of the series, or of the bucket: le="1" and le="1.0"
                return
            draft.untimed.add(place)
        # The same at another time belongs to another point: the n-th to the n-th.
        nth = draft.taken[place] = draft.taken.get(place, 0) + 1
        draft.further.setdefault((labels, nth), {})[spot] = i

    def _draft(self, role: _Role) -> _Draft:
        return self._drafts.setdefault((role.family, role.kind, role.type), _Draft())

    def _step(self, exposed: grammar.Labels, label: bytes) -> tuple[grammar.Labels, float]:
        # The labels of the whole point, and the bound or quantile; NaN where there is none.
        if label in self._relabelled.reserved:  # the target's own
            labels = self._relabelled[exposed]
            return _without(labels, label), self._number(dict(labels).get(label, b""))
        if exposed and exposed[-1][0] == label:
            rest, bound = exposed[:-1], exposed[-1][1]
        else:
            rest, bound = _without(exposed, label), dict(exposed).get(label, b"")
        return self._relabelled[rest], self._number(bound)

    def _number(self, bound: bytes) -> float:
        known = self._bounds.get(bound)
        if known is None:
            try:
                known = numbers.number(bound)
            except ValueError:
                known = math.nan
            self._bounds[bound] = known
        return known


def _role(name: bytes, families: dict[bytes, model.Family]) -> _Role:
    # A TYPE for the very name wins; then it may be a part of a histogram or a summary, or a counter
    # whose TYPE was written without _total.
    word = families.get(name, model.Family()).type
    if word == b"summary":
        return _Role(_Part.STEP, name, Kind.SUMMARY, word)
    if word in (b"counter", b"gauge"):
        return _Role(_Part.NUMBER, name, Kind.SUM if word == b"counter" else Kind.GAUGE, word)
    if not word:
        for suffix, part in _SUFFIXES:
            family = name.removesuffix(suffix)
            kind = families.get(family, model.Family()).type if family != name else b""
            if kind == b"histogram":
                return _Role(part, family, Kind.HISTOGRAM, kind)
            if kind == b"summary" and part is not _Part.STEP:
                return _Role(part, family, Kind.SUMMARY, kind)
        bare = name.removesuffix(b"_total")
        if bare != name and families.get(bare, model.Family()).type == b"counter":
            return _Role(_Part.NUMBER, name, Kind.SUM, b"counter")
    return _Role(_Part.NUMBER, name, Kind.GAUGE, _UNKNOWN)


def _without(labels: grammar.Labels, label: bytes) -> grammar.Labels:
    return tuple([pair for pair in labels if pair[0] != label])
