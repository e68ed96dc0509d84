"""Why a pod is scraped, or not: every check in order, for everything that could make it a target.

Pure: an explanation is a value; whoever knows how the scrapes fare fills it in with `with_live`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, final

from agent import targets
from agent.discovery.policy import Policy
from agent.discovery.roster import Roster
from agent.discovery.workloads import PROXY, Workload
from agent.targets import Kind, Step, Target

_LACKING: Final[Mapping[str, str]] = {}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A target that a candidate asks for: scraped, or *why* it is not in spite of all checks."""

    target: Target
    why: str = ""
    remedy: str = ""
    live: str = ""
    """How its scrapes fare, in words; "" until somebody who knows has said it."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One reason for which a pod may be scraped, and what came of it."""

    kind: Kind
    title: str
    """Whose annotations, or which container, in words."""
    steps: tuple[Step, ...]
    outcomes: tuple[Outcome, ...] = ()
    remedy: str = ""
    """What a person may do first, if something was refused."""

    @property
    def scraped(self) -> bool:
        """Whether it led to a target that is scraped."""
        return any(not outcome.why for outcome in self.outcomes)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that led to the scraping of a pod, or not."""

    subject: str
    known: bool
    """Whether this agent knows the pod."""
    summary: str
    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()
    """What may be missing from it: what the API server does not tell, and why."""

    def with_live(self, tell: Callable[[Target], str]) -> Explanation:
        """Fill in how scrapes fare, as *tell* says of each target that is scraped."""

        def told(candidate: Candidate) -> Candidate:
            outcomes = tuple(
                outcome if outcome.why else replace(outcome, live=tell(outcome.target))
                for outcome in candidate.outcomes
            )
            return replace(candidate, outcomes=outcomes)

        return replace(self, candidates=tuple(map(told, self.candidates)))


def explain(
    subject: str, known: Roster, *, troubles: Mapping[str, str] = _LACKING, elsewhere: str = ""
) -> Explanation:
    """Explain the pod "namespace/name" by what *known* holds.

    *troubles* is what the API server does not tell, by kind, in words (`Discovery.troubles`);
    *elsewhere* the node that the pod is on, from whoever knows it: an agent knows its own only.
    """
    rules = known.rules
    notes = tuple(f"{kind}: {words}" for kind, words in troubles.items())
    pod = known.named(subject)
    if pod is None:
        summary = _unknown(rules, elsewhere)
        return Explanation(subject=subject, known=False, summary=summary, notes=notes)
    chosen, skipped = known.select()
    refused = {(entry.subject, entry.url): entry for entry in skipped if entry.url}

    def outcome(target: Target) -> Outcome:
        if chosen.get(target.url) == target:
            return Outcome(target=target)
        entry = refused[target.subject, target.url]
        return Outcome(target=target, why=entry.why, remedy=entry.remedy)

    mine = [
        _candidate(decision, tuple(map(outcome, decision.targets)))
        for decision in known.decisions
        if decision.uid == pod.uid
    ]
    candidates = (*mine, *_switched_off(rules, pod), *_silent(known, pod))
    return Explanation(
        subject=subject,
        known=True,
        summary=_summary(candidates, rules),
        candidates=tuple(sorted(candidates, key=_order)),
        notes=notes,
    )


def _unknown(rules: Policy, elsewhere: str) -> str:
    if not rules.follows_pods:
        return "no pods are followed: node is empty, or inputs.prometheus and inputs.istio are off"
    if elsewhere and elsewhere != rules.node:
        return f"not on this node: it is on {elsewhere}, ask that node's agent"
    return (
        f"unknown pod: none of this name is on {rules.node}; if it exists, it is on another node, "
        "ask that node's agent"
    )


def _candidate(decision: targets.Decision, outcomes: tuple[Outcome, ...]) -> Candidate:
    titles: Mapping[Kind, str] = {
        "pod": "the pod's own annotations",
        "service": f"annotations of Service {decision.service}",
        "sidecar": f"sidecar {PROXY}",
    }
    advice = (
        *(step.remedy for step in decision.steps if step.verdict == "fail"),
        *(outcome.remedy for outcome in outcomes),
    )
    return Candidate(
        kind=decision.kind,
        title=titles[decision.kind],
        steps=decision.steps,
        outcomes=outcomes,
        remedy=next(filter(None, advice), ""),
    )


def _switched_off(rules: Policy, pod: Workload) -> Iterable[Candidate]:
    """Yield what would be looked at if the configuration did not say otherwise."""
    if rules.workloads is None:
        yield _never("pod", "annotations of the pod and of Services", "inputs.prometheus.enabled")
    elif not rules.services:
        yield _never("service", "annotations of Services", "inputs.prometheus.services")
    if rules.sidecars is None and any(each.name == PROXY for each in pod.containers):
        yield _never("sidecar", f"sidecar {PROXY}", "inputs.istio.enabled")


def _never(kind: Kind, title: str, setting: str) -> Candidate:
    step = Step(f"{setting} is false", "fail", f"set {setting}: true")
    return Candidate(kind=kind, title=title, steps=(step,), remedy=step.remedy)


def _silent(known: Roster, pod: Workload) -> Iterable[Candidate]:
    """Yield the Services that have *pod* among their endpoints and do not ask for anything."""
    names = {
        found.service_key
        for found in known.slices.values()
        if found.namespace == pod.namespace
        and found.service_key not in known.services
        and any(endpoint.pod == pod.name for endpoint in found.endpoints)
    }
    for name in sorted(names):
        remedy = 'annotate the Service with prometheus.io/scrape: "true"'
        step = Step("annotation prometheus.io/scrape is absent", "fail", remedy)
        yield Candidate(
            kind="service", title=f"annotations of Service {name}", steps=(step,), remedy=remedy
        )


def _order(candidate: Candidate) -> tuple[int, str]:
    return ("pod", "service", "sidecar").index(candidate.kind), candidate.title


def _summary(candidates: Iterable[Candidate], rules: Policy) -> str:
    outcomes = [outcome for candidate in candidates for outcome in candidate.outcomes]
    scraped = sum(not outcome.why for outcome in outcomes)
    if scraped:
        return f"scraped by the agent on {rules.node}: {scraped} of {len(outcomes)} targets"
    if outcomes:
        return f"not scraped: {outcomes[0].why}"
    return "not scraped: nobody asks for it, or what was asked for cannot be"
