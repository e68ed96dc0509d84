"""How long to wait before the next attempt, or whether to give up."""

from __future__ import annotations

from collections.abc import Callable

from common.config import shared

_FACTOR = 2.0
_JITTER = 0.5  # an interval is spread over ±50 %, so that clients do not return in step
_MOST_DOUBLINGS = 40  # 2**40 initial intervals exceed every limit; beyond 2**1023 floats overflow


def pause(
    limits: shared.Retrying,
    *,
    attempts: int,
    after: float | None,
    age: float,
    random: Callable[[], float],
) -> float | None:
    """Return the seconds to wait before the next attempt, ``None`` to give up.

    *attempts* were made so far (at least one), the oldest point of the batch is *age* seconds old,
    and *random* answers a number in [0, 1). What the backend asked for (*after*, seconds: RetryInfo
    or Retry-After) is a lower bound, even above ``max_interval``; given up is when the next attempt
    would come later than ``max_age`` after the arrival of the oldest point.
    """
    # Capped before the jitter, so that the longest interval is still spread, and still kept to.
    cap = limits.max_interval / (1 + _JITTER)
    interval = min(cap, limits.initial * _FACTOR ** min(attempts - 1, _MOST_DOUBLINGS))
    # Rounding alone can exceed the limit by a bit, literally.
    wait = min(limits.max_interval, interval * (1 - _JITTER + 2 * _JITTER * random()))
    if after is not None:
        wait = max(wait, after)
    return wait if age + wait <= limits.max_age else None
