"""The obvious way to read Prometheus' protobuf format: whole messages, one sample at a time.

For bodies that are sound; what is wrong with the others is not told here.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple


class Sample(NamedTuple):
    name: bytes
    labels: dict[bytes, bytes]
    value: float
    time: int | None
    exemplar: tuple[dict[bytes, bytes], float, int | None] | None = None
    native: dict[str, Any] | None = None
    of_native: bool = False


def samples(families: Iterable[Any]) -> list[Sample]:
    """List what *families*, whole MetricFamily messages, expose; start timestamps come last."""
    found: list[Sample] = []
    started: list[Sample] = []
    for family in families:
        for metric in family.metric:
            labels = {pair.name: pair.value for pair in metric.label}
            stamp = metric.timestamp_ms or None
            kind = ["counter", "gauge", "summary", "untyped", "histogram", "histogram"][family.type]
            of = getattr(metric, kind)
            for suffix, more, value, *rest in _SAMPLES[kind](of):
                found.append(Sample(family.name + suffix, labels | more, value, stamp, *rest))
            if kind not in ("gauge", "untyped") and of.start_timestamp.seconds > 0:
                start = of.start_timestamp.seconds + of.start_timestamp.nanos / 1e9
                started.append(Sample(family.name + b"_created", labels, start, None))
    return found + started


def _value(of: Any) -> Iterator[tuple[Any, ...]]:
    yield b"", {}, of.value


def _counter(of: Any) -> Iterator[tuple[Any, ...]]:
    yield (
        b"",
        {},
        of.value,
        _exemplar(of.exemplar) if of.HasField("exemplar") else None,
        None,
        False,
    )


def _summary(of: Any) -> Iterator[tuple[Any, ...]]:
    for each in of.quantile:
        yield b"", {b"quantile": openmetrics(each.quantile)}, each.value
    yield b"_sum", {}, of.sample_sum
    yield b"_count", {}, of.sample_count


def _histogram(of: Any) -> Iterator[tuple[Any, ...]]:
    count = of.sample_count_float or of.sample_count
    native = bool(of.positive_span or of.negative_span or of.zero_threshold > 0 or of.zero_count)
    if native:
        yield b"", {}, count, None, _native(of), False
        if not of.bucket:
            return
    infinite = False
    for each in of.bucket:
        told = _exemplar(each.exemplar) if each.HasField("exemplar") else None
        value = each.cumulative_count_float or each.cumulative_count
        yield b"_bucket", {b"le": openmetrics(each.upper_bound)}, value, told, None, native
        infinite = each.upper_bound == math.inf
        if infinite:
            break
    if not infinite:
        yield b"_bucket", {b"le": b"+Inf"}, count, None, None, native
    yield b"_sum", {}, of.sample_sum, None, None, native
    yield b"_count", {}, count, None, None, native


_SAMPLES = {
    "counter": _counter,
    "gauge": _value,
    "untyped": _value,
    "summary": _summary,
    "histogram": _histogram,
}


def _exemplar(told: Any) -> tuple[dict[bytes, bytes], float, int | None]:
    time = None
    if told.HasField("timestamp"):
        time = told.timestamp.seconds * 1000 + told.timestamp.nanos // 1_000_000
    return {pair.name: pair.value for pair in told.label}, told.value, time


def _native(of: Any) -> dict[str, Any]:
    """Tell a native histogram with its buckets by index, those without a count left out."""
    fractional = of.sample_count_float > 0 or of.zero_count_float > 0
    exemplars = [_exemplar(each) for each in of.exemplars] or [
        _exemplar(each.exemplar) for each in of.bucket if each.HasField("exemplar")
    ]
    return {
        "schema": of.schema,
        "fractional": fractional,
        "sum": of.sample_sum,
        "count": of.sample_count,
        "zero_count": of.zero_count,
        "zero_threshold": of.zero_threshold,
        "positive": {} if fractional else _buckets(of.positive_span, of.positive_delta),
        "negative": {} if fractional else _buckets(of.negative_span, of.negative_delta),
        "exemplars": [] if fractional else [each for each in exemplars if each[2] is not None],
    }


def _buckets(spans: Any, deltas: Any) -> dict[int, int]:
    index = count = at = 0
    found = {}
    for span in spans:
        index += span.offset
        for _ in range(span.length):
            count += deltas[at]
            found[index] = count
            index += 1
            at += 1
    return {index: count for index, count in found.items() if count}


def openmetrics(value: float) -> bytes:
    """Write *value* as Go's shortest form has it, with ``.0`` where it looks like an integer."""
    if math.isnan(value):
        return b"NaN"
    if math.isinf(value):
        return b"+Inf" if value > 0 else b"-Inf"
    if value == 0:
        return b"0.0"
    sign, digits, last = Decimal(repr(value)).normalize().as_tuple()
    exponent = last + len(digits) - 1
    if -4 <= exponent < 6:
        return f"{value:.{max(1, -last)}f}".encode()
    point = "." if len(digits) > 1 else ""
    shown = f"{digits[0]}{point}{''.join(map(str, digits[1:]))}e{exponent:+03}"
    return f"{'-' * sign}{shown}".encode()


def _rounded(exact: decimal.Decimal, digits: int, rounding: str) -> decimal.Decimal:
    return decimal.Context(prec=digits, rounding=rounding).plus(exact)
