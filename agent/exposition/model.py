"""What every exposition format is parsed into: samples in columns, and what is said about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agent.exposition import grammar
from common.wire import errors

UNTIMED = -1
"""The timestamp of a sample that has none."""

MILLISECOND = 1_000_000
"""Nanoseconds of OTLP in the unit of Prometheus' timestamps."""


class Format(StrEnum):
    """How a body is written; the words are those of Prometheus' ``scrape_protocols``."""

    TEXT = "PrometheusText0.0.4"  # and 1.0.0, which differs in what may be negotiated only
    OPEN_METRICS = "OpenMetricsText1.0.0"  # and 0.0.1
    PROTOBUF = "PrometheusProto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one scrape may hold; 0 is no limit. Prometheus' options have the same names."""

    samples: int = 50_000
    labels: int = 0  # exposed labels of one series, the name not counted
    label_name_bytes: int = 0
    label_value_bytes: int = 0
    buckets: int = 65_536
    """Of one native histogram, the empty ones between included; never 0. Those of one body may have
    `NATIVE_FACTOR` times as many together."""

    def check_lines(self, body: bytes) -> None:
        """Raise `errors.TooLarge` where a text has more lines than so many samples ever need.

        20 MB of empty lines cost 15 s to read, and 2 GB to know again.
        """
        if not self.samples:
            return
        most = LINES_FACTOR * self.samples + _SPARE_LINES
        found = body.count(b"\n")
        if found > most:
            raise errors.TooLarge(
                f"{found} lines exceed the limit of {most}, {LINES_FACTOR} for each of "
                f"{self.samples} samples; expose fewer series or raise the sample limit"
            )


LINES_FACTOR = 8
"""How many lines a text may have for each of `Limits.samples`, comments and blank ones included."""

LARGE = 4 << 20
"""Bytes of a text whose lines are counted before they take 40 bytes each."""

_SPARE_LINES = 1000


class TooMany(errors.TooLarge):
    """There are more *samples* in a body than `Limits.samples`, and they were counted."""

    def __init__(self, samples: int, limit: int) -> None:
        super().__init__(
            f"{samples} samples exceed the limit of {limit}; "
            "expose fewer series or raise the sample limit"
        )
        self.samples = samples


NATIVE_FACTOR = 16
"""How many times `Limits.buckets` the native histograms of one body may have together, and how many
exemplars there may be for each of its samples."""


class Series(NamedTuple):
    """A name and its labels in the order of the text: unescaped, unique, valid UTF-8."""

    name: bytes
    labels: grammar.Labels


class Family(NamedTuple):
    """What TYPE, HELP and UNIT say of a name; empty where they say nothing, the last word counts.

    ``type`` is one of Prometheus' words: counter, gauge, histogram, gaugehistogram, summary, info,
    stateset, unknown, untyped.
    """

    type: bytes = b""
    help: bytes = b""
    unit: bytes = b""


class Exemplar(NamedTuple):
    """An example of what a sample counts; ``time`` in milliseconds since 1970, or `UNTIMED`."""

    labels: grammar.Labels
    value: float
    time: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Native:
    """A native histogram, counts absolute; from ``io.prometheus.client.Histogram``.

    Those that cannot be sent anyway are here to be counted: of one that is ``fractional``, or has a
    schema that nobody knows, buckets and exemplars are left out; see `native.exponential`.

    Buckets are dense: ``positive[i]`` counts what lies in the bucket of Prometheus' index
    ``positive_offset + i``, and likewise below zero. ``custom`` holds the upper bounds of schema
    -53; then the positive buckets are counted from its first.
    """

    schema: int
    zero_threshold: float
    zero_count: int
    count: int
    sum: float
    positive_offset: int
    positive: tuple[int, ...]
    negative_offset: int
    negative: tuple[int, ...]
    custom: tuple[float, ...] = ()
    exemplars: tuple[Exemplar, ...] = ()  # each with a time
    gauge: bool = False  # what lies in the buckets now, not what has fallen into them
    fractional: bool = (
        False  # counts are not whole numbers; ``count`` and the like are rounded down
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exposition:
    """One parsed body, in columns: entry *i* of each column belongs to the *i*-th sample.

    Classic histograms and summaries are samples of their series (``_bucket``, ``_sum``,
    ``_count``, quantiles) in every format. A native histogram is one sample called as its family,
    whose value is its count; what more there is of it stands in ``natives``. Created timestamps
    are samples called ``<family>_created`` with a value in seconds; those that the format puts
    elsewhere come last, and the last ``uncounted`` samples are of that kind.
    """

    format: Format = Format.TEXT
    names: list[bytes]
    labels: list[grammar.Labels]
    values: npt.NDArray[np.float64]
    times: npt.NDArray[np.int64]  # milliseconds since 1970, or `UNTIMED`
    value_at: npt.NDArray[np.int64]
    """Where in the body the value begins, before it lies the key; empty where there is no text."""
    families: dict[bytes, Family]
    exemplars: Mapping[int, Exemplar] = field(default_factory=dict)  # by sample
    natives: Mapping[int, Native] = field(default_factory=dict)  # by sample
    classic_of_native: frozenset[int] = frozenset()
    """Samples that tell as a classic histogram what one of ``natives`` tells, too."""
    uncounted: int = 0
    skipped: int = 0
    """Lines left out because they could not be read (``on_error: drop_line``)."""
    complaint: str = ""
    """What was wrong with the first of them, as `errors.Malformed` has it."""

    @property
    def series(self) -> list[Series]:
        """Return name and labels of each sample; in columns they are cheaper to go through."""
        return list(map(Series, self.names, self.labels))


def same_series(old: Exposition, new: Exposition) -> bool:
    """Tell whether *new* differs from *old* in its numbers only: a translation holds for both.

    Numbers are values, what the timestamps and exemplars say, and the buckets of native histograms
    of one schema.
    """
    return (
        old.format is new.format
        and old.names == new.names
        and old.labels == new.labels
        and old.families == new.families
        and old.uncounted == new.uncounted
        and old.classic_of_native == new.classic_of_native
        and bool(((old.times == UNTIMED) == (new.times == UNTIMED)).all())
        and _kinds(old.natives) == _kinds(new.natives)
    )


def _kinds(natives: Mapping[int, Native]) -> dict[int, tuple[object, ...]]:
    return {
        sample: (native.schema, native.custom, native.gauge, native.fractional)
        for sample, native in natives.items()
    }
