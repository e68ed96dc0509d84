"""How streams ended is remembered, not for ever."""

from common.wire.http2.streams import Ended


def test_the_last_endings_are_known_and_memory_is_bounded() -> None:
    ended = Ended()
    for number in range(1, 20_001, 2):
        ended.add(number, "both" if number % 3 else "reset by us")
    assert ended.get(19_999) == "both"
    assert ended.get(1) is None
    assert len(ended._endings) <= 2048
