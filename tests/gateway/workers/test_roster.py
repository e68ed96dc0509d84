"""What happens to workers that end, and what the others say meanwhile."""

import signal

import pytest

from common.service.ledger import Ledger
from common.service.settings import Problem
from common.service.telemetry import Reading
from gateway.workers import messages, roster


def report(points: int = 0, held: int = 0, *, ready: bool = True, **changed) -> messages.Report:
    ledger = Ledger("a")
    ledger.receive(points, {})
    ledger.deliver(points - held)
    taken = Reading("counter", "taken_total", "Words.", (({}, float(points)),))
    said = {
        "listening": True,
        "ready": ready,
        "checks": {"config": "1 pipeline"},
        "readings": [taken],
        "ledgers": [ledger],
        "mismatches": 0,
    }
    return messages.Report(**{**said, **changed})


def fresh(count: int = 2, chance: float = 0.5) -> roster.Roster:
    return roster.Roster(roster.members(count), lambda: chance)


def working(count: int = 2, now: float = 0.0) -> roster.Roster:
    found = fresh(count)
    for member in found.members:
        found.started(member, 100 + member.number, now)
        found.reported(member, report(), now)
    return found


def test_it_is_ready_as_soon_as_one_worker_is() -> None:
    found = fresh()
    assert found.ready() == (False, "0 of 2 workers ready; worker 1 waiting; worker 2 waiting")
    one, two = found.members
    found.started(one, 7, 0.0)
    found.reported(one, report(listening=False, ready=False), 0.0)
    assert one.state == "starting"
    found.reported(one, report(), 0.0)
    assert found.ready() == (True, "1 of 2 workers ready; worker 2 waiting")
    found.started(two, 8, 0.0)
    found.reported(two, report(), 0.0)
    assert found.ready() == (True, "2 of 2 workers ready")
    found.reported(two, report(ready=False), 0.0)
    assert found.ready() == (True, "1 of 2 workers ready; worker 2 unready")


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (-signal.SIGKILL, "killed", "killed by SIGKILL"),
        (-77, "killed", "killed by signal 77"),
        (3, "failed", "exit code 3"),
        (0, "exited", "exit code 0"),
    ],
)
def test_a_worker_that_ends_is_replaced(code: int, reason: str, words: str) -> None:
    found = working()
    step, _ = found.ended(found.members[0], code, 100.0)
    assert step == roster.Restart(pytest.approx(0.5), reason)
    assert (found.members[0].state, found.members[0].last_end) == ("waiting", words)
    assert found.restarts[reason] == 1
    assert words in found.ready()[1]


def test_one_that_ends_again_and_again_waits_longer_and_one_that_lived_does_not() -> None:
    found, now, pauses = working(), 0.0, []
    for _ in range(10):
        step, _ = found.ended(found.members[0], 1, now)
        pauses.append(step.after)
        found.started(found.members[0], 7, now)
    assert pauses == sorted(pauses)
    assert 10 < pauses[-1] <= roster.RETRYING.max_interval
    step, _ = found.ended(found.members[0], 1, now + roster.HEALTHY_AFTER)
    assert step.after == pauses[0]


def test_pauses_are_spread() -> None:
    steps = []
    for chance in (0.0, 0.999):
        found = fresh(chance=chance)
        found.started(found.members[0], 1, 0.0)
        steps.append(found.ended(found.members[0], 1, 0.0)[0].after)
    assert steps == pytest.approx([0.25, 0.75], abs=0.01)


FAILURE = messages.Failed([Problem("pipelines[a]", "no such file")])


def test_settings_that_no_worker_can_start_with_end_the_whole() -> None:
    found = fresh()
    found.started(found.members[0], 1, 0.0)
    found.members[0].failure = FAILURE
    assert found.ended(found.members[0], 1, 0.0)[0] == roster.GiveUp(FAILURE)


def test_while_others_serve_a_replacement_that_cannot_start_is_tried_again() -> None:
    found = working()
    found.ended(found.members[0], -9, 0.0)
    found.started(found.members[0], 1, 1.0)
    found.members[0].failure = FAILURE
    assert isinstance(found.ended(found.members[0], 1, 1.0)[0], roster.Restart)
    found.ended(found.members[1], -9, 2.0)
    found.started(found.members[0], 1, 3.0)
    assert found.members[0].failure is None
    found.members[0].failure = FAILURE
    assert found.ended(found.members[0], 1, 3.0)[0] == roster.GiveUp(FAILURE)


def test_one_that_says_nothing_is_stuck() -> None:
    found = working(now=0.0)
    found.reported(found.members[1], report(), 20.0)
    assert found.stuck(roster.SILENCE) == []
    assert found.stuck(roster.SILENCE + 1) == [found.members[0]]
    step, _ = found.ended(found.members[0], -9, 31.0)
    assert step.reason == "silent"
    assert found.stuck(100.0) == [found.members[1]], "one without a process is not"


@pytest.mark.parametrize(
    ("code", "served", "clean"),
    [
        (0, True, True),
        (1, True, False),
        (-signal.SIGKILL, True, False),
        (-signal.SIGTERM, True, False),
        (-signal.SIGTERM, False, True),
    ],
)
def test_after_the_end_was_asked_for_nobody_is_replaced(
    *, code: int, served: bool, clean: bool
) -> None:
    found = fresh()
    found.started(found.members[0], 1, 0.0)
    if served:
        found.reported(found.members[0], report(), 0.0)
    found.stopping = True
    step, _ = found.ended(found.members[0], code, 1.0)
    assert (step, found.members[0].state, found.clean) == (roster.Done(), "ended", clean)


def values(found: roster.Roster) -> dict[str, float]:
    return {
        f"{r.name}{list(labels.values())}": value
        for r in found.readings(())
        for labels, value in r.samples
    }


def test_books_of_the_whole_balance_before_and_after_a_death() -> None:
    found = working()
    one, two = found.members
    found.reported(one, report(10, held=4), 1.0)
    found.reported(two, report(20, held=5), 1.0)
    assert found.ledger_page()["pipelines"]["a"]["held"] == 9
    before = values(found)
    step, lost = found.ended(one, -9, 2.0)
    assert (isinstance(step, roster.Restart), lost) == (True, 4)
    found.started(one, 9, 3.0)
    found.reported(one, report(1), 3.0)
    page, after = found.ledger_page(), values(found)
    assert page["pipelines"]["a"] == {
        "received": 31, "filtered": 0, "delivered": 22, "dropped": 4, "held": 5, "balance": 0,
        "recovered": 0, "stored": 0, "filtered_by": {}, "dropped_by": {"worker_lost": 4},
    }  # fmt: skip
    assert set(page["workers"]) == {"1", "2", "gone"}
    assert page["workers"]["gone"]["pipelines"]["a"]["dropped"] == 4
    assert after["taken_total[]"] == 31
    assert after["headgate_gateway_points_dropped_total['a', 'worker_lost']"] == 4
    assert after["headgate_gateway_points_held['a']"] == 5
    assert after["headgate_gateway_worker_restarts_total['killed']"] == 1
    assert after["headgate_gateway_workers['ready']"] == 2
    falling = [name for name, value in before.items() if "_total" in name and after[name] < value]
    assert falling == []


def test_what_those_held_who_had_to_be_killed_is_lost() -> None:
    found = working()
    found.reported(found.members[0], report(10, held=4), 1.0)
    found.reported(found.members[1], report(5, held=1), 1.0)
    assert found.abandon() == 5
    assert found.abandon() == 0
    last = found.accounts().last_words()
    assert (last["received"], last["lost"], last["held"]) == (15, {"worker_lost": 5}, 0)


def test_pages_and_checks_tell_each_worker() -> None:
    found = working()
    found.reported(found.members[1], report(checks={"config": "refused"}), 0.0)
    assert found.checks() == {"config": "worker 1: 1 pipeline; worker 2: refused"}
    assert found.page(2.0)[0] == {
        "number": 1, "pid": 101, "state": "ready", "seconds": 2.0, "starts": 1,
        "last_end": "",
    }  # fmt: skip


def test_fresh_pods_are_summed_and_what_waited_in_a_worker_that_died_is_lost() -> None:
    found = working()
    waiting = {"taken": 5, "held": 2, "released": 3, "balance": 0, "released_by": {"known": 3}}
    for member in found.members:
        found.reported(member, report(fresh_pods=waiting), 1.0)
    assert found.ledger_page()["fresh_pods"] == {
        "taken": 10, "held": 4, "released": 6, "balance": 0, "released_by": {"known": 6},
    }  # fmt: skip
    found.ended(found.members[0], 1, 2.0)
    found.started(found.members[0], 7, 3.0)
    found.reported(found.members[0], report(), 4.0)
    page = found.ledger_page()["fresh_pods"]
    assert page == {
        "taken": 10, "held": 2, "lost": 2, "released": 6, "balance": 0, "released_by": {"known": 6},
    }  # fmt: skip
    assert fresh().ledger_page()["fresh_pods"] == {}
