"""OTLP data points as bytes whose numbers lie in known places, and the way back to their series.

From opentelemetry/proto/metrics/v1/metrics.proto, fields in the order written here:

    NumberDataPoint    { fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
                         double as_double = 4; repeated KeyValue attributes = 7; uint32 flags = 8; }
    HistogramDataPoint { fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
                         fixed64 count = 4; optional double sum = 5;
                         repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7;
                         repeated KeyValue attributes = 9; uint32 flags = 10; }
    SummaryDataPoint   { fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
                         fixed64 count = 4; double sum = 5;
                         repeated ValueAtQuantile { double quantile = 1; double value = 2; }
                         quantile_values = 6; repeated KeyValue attributes = 7; uint32 flags = 8; }

Zeros are written out, which proto3 allows, so that a point keeps its length whatever its numbers.
A start time is there only in points that are told since when they count, as their first field.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from agent.exposition import model, translate
from common.wire import protobuf

Identity: TypeAlias = tuple[bytes, bytes]
"""A series: its name, and its labels encoded as attributes of a NumberDataPoint."""

LONE = frozenset((translate.Kind.GAUGE, translate.Kind.SUM, translate.Kind.UPDOWN))
"""The kinds whose points are single series."""

TIME_AT, NUMBER_AT, COUNT_AT, SUM_AT = 1, 10, 10, 19
"""Where the eight bytes of each number lie in a point that has it, but no start time."""

START_AT, START_SIZE = 1, 9
"""Where those of the start time lie in a point that has one; all else lies so much further."""

STALE = {
    translate.Kind.GAUGE: b"\x40\x01",
    translate.Kind.SUM: b"\x40\x01",
    translate.Kind.UPDOWN: b"\x40\x01",
    translate.Kind.HISTOGRAM: b"\x50\x01",
    translate.Kind.SUMMARY: b"\x40\x01",
    translate.Kind.EXPONENTIAL: b"\x50\x01",
}
"""The flags field with NO_RECORDED_VALUE, to be appended to a point of each kind."""

Floats: TypeAlias = npt.NDArray[np.float64]

EXEMPLARS = dict.fromkeys(translate.Kind, 5) | {
    translate.Kind.HISTOGRAM: 8,
    translate.Kind.EXPONENTIAL: 11,
}
"""The field of a point that exemplars stand in; a summary has none."""

_LATEST = (1 << 63) // model.MILLISECOND  # milliseconds of which nanoseconds are still a time
_IDS = {b"span_id": (4, 8), b"trace_id": (5, 16)}  # fields, and how many bytes each has
_HEX = b"0123456789abcdefABCDEF"
_ZERO = bytes(8)
_START, _TIME = b"\x11" + _ZERO, b"\x19" + _ZERO
_NUMBER, _SUM = b"\x21" + _ZERO, b"\x29" + _ZERO
_ATTRIBUTES = dict.fromkeys(translate.Kind, 7) | {
    translate.Kind.HISTOGRAM: 9,
    translate.Kind.EXPONENTIAL: 1,
}


class Cells(NamedTuple):
    """A distribution and where its steps lie: offsets of bucket counts, or of quantile values."""

    payload: bytes
    steps: tuple[int, ...]


def number(encoded: bytes, *, started: bool = False) -> bytes:
    """Write a NumberDataPoint with these encoded attributes at time 0, of value 0.0.

    If *started* there is a start time, too, of 0.
    """
    payload = b"".join((_TIME, _NUMBER, encoded))
    return _START + payload if started else payload


def histogram(point: translate.Distribution, encoded: bytes) -> Cells:
    """Write a HistogramDataPoint at time 0 with zero counts, the +Inf bucket included.

    Without any bucket there are no bucket counts at all, as OTLP wants it. There is a start time if
    the point has one.
    """
    bounds = [bound for bound, _ in point.steps if bound != math.inf]
    summed = b"" if point.summed is None else _SUM
    head = _head(point) + summed
    if not point.steps:
        return Cells(head + encoded, ())
    size = 8 * (len(bounds) + 1)
    tag = b"\x32" + protobuf.varint(size)
    first = len(head) + len(tag)
    explicit = struct.pack(f"<{len(bounds)}d", *bounds)
    payload = b"".join(
        (
            head,
            tag,
            bytes(size),
            protobuf.framed(7, explicit) if bounds else b"",
            encoded,
        )
    )
    return Cells(payload, tuple(range(first, first + size, 8)))


def summary(point: translate.Distribution, encoded: bytes) -> Cells:
    """Write a SummaryDataPoint at time 0 with count, sum and values 0; the sum is always there.

    There is a start time if the point has one.
    """
    out = bytearray(_head(point) + _SUM)
    steps = []
    for quantile, _ in point.steps:
        out += b"\x32\x12\x09" + struct.pack("<d", quantile) + b"\x11"
        steps.append(len(out))
        out += _ZERO
    out += encoded
    return Cells(bytes(out), tuple(steps))


def exemplar(example: model.Exemplar) -> bytes:
    """Write an Exemplar; the caller frames it as the field that `EXEMPLARS` has for its point.

    From the same file: Exemplar { fixed64 time_unix_nano = 2; double as_double = 3; bytes span_id =
    4; bytes trace_id = 5; repeated KeyValue filtered_attributes = 7; }. Labels ``trace_id`` and
    ``span_id`` that are no such ids stay attributes.
    """
    out = [b"", b"\x19" + struct.pack("<d", example.value)]
    if 0 < example.time < _LATEST:
        out[0] = b"\x11" + struct.pack("<Q", example.time * model.MILLISECOND)
    for name, value in example.labels:
        field, size = _IDS.get(name, (0, 0))
        if field and len(value) == 2 * size and value.translate(None, _HEX) == b"":
            identity = bytes.fromhex(value.decode())
            if any(identity):  # zeros are no identity
                out.append(protobuf.framed(field, identity))
                continue
        if value:
            text = protobuf.framed(2, protobuf.framed(1, value))
            out.append(protobuf.framed(7, protobuf.framed(1, name) + text))
    return b"".join(out)


def starts(seconds: Floats, times_ns: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Turn created timestamps into start times, each of a point at one of *times_ns*.

    Milliseconds count, as in Prometheus; whoever writes the time of a start as a decimal of seconds
    means no more. 0, which says nothing, becomes of what is no time, or later than the point: a
    start cannot be ahead of what it started.
    """
    # A double of seconds may be a tenth of a microsecond short of the millisecond it means.
    with np.errstate(invalid="ignore"):
        milliseconds = np.floor(seconds * 1000 + 0.001)
        sound = (milliseconds > 0) & (milliseconds < _LATEST)
    found = np.where(sound, milliseconds, 0).astype(np.uint64) * np.uint64(model.MILLISECOND)
    found[found > times_ns] = 0
    return found


class Attributes:
    """Encodes labels as attributes, and remembers the pairs: they come back in series after series.

    Lives as long as the writing of one template, so what it remembers is bounded by one body.
    """

    __slots__ = ("_keys", "_known")

    def __init__(self) -> None:
        self._known: dict[int, dict[tuple[bytes, bytes], bytes]] = {1: {}, 7: {}, 9: {}}  # by field
        self._keys: dict[bytes, bytes] = {}

    def encode(self, kind: translate.Kind, labels: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Encode *labels* as the attributes of a point of *kind*."""
        field = _ATTRIBUTES[kind]
        known = self._known[field]
        out = []
        for pair in labels:
            encoded = known.get(pair)
            if encoded is None:
                encoded = known[pair] = self._attribute(field, *pair)
            out.append(encoded)
        return b"".join(out)

    def _attribute(self, field: int, name: bytes, value: bytes) -> bytes:
        # KeyValue { string key = 1; AnyValue value = 2; }, AnyValue { string string_value = 1; }
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = protobuf.framed(1, name)
        size = len(value)
        whole = len(key) + size + 4
        if whole < 128:  # a third of the time, when all four lengths are single bytes
            return b"%c%c%b\x12%c\x0a%c%b" % (field << 3 | 2, whole, key, size + 2, size, value)
        return protobuf.framed(field, key + protobuf.framed(2, protobuf.framed(1, value)))


def stale(kind: translate.Kind, payload: bytes, time_ns: int) -> bytes:
    """Turn a point whose numbers are 0 into one that says: no value was recorded at *time_ns*."""
    begin = NUMBER_AT if kind in LONE else TIME_AT
    rest = payload[begin + 8 + _shift(payload) :]
    return b"".join((_TIME[:1], struct.pack("<Q", time_ns), rest, STALE[kind]))


def stale_number(encoded: bytes, time_ns: int) -> bytes:
    """Write the NumberDataPoint that says so of a single series with these encoded attributes."""
    return stale(translate.Kind.GAUGE, number(encoded), time_ns)


def identities(name: bytes, kind: translate.Kind, payload: bytes) -> list[Identity]:
    """List the Prometheus series that a point of metric *name* stands for.

    They are named and labelled as remote write names them: ``le`` and ``quantile`` in their
    shortest decimal form, ``+Inf`` always there; native histograms are one series. *payload* is one
    of ours, not anybody's.
    """
    if kind in LONE:
        return [(name, identity(payload))]
    bucketing = kind is translate.Kind.HISTOGRAM
    labels, steps, summed = _parts(kind, payload)
    if kind is translate.Kind.EXPONENTIAL:
        return [(name, Attributes().encode(translate.Kind.GAUGE, labels))]
    step_name, step_label = (name + b"_bucket", b"le") if bucketing else (name, b"quantile")
    encode = Attributes().encode
    plain = encode(translate.Kind.GAUGE, labels)
    found = []
    for step in steps:
        of_step = sorted([*labels, (step_label, shortest(step))])
        found.append((step_name, encode(translate.Kind.GAUGE, of_step)))
    if summed:
        found.append((name + b"_sum", plain))
    return [*found, (name + b"_count", plain)]


def identity(payload: bytes) -> bytes:
    """Return the attributes of a point that is a single series, encoded."""
    return payload[NUMBER_AT + 8 + _shift(payload) :]


def shortest(value: float) -> bytes:
    """Write *value* as the shortest decimal that reads back the same, without an exponent."""
    if math.isinf(value):
        return b"+Inf" if value > 0 else b"-Inf"
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa.removesuffix(".0").encode()
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, decimals = mantissa.lstrip("-").partition(".")
    digits, point = whole + decimals, len(whole) + int(exponent)
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}".encode()
    return f"{sign}{digits.ljust(point, '0')}".encode()


def _head(point: translate.Distribution) -> bytes:
    payload = _TIME + _NUMBER  # the count has the place of the number
    return payload if point.started is None else _START + payload


def _shift(payload: bytes) -> int:
    return START_SIZE if payload.startswith(_START[:1]) else 0


def _parts(
    kind: translate.Kind, payload: bytes
) -> tuple[list[tuple[bytes, bytes]], list[float], bool]:
    # The labels, bounds or quantiles of a distribution, and whether it has a sum.
    labels: list[tuple[bytes, bytes]] = []
    steps: list[float] = []
    summed = bucketed = False
    for field, _, _, value_at, end in protobuf.fields(payload):
        if field == _ATTRIBUTES[kind]:
            labels.append(_label(payload[value_at:end]))
        elif field == 5:
            summed = True
        elif field == 6 and kind is translate.Kind.HISTOGRAM:
            bucketed = True
        elif field == 6 and kind is translate.Kind.SUMMARY:
            steps.append(struct.unpack_from("<d", payload, value_at + 1)[0])
        elif field == 7 and kind is translate.Kind.HISTOGRAM:
            steps += struct.unpack(f"<{(end - value_at) // 8}d", payload[value_at:end])
    return labels, steps + [math.inf] * bucketed, summed


def _label(pair: bytes) -> tuple[bytes, bytes]:
    key, value = protobuf.fields(pair)
    text = protobuf.fields(pair, value[3], value[4])[0]
    return pair[key[3] : key[4]], pair[text[3] : text[4]]
