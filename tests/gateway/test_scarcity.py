"""While memory is scarce clients are told to wait, and why."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from common.service.memory import Memory
from common.service.telemetry import Telemetry
from gateway import scarcity
from gateway.receivers import door
from gateway.receivers.admission import Admission
from gateway.scarcity import Scarcity


class Machine:
    """A cgroup of 1,000 bytes, some of which are only kept by the C library."""

    def __init__(self) -> None:
        self.used, self.kept, self.asked = 0, 0, 0

    def read(self) -> Memory:
        return Memory(self.used + self.kept, 1000)

    def give_back(self) -> None:
        self.asked += 1
        self.kept = 0


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def admission() -> Admission:
    return Admission(10_000)


def watching(machine: Machine, admission: Admission) -> Scarcity:
    return Scarcity(admission, 0.9, machine.read, machine.give_back)


def test_requests_are_refused_with_the_cause_memory_until_enough_is_free(
    machine: Machine, admission: Admission
) -> None:
    watch = watching(machine, admission)
    for used, admitted in ((900, True), (901, False), (870, False), (850, True), (880, True)):
        machine.used = used
        watch.look()
        assert admission.admit(10) is admitted
    assert admission.refused == {"bytes": 0, "peer": 0, "memory": 2}
    telemetry = Telemetry(process=False)
    telemetry.add(lambda: door.readings((), admission))
    telemetry.add(watch.readings)
    shown = telemetry.render().decode()
    for line in (
        'headgate_gateway_overload_refusals_total{cause="memory"} 2.0',
        "headgate_gateway_memory_used_bytes 880.0",
        "headgate_gateway_memory_limit_bytes 1000.0",
    ):
        assert line in shown


def test_what_the_c_library_keeps_is_asked_for_before_anybody_is_refused(
    machine: Machine, admission: Admission
) -> None:
    watch = watching(machine, admission)
    machine.used, machine.kept = 500, 450
    watch.look()
    assert (admission.scarce, machine.asked) == (False, 1)
    assert watch.last == Memory(500, 1000)


def test_while_memory_is_scarce_it_is_asked_for_now_and_then(
    machine: Machine, admission: Admission
) -> None:
    watch = watching(machine, admission)
    machine.used = 950
    for _ in range(2 * scarcity.TRIM):
        watch.look()
    assert (admission.scarce, machine.asked) == (True, 2)
    machine.used, machine.kept = 800, 120
    for _ in range(scarcity.TRIM):
        watch.look()
    assert (admission.scarce, machine.asked) == (False, 3)


def test_the_change_is_logged_and_nothing_else(
    machine: Machine, admission: Admission, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    watch = watching(machine, admission)
    for used in (100, 950, 960, 950, 100, 100):
        machine.used = used
        watch.look()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "memory is scarce, clients are told to wait"),
        ("INFO", "memory suffices again"),
    ]


def test_without_a_limit_nothing_is_ever_scarce(admission: Admission) -> None:
    watch = Scarcity(admission, 0.9, lambda: Memory(1 << 60), lambda: pytest.fail("not asked"))
    watch.look()
    assert not admission.scarce
    telemetry = Telemetry(process=False)
    telemetry.add(watch.readings)
    assert "headgate_gateway_memory_limit_bytes +Inf" in telemetry.render().decode()


async def test_following_notices_within_a_second(
    machine: Machine, admission: Admission, clock: Callable[[], float]
) -> None:
    watch = watching(machine, admission)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(watch.follow())
        await asyncio.sleep(5)
        assert not admission.scarce
        machine.used = 950
        while not admission.scarce:  # noqa: ASYNC110 - the clock jumps
            await asyncio.sleep(0.1)
        assert clock() < 6
        following.cancel()
