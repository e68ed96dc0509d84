"""What the specifications of remote write ask of a request, each rule that is broken in words.

Written from "Prometheus Remote-Write 1.0 specification" and "Prometheus Remote-Write 2.0
specification" alone. Rules that are a MUST begin with their name; what is only recommended, with
``should``.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]

STALE = 0x7FF0000000000002
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_USER_AGENT = re.compile(r"[^\s/]+/\S+")
_FRAMED = b"\xff\x06\x00\x00sNaPpY"  # how snappy's other format, that of streams, begins


def bits(value: float) -> int:
    """Return a double as its 64 bits: NaN is not equal to itself, and 0 is equal to -0."""
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def double(of: int) -> float:
    """Return the double that 64 bits are."""
    return struct.unpack("<d", struct.pack("<Q", of))[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    ms: int
    bits: int  # of the value
    start: int = 0  # milliseconds, 0 if it has none

    @property
    def value(self) -> float:
        return double(self.bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    labels: Labels
    bits: int
    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    kind: int
    help: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One TimeSeries of either version, in the order of the wire."""

    labels: Labels
    samples: tuple[Sample, ...]
    histograms: tuple[Any, ...]  # messages
    exemplars: tuple[Exemplar, ...]
    metadata: Metadata | None = None  # in 1.0, that of the family

    @property
    def name(self) -> str:
        return self.get("__name__")

    def get(self, label: str) -> str:
        return dict(self.labels).get(label, "")


def of_head(method: str, headers: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    if method != "POST":
        yield f"method: {method}"
    for name, value in wanted.items():
        if headers.get(name) != value:
            yield f"header {name}: {headers.get(name)!r} is not {value!r}"
    if not _USER_AGENT.match(headers.get("user-agent", "")):
        yield f"header user-agent: {headers.get('user-agent')!r} is not name/version"


def of_block(body: bytes) -> Iterator[str]:
    if body.startswith(_FRAMED):
        yield "snappy: it is the format of streams, not a block"


def of_symbols(request: Any) -> Iterator[str]:
    """Check the symbols of a 2.0 request, and everything that refers to them."""
    symbols = [*request.symbols]
    if not symbols or symbols[0]:
        yield f"symbols: the first is {symbols[:1]}, not the empty text"
    if len(set(symbols)) < len(symbols):
        yield "symbols: one is there twice"
    used = {0}
    for series in request.timeseries:
        lists = [series.labels_refs, *[exemplar.labels_refs for exemplar in series.exemplars]]
        for refs in lists:
            if len(refs) % 2:
                yield f"labels_refs: {len(refs)} of them, which is odd"
            used.update(refs)
        used |= {series.metadata.help_ref, series.metadata.unit_ref}
    beyond = {ref for ref in used if ref >= max(1, len(symbols))}
    if beyond:
        yield f"references: {sorted(beyond)} of {len(symbols)} symbols"
    if unused := set(range(len(symbols))) - used:
        yield f"should: symbols {sorted(unused)} are of no use"


def of_series(series: Series, *, utf8: bool) -> Iterator[str]:
    yield from of_labels(series.labels, utf8=utf8)
    if bool(series.samples) == bool(series.histograms):
        count = f"{len(series.samples)} samples, {len(series.histograms)} histograms"
        yield f"series: {series.labels} has {count}"
    times = [sample.ms for sample in series.samples]
    times += [histogram.timestamp for histogram in series.histograms]
    if any(later <= earlier for earlier, later in pairwise(times)):
        yield f"timestamps: not in order: {series.labels} {times}"
    for sample in series.samples:
        if sample.start > sample.ms:
            yield f"should: {series.labels} starts at {sample.start}, after {sample.ms}"
    for histogram in series.histograms:
        yield from of_histogram(histogram)
    for exemplar in series.exemplars:
        if not exemplar.ms:
            yield f"exemplars: without timestamp: {exemplar}"
        names = [name for name, _ in exemplar.labels]
        if len(set(names)) < len(names) or not all(names):
            yield f"exemplars: names of labels: {names}"


def of_labels(labels: Labels, *, utf8: bool) -> Iterator[str]:
    names = [name for name, _ in labels]
    if names != sorted(names, key=str.encode):
        yield f"labels: not in order: {names}"
    if len(set(names)) < len(names):
        yield f"labels: a name is repeated: {names}"
    if not all(name and value for name, value in labels):
        yield f"labels: an empty name or value: {labels}"
    called = dict(labels).get("__name__", "")
    if not called:
        yield f"labels: no __name__: {labels}"
    elif not utf8 and not _METRIC.fullmatch(called):
        yield f"labels: {called!r} is no name of a metric"
    for name in names:
        if not utf8 and not _LABEL.fullmatch(name):
            yield f"labels: {name!r} is no name of a label"


def of_histogram(histogram: Any) -> Iterator[str]:
    """Check that a native histogram adds up."""
    floats = histogram.WhichOneof("count") == "count_float"
    kinds = {histogram.WhichOneof("count"), histogram.WhichOneof("zero_count")}
    if {"count_int", "zero_count_float"} <= kinds or {"count_float", "zero_count_int"} <= kinds:
        yield f"histogram: counts of two kinds: {kinds}"
    total = histogram.zero_count_float if floats else histogram.zero_count_int
    for sign in ("positive", "negative"):
        spans = getattr(histogram, f"{sign}_spans")
        deltas = getattr(histogram, f"{sign}_deltas")
        counts = getattr(histogram, f"{sign}_counts")
        if (counts and not floats) or (deltas and floats):
            yield f"histogram: {sign} buckets of the other kind"
        buckets = [*counts] if floats else [*accumulate(deltas)]
        yield from _of_buckets(sign, spans, buckets)
        total += sum(buckets)
    count = histogram.count_float if floats else histogram.count_int
    if bits(histogram.sum) != STALE and count != total and not math.isnan(histogram.sum):
        yield f"histogram: the count is {count}, the buckets are {total}"
    yield from _of_terms(histogram)


def _of_buckets(sign: str, spans: Sequence[Any], buckets: Sequence[float]) -> Iterator[str]:
    if sum(span.length for span in spans) != len(buckets):
        yield f"histogram: {len(buckets)} {sign} buckets, spans of another number"
    if any(span.offset < 0 for span in spans[1:]) or not all(span.length for span in spans):
        yield f"histogram: {sign} spans that are none: {spans}"
    if any(bucket < 0 for bucket in buckets):
        yield f"histogram: {sign} buckets below zero: {buckets}"


def _of_terms(histogram: Any) -> Iterator[str]:
    bounds: Sequence[float] = histogram.custom_values
    if histogram.schema == -53:
        if [*bounds] != sorted(set(bounds)) or not all(map(math.isfinite, bounds)):
            yield f"histogram: custom_values {bounds}"
    elif not -4 <= histogram.schema <= 8 or bounds:
        yield f"histogram: schema {histogram.schema} with custom_values {bounds}"
    if not histogram.zero_threshold >= 0:
        yield f"histogram: zero_threshold {histogram.zero_threshold}"
    if not 0 <= histogram.reset_hint <= 3:
        yield f"histogram: reset_hint {histogram.reset_hint}"
    if not histogram.timestamp:
        yield "histogram: no timestamp"
