"""The terms of a conversion: what the user chose for a backend, and why a point is left out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import final

from common.wire.prometheus_names import Naming


class Drop(StrEnum):
    """Why a point is not in any request."""

    DELTA_UNSUPPORTED = "delta_unsupported"
    """A Sum or a histogram of delta temporality: remote write has no deltas."""
    UNSUPPORTED_TYPE = "unsupported_type"
    """An exponential histogram that is not wanted, has no sum, or is too coarse for a native one.
    """
    UNNAMEABLE = "unnameable"
    """The metric's name has no character that Prometheus could take."""
    INVALID_POINT = "invalid_point"
    """No value, no temporality, bounds that do not fit the counts or do not rise, or an exponential
    histogram whose buckets are not its count, or are beyond all measure."""
    DUPLICATE = "duplicate"
    """Another point in the same body has the same series, and the same millisecond or another type.
    """
    TOO_LARGE = "too_large"
    """It would not fit in a request by itself, or the labels outgrow the body beyond measure."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user chose for one backend."""

    naming: Naming = Naming.SUFFIXES
    external_labels: tuple[tuple[str, str], ...] = ()
    """Name and value of labels for every series that does not have them otherwise."""
    promote: tuple[str, ...] = ()
    """Keys of resource attributes that become labels of every series."""
    promote_without_instance: tuple[str, ...] = ()
    """Those that do, too, if the resource has no ``service.instance.id``."""
    target_info: bool = True
    """Send the other resource attributes as labels of ``target_info``."""
    scope_labels: bool = True
    """Send the scope as ``otel_scope_name`` and ``otel_scope_version``."""
    exemplars: bool = True
    """Send the exemplars of monotonic sums and of histograms."""
    native_histograms: bool = True
    """Send exponential histograms; else they are dropped as of an unsupported type."""
    start_times: bool = False
    """Give each sample a field 3, ``start_timestamp``, as remote write 2.0 has it: milliseconds, or
    0 where there is none, as in gauges; native histograms their field 17 where there is one."""
    max_bytes: int = 3_000_000
    """Of a request, before compression."""
