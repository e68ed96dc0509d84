"""Which targets and candidates a page is about, worst first, each with its own decisions. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, final

from agent import targets
from agent.scraping.state import Health, State
from common.service import health

SKIPPED: Final = "skipped"
STATES: Final = (str(Health.FAILING), str(Health.PENDING), str(Health.UP), SKIPPED)
USAGE: Final = f"state ({', '.join(STATES)}), subject (a pod's NAMESPACE/NAME) and json"
_ORDER: Final = {name: place for place, name in enumerate(STATES)}
_MOST: Final = 100  # characters of a parameter that are shown again


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a scrape may bring at most."""

    samples: int
    body_bytes: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the parameters of a page choose; "" for everything."""

    state: str = ""
    subject: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Asked:
        """Read *query*; raises :class:`common.service.health.BadQuery` in words."""
        state, subject = query.get("state", ""), query.get("subject", "")
        unknown = sorted(query.keys() - {"state", "subject", "json"})
        if unknown:
            raise health.BadQuery(f"unknown parameter {unknown[0][:_MOST]!r}; there are {USAGE}")
        if state not in {"", *STATES}:
            raise health.BadQuery(f"state={state[:_MOST]!r} is none of {', '.join(STATES)}")
        return cls(state=state, subject=subject)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is shown: failing targets first, candidates that nobody asked for last."""

    node: str
    now: int
    """Unix nanoseconds."""
    bounds: Bounds
    inputs: Mapping[str, str]
    """How discovery, the kubelet and the cluster are doing, in words."""
    asked: Asked
    counts: Mapping[str, int]
    """Of everything that *asked* would show with any state, by state."""
    states: tuple[State, ...]
    skipped: tuple[targets.Skipped, ...]
    reasons: Reasons


class Reasons:
    """The decisions, found by what they led to: each shows what concerns it, and nothing else.

    A pod behind a thousand Services has a thousand decisions; were all of them told with each
    target, a page would have a million.
    """

    def __init__(self, decisions: Iterable[targets.Decision]) -> None:
        self._scraped: dict[str, list[tuple[targets.Target, targets.Decision]]] = {}
        self._refused: dict[tuple[str, str, str], targets.Decision] = {}
        for decision in decisions:
            service = decision.service
            for target in decision.targets:
                self._scraped.setdefault(target.url, []).append((target, decision))
                self._refused.setdefault((target.subject, service, target.url), decision)
            for entry in decision.skipped:
                self._refused.setdefault((entry.subject, service, entry.why), decision)

    def of_target(self, target: targets.Target) -> tuple[targets.Step, ...]:
        """Return what led to the scraping of *target*; nothing for those of the configuration."""
        for other, decision in self._scraped.get(target.url, ()):
            if other == target:
                return decision.steps
        return ()

    def of_skipped(self, entry: targets.Skipped) -> targets.Decision | None:
        """Return the decision that *entry* comes from; none for targets of the configuration."""
        return self._refused.get((entry.subject, entry.service, entry.url or entry.why))


def view(
    states: Collection[State],
    decisions: Iterable[targets.Decision],
    skipped: Collection[targets.Skipped],
    *,
    asked: Asked,
    node: str,
    now: int,
    bounds: Bounds,
    inputs: Mapping[str, str],
) -> View:
    """Choose and put in order what *asked* asks for; the rest is as in `View`."""
    mine = [s for s in states if asked.subject in {"", s.target.subject}]
    # Nobody asks for most pods by every way in which they could be scraped: one that is scraped is
    # not listed for the others, unless it is the very one that is asked about.
    scraped = set() if asked.subject else {state.target.subject for state in mine}
    left = [
        entry
        for entry in skipped
        if asked.subject in {"", entry.subject} and (entry.asked or entry.subject not in scraped)
    ]
    counts = dict.fromkeys(STATES, 0)
    for state in mine:
        counts[state.health] += 1
    counts[SKIPPED] = len(left)
    return View(
        node=node,
        now=now,
        bounds=bounds,
        inputs=inputs,
        asked=asked,
        counts=counts,
        states=tuple(sorted((s for s in mine if asked.state in {"", s.health}), key=order)),
        skipped=tuple(sorted(left, key=_order) if asked.state in {"", SKIPPED} else ()),
        reasons=Reasons(decisions),
    )


def order(state: State) -> tuple[int, str, str]:
    """Return what to sort by: failing first, then pending, then up; by name."""
    return _ORDER[state.health], state.target.subject, state.target.url


def _order(entry: targets.Skipped) -> tuple[bool, str, str]:
    return not entry.asked, entry.subject, entry.url
