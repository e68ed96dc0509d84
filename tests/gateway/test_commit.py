"""A commit is settled when every part that was expected is done, and tells that once."""

import pytest

from gateway.commit import Commit


def test_nothing_to_wait_for_is_settled_at_once() -> None:
    commit, told = Commit(), []
    commit.when_settled(lambda: told.append(1))
    assert (commit.settled, commit.failed, told) == (True, False, [1])


def test_the_last_part_tells_and_one_failure_is_enough() -> None:
    commit, told = Commit(), []
    commit.expect()
    commit.expect()
    commit.when_settled(lambda: told.append(commit.failed))
    commit.done(written=False)
    assert told == []
    commit.done(written=True)
    assert told == [True]


def test_who_has_gone_is_not_told() -> None:
    commit, told = Commit(), []
    commit.expect()
    commit.when_settled(lambda: told.append(1))
    commit.forget()
    commit.done(written=True)
    assert (told, commit.settled) == ([], True)


def test_a_part_that_is_written_twice_is_our_bug() -> None:
    with pytest.raises(RuntimeError, match="BUG"):
        Commit().done(written=True)
