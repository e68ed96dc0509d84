"""What one end says, the other reads."""

import pytest

from common.service.ledger import DropReason, FilterRule, Ledger
from common.service.settings import Problem
from common.service.telemetry import Reading
from gateway.workers import messages


def body(framed: bytes) -> bytes:
    assert int.from_bytes(framed[: messages.HEAD], "big") == len(framed) - messages.HEAD
    return framed[messages.HEAD :]


def test_a_report_arrives_as_it_was() -> None:
    ledger = Ledger("a")
    ledger.receive(5, {FilterRule.NAMESPACE: 2})
    ledger.drop(1, DropReason.TOO_OLD)
    report = messages.Report(
        listening=True,
        ready=False,
        checks={"config": "1 pipeline"},
        readings=[Reading("gauge", "g", "Words.", (({"pipeline": "a"}, 1.5),), "max")],
        ledgers=[ledger],
        mismatches=0,
    )
    heard = messages.to_supervisor(body(messages.framed(report)))
    assert heard == report
    assert isinstance(heard, messages.Report)
    assert heard.ledgers[0].dropped[DropReason.TOO_OLD] == 1
    assert heard.ledgers[0].balance() == 0


@pytest.mark.parametrize(
    "said",
    [messages.Answer(3, b"{}"), messages.Answer(4, None), messages.Failed([Problem("a.b", "no")])],
)
def test_other_words_of_a_worker_arrive_as_they_were(said: messages.ToSupervisor) -> None:
    assert messages.to_supervisor(body(messages.framed(said))) == said


@pytest.mark.parametrize(
    "said",
    [
        messages.Ask(1, "/debug/x", {"ip": "10.0.0.1"}),
        messages.Informed(used=True, synced=True, healthy=False, status="away"),
    ],
)
def test_words_of_the_supervisor_arrive_as_they_were(said: messages.ToWorker) -> None:
    assert messages.to_worker(body(messages.framed(said))) == said


def test_a_message_without_bound_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_BYTES", 10)
    with pytest.raises(RuntimeError, match="BUG: a message of"):
        messages.framed(messages.Answer(1, bytes(100)))
