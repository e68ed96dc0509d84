import pytest
from hypothesis import given, strategies as st

from localcluster import errors
from localcluster.history import Change, History, Key, Record


def change(revision: int, size: int = 10) -> Change:
    record = Record(key=Key("", "pods", "n", "a"), value={}, encoded=b"x" * size)
    return Change(revision=revision, event="MODIFIED", before=None, record=record)


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 200))
def test_the_history_stays_within_its_bound_and_has_no_gaps(sizes: list[int], bound: int) -> None:
    history = History(bound, revision=7)
    for i, size in enumerate(sizes):
        history.append(change(8 + i, size))
        assert history.size <= max(bound, size)
    revisions = [c.revision for c in history.since(history.oldest)]
    assert revisions == list(range(history.oldest + 1, history.revision + 1))


def test_nothing_has_happened_since_now() -> None:
    assert not History(10, revision=7).since(7)


@pytest.mark.parametrize("revision", [0, 6, 8, 99])
def test_revisions_that_are_not_known_are_gone(revision: int) -> None:
    with pytest.raises(errors.StatusError, match="too old resource version") as refused:
        History(10, revision=7).since(revision)
    assert refused.value.code == 410


def test_a_gap_would_be_our_bug() -> None:
    with pytest.raises(RuntimeError, match="BUG"):
        History(10, revision=7).append(change(9))
