"""From the samples of an exposition to OTLP metrics: which samples make which points.

The rules are those of "Prometheus Metric points to OTLP" in the OpenTelemetry specification.
Nothing here depends on the numbers, so a translation holds for as long as the series do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import NamedTuple, TypeAlias

from agent.exposition import (
    drafts,
    gathering,
    grammar,
    model,
    relabelling,
    report,
    roles,
    scopes,
    units,
)


class Kind(Enum):
    """The OTLP data types that the exposition formats can express."""

    GAUGE = "gauge"
    SUM = "sum"  # monotonic, cumulative
    UPDOWN = "updown"  # a sum that is cumulative, but not monotonic: info and stateset
    HISTOGRAM = "histogram"  # cumulative
    SUMMARY = "summary"
    EXPONENTIAL = "exponential"  # cumulative

    # That of an Enum is a function in Python, and costs 200 ns each time that a table is asked.
    __hash__ = object.__hash__


class Drop(StrEnum):
    """Why a point is not sent."""

    NO_COUNT = "no_count"  # a histogram or summary without its _count
    NOT_A_COUNT = "not_a_count"  # a count or bucket that is negative, fractional, NaN or decreasing
    MIXED_TIMES = "mixed_times"  # the samples of one histogram or summary differ in timestamp
    OUT_OF_ORDER = "out_of_order"  # an explicit timestamp before that of the last sample sent
    OUT_OF_BOUNDS = "out_of_bounds"  # an explicit timestamp of zero, or too far in the future
    GAUGE_HISTOGRAM = "gauge_histogram"  # OTLP has no histogram of what there is now
    # The reasons of `native.Unsent`, under the same names.
    NATIVE_GAUGE = "native_gauge"  # the same of a native one
    NATIVE_FLOAT = "native_float"  # nor one with counts that are not whole
    NATIVE_SCHEMA = "native_schema"  # neither -4 to 8 nor -53 with bounds
    NATIVE_BUCKETS = "native_buckets"  # counts below zero, that do not add up, or in no bucket
    NATIVE_THRESHOLD = "native_threshold"  # a zero threshold below zero, infinite or NaN


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


Point: TypeAlias = Number | Distribution | NativePoint
"""A point, as its metric has it: all points of one metric are of one kind."""


class Scope(NamedTuple):
    """Who made a metric: an encoded InstrumentationScope, the URL of its schema, and of what."""

    message: bytes = b""
    schema_url: bytes = b""
    whose: grammar.Labels = ()
    """``job`` and ``instance`` that a series claims against those of its target."""


OWN = Scope()
"""The scope of what does not say who made it: that of the agent itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric and its points, in the order of the text."""

    name: bytes
    kind: Kind
    type: bytes  # Prometheus' word, for the way back; "unknown" where the text has none
    help: bytes
    points: tuple[Point, ...]
    unit: bytes = b""  # as UCUM has it
    scope: Scope = OWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What an exposition becomes; sample numbers beyond its own are those of the report."""

    metrics: tuple[Metric, ...]
    duplicates: int  # samples whose series had come before in the same text
    dropped: Mapping[Drop, int] = field(default_factory=dict)
    """Points that are not sent whatever their numbers, by reason."""
    info: grammar.Labels = ()
    """What ``target_info`` says of the target, sorted by name: attributes of its resource."""
    hidden: int = 0
    """Samples that are no series: created timestamps, and buckets of what is native as well."""
    filtered: int = 0
    """Samples that the rules of the target leave out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a target wants of the translation of all that it exposes."""

    labels: grammar.Labels = ()
    """What the target adds to every point; see `relabelling` for exposed ones of the same names."""
    honor_labels: bool = False
    """Whether exposed labels win over those of the target."""
    prefixes: tuple[bytes, ...] = ()
    """Names of samples begin with one of these, others are left out; empty: all are kept."""
    without: tuple[tuple[bytes, bytes], ...] = ()
    """Exposed labels and values: a series that has any of them is left out."""
    classic: bool = False
    """Whether the buckets of a histogram are kept that is a native one, too."""
    report: tuple[tuple[bytes, bytes], ...] = report.SERIES
    """Name and description of the series behind those of the exposition."""


def translate(exposition: model.Exposition, rules: Rules) -> Translation:
    """Translate *exposition*, and the report series behind it, as *rules* have it.

    Repeated samples of one series without timestamps are one, the first. Those with timestamps are
    several points; where several make a histogram or summary, the n-th sample of each of its series
    belongs to the n-th point.

    Metrics of one scope stand together, those of `OWN` first, the report last among these.
    """
    relabelled = relabelling.Relabelled(rules.labels, honored=rules.honor_labels)
    gathered = gathering.Gatherer(
        exposition,
        relabelled,
        prefixes=rules.prefixes,
        without=rules.without,
        reserved=[name for name, _ in rules.report],
    ).gather()
    found: dict[Scope, list[Metric]] = {OWN: []}
    incomplete = 0
    hidden = gathered.hidden
    for shape, draft in gathered.drafts.items():
        if not rules.classic:
            hidden += draft.leave_out(gathered.natives.get(shape.family, ()))
        points = _points(draft)
        incomplete += points.count(None)
        whole = [point for point in points if point is not None]
        if shape.type != roles.UNKNOWN:  # what does not fit its family has no share in its start
            whole = _since(whole, gathered.created.get(shape.family))
        told = exposition.families.get(shape.family, _NOTHING)
        for scope, those in _scoped(whole) if relabelled.scoped else ((OWN, whole),):
            if those:
                found.setdefault(scope, []).append(_metric(shape, told, scope, those))
    found[OWN] += _report(rules.report, len(exposition.names), relabelled.own)
    dropped = {
        Drop.NO_COUNT: incomplete,
        Drop.GAUGE_HISTOGRAM: len(gathered.unsupported),
        **{Drop(reason): count for reason, count in gathered.unsent.items()},
    }
    return Translation(
        metrics=tuple([metric for metrics in found.values() for metric in metrics]),
        duplicates=gathered.duplicates,
        dropped={reason: count for reason, count in dropped.items() if count},
        info=gathered.info or (),
        hidden=hidden,
        filtered=gathered.filtered,
    )


_KINDS = {
    b"counter": Kind.SUM,
    b"gauge": Kind.GAUGE,
    roles.UNKNOWN: Kind.GAUGE,
    b"info": Kind.UPDOWN,
    b"stateset": Kind.UPDOWN,
    b"histogram": Kind.HISTOGRAM,
    b"summary": Kind.SUMMARY,
}
_NOTHING = model.Family()


def _points(draft: drafts.Draft) -> list[Point | None]:
    # In the order of the text, but natives behind the others; None for what has no count.
    points: list[Point | None] = []
    points += [Number(labels, sample) for labels, sample in draft.singles]
    points += [whole and Distribution(*whole) for whole in draft.wholes()]
    points += [NativePoint(labels, sample) for labels, sample in draft.natives]
    return points


def _since(points: list[Point], created: Mapping[grammar.Labels, int] | None) -> list[Point]:
    if created is None:
        return points
    return [point._replace(started=created.get(point.labels)) for point in points]


def _scoped(points: list[Point]) -> Iterable[tuple[Scope, list[Point]]]:
    # The points by their scopes, without the labels that say it.
    found: dict[Scope, list[Point]] = {}
    for point in points:
        message, schema_url, others = scopes.split(point.labels)
        whose, rest = relabelling.claimed(others)
        scope = Scope(message, schema_url, whose)
        found.setdefault(scope, []).append(point._replace(labels=rest))
    return found.items()


def _metric(
    shape: gathering.Shape, told: model.Family, scope: Scope, points: list[Point]
) -> Metric:
    return Metric(
        name=shape.name,
        kind=Kind.EXPONENTIAL if shape.scaled else _KINDS[shape.type],
        type=shape.type,
        help=told.help,
        points=tuple(points),
        unit=units.ucum(told.unit),
        scope=scope,
    )


def _report(
    series: tuple[tuple[bytes, bytes], ...], first: int, labels: grammar.Labels
) -> Iterator[Metric]:
    for sample, (name, described) in enumerate(series, first):
        points = (Number(labels, sample),)
        yield Metric(name=name, kind=Kind.GAUGE, type=b"gauge", help=described, points=points)
