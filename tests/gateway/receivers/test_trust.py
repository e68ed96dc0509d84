"""An agent is who shows a token of ours."""

import pytest

from gateway.receivers.trust import Trust


@pytest.mark.parametrize("shown", ["Bearer one", "bearer two", b"Bearer two", "BEARER  two "])
def test_every_token_of_the_file_is_accepted(shown: str | bytes) -> None:
    assert Trust("one\n\ntwo\n").accepts(shown)


@pytest.mark.parametrize(
    "shown",
    ["Bearer three", "one", "Basic one", "Bearer ", "", None, "Bearer on\xe9", "Bearer \udcff"],
)
def test_nothing_else_is(shown: str | None) -> None:
    assert not Trust("one\ntwo").accepts(shown)


def test_without_tokens_nobody_is_trusted_not_even_with_an_empty_one() -> None:
    trust = Trust("\n \n")
    assert not trust
    assert not trust.accepts("Bearer ")


def test_tokens_are_exchanged_and_those_that_no_longer_count_are_counted() -> None:
    trust = Trust("old")
    trust.replace("new")
    assert (trust.accepts("Bearer old"), trust.accepts("Bearer new")) == (False, True)
    assert trust.mismatches == 1
