"""An account that does not balance is said in words, and counted."""

from common.service import audit
from common.service.ledger import Ledger


def test_only_what_is_off_is_told() -> None:
    good, bad = Ledger("good"), Ledger("bad")
    good.receive(5, {})
    bad.delivered += 2
    assert audit.off([good, bad]) == ["pipeline bad: the ledger is off by -2 points"]


def test_gateway_and_agent_count_by_one_name() -> None:
    reading = audit.reading(3)
    assert (reading.kind, reading.name) == ("counter", "headgate_ledger_mismatch_total")
    assert reading.samples == (({}, 3.0),)
