"""The whole says what its parts say, and its counters never fall."""

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from common.enrichment.attributes import Rules
from common.enrichment.enricher import Enricher
from common.enrichment.pods import PodIndex
from common.service.ledger import DropReason, FilterRule, Ledger
from common.service.memory import Memory
from common.service.telemetry import Reading
from gateway import destinations, kubernetes, readings as declared
from gateway.intake import Intake
from gateway.receivers import door
from gateway.receivers.admission import Admission
from gateway.receivers.trust import Trust
from gateway.scarcity import Scarcity
from gateway.workers import merging


def counter(name: str, *samples: tuple[dict[str, str], float]) -> Reading:
    return Reading("counter", name, "Words.", tuple(samples))


def gauge(value: float, whole: str) -> Reading:
    return Reading("gauge", f"g_{whole}", "Words.", (({}, value),), whole)


def values(readings: Sequence[Reading]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (reading.name, tuple(sorted(labels.items()))): value
        for reading in readings
        for labels, value in reading.samples
    }


def test_counters_add_up_by_labels() -> None:
    one = [counter("c_total", ({"a": "x", "b": "y"}, 1), ({"a": "z", "b": "y"}, 2))]
    two = [counter("c_total", ({"b": "y", "a": "x"}, 10)), counter("d_total", ({}, 5))]
    assert values(merging.merged([one, two])) == {
        ("c_total", (("a", "x"), ("b", "y"))): 11,
        ("c_total", (("a", "z"), ("b", "y"))): 2,
        ("d_total", ()): 5,
    }


@pytest.mark.parametrize(("whole", "together"), [("sum", 6), ("max", 3), ("min", 1)])
def test_a_gauge_is_put_together_as_it_says(whole: str, together: float) -> None:
    parts = [[gauge(value, whole)] for value in (2.0, 3.0, 1.0)]
    assert values(merging.merged(parts)) == {(f"g_{whole}", ()): together}


def test_counters_are_summed_whatever_they_say() -> None:
    said = Reading("counter", "c_total", "Words.", (({}, 2.0),), "max")
    assert values(merging.merged([[said], [said]])) == {("c_total", ()): 4}


histories = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["grow", "die"]), st.integers(1, 9)), max_size=40
)


@given(histories)
def test_sums_never_fall_whoever_dies(history: list[tuple[int, str, int]]) -> None:
    carried, live, before, ever = merging.Carried(), [0, 0, 0], 0.0, 0
    for worker, what, amount in history:
        if what == "grow":
            live[worker] += amount
            ever += amount
        else:
            carried.carry([counter("c_total", ({}, live[worker]))], [], 0)
            live[worker] = 0
        parts = [[counter("c_total", ({}, value))] for value in live]
        (now,) = values(merging.merged([*parts, carried.readings()])).values()
        assert now >= before
        assert now == ever
        before = now


def test_gauges_of_the_dead_are_gone() -> None:
    carried = merging.Carried()
    carried.carry([gauge(5, "sum"), counter("c_total", ({}, 1))], [], 0)
    assert values(carried.readings()) == {("c_total", ()): 1}


def test_samples_that_are_carried_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "MAX_CARRIED", 2)
    carried = merging.Carried()
    for name in ("a", "b", "a", "c"):
        carried.carry([counter(f"{name}_total", ({}, 1))], [], 0)
    assert {name for name, _ in values(carried.readings())} == {"a_total", "c_total"}


def held(pipeline: str, received: int, delivered: int) -> Ledger:
    ledger = Ledger(pipeline)
    ledger.receive(received, {FilterRule.NAMESPACE: 1})
    ledger.deliver(delivered)
    return ledger


def test_what_the_dead_held_is_lost_and_the_account_of_the_whole_balances() -> None:
    carried = merging.Carried()
    assert carried.carry([], [held("a", 10, 4), held("b", 3, 2)], 1) == 5
    assert carried.carry([], [held("a", 10, 8)], 0) == 1
    alive = held("a", 100, 50)
    whole = merging.accounts([carried.accounts, [alive]], carried.accounts.mismatches)
    account = whole.of("a")
    assert (account.received, account.delivered, account.held) == (120, 62, 49)
    assert account.dropped[DropReason.WORKER_LOST] == 6
    assert account.filtered[FilterRule.NAMESPACE] == 3
    assert (whole.page()["balance"], whole.mismatches) == (0, 1)
    assert alive.received == 100, "the part is as it was"


def test_checks_that_agree_are_told_once() -> None:
    said = {
        "worker 1": {"config": "1 pipeline", "kubernetes": "synced"},
        "worker 2": {"config": "1 pipeline", "kubernetes": "listing"},
    }
    assert merging.checks(said) == {
        "config": "1 pipeline",
        "kubernetes": "worker 1: synced; worker 2: listing",
    }


def test_what_cannot_be_summed_says_so() -> None:
    """The rules are declared with the metrics: generations, ages and flags are no sums."""

    class Told:
        counts, synced, healthy, status = None, True, True, ""

    admission = Admission(1)
    told = {
        reading.name.removeprefix("headgate_gateway_"): reading.whole
        for reading in (
            *declared.of_intake(Intake(Enricher(Rules(), PodIndex(), 1)), Trust(), 3),
            *destinations.readings(()),
            *kubernetes.Knowledge(index=PodIndex(), informer=Told()).readings(),
            *Scarcity(admission, 0.9, lambda: Memory(used=1)).readings(),
            *door.readings([door.Traffic("grpc")], admission),
        )
        if reading.kind == "gauge"
    }
    assert {name for name, whole in told.items() if whole == "max"} == {
        "routes_generation", "destinations_draining", "queue_oldest_seconds",
        "destination_failing", "kubernetes_pods", "memory_used_bytes", "memory_limit_bytes",
    }  # fmt: skip
    assert {name for name, whole in told.items() if whole == "min"} == {"tls_not_after_seconds"}
    assert {"queue_bytes", "queue_limit_bytes"} <= {n for n, w in told.items() if w == "sum"}


def test_accounts_of_fresh_pods_are_summed_by_name() -> None:
    parts = [
        {"taken": 5, "held": 2, "released_by": {"known": 3}},
        {},
        {"taken": 1, "held": 0, "released_by": {"known": 1, "expired": 2}},
    ]
    assert merging.summed(parts) == {
        "taken": 6, "held": 2, "released_by": {"known": 4, "expired": 2},
    }  # fmt: skip
    assert parts[0]["released_by"] == {"known": 3}, "what was given is not touched"
