"""Accounts as tables: every number right, every line within the terminal."""

import click
import pytest
from hypothesis import given, strategies as st

from cli.ledger_table import Account, FreshPods, Page, lines, rates


def account(received: int = 0, **fates: int) -> Account:
    rest = {"delivered": 0, "filtered": 0, "dropped": 0, "held": 0, "balance": 0, **fates}
    return Account(received=received, **rest)


SHOP = Account(
    received=20, delivered=10, filtered=3, dropped=4, held=3, balance=0,
    filtered_by={"namespace": 3}, dropped_by={"too_old": 1, "inbox_full": 3},
)  # fmt: skip


def plain(page: Page, width: int = 80, **how) -> list[str]:
    return [click.unstyle(line) for line in lines(page, width, **how)]


def test_a_pipeline_is_a_row_and_its_losses_are_below_the_worst_first() -> None:
    assert plain(Page(pipelines={"shop": SHOP, "till": account(2, held=2)})) == [
        "pipeline  received  delivered  filtered  dropped  held  balance",
        "shop            20         10         3        4     3        0",
        "till             2          0         0        0     2        0",
        "",
        "pipeline            reason      points",
        "shop      dropped   inbox_full       3",
        "shop      dropped   too_old          1",
        "shop      filtered  namespace        3",
    ]


def test_what_was_recovered_has_a_column_only_where_something_was() -> None:
    head = plain(Page(pipelines={"a": account(5, held=5, recovered=5)}))[0]
    assert head.endswith("  recovered")
    assert "recovered" not in plain(Page(pipelines={"a": account()}))[0]


def test_what_is_off_is_red_and_the_sum_is_done_here() -> None:
    page = Page(pipelines={"a": account(5, held=5), "b": account(5, held=2)})
    assert not page.balanced
    _, good, bad = lines(page, 80)
    assert good == click.unstyle(good)
    assert bad == click.style(click.unstyle(bad), fg="red")
    assert bad.removesuffix("\x1b[0m").endswith("  3")
    assert not Page(pipelines={"a": account(balance=1)}).balanced
    assert not Page(pipelines={}, fresh_pods=FreshPods(taken=1, balance=1)).balanced
    assert Page(pipelines={"a": SHOP}).balanced


def test_fresh_pods_and_former_mismatches_are_remarks() -> None:
    fresh = FreshPods(taken=9, held=4, released=5)
    page = Page(pipelines={"a": account()}, mismatches=2, fresh_pods=fresh)
    assert plain(page)[-3:] == [
        "",
        "fresh pods: 4 points wait, 5 of 9 went on",
        "2 times an account did not balance: a bug, please report it",
    ]


def test_nothing_is_said_in_words() -> None:
    assert lines(Page(pipelines={}), 80) == ["no pipeline has an account yet"]


def test_rates_are_a_row_below_and_what_began_anew_counts_from_zero() -> None:
    before = Page(pipelines={"a": account(100, delivered=100), "b": account(70, held=70)})
    after = Page(pipelines={"a": account(150, delivered=140, held=10), "b": account(20, held=20)})
    speeds = rates(before, after, 10.0)
    assert speeds["a"] == {"received": 5.0, "delivered": 4.0, "filtered": 0.0, "dropped": 0.0}
    assert speeds["b"]["received"] == 2.0
    rows = plain(after, per_second=speeds)
    assert rows[2].split() == ["5/s", "4/s", "0/s", "0/s"]


def test_a_new_pipeline_is_counted_from_zero() -> None:
    after = Page(pipelines={"a": account(50, held=50)})
    assert rates(Page(pipelines={}), after, 5.0)["a"]["received"] == 10.0


@pytest.mark.parametrize(
    ("points", "short"),
    [(9_999, "9999"), (10_000, "10.0k"), (123_456, "123k"), (7_654_321, "7.7M"),
     (5 * 10**9, "5.0G"), (23 * 10**13, "230T")],
)  # fmt: skip
def test_numbers_are_short_where_digits_do_not_fit(points: int, short: str) -> None:
    page = Page(pipelines={"a": account(points, held=points)})
    assert str(points) in plain(page, 100)[1].split()
    assert short in plain(page, 62)[1].split() or len(str(points)) <= len("received")


def test_what_would_move_the_cursor_is_shown_as_text() -> None:
    page = Page(pipelines={"a\x1b[2J": account()})
    assert "\x1b" not in plain(page)[1]
    assert r"\x1b[2J" in plain(page)[1]


points = st.integers(0, 1 << 60)
accounts = st.builds(
    Account,
    received=points,
    delivered=points,
    filtered=points,
    dropped=points,
    held=points,
    balance=st.just(0),
    recovered=points,
    dropped_by=st.dictionaries(st.sampled_from(["inbox_full", "rejected_by_backend"]), points),
)


@given(st.dictionaries(st.text(max_size=300), accounts, max_size=5), st.integers(1, 200))
def test_no_line_is_wider_than_the_terminal(pipelines: dict[str, Account], width: int) -> None:
    page = Page(pipelines=pipelines, mismatches=1)
    speeds = rates(Page(pipelines={}), page, 0.5)
    for line in plain(page, width, per_second=speeds):
        assert len(line) <= max(width, 1) or not pipelines
