"""Accounts outlive their pipelines, balance, and do not grow without end."""

from common.service.ledger import DropReason
from common.service.telemetry import Telemetry
from gateway import accounts as module
from gateway.accounts import MERGED, Accounts


def test_a_name_that_comes_back_goes_on_where_it_was() -> None:
    accounts = Accounts()
    accounts.of("a").receive(5, {})
    accounts.keep(())
    assert accounts.of("a").received == 5


def test_closed_accounts_beyond_the_bound_are_merged_and_no_point_is_forgotten(
    monkeypatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CLOSED", 2)
    accounts = Accounts()
    for i in range(10):
        ledger = accounts.of(f"p{i}")
        ledger.receive(10, {"namespace": 3})
        ledger.deliver(5)
        ledger.drop(2, DropReason.REFUSED)
        accounts.keep(())
    accounts.of("busy").receive(1, {})
    accounts.keep(())
    names = [ledger.pipeline for ledger in accounts]
    assert sorted(names) == sorted([MERGED, "p8", "p9", "busy"])
    assert accounts.audit() == []
    assert accounts.last_words() == {
        "received": 101, "filtered": 30, "delivered": 50, "lost": {"refused": 20}, "held": 1,
    }  # fmt: skip


def test_an_account_that_is_off_is_told_and_counted() -> None:
    accounts = Accounts()
    accounts.of("a").receive(5, {})
    accounts.of("b").delivered += 2
    assert accounts.audit() == ["pipeline b: the ledger is off by -2 points"]
    assert accounts.mismatches == 1
    page = accounts.page()
    assert (page["balance"], page["mismatches"]) == (-2, 1)
    assert page["pipelines"]["a"]["held"] == 5


def test_what_is_on_disk_at_the_end_is_kept_and_what_is_in_memory_is_not() -> None:
    accounts = Accounts()
    ledger = accounts.of("a")
    ledger.receive(5, {})
    assert not accounts.kept_all
    ledger.stored = 5
    assert accounts.kept_all
    accounts.of("b").receive(2, {})
    accounts.of("b").drop(2, DropReason.REFUSED)
    assert accounts.kept_all, "that was lost before, and told"
    accounts.of("a").receive(1, {})
    accounts.of("a").drop(1, DropReason.SHUTDOWN)
    assert not accounts.kept_all


def test_an_account_beside_the_pipelines_is_audited_too() -> None:
    accounts, off = Accounts(), [0]
    accounts.watch("fresh pods", lambda: off[0])
    assert accounts.audit() == []
    off[0] = 3
    assert accounts.audit() == ["the account of fresh pods is off by 3 points"]
    assert accounts.mismatches == 1


def test_accounts_are_own_metrics() -> None:
    accounts, telemetry = Accounts(), Telemetry(process=False)
    telemetry.add(accounts.readings)
    accounts.of("a").receive(5, {"namespace": 2})
    accounts.of("a").drop(1, DropReason.TOO_OLD)
    shown = telemetry.render().decode()
    for line in (
        'headgate_gateway_points_received_total{pipeline="a"} 5.0',
        'headgate_gateway_points_filtered_total{pipeline="a",rule="namespace"} 2.0',
        'headgate_gateway_points_dropped_total{pipeline="a",reason="too_old"} 1.0',
        'headgate_gateway_points_held{pipeline="a"} 2.0',
        "headgate_ledger_mismatch_total 0.0",
    ):
        assert line in shown
