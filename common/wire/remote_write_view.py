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
class Series:
    """A TimeSeries: labels in wire order, samples as (value, milliseconds since 1970)."""

    labels: Labels
    samples: tuple[tuple[float, int], ...]


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
    """A WriteRequest; exemplars and native histograms are left out."""

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
    # message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }
    parts = list(_messages(data))
    labels = tuple(_label(part) for number, part in parts if number == 1)
    if not labels:
        raise errors.Malformed("a series without labels; send at least __name__")
    return Series(
        labels=labels, samples=tuple(_sample(part) for number, part in parts if number == 2)
    )


def _label(data: bytes) -> tuple[str, str]:
    # message Label { string name = 1; string value = 2; }
    texts = {number: _text(part) for number, part in _messages(data)}
    if not texts.get(1):
        raise errors.Malformed(f"a label without a name for {texts.get(2, '')!r}; name it")
    return texts[1], texts.get(2, "")


def _sample(data: bytes) -> tuple[float, int]:
    # message Sample { double value = 1; int64 timestamp = 2; }
    value, milliseconds = 0.0, 0
    for number, wire_type, _, at, _ in protobuf.fields(data):
        if (number, wire_type) == (1, protobuf.FIXED64):
            (value,) = struct.unpack_from("<d", data, at)
        elif (number, wire_type) == (2, protobuf.VARINT):
            milliseconds = _signed(protobuf.read_varint(data, at)[0])
    return value, milliseconds


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
