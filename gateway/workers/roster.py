"""The workers as the supervisor knows them, and what is to be done about those that end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, final

from common.config import shared
from common.exporters import backoff
from common.service.ledger import Ledger
from common.service.telemetry import Reading
from gateway.accounts import Accounts
from gateway.workers import merging, messages

SILENCE: Final = 30.0  # seconds without a report after which a worker is taken for stuck
HEALTHY_AFTER: Final = 60.0  # seconds: a worker that lived this long did not fail at its start
RETRYING: Final = shared.Retrying(initial=0.5, max_interval=30.0)

State: TypeAlias = Literal["starting", "ready", "unready", "waiting", "ended"]
"""Waiting: for its next start. Ended: for good, because the whole stops."""
STATES: Final[tuple[State, ...]] = ("starting", "ready", "unready", "waiting", "ended")
Reason: TypeAlias = Literal["killed", "failed", "exited", "silent"]
REASONS: Final[tuple[Reason, ...]] = ("killed", "failed", "exited", "silent")


@final
@dataclass(slots=True, kw_only=True, eq=False)
class Member:
    """One place among the workers, and the process that has it now."""

    number: int
    pid: int | None = None
    state: State = "waiting"
    since: float = 0.0  # seconds on the supervisor's clock: when it started, or ended
    heard: float = 0.0  # when it last said something
    report: messages.Report | None = None
    readings: Sequence[Reading] = ()
    failure: messages.Failed | None = None
    silent: bool = False  # it was killed for that
    attempts: int = 0  # failures in a row
    starts: int = 0
    last_end: str = ""  # in words

    @property
    def name(self) -> str:
        """How people call it."""
        return f"worker {self.number}"


@final
@dataclass(frozen=True, slots=True)
class Restart:
    """Start another process in *after* seconds."""

    after: float
    reason: Reason


@final
@dataclass(frozen=True, slots=True)
class GiveUp:
    """The whole ends; what *failure* says is for its user to mend."""

    failure: messages.Failed


@final
@dataclass(frozen=True, slots=True)
class Done:
    """It ended as it was asked to."""


Next: TypeAlias = Restart | GiveUp | Done


@dataclass(slots=True)
class Roster:
    """All workers. *random* answers numbers in [0, 1); times are seconds on one clock."""

    members: Sequence[Member]
    random: Callable[[], float]
    stopping: bool = False
    clean: bool = True  # whether everyone ended with 0 after the end was asked for
    carried: merging.Carried = field(default_factory=merging.Carried)
    restarts: dict[Reason, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))

    def started(self, member: Member, pid: int, now: float) -> None:
        """Note that a process has taken the place of *member*."""
        member.pid, member.failure, member.silent = pid, None, False
        member.state, member.since, member.heard = "starting", now, now
        member.starts += 1

    def reported(self, member: Member, report: messages.Report, now: float) -> None:
        """Take a report."""
        member.heard, member.report = now, report
        if report.readings is not None:
            member.readings = report.readings
        if report.listening or member.state != "starting":
            member.state = "ready" if report.ready else "unready"

    def stuck(self, now: float) -> list[Member]:
        """Return those who run and have said nothing for too long; the caller kills them."""
        found = [m for m in self.members if m.pid is not None and now - m.heard > SILENCE]
        for member in found:
            member.silent = True
        return found

    def ended(self, member: Member, code: int, now: float) -> tuple[Next, int]:
        """Close the books of a process that exited with *code* (negative: by that signal).

        Returns what is to be done, and how many points are lost with it as far as is known.
        """
        served = member.report is not None and member.report.listening
        lost = self._carry(member)
        member.last_end = _words(code)
        if self.stopping:
            # Before it had handlers a worker that is asked to end is killed by the very signal.
            self.clean &= code == 0 or (code == -signal.SIGTERM and not served)
            member.state = "ended"
            return Done(), lost
        if member.failure is not None and not self._others_serve(member):
            return GiveUp(member.failure), lost
        if now - member.since >= HEALTHY_AFTER:
            member.attempts = 0
        member.attempts += 1
        reason = _reason(member, code)
        self.restarts[reason] += 1
        member.state, member.since = "waiting", now
        return Restart(self._pause(member), reason), lost

    def _pause(self, member: Member) -> float:
        wait = backoff.pause(
            RETRYING, attempts=member.attempts, after=None, age=0.0, random=self.random
        )
        return RETRYING.max_interval if wait is None else wait

    def _others_serve(self, member: Member) -> bool:
        return any(
            other.report is not None and other.report.listening
            for other in self.members
            if other is not member
        )

    def abandon(self) -> int:
        """Close the books of all who were still at work; return how many points are lost."""
        return sum(map(self._carry, self.members))

    def _carry(self, member: Member) -> int:
        member.pid, report = None, member.report
        if report is None:
            return 0
        lost = self.carried.carry(member.readings, report.ledgers, report.mismatches)
        self.carried.lose(report.fresh_pods)
        member.report, member.readings = None, ()
        self.carried.accounts.keep({led.pipeline for part in self._ledgers() for led in part})
        return lost

    def _reports(self) -> list[tuple[Member, messages.Report]]:
        return [(m, m.report) for m in self.members if m.report is not None]

    def _ledgers(self) -> list[list[Ledger]]:
        return [report.ledgers for _, report in self._reports()]

    def accounts(self) -> Accounts:
        """Return the accounts of the whole, workers that are gone included."""
        mismatches = sum(report.mismatches for _, report in self._reports())
        gone = self.carried.accounts
        return merging.accounts([gone, *self._ledgers()], mismatches + gone.mismatches)

    def ledger_page(self) -> dict[str, object]:
        """Return the accounts of the whole and of each worker, for ``/debug/ledger``."""
        each = {
            str(member.number): merging.accounts([report.ledgers], report.mismatches).page()
            for member, report in self._reports()
        }
        gone = {"gone": self.carried.accounts.page()} if list(self.carried.accounts) else {}
        fresh = [self.carried.fresh_pods, *(report.fresh_pods for _, report in self._reports())]
        whole = {**self.accounts().page(), "fresh_pods": merging.summed(fresh)}
        return {**whole, "workers": each | gone}

    def page(self, now: float) -> list[dict[str, object]]:
        """Return who works here, for ``/debug/workers``."""
        return [
            {
                "number": member.number,
                "pid": member.pid,
                "state": member.state,
                "seconds": round(now - member.since, 3),
                "starts": member.starts,
                "last_end": member.last_end,
            }
            for member in self.members
        ]

    def readings(self, own: Sequence[Reading]) -> tuple[Reading, ...]:
        """Return the metrics of the whole; *own* are those of the supervisor's process."""
        states = [member.state for member in self.members]
        about = (
            Reading(
                "gauge",
                "headgate_gateway_workers",
                "Worker processes, by state.",
                tuple(({"state": state}, float(states.count(state))) for state in STATES),
            ),
            Reading(
                "counter",
                "headgate_gateway_worker_restarts_total",
                "Worker processes that ended and were replaced, by reason.",
                tuple(({"reason": why}, float(n)) for why, n in self.restarts.items()),
            ),
        )
        live = [member.readings for member, _ in self._reports()]
        # Accounts are told by the books of the whole, in which what the dead held is lost.
        books = tuple(self.accounts().readings())
        booked = {reading.name for reading in books}
        others = [r for r in merging.merged([*live, self.carried.readings(), own]) if
                  r.name not in booked]  # fmt: skip
        return (*others, *books, *about)

    def ready(self) -> tuple[bool, str]:
        """Say whether any worker wants traffic, and how many do."""
        ready = sum(member.state == "ready" for member in self.members)
        words = f"{ready} of {len(self.members)} workers ready"
        others = [
            f"{m.name} {m.state}{f' ({m.last_end})' if m.last_end else ''}"
            for m in self.members
            if m.state != "ready"
        ]
        return ready > 0, "; ".join([words, *others])

    def checks(self) -> dict[str, str]:
        """Return what the workers' own checks say together."""
        return merging.checks({member.name: report.checks for member, report in self._reports()})


def members(count: int) -> tuple[Member, ...]:
    """Return places for *count* workers, numbered from 1."""
    return tuple(Member(number=number) for number in range(1, count + 1))


def _reason(member: Member, code: int) -> Reason:
    if member.silent:
        return "silent"
    if code < 0:
        return "killed"
    return "failed" if code else "exited"


def _words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    names = {number.value: number.name for number in _signals()}
    return f"killed by {names.get(-code, f'signal {-code}')}"


def _signals() -> Iterable[signal.Signals]:
    return signal.Signals
