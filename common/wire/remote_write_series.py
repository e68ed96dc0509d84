"""TimeSeries and MetricMetadata messages of remote write 1.0, as bytes with a hole for the sample.

Source: prometheus/prompb: ``WriteRequest { repeated TimeSeries timeseries = 1; repeated
MetricMetadata metadata = 3; }``, ``TimeSeries { repeated Label labels = 1; repeated Sample samples
= 2; }``, ``Label { string name = 1; string value = 2; }``, ``Sample { double value = 1; int64
timestamp = 2; }``, ``MetricMetadata { MetricType type = 1; string metric_family_name = 2; string
help = 4; string unit = 5; }``.

Nearly every series of a request has one sample, and nearly every timestamp in milliseconds is a
varint of six bytes (1971 to 2109). So a whole TimeSeries is *head* + value + *stamp*, where the
head depends on the labels only, is kept from request to request and identifies the series.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from common.wire import protobuf

Sample: TypeAlias = tuple[int, bytes]
"""Milliseconds since 1970, and the value as eight bytes (little-endian double)."""

STALE: Final = (0x7FF0000000000002).to_bytes(8, "little")
"""The NaN that ends a series: Prometheus tells it from other NaNs by its bits."""

STAMP_BYTES: Final = 7
"""What a `stamp` measures if it fits behind a head."""

BEHIND_HEAD: Final = 8 + STAMP_BYTES  # value and stamp

_SAMPLE: Final = b"\x12\x10\x09"  # samples, 16 bytes; value, fixed64
_BEHIND_LABELS: Final = 18  # the sample with its own tag and length


def label(name: str, value: str) -> bytes:
    """Encode one Label of a TimeSeries, tag and length included."""
    return protobuf.framed(
        1, protobuf.framed(1, name.encode()) + protobuf.framed(2, value.encode())
    )


def head(labels: bytes) -> bytes:
    """Encode a TimeSeries with these encoded *labels* up to the value of its one sample."""
    return b"".join((b"\x0a", protobuf.varint(len(labels) + _BEHIND_LABELS), labels, _SAMPLE))


def labels_of(head: bytes) -> bytes:
    """Return the encoded labels that `head` was given."""
    _, at = protobuf.read_varint(head, 1)
    return head[at : -len(_SAMPLE)]


def stamp(milliseconds: int) -> bytes:
    """Encode a sample's timestamp, tag included; it fits behind a head if `STAMP_BYTES` long."""
    return b"\x10" + protobuf.varint(milliseconds)


def read_stamp(stamp: bytes) -> int:
    """Return the milliseconds that `stamp` was given."""
    return protobuf.read_varint(stamp, 1)[0]


def time_series(labels: bytes, samples: Iterable[Sample]) -> bytes:
    """Encode a TimeSeries, tag and length included, with any number of samples at any time."""
    return protobuf.framed(
        1,
        labels
        + b"".join(
            [protobuf.framed(2, b"\x09" + value + stamp(ms)) for ms, value in samples],
        ),
    )


def metadata(kind: int, family: str, description: str, unit: str) -> bytes:
    """Encode a MetricMetadata, tag and length included; *kind* is the number of a MetricType."""
    texts: Sequence[tuple[int, str]] = ((2, family), (4, description), (5, unit))
    return protobuf.framed(
        3,
        b"".join(
            [
                protobuf.tag(1, protobuf.VARINT) + protobuf.varint(kind) if kind else b"",
                *[protobuf.framed(field, text.encode()) for field, text in texts if text],
            ]
        ),
    )
