"""Bytes in flight never exceed the bound by more than one request, and every one is released."""

import pytest
from hypothesis import given, strategies as st

from gateway.receivers.admission import RETRY_MOST, Admission


def test_beyond_the_bound_requests_wait_outside() -> None:
    admission = Admission(10)
    assert [admission.admit(4) for _ in range(4)] == [True, True, False, False]
    assert (admission.in_flight, admission.admitted, admission.refused) == (
        8,
        2,
        {"bytes": 2, "peer": 0, "memory": 0},
    )
    admission.release(4)
    assert admission.admit(6)


def test_a_request_larger_than_the_bound_is_admitted_when_alone() -> None:
    admission = Admission(10)
    assert admission.admit(100)
    assert not admission.admit(1)
    admission.release(100)
    assert admission.admit(1)


def test_an_estimate_is_corrected_and_a_refused_correction_keeps_the_agreed_size() -> None:
    admission = Admission(10)
    assert admission.admit(2)
    assert admission.admit(4)
    assert admission.correct(4, 8)
    assert not admission.correct(8, 9)
    assert admission.in_flight == 10
    assert admission.correct(8, 1)
    assert admission.in_flight == 3


def test_a_crowd_is_told_to_come_back_one_after_the_other() -> None:
    admission = Admission(1)
    assert admission.admit(1)
    afters = []
    for _ in range(5000):
        admission.admit(1)
        afters.append(admission.retry_after())
    assert afters[0] == 1.0
    assert afters == sorted(afters)
    assert afters[-1] == RETRY_MOST
    admission.release(1)
    assert admission.admit(1)
    assert not admission.admit(1)
    assert admission.retry_after() == 1.0


def test_releasing_what_was_never_admitted_is_our_bug() -> None:
    with pytest.raises(RuntimeError, match="BUG: 3 bytes"):
        Admission(10).release(3)


def test_one_address_may_take_its_share_and_leaves_the_rest_to_others() -> None:
    admission = Admission(10, share=0.5)
    assert [admission.admit(3, peer) for peer in ("a", "a", "b", "c")] == [True, False, True, True]
    assert admission.refused == {"bytes": 0, "peer": 1, "memory": 0}
    assert not admission.correct(3, 6, "a")
    admission.release(3, "c")
    assert admission.correct(3, 6, "a")  # more than its share, but it is all that it has
    assert not admission.admit(1, "a")
    admission.release(6, "a")
    assert admission.admit(1, "a")
    assert admission.peers == 2


def test_while_memory_is_scarce_nothing_comes_in_and_nothing_grows() -> None:
    admission = Admission(10)
    assert admission.admit(2, "a")
    admission.scarce = True
    assert not admission.admit(1, "b")
    assert not admission.correct(2, 3, "a")
    assert admission.correct(2, 1, "a")
    admission.release(1, "a")
    assert not admission.admit(1, "b")
    assert admission.refused["memory"] == 3
    admission.scarce = False
    assert admission.admit(1, "b")


@given(st.lists(st.tuples(st.sampled_from("acr"), st.integers(0, 12)), max_size=60))
def test_in_flight_is_what_was_agreed_and_within_the_bound(script: list[tuple[str, int]]) -> None:
    admission = Admission(10)
    agreed: list[int] = []
    for verb, size in script:
        if verb == "a":
            if admission.admit(size):
                agreed.append(size)
        elif agreed and verb == "c":
            if admission.correct(agreed[-1], size):
                agreed[-1] = size
        elif agreed:
            admission.release(agreed.pop())
        assert admission.in_flight == sum(agreed)
        assert admission.in_flight <= 10 or sum(map(bool, agreed)) == 1


def test_the_last_one_turned_away_can_be_told_why() -> None:
    admission = Admission(100, share=0.5)
    assert admission.admit(50, "a")
    assert not admission.admit(1, "a")
    assert admission.cause == "peer"
    assert admission.admit(50, "b")
    assert not admission.admit(1, "c")
    assert admission.cause == "bytes"
