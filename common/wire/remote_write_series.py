"""TimeSeries and MetricMetadata messages of remote write 1.0, as bytes with a hole for the sample.

Source: prometheus/prompb: ``WriteRequest { repeated TimeSeries timeseries = 1; repeated
MetricMetadata metadata = 3; }``, ``TimeSeries { repeated Label labels = 1; repeated Sample samples
= 2; repeated Exemplar exemplars = 3; repeated Histogram histograms = 4; }``, ``Label { string name
= 1; string value = 2; }``, ``Sample { double value = 1; int64 timestamp = 2; }``, ``MetricMetadata
{ MetricType type = 1; string metric_family_name = 2; string help = 4; string unit = 5; }``.

Nearly every series of a request has one sample, and nearly every timestamp in milliseconds is a
varint of six bytes (1971 to 2109). So a whole TimeSeries is *head* + value + *stamp*, where the
head depends on the labels only, is kept from request to request and identifies the series.

Where start times are asked for, each sample has the ``int64 start_timestamp = 3`` of remote write
2.0 as well. So that a head still depends on the labels only, it is there in every sample, spelt in
six bytes even if it is 0, which means none: a whole TimeSeries is head + value + stamp + *start*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from common.wire import protobuf

Sample: TypeAlias = tuple[int, bytes]
"""Milliseconds since 1970, and the value as eight bytes (little-endian double), with the encoded
`start` behind it where start times are asked for."""

STALE: Final = (0x7FF0000000000002).to_bytes(8, "little")
"""The NaN that ends a series: Prometheus tells it from other NaNs by its bits."""

STAMP_BYTES: Final = 7
"""What a `stamp` measures if it fits behind a head."""

VALUE_BYTES: Final = 8

SAMPLE: Final = b"\x12\x10\x09"  # samples, 16 bytes; value, fixed64
STARTED_SAMPLE: Final = b"\x12\x17\x09"  # 23 bytes, with a start
_SHIFTS: Final = (0, 7, 14, 21, 28)
_USUAL: Final = range(1 << 42)  # milliseconds that a varint of six bytes can hold, if it must


def behind_head(*, started: bool) -> int:
    """Return how many bytes follow a head: value, stamp and, if asked for, start."""
    return VALUE_BYTES + STAMP_BYTES * (1 + started)


def label(name: str, value: str) -> bytes:
    """Encode one Label of a TimeSeries, tag and length included."""
    return protobuf.framed(
        1, protobuf.framed(1, name.encode()) + protobuf.framed(2, value.encode())
    )


def head(labels: bytes) -> bytes:
    """Encode a TimeSeries with these encoded *labels* up to the value of its one sample."""
    return b"".join((b"\x0a", protobuf.varint(len(labels) + 18), labels, SAMPLE))


def started_head(labels: bytes) -> bytes:
    """Encode the same for a sample with a start."""
    return b"".join((b"\x0a", protobuf.varint(len(labels) + 25), labels, STARTED_SAMPLE))


def labels_of(head: bytes) -> bytes:
    """Return the encoded labels that `head` was given."""
    _, at = protobuf.read_varint(head, 1)
    return head[at : -len(SAMPLE)]


def stamp(milliseconds: int) -> bytes:
    """Encode a sample's timestamp, tag included; it fits behind a head if `STAMP_BYTES` long."""
    return b"\x10" + protobuf.varint(milliseconds)


def read_stamp(stamp: bytes) -> int:
    """Return the milliseconds that `stamp` was given."""
    return protobuf.read_varint(stamp, 1)[0]


def read_sample(behind: bytes) -> Sample:
    """Return the sample that follows a head: value and stamp, and a start if there is one."""
    cut = VALUE_BYTES + STAMP_BYTES
    return read_stamp(behind[VALUE_BYTES:cut]), behind[:VALUE_BYTES] + behind[cut:]


def start(milliseconds: int) -> bytes:
    """Encode a sample's start_timestamp, tag included; 0 is none.

    As long as a usual `stamp`, unless *milliseconds* are so many that no usual stamp follows them.
    """
    if milliseconds not in _USUAL:
        return b"\x18" + protobuf.varint(milliseconds)
    # A varint may have more bytes than it needs: each but the last has its highest bit set.
    return bytes((0x18, *[milliseconds >> n & 127 | 128 for n in _SHIFTS], milliseconds >> 35))


def time_series(labels: bytes, samples: Iterable[Sample], exemplars: bytes = b"") -> bytes:
    """Encode a TimeSeries, tag and length included, with any number of samples at any time.

    *exemplars* are encoded, with their tags.
    """
    spelt = [
        protobuf.framed(2, b"\x09" + value[:VALUE_BYTES] + stamp(ms) + value[VALUE_BYTES:])
        for ms, value in samples
    ]
    return protobuf.framed(1, b"".join((labels, *spelt, exemplars)))


def native_series(labels: bytes, histograms: Iterable[bytes], exemplars: bytes) -> bytes:
    """Encode a TimeSeries of Histogram messages; *exemplars* are encoded, with their tags."""
    spelt = [protobuf.framed(4, histogram) for histogram in histograms]
    return protobuf.framed(1, b"".join((labels, exemplars, *spelt)))


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
