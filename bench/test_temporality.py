"""Temporality: what points cost that are turned, and what those cost that are not."""

from itertools import count

import numpy as np

from bench import loads
from bench.references import temporality as reference
from common.wire import otlp, temporality

POINTS = 1_000
NOW = 1_700_000_000.0
TIME = 1_700_000_001_000_000_000


def sending(*, deltas):
    """Return what makes requests of 1,000 points, half of them of sums, a second apart."""
    sender, seconds = loads.sender(1, POINTS), count()
    if deltas:
        body = sender.plain.tobytes().replace(b"\x10\x02\x18\x01", b"\x10\x01\x18\x01")
        sender.plain = np.frombuffer(body, np.uint8)

    def send():
        sender.sent = 0  # never shuffled
        return otlp.Encoded(sender.body(TIME + next(seconds) * 10**9))

    return send


def test_adding_deltas_up(guard):
    send = sending(deltas=True)
    turner = temporality.Accumulator(max_bytes=64 << 20, expiry=3600.0, seed=1)
    obvious = reference.Reference()
    guard(
        lambda: turner.convert(send(), POINTS, NOW),
        reference=lambda: obvious.convert(send(), NOW),
    )
    assert turner.convert(send(), POINTS, NOW).dropped == {}
    assert turner.stats().series == POINTS / 2


def test_taking_differences(guard):
    send = sending(deltas=False)
    turner = temporality.Differ(max_bytes=64 << 20, expiry=3600.0, seed=1, began=NOW)
    obvious = reference.Reference(int(NOW * 1e9))
    guard(
        lambda: turner.convert(send(), POINTS, NOW),
        reference=lambda: obvious.convert(send(), NOW),
    )
    assert turner.convert(send(), POINTS, NOW).dropped == {}
    assert turner.stats().series == POINTS / 2


def test_passing_what_is_not_affected(guard):
    body = sending(deltas=False)()
    turner = temporality.Accumulator(max_bytes=64 << 20, expiry=3600.0, seed=1)
    assert turner.convert(body, POINTS, NOW).body is body
    guard(
        lambda: turner.convert(body, POINTS, NOW),
        reference=lambda: reference.Reference().convert(body, NOW),
    )
