"""A remote write 1.0 request as plain values, for whoever receives one: the demo's sink and tests.

Source: remote write 1.0, ``message WriteRequest``; the fields are listed at `read`. This is for
reading in full, not for speed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from common.wire import errors, protobuf

Labels: TypeAlias = tuple[tuple[str, str], ...]

KINDS: Final = (
    "unknown",
    "counter",
    "gauge",
    "histogram",
    "gaugehistogram",
    "summary",
    "info",
    "stateset",
)
"""MetricMetadata.MetricType, in the order of its numbers."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    """An Exemplar: labels in wire order, milliseconds since 1970."""

    labels: Labels
    value: float
    milliseconds: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """A native histogram of integer counts, in short: its buckets are left out."""

    count: int
    sum: float
    schema: int
    milliseconds: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A TimeSeries: labels in wire order, samples as (value, milliseconds since 1970)."""

    labels: Labels
    samples: tuple[tuple[float, int], ...]
    exemplars: tuple[Exemplar, ...] = ()
    histograms: tuple[Histogram, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """A MetricMetadata; *kind* is one of `KINDS`."""

    kind: str
    family: str
    help: str
    unit: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRequestView:
    """A WriteRequest."""

    series: tuple[Series, ...]
    metadata: tuple[Metadata, ...]


def read(body: bytes) -> WriteRequestView:
    """Read an encoded, uncompressed WriteRequest; raises `errors.Malformed` if it is none.

    Unknown fields are skipped. A series without labels or a label without a name is refused, as any
    receiver would; order and uniqueness of labels are the business of who reads the view.
    """
    # message WriteRequest {
    #   repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
    series: list[Series] = []
    metadata: list[Metadata] = []
    for number, wire_type, _, at, end in protobuf.fields(body):
        if (number, wire_type) == (1, protobuf.BYTES):
            series.append(_series(body[at:end]))
        elif (number, wire_type) == (3, protobuf.BYTES):
            metadata.append(_metadata(body[at:end]))
    return WriteRequestView(series=tuple(series), metadata=tuple(metadata))


def _series(data: bytes) -> Series:
    # message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2;
    #   repeated Exemplar exemplars = 3; repeated Histogram histograms = 4; }
    parts = list(_messages(data))
    labels = tuple(_label(part) for number, part in parts if number == 1)
    if not labels:
        raise errors.Malformed("a series without labels; send at least __name__")
    return Series(
        labels=labels,
        samples=tuple(_sample(part) for number, part in parts if number == 2),
        exemplars=tuple(_exemplar(part) for number, part in parts if number == 3),
        histograms=tuple(_histogram(part) for number, part in parts if number == 4),
    )


def _label(data: bytes) -> tuple[str, str]:
    # message Label { string name = 1; string value = 2; }
    texts = {number: _text(part) for number, part in _messages(data)}
    if not texts.get(1):
        raise errors.Malformed(f"a label without a name for {texts.get(2, '')!r}; name it")
    return texts[1], texts.get(2, "")


def _sample(data: bytes) -> tuple[float, int]:
    # message Sample { double value = 1; int64 timestamp = 2; }
    numbers = _numbers(data)
    value = _double(numbers.get((1, protobuf.FIXED64), 0))
    return value, _signed(numbers.get((2, protobuf.VARINT), 0))


def _exemplar(data: bytes) -> Exemplar:
    # message Exemplar { repeated Label labels = 1; double value = 2; int64 timestamp = 3; }
    numbers = _numbers(data)
    return Exemplar(
        labels=tuple(_label(part) for number, part in _messages(data) if number == 1),
        value=_double(numbers.get((2, protobuf.FIXED64), 0)),
        milliseconds=_signed(numbers.get((3, protobuf.VARINT), 0)),
    )


def _histogram(data: bytes) -> Histogram:
    # message Histogram { uint64 count_int = 1; double sum = 3; sint32 schema = 4;
    #   int64 timestamp = 15; ... }
    numbers = _numbers(data)
    schema = numbers.get((4, protobuf.VARINT), 0) & 0xFFFF_FFFF
    return Histogram(
        count=numbers.get((1, protobuf.VARINT), 0),
        sum=_double(numbers.get((3, protobuf.FIXED64), 0)),
        schema=schema >> 1 ^ -(schema & 1),
        milliseconds=_signed(numbers.get((15, protobuf.VARINT), 0)),
    )


def _numbers(data: bytes) -> dict[tuple[int, int], int]:
    """Return the bits of each number by its field and wire type; of several the last."""
    found: dict[tuple[int, int], int] = {}
    for number, wire_type, _, at, end in protobuf.fields(data):
        if wire_type == protobuf.VARINT:
            found[number, wire_type] = protobuf.read_varint(data, at)[0]
        elif wire_type == protobuf.FIXED64:
            found[number, wire_type] = int.from_bytes(data[at:end], "little")
    return found


def _double(number: int) -> float:
    (value,) = struct.unpack("<d", number.to_bytes(8, "little"))
    return float(value)


def _metadata(data: bytes) -> Metadata:
    # message MetricMetadata {
    #   MetricType type = 1; string metric_family_name = 2; string help = 4; string unit = 5; }
    kind = 0
    for number, wire_type, _, at, _ in protobuf.fields(data):
        if (number, wire_type) == (1, protobuf.VARINT):
            kind = protobuf.read_varint(data, at)[0]
    texts = {number: _text(part) for number, part in _messages(data) if number in {2, 4, 5}}
    return Metadata(
        kind=KINDS[kind] if kind < len(KINDS) else KINDS[0],
        family=texts.get(2, ""),
        help=texts.get(4, ""),
        unit=texts.get(5, ""),
    )


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    for number, wire_type, _, at, end in protobuf.fields(data):
        if wire_type == protobuf.BYTES:
            yield number, data[at:end]


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise errors.Malformed(f"text that is not UTF-8: {error}") from error


def _signed(n: int) -> int:
    return n - (1 << 64) if n >> 63 else n
