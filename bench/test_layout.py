"""Guard: recognising a known shape costs a fraction of validating it."""

import pytest

from bench import loads
from common.wire import layout, otlp


@pytest.mark.parametrize("points", [1000, 50])
def test_recognising_a_known_shape(guard, points: int) -> None:
    sender = loads.sender(1, points)
    recogniser = layout.Recogniser(1 << 24, 1)
    for time in range(1, 4):
        recogniser.frames(sender.body(time))
    body = sender.body(4)
    assert recogniser.frames(body) == otlp.frames(body)
    guard(lambda: recogniser.frames(body), reference=lambda: otlp.frames(body))
    assert recogniser.parsed == 2
