"""Temporality: what points cost that are turned, and what those cost that are not."""

from bench import loads
from bench.references import temporality as reference
from common.wire import otlp, temporality

POINTS = 1_000
NOW = 1_700_000_000.0
TIME = 1_700_000_001_000_000_000


def bodies(*, affected, times):
    """Return requests of 1,000 points, half of them of sums, a second apart."""
    sender = loads.sender(1, POINTS)
    made = []
    for n in range(times):
        sender.sent = 0
        body = sender.body(TIME + n * 10**9)
        made.append(body.replace(b"\x10\x02\x18\x01", b"\x10\x01\x18\x01") if affected else body)
    return [otlp.Encoded(body) for body in made]


class Again:
    """Converts the same request over and over, as if its series had just been seen before it."""

    def __init__(self, turner, body, earlier):
        self.turner, self.body, self.earlier = turner, body, earlier
        turner.convert(earlier, POINTS, NOW)
        turner.convert(body, POINTS, NOW)

    def __call__(self):
        for series in self.turner._states._series.values():
            series.last = 0
        return self.turner.convert(self.body, POINTS, NOW)


def test_adding_deltas_up(guard):
    earlier, body = bodies(affected=True, times=2)
    turner = temporality.Accumulator(max_bytes=64 << 20, expiry=3600.0, seed=1)
    again = Again(turner, body, earlier)
    assert again().points == POINTS

    def obvious():
        known = reference.Reference()
        return known.convert(body, NOW)

    guard(again, reference=obvious)


def test_taking_differences(guard):
    earlier, body = bodies(affected=False, times=2)
    turner = temporality.Differ(max_bytes=64 << 20, expiry=3600.0, seed=1, began=NOW)
    again = Again(turner, body, earlier)
    assert again().points == POINTS
    guard(again, reference=lambda: reference.Reference(0).convert(body, NOW))


def test_passing_what_is_not_affected(guard):
    (body,) = bodies(affected=False, times=1)
    turner = temporality.Accumulator(max_bytes=64 << 20, expiry=3600.0, seed=1)
    assert turner.convert(body, POINTS, NOW).body is body
    guard(
        lambda: turner.convert(body, POINTS, NOW),
        reference=lambda: reference.Reference().convert(body, NOW),
    )
