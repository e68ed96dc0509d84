"""Waiting grows, is spread, listens to the backend, and ends with the batch's age."""

from hypothesis import example, given, strategies as st

from common.config.shared import Retrying
from common.exporters import backoff

LIMITS = Retrying(initial=1.0, max_interval=30.0, max_age=300.0)


def middle() -> float:
    return 0.5


def test_waiting_doubles_up_to_a_limit() -> None:
    waits = [
        backoff.pause(LIMITS, attempts=n, after=None, age=0.0, random=middle) for n in range(1, 8)
    ]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]


def test_waiting_is_spread_over_half_to_one_and_a_half() -> None:
    spread = [
        backoff.pause(LIMITS, attempts=2, after=None, age=0.0, random=lambda at=at: at)
        for at in (0.0, 0.5, 1.0)
    ]
    assert spread == [1.0, 2.0, 3.0]


def test_what_the_backend_asks_for_is_a_lower_bound_and_nothing_else() -> None:
    def wait(after: float) -> float | None:
        return backoff.pause(LIMITS, attempts=1, after=after, age=0.0, random=middle)

    assert [wait(0.2), wait(17.0), wait(120.0)] == [1.0, 17.0, 120.0]


def test_it_gives_up_when_the_next_attempt_would_come_after_the_age_limit() -> None:
    def wait(age: float, after: float | None = None) -> float | None:
        return backoff.pause(LIMITS, attempts=1, after=after, age=age, random=middle)

    assert [wait(299.0), wait(299.1), wait(0.0, after=301.0)] == [1.0, None, None]


@given(
    attempts=st.integers(1, 10**9),
    initial=st.floats(0.001, 3600),
    most=st.floats(0.001, 3600),
    random=st.floats(0, 1, exclude_max=True),
)
@example(attempts=1, initial=1.0, most=0.9999999999999999, random=0.9999999999999999)
def test_however_often_it_failed_the_wait_is_positive_and_within_the_longest(
    attempts, initial, most, random
) -> None:
    limits = Retrying(initial=initial, max_interval=most, max_age=86400)
    wait = backoff.pause(limits, attempts=attempts, after=None, age=0.0, random=lambda: random)
    assert wait is not None
    assert 0 < wait <= most
