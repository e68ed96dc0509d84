"""Points of one series, or of the series that a histogram consists of, as TimeSeries messages.

What is made here stays together in a request. Exemplars go where their point goes, unless there is
no room for them: then the point goes without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

from common.wire import remote_write_exemplars, remote_write_series
from common.wire.remote_write_exemplars import Spelt
from common.wire.remote_write_series import Sample

Part: TypeAlias = tuple[bytes, int, int]
"""TimeSeries messages that stay together, the points they carry, their samples."""

SAMPLE_BYTES: Final = 22  # at most, with tag and length
START_BYTES: Final = 11  # at most, of a start in it
_FRAME_BYTES: Final = 12  # at most, of a TimeSeries around its labels and samples
_HEADER_BYTES: Final = 6  # at most, of a Histogram's tag and length


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Composite:
    """A point of several series, a histogram's or a summary's: for each its head and its value."""

    milliseconds: int
    heads: tuple[bytes, ...]
    values: tuple[bytes, ...]
    start: bytes = b""
    """What stands behind each stamp, see `remote_write_series.start`."""
    exemplars: Mapping[bytes, Sequence[Spelt]] = field(default_factory=dict)
    """By the head of the series that they belong to."""

    @property
    def exemplar_count(self) -> int:
        """How many exemplars it has."""
        return sum(map(len, self.exemplars.values()))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Native:
    """A point that is one Histogram message."""

    milliseconds: int
    body: bytes
    exemplars: Sequence[Spelt] = ()


def native_size(head: bytes, body: bytes) -> int:
    """Return how many bytes a Histogram makes, at most, if it is the only one of its series."""
    return len(head) + len(body) + _FRAME_BYTES + _HEADER_BYTES


def of_samples(
    head: bytes, samples: Sequence[Sample], exemplars: Sequence[Spelt], max_bytes: int
) -> tuple[list[Part], int]:
    """Encode the samples of a series, in order, in parts of up to *max_bytes*.

    Returns how many exemplars were left out, too.
    """
    labels = remote_write_series.labels_of(head)
    room = max_bytes - len(labels) - _FRAME_BYTES
    told, left_out = remote_write_exemplars.joined(exemplars), 0
    each = SAMPLE_BYTES + START_BYTES
    if told and len(told) + each > room:
        told, left_out = b"", len(exemplars)
    step = max(1, (room - len(told)) // each)
    parts: list[Part] = []
    for at in range(0, len(samples), step):
        chunk = samples[at : at + step]
        series = remote_write_series.time_series(labels, chunk, told)
        parts.append((series, len(chunk), len(chunk)))
        told = b""
    return parts, left_out


def of_natives(head: bytes, points: Sequence[Native], max_bytes: int) -> tuple[list[Part], int]:
    """Encode the native histograms of a series likewise; each counts as one sample."""
    labels = remote_write_series.labels_of(head)
    room = max_bytes - len(labels) - _FRAME_BYTES
    parts: list[Part] = []
    left_out = size = 0
    bodies: list[bytes] = []
    exemplars: list[Spelt] = []

    def flush() -> None:
        told = remote_write_exemplars.joined(exemplars)
        series = remote_write_series.native_series(labels, bodies, told)
        parts.append((series, len(bodies), len(bodies)))

    for point in points:
        own = len(point.body) + _HEADER_BYTES
        given = list(point.exemplars)
        beside = sum(len(spelt) for _, spelt in given)
        if own + beside > room:
            left_out, beside, given = left_out + len(given), 0, []
        if bodies and size + own + beside > room:
            flush()
            bodies, exemplars, size = [], [], 0
        bodies.append(point.body)
        exemplars += given
        size += own + beside
    flush()
    return parts, left_out


def of_composites(points: Sequence[Composite], max_bytes: int) -> tuple[list[Part], int]:
    """Encode points of one histogram or summary likewise, halving them until each part fits."""
    if len(points) == 1 and not points[0].exemplars:  # as nearly always
        return [_single(points[0])], 0
    series: dict[bytes, list[Sample]] = {}
    exemplars: dict[bytes, list[Spelt]] = {}
    for point in points:
        for head, value in zip(point.heads, point.values, strict=True):
            series.setdefault(head, []).append((point.milliseconds, value + point.start))
        for head, given in point.exemplars.items():
            exemplars.setdefault(head, []).extend(given)
    body = b"".join(
        [
            _series(head, samples, remote_write_exemplars.joined(exemplars.get(head, ())))
            for head, samples in series.items()
        ]
    )
    if len(body) <= max_bytes:
        return [(body, len(points), sum(map(len, series.values())))], 0
    if len(points) == 1:
        return [_single(points[0])], points[0].exemplar_count
    middle = len(points) // 2
    (before, lost), (after, more) = (
        of_composites(points[:middle], max_bytes),
        of_composites(points[middle:], max_bytes),
    )
    return before + after, lost + more


def _single(point: Composite) -> Part:
    """Encode a point without its exemplars."""
    stamp = remote_write_series.stamp(point.milliseconds)
    both = zip(point.heads, point.values, strict=True)
    if len(stamp) == remote_write_series.STAMP_BYTES:
        stamp += point.start
        series = [piece for head, value in both for piece in (head, value, stamp)]
    else:
        sample = point.milliseconds
        series = [_series(head, ((sample, value + point.start),)) for head, value in both]
    return b"".join(series), 1, len(point.heads)


def _series(head: bytes, samples: Sequence[Sample], exemplars: bytes = b"") -> bytes:
    labels = remote_write_series.labels_of(head)
    return remote_write_series.time_series(labels, samples, exemplars)
