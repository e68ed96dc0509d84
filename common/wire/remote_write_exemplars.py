"""Exemplars: measurements that stand for many, each with the trace it was made in.

Sources: opentelemetry/proto/metrics/v1/metrics.proto (Exemplar), the compatibility specification's
"Exemplars" and OpenMetrics 1.0 (no more than 128 code points of labels). Those of gauges are not
sent: Prometheus has them for counters and histograms only. An exemplar is nobody's point; one that
cannot be sent costs its point nothing.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from common.wire import protobuf, remote_write_labels, remote_write_series, remote_write_shape
from common.wire.prometheus_names import Naming

Spelt: TypeAlias = tuple[int, bytes]
"""Milliseconds, and the encoded Exemplar with its tag and length."""

MAX_LABELS: Final = 128  # code points of all names and values together

_NS_PER_MS: Final = 1_000_000
_IDS: Final = (("trace_id", 16), ("span_id", 8))
_DOUBLE: Final = struct.Struct("<d")


def spell(exemplar: remote_write_shape.Exemplar, milliseconds: int, naming: Naming) -> Spelt | None:
    """Encode an exemplar of a point at *milliseconds*; ``None`` if it has no value or no time.

    Ids of the trace and the span come first: attributes are added if all of them fit beside, and
    not one if they do not. Without a time of its own an exemplar gets its point's. Raises
    `errors.Malformed` for an attribute that is none.
    """
    # message Exemplar { repeated Label labels = 1; double value = 2; int64 timestamp = 3; }
    number = value(exemplar)
    at = exemplar.time_unix_nano // _NS_PER_MS or milliseconds
    if number is None or not at:
        return None
    ids: dict[str, str] = {}
    for name, size in _IDS:
        said: bytes = getattr(exemplar, name)
        if len(said) == size and any(said):
            ids[name] = said.hex()
    labels = remote_write_labels.texts(exemplar.filtered_attributes, naming) | ids
    if sum(len(name) + len(text) for name, text in labels.items()) > MAX_LABELS:
        labels = ids
    pieces = [remote_write_series.label(name, labels[name]) for name in sorted(labels)]
    pieces += (b"\x11", _DOUBLE.pack(number), b"\x18", protobuf.varint(at))
    return at, protobuf.framed(3, b"".join(pieces))


def value(exemplar: remote_write_shape.Exemplar) -> float | None:
    """Return what was measured, if it is said."""
    match exemplar.WhichOneof("value"):
        case "as_double":
            return exemplar.as_double
        case "as_int":
            return float(exemplar.as_int)
        case _:
            return None


def bucket(of: float, bounds: Sequence[float]) -> int | None:
    """Return the position of the first bucket that holds a value; *bounds* rise.

    ``len(bounds)`` is the bucket without a bound; ``None`` if no bucket holds it, as with NaN.
    """
    return None if of != of else bisect_left(bounds, of)  # noqa: PLR0124 - a NaN is what differs


def joined(exemplars: Iterable[Spelt]) -> bytes:
    """Return the exemplars of one series in the order of time, each once."""
    return b"".join([spelt for _, spelt in sorted(set(exemplars))])
