"""Who leads, decided from a Lease and one's own clock: a state machine that does no I/O.

Reference: Kubernetes ``coordination.k8s.io/v1`` Lease, and the rules of client-go's
``tools/leaderelection``. Ask `Candidate.next_step`, carry it out, tell what happened.

Why two never lead at once, however far their clocks are apart: nobody compares another's time with
its own. A holder counts its ``renew_deadline`` from the moment *before* it sent the renewal; others
count the holder's whole ``duration``, which is longer, from the moment *after* they saw that
renewal. A write that was overtaken meets another resourceVersion, and changes nothing. Only clocks
that run at different speeds matter: by a third, with the defaults. What is beyond the
rules: a Lease that a person deletes, which somebody who has never seen it creates anew while its
holder still leads, for `renew_deadline` at most.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, final

LONGEST: Final = 3600.0  # seconds: no holder is waited for any longer, whatever its record says
PATIENCE: Final = 4.0  # retry periods between two attempts, at most, while nothing answers
NEVER: Final = -math.inf


class Terms(Protocol):
    """How long a lease lasts, see :class:`common.config.agent_inputs.Lease`; in seconds."""

    @property
    def duration(self) -> float: ...  # noqa: D102 - the protocol's names say it
    @property
    def renew_deadline(self) -> float: ...  # noqa: D102
    @property
    def retry_period(self) -> float: ...  # noqa: D102


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a Lease says; ``holder`` is "" when it was given back."""

    holder: str = ""
    version: str = ""
    """The resourceVersion of the Lease: another one after every write."""
    duration: float = 0.0
    """Seconds that its holder claims it for with every renewal; 0 when it does not say."""
    transitions: int = 0
    """How many times the holder has changed."""


@final
@dataclass(frozen=True, slots=True)
class Read:
    """Get the Lease; ``fresh`` when an answer from the API server's cache will not do."""

    fresh: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Make the Lease say this, if it still has ``version``; without a version, create it."""

    holder: str
    duration: int
    """In whole seconds, as a Lease has it."""
    transitions: int
    version: str
    acquires: bool
    """Whether the holder changes by it: the time of acquisition is now."""


@final
@dataclass(frozen=True, slots=True)
class Wait:
    """Wait *seconds* before the next step."""

    seconds: float


Step: TypeAlias = Read | Write | Wait


@final
class Candidate:
    """One of those who want to lead.

    Times are readings of one clock that never jumps, in seconds. *random* returns numbers in
    [0, 1): attempts of many candidates are spread by it.
    """

    __slots__ = (
        "_ask", "_due", "_failures", "_identity", "_random", "_record", "_seen", "_terms",
        "led_until",
    )  # fmt: skip

    def __init__(self, identity: str, terms: Terms, random: Callable[[], float]) -> None:
        self._identity, self._terms, self._random = identity, terms, random
        self._record: Record | None = None
        self._seen = NEVER  # when this record was seen first
        self._ask: Read | None = Read(fresh=True)  # before anything is written
        self._due = NEVER  # when the next attempt is to be made
        self._failures = 0  # in a row
        self.led_until = NEVER
        """When we cease to lead, unless a renewal succeeds before."""

    @property
    def holder(self) -> str:
        """Who holds the Lease, as far as is known; "" for nobody."""
        return "" if self._record is None else self._record.holder

    def leads(self, now: float) -> bool:
        """Whether we may act as the leader at *now*."""
        return now < self.led_until

    def next_step(self, now: float) -> Step:
        """Say what to do at *now*."""
        if now < self._due:
            return Wait(self._due - now)
        if self._ask is not None:
            return self._ask
        record = self._record
        if record is not None and record.holder == self._identity:
            return self._claim(record, acquires=False)
        if now < (expiry := self._expiry()):
            # Seen too recently to be taken over. Polled all the same: it may be given back. An old
            # answer does no harm: what is written on account of it meets another version.
            self._due = min(expiry, now + self._spread(self._terms.retry_period))
            self._ask = Read(fresh=False)
            return Wait(self._due - now)
        return self._claim(record, acquires=True)

    def read(self, record: Record | None, now: float) -> None:
        """Take what was found, ``None`` when there is no Lease; *now* is after the answer."""
        self._ask, self._failures = None, 0
        if record is not None and record != self._record:
            self._record, self._seen = record, now
        elif record is None and self._record is not None:
            if now < self._expiry() and self._record.holder != self._identity:
                return  # somebody removed the Lease of one who does not know it yet
            self._record = None
        if record is None or record.holder != self._identity:
            self.led_until = NEVER

    def wrote(self, step: Write, version: str, sent: float) -> None:
        """Note that *step* was carried out; *sent* is from before the request left."""
        self._record = Record(
            holder=step.holder,
            version=version,
            duration=step.duration,
            transitions=step.transitions,
        )
        self._seen, self._failures = sent, 0
        self._due = sent + self._terms.retry_period
        self.led_until = NEVER
        if step.holder == self._identity:
            self.led_until = sent + self._terms.renew_deadline

    def conflicted(self, now: float) -> None:
        """Note that the Lease was not as we knew it: no error, somebody was quicker."""
        self._ask = Read(fresh=True)
        period = self._terms.retry_period
        # Who leads wants to know at once whether that is over.
        self._due = now + (0.1 * period if self.leads(now) else self._spread(period))

    def failed(self, now: float, at_least: float = 0.0) -> None:
        """Note that there was no answer, or none of use; it may have been carried out.

        *at_least* is how many seconds the server asks for.
        """
        self._ask = Read(fresh=True)
        period = self._terms.retry_period
        if not self.leads(now):
            period *= min(2.0**self._failures, PATIENCE)
        self._failures += 1
        self._due = now + max(self._spread(period), at_least)

    def resigned(self) -> Write | None:
        """Cease to lead now; return how to tell the others, if there is anything to tell."""
        self.led_until = NEVER
        record = self._record
        if record is None or record.holder != self._identity:
            return None
        return Write(
            holder="",
            duration=1,  # 0 would not be valid
            transitions=record.transitions,
            version=record.version,
            acquires=False,
        )

    def _expiry(self) -> float:
        """Return when the record, if it is somebody else's, may be taken over."""
        record = self._record
        if record is None or not record.holder:
            return NEVER
        claimed = record.duration if record.duration > 0 else self._terms.duration
        return self._seen + min(claimed, LONGEST)

    def _claim(self, record: Record | None, *, acquires: bool) -> Write:
        transitions = 0 if record is None else record.transitions + acquires
        return Write(
            holder=self._identity,
            duration=math.ceil(self._terms.duration),
            transitions=transitions,
            version="" if record is None else record.version,
            acquires=acquires,
        )

    def _spread(self, seconds: float) -> float:
        return seconds * (0.8 + 0.4 * self._random())
