"""Never two leaders at once, whatever clocks, delays and losses: by the rules alone."""

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings, strategies as st

from common.config.agent_inputs import Lease
from common.kube import leadership
from common.kube.leadership import Candidate, Read, Record, Wait, Write

TERMS = Lease()  # 15 s, 10 s, 2 s


def candidate(name: str = "a") -> Candidate:
    return Candidate(name, TERMS, lambda: 0.5)


def held(holder: str = "b", version: str = "1", duration: float = 15.0) -> Record:
    return Record(holder=holder, version=version, duration=duration, transitions=3)


def leading(now: float = 100.0) -> Candidate:
    one = candidate()
    one.read(None, now)
    step = one.next_step(now)
    assert isinstance(step, Write)
    one.wrote(step, "1", now)
    return one


def test_without_a_lease_it_is_created() -> None:
    one = candidate()
    assert one.next_step(5.0) == Read(fresh=True)
    one.read(None, 5.0)
    step = one.next_step(5.0)
    assert step == Write(holder="a", duration=15, transitions=0, version="", acquires=True)
    assert isinstance(step, Write)
    assert not one.leads(5.0)
    one.wrote(step, "1", 5.0)
    assert one.leads(14.9)
    assert not one.leads(15.0)
    assert one.holder == "a"


def test_who_leads_renews_every_retry_period_without_asking() -> None:
    one = leading(100.0)
    assert one.next_step(100.0) == Wait(2.0)
    assert one.next_step(102.0) == Write(
        holder="a", duration=15, transitions=0, version="1", acquires=False
    )


def test_a_renewal_counts_from_before_it_was_sent() -> None:
    one = leading(100.0)
    step = one.next_step(102.0)
    assert isinstance(step, Write)
    one.wrote(step, "2", 102.0)  # whenever the answer came
    assert one.led_until == 112.0


def test_what_somebody_else_holds_is_polled_and_taken_when_it_was_seen_for_its_duration() -> None:
    one = candidate()
    one.read(held(), 100.0)
    assert one.next_step(100.0) == Wait(2.0)
    assert one.next_step(102.0) == Read(fresh=False)
    one.read(held(version="2"), 102.0)  # renewed: it counts anew
    now = 102.0
    while isinstance(step := one.next_step(now), Wait | Read):
        if isinstance(step, Wait):
            now += step.seconds
        else:
            one.read(held(version="2"), now)
    assert now == 117.0
    assert step == Write(holder="a", duration=15, transitions=4, version="2", acquires=True)


def test_the_duration_is_what_the_holder_claimed_within_reason() -> None:
    for claimed, waited in ((40.0, 40.0), (0.0, 15.0), (-5.0, 15.0), (1e9, leadership.LONGEST)):
        one = candidate()
        one.read(held(duration=claimed), 0.0)
        assert one._expiry() == waited


def test_what_was_given_back_is_taken_at_once() -> None:
    one = candidate()
    one.read(held(holder=""), 100.0)
    assert one.next_step(100.0) == Write(
        holder="a", duration=15, transitions=4, version="1", acquires=True
    )


def test_who_leads_gives_back_and_leads_no_more_before_it_is_written() -> None:
    one = leading()
    assert one.resigned() == Write(
        holder="", duration=1, transitions=0, version="1", acquires=False
    )
    assert not one.leads(100.0)


def test_who_does_not_hold_it_has_nothing_to_give_back() -> None:
    one = candidate()
    assert one.resigned() is None
    one.read(held(), 0.0)
    assert one.resigned() is None


def test_a_conflict_is_looked_into_at_once_by_who_leads_and_ends_it_if_another_does() -> None:
    one = leading(100.0)
    one.conflicted(102.0)
    assert one.next_step(102.0) == Wait(102.2 - 102.0)
    assert one.next_step(102.2) == Read(fresh=True)
    one.read(held(version="9"), 102.2)
    assert not one.leads(102.2)
    assert one.holder == "b"


def test_a_lease_that_a_third_party_touched_is_still_led() -> None:
    one = leading(100.0)
    one.conflicted(102.0)
    one.read(held(holder="a", version="7"), 102.3)
    assert one.leads(102.3)
    step = one.next_step(102.3)
    assert isinstance(step, Write)
    assert (step.version, step.acquires, step.transitions) == ("7", False, 3)


def test_failures_make_it_patient_but_who_leads_tries_every_period() -> None:
    one = candidate()
    waits = []
    for _ in range(6):
        one.failed(0.0)
        step = one.next_step(0.0)
        assert isinstance(step, Wait)
        waits.append(step.seconds)
    assert waits == [2.0, 4.0, 8.0, 8.0, 8.0, 8.0]
    one = leading(0.0)
    for _ in range(3):
        one.failed(1.0)
        assert one.next_step(1.0) == Wait(2.0)
    one.failed(1.0, at_least=30.0)
    assert one.next_step(1.0) == Wait(30.0)


def test_a_lease_removed_under_another_holder_is_not_created_before_that_one_can_know() -> None:
    one = candidate()
    one.read(held(), 100.0)
    one.read(None, 101.0)
    assert isinstance(one.next_step(101.0), Wait)
    one.read(None, 115.0)
    step = one.next_step(115.0)
    assert isinstance(step, Write)
    assert step.version == ""


def test_a_lease_removed_under_who_leads_ends_it() -> None:
    one = leading(100.0)
    one.read(None, 103.0)
    assert not one.leads(103.0)


@dataclass
class Server:
    """A Lease in an API server: writes with another version change nothing."""

    record: Record | None = None
    version: int = 0

    def write(self, step: Write) -> str | None:
        current = "" if self.record is None else self.record.version
        if step.version != current:
            return None
        self.version += 1
        self.record = Record(
            holder=step.holder,
            version=str(self.version),
            duration=step.duration,
            transitions=step.transitions,
        )
        return self.record.version


@dataclass
class Process:
    """A candidate with its clock; one request at a time, given up after five seconds."""

    one: Candidate
    clock: float
    attempt: int = 0
    dark: float = 0.0
    """Until when nothing that it sends arrives."""


@dataclass
class World:
    """Requests that arrive however late, answers that are lost, and what happens when."""

    group: list[Process]
    random: random.Random
    server: Server = field(default_factory=Server)
    queue: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    number: int = 0

    def at(self, when: float, what: Callable[[float], None]) -> None:
        if when < math.inf:
            self.number += 1
            heapq.heappush(self.queue, (when, self.number, what))

    def check(self, now: float) -> None:
        leaders = [p for p in self.group if p.one.leads(now + p.clock)]
        assert len(leaders) <= 1, [p.one.led_until - p.clock for p in leaders]

    def run(self, steps: int) -> None:
        while self.queue and steps:
            now, _, what = heapq.heappop(self.queue)
            self.check(now)
            what(now)
            self.check(now)
            steps -= 1

    def delay(self) -> float:
        return self.random.choice((0.0, 0.01, 0.3, 2.0, 6.0, math.inf)) * self.random.random()

    def act(self, process: Process, now: float) -> None:
        if self.random.random() < 0.1:
            process.dark = now + self.random.uniform(1.0, 30.0)
        step = process.one.next_step(now + process.clock)
        process.attempt += 1
        attempt = process.attempt

        def go_on(then: float) -> None:
            if attempt == process.attempt:
                self.act(process, then)

        def give_up(then: float) -> None:
            if attempt == process.attempt:
                process.one.failed(then + process.clock)
                self.act(process, then)

        def arrive(then: float) -> None:
            answer = self.server.record if isinstance(step, Read) else self.server.write(step)
            self.at(then + self.delay(), lambda end: self.answer(process, attempt, end,
                    lambda: self.take(process, step, answer, now, end)))  # fmt: skip

        if isinstance(step, Wait):
            self.at(now + step.seconds + 1e-6, go_on)  # timers are late; 1e6 + x loses bits of x
        else:
            late = math.inf if self.random.random() < 0.5 else self.random.uniform(0.0, 40.0)
            self.at(now + (late if now < process.dark else self.delay()), arrive)
            self.at(now + 5.0, give_up)

    def answer(self, process: Process, attempt: int, now: float, take: Callable[[], None]) -> None:
        if attempt == process.attempt:
            take()
            self.act(process, now)

    def take(
        self, process: Process, step: Read | Write, answer: Any, sent: float, now: float
    ) -> None:
        if isinstance(step, Read):
            process.one.read(answer, now + process.clock)
        elif answer is None:
            process.one.conflicted(now + process.clock)
        else:
            process.one.wrote(step, answer, sent + process.clock)
            if self.random.random() < 0.03 and (gives := process.one.resigned()):
                self.at(now + self.delay(), lambda _: self.give_back(gives))

    def give_back(self, step: Write) -> None:
        self.server.write(step)


@settings(max_examples=500, deadline=None)
@given(chance=st.integers(0, 1 << 64), size=st.integers(2, 3))
def test_never_two_lead_at_once(chance: int, size: int) -> None:
    """Requests and answers are late, lost and overtaken; clocks are apart; candidates resign."""
    by = random.Random(chance)
    group = [
        Process(Candidate(f"p{i}", TERMS, by.random), by.uniform(-1e6, 1e6)) for i in range(size)
    ]
    world = World(group, by)
    for process in group:
        world.at(by.uniform(0.0, 20.0), lambda now, process=process: world.act(process, now))
    world.run(1500)
    assert world.server.version > 3  # somebody led


@given(st.floats(0.0, 0.999), st.floats(0.0, 2.0))
def test_when_the_holder_dies_another_leads_within_twenty_seconds(jitter, died) -> None:
    """With the defaults, whenever after a renewal it dies."""
    follower = Candidate("b", TERMS, lambda: jitter)
    record = held("a", "1")
    now = 0.0
    while True:
        step = follower.next_step(now)
        if isinstance(step, Wait):
            now += step.seconds
        elif isinstance(step, Read):
            follower.read(record if now < 50.0 + died else held("a", "last"), now)
            if now < 48.0:
                record = held("a", str(now))  # renewed before every poll
            elif now < 50.0:
                record = held("a", "last")
        else:
            break
    assert now - 50.0 <= 20.0
