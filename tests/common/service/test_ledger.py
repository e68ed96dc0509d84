"""The account always balances, and says so when it does not."""

from hypothesis import given, strategies as st

from common.service.ledger import DropReason, FilterRule, Ledger


@given(
    st.lists(
        st.tuples(
            st.integers(0, 50), st.integers(0, 50), st.sampled_from(DropReason), st.integers(0, 50)
        )
    )
)
def test_any_history_balances(history) -> None:
    ledger = Ledger("p")
    for kept, filtered, reason, delivered in history:
        ledger.receive(kept + filtered, {FilterRule.NAMESPACE: filtered})
        arrived = min(delivered, kept)
        ledger.deliver(arrived)
        ledger.drop(kept - arrived, reason)
        assert ledger.balance() == 0
    assert ledger.held == 0


def test_a_point_that_is_booked_twice_shows() -> None:
    ledger = Ledger("p")
    ledger.receive(1, {})
    ledger.delivered += 1
    assert ledger.balance() == -1


def test_the_summary_names_rules_and_reasons_that_happened() -> None:
    ledger = Ledger("p")
    ledger.receive(5, {FilterRule.METRIC_NAME: 2})
    ledger.drop(1, DropReason.TOO_OLD)
    assert ledger.summary() == {
        "received": 5,
        "recovered": 0,
        "stored": 0,
        "filtered": 2,
        "delivered": 0,
        "dropped": 1,
        "held": 2,
        "balance": 0,
        "filtered_by": {"metric_name": 2},
        "dropped_by": {"too_old": 1},
    }


def test_an_account_that_includes_others_balances_and_has_their_sums() -> None:
    one, two = Ledger("a"), Ledger("a")
    one.receive(10, {FilterRule.NAMESPACE: 3})
    one.deliver(2)
    two.receive(5, {})
    two.drop(1, DropReason.TOO_OLD)
    one.include(two)
    assert (one.received, one.delivered, one.held, one.balance()) == (15, 2, 9, 0)
    assert (one.filtered[FilterRule.NAMESPACE], one.dropped[DropReason.TOO_OLD]) == (3, 1)


def test_points_that_were_found_on_disk_are_received_and_held() -> None:
    ledger = Ledger("a")
    ledger.recover(5)
    ledger.deliver(2)
    assert (ledger.received, ledger.recovered, ledger.held, ledger.balance()) == (5, 5, 3, 0)


def test_what_is_on_disk_is_left_to_whoever_comes_next() -> None:
    ledger = Ledger("a")
    ledger.receive(10, {})
    ledger.stored = 6
    ledger.bequeath()
    assert (ledger.received, ledger.recovered, ledger.held, ledger.balance()) == (4, -6, 4, 0)
    heir = Ledger("a")
    heir.recover(6)
    ledger.include(heir)
    assert (ledger.received, ledger.recovered, ledger.held, ledger.balance()) == (10, 0, 10, 0)
