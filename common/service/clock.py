"""The wall clock: the one place that asks what time it is."""

from __future__ import annotations

import time


def unix_nanoseconds() -> int:
    """Return nanoseconds since the Unix epoch, as OTLP timestamps count."""
    return time.time_ns()


def unix_seconds() -> float:
    """Return seconds since the Unix epoch."""
    return time.time()  # noqa: TID251 - this is the module the rule points to
