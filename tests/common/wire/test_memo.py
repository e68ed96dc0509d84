"""What was computed is remembered, within its bytes."""

from hypothesis import given, settings, strategies as st

from common.wire.memo import Memo


def test_what_was_put_is_found_and_counted() -> None:
    memo: Memo[str, int] = Memo(10)
    assert memo.get("a") is None
    memo.put("a", 1, 4)
    assert memo.get("a") == 1
    assert (memo.hits, memo.misses, memo.evictions, memo.size, len(memo)) == (1, 1, 0, 4, 1)


def test_peeking_is_no_use() -> None:
    memo: Memo[str, int] = Memo(8)
    memo.put("a", 1, 4)
    memo.put("b", 2, 4)
    assert (memo.peek("a"), memo.peek("c")) == (1, None)
    memo.put("c", 3, 4)
    assert (memo.peek("a"), memo.hits, memo.misses) == (None, 0, 0)


def test_the_least_recently_used_leaves_first() -> None:
    memo: Memo[str, int] = Memo(10)
    memo.put("a", 1, 4)
    memo.put("b", 2, 4)
    memo.get("a")
    memo.put("c", 3, 4)
    assert (memo.get("a"), memo.get("b"), memo.get("c")) == (1, None, 3)
    assert (memo.evictions, memo.size) == (1, 8)


def test_putting_again_replaces_value_and_cost() -> None:
    memo: Memo[str, int] = Memo(10)
    memo.put("a", 1, 9)
    memo.put("a", 2, 3)
    assert (memo.get("a"), memo.size, memo.evictions, len(memo)) == (2, 3, 0, 1)


def test_what_alone_exceeds_the_bound_is_not_kept_and_evicts_nobody_else() -> None:
    memo: Memo[str, int] = Memo(10)
    memo.put("a", 1, 10)
    memo.put("b", 2, 11)
    assert (memo.get("a"), memo.get("b"), memo.evictions) == (1, None, 1)


def test_what_has_grown_beyond_the_bound_is_forgotten() -> None:
    memo: Memo[str, int] = Memo(10)
    memo.put("a", 1, 10)
    memo.put("a", 2, 11)
    assert (memo.get("a"), memo.size, len(memo)) == (None, 0, 0)


def test_what_is_forgotten_is_no_eviction() -> None:
    memo: Memo[str, int] = Memo(10)
    memo.put("a", 1, 4)
    assert "a" in memo
    memo.forget("a")
    memo.forget("b")
    assert "a" not in memo
    assert (memo.size, len(memo), memo.evictions) == (0, 0, 0)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 12))),
    st.integers(0, 20),
)
def test_it_never_holds_more_than_its_bytes_and_never_errs(
    puts: list[tuple[int, int]], max_bytes: int
) -> None:
    memo: Memo[int, tuple[int, int]] = Memo(max_bytes)
    last: dict[int, tuple[int, int]] = {}
    for key, cost in puts:
        memo.put(key, (key, cost), cost)
        last[key] = (key, cost)
        assert memo.size <= max_bytes
        assert memo.get(key) in (None, (key, cost))
    held = [found for key in last if (found := memo.get(key)) is not None]
    assert memo.size == sum(cost for _, cost in held)
    assert all(last[key] == (key, cost) for key, cost in held)
    assert len(memo) == len(held)
