"""``/debug/explain``: why a pod is scraped, or not, and how its scrapes fare. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

from agent import targets
from agent.discovery import explaining
from agent.discovery.roster import Roster
from agent.pages import people, words
from agent.pages.people import text
from agent.scraping.response import Cause
from agent.scraping.state import Health, State
from common.service import health, markup

USAGE: Final = "ask with ?pod=NAMESPACE/NAME"
MARKS: Final = {"pass": "✓", "fail": "✗", "note": "•"}
_MOST: Final = 512  # characters of a name: 63 of a namespace, 253 of a pod


def subject(query: Mapping[str, str]) -> str:
    """Return the pod that *query* asks about; raises :class:`common.service.health.BadQuery`."""
    unknown = sorted(query.keys() - {"pod", "json"})
    if unknown:
        raise health.BadQuery(f"unknown parameter {unknown[0][:100]!r}; {USAGE}")
    asked = query.get("pod", "")
    namespace, slash, name = asked.partition("/")
    if not (namespace and slash and name) or "/" in name or len(asked) > _MOST:
        raise health.BadQuery(f"pod={asked[:100]!r} is not NAMESPACE/NAME; {USAGE}")
    return asked


def explained(
    asked: str,
    known: Roster,
    states: Collection[State],
    *,
    troubles: Mapping[str, str],
    now: int,
) -> explaining.Explanation:
    """Explain the pod *asked* about, with how the scrapes of its targets fare at *now*."""
    by_url = {state.target.url: state for state in states}

    def tell(target: targets.Target) -> str:
        state = by_url.get(target.url)
        return words.fare(state, now) if state else "is about to be scraped"

    found = explaining.explain(asked, known, troubles=troubles)
    failing = sum(
        by_url[outcome.target.url].health is Health.FAILING
        for candidate in found.candidates
        for outcome in candidate.outcomes
        if not outcome.why and outcome.target.url in by_url
    )
    if failing:
        found = replace(found, summary=f"{found.summary}, {failing} failing")
    return found.with_live(tell)


def plain(found: explaining.Explanation, node: str, states: Collection[State]) -> dict[str, object]:
    """Return an explanation as plain values; the state of a target that is not scraped is ""."""
    by_url = {state.target.url: state for state in states}
    return {
        "subject": found.subject,
        "node": node,
        "known": found.known,
        "scraped": any(candidate.scraped for candidate in found.candidates),
        "summary": found.summary,
        "candidates": [_candidate(candidate, by_url) for candidate in found.candidates],
        "notes": list(found.notes),
    }


def _candidate(candidate: explaining.Candidate, by_url: Mapping[str, State]) -> dict[str, object]:
    return {
        "kind": candidate.kind,
        "title": candidate.title,
        "scraped": candidate.scraped,
        "steps": [
            {"verdict": step.verdict, "text": step.text, "remedy": step.remedy}
            for step in candidate.steps
        ],
        "targets": [
            {
                "url": outcome.target.url,
                "state": _health(outcome, by_url),
                "why": outcome.why,
                "remedy": _remedy(outcome, by_url),
                "live": outcome.live,
                "hint": outcome.target.hint,
            }
            for outcome in candidate.outcomes
        ],
        "remedy": candidate.remedy,
    }


def page(found: explaining.Explanation, states: Collection[State]) -> markup.Html:
    """Return the page for people."""
    by_url = {state.target.url: state for state in states}
    head = f'<p><a href="../targets">Targets</a></p><h1>{text(found.subject)}</h1>'
    body = [f"<header>{head}<p>{text(found.summary)}</p></header>\n<main>"]
    body += [_section(candidate, by_url) for candidate in found.candidates]
    body += [f"<p class=warning>{text(note)}</p>" for note in found.notes]
    body.append(
        "</main>\n<footer>What the agent decided, in order, and how the scrapes fare now. "
        "On a terminal: <code>headgate explain pod NAMESPACE/NAME</code></footer>"
    )
    return markup.Html(
        title=f"Why {found.subject} is scraped, or not",
        body="\n".join(body),
        style=people.STYLE,
    )


def _section(candidate: explaining.Candidate, by_url: Mapping[str, State]) -> str:
    steps = "".join(map(_step, candidate.steps))
    outcomes = "".join(_outcomes(candidate.outcomes, by_url))
    title = candidate.title[:1].upper() + candidate.title[1:]
    return f"<h2>{text(title)}</h2><ol>{steps}</ol><ul class=cards>{outcomes}</ul>"


def _step(step: targets.Step) -> str:
    look = {"pass": "good", "fail": "error", "note": "soft"}[step.verdict]
    remedy = f" <span class=soft>&rarr; {text(step.remedy)}</span>" if step.remedy else ""
    return (
        f"<li class=step><b class={look}>{MARKS[step.verdict]}</b> {text(step.text)}{remedy}</li>"
    )


def _outcomes(outcomes: Iterable[explaining.Outcome], by_url: Mapping[str, State]) -> Iterable[str]:
    for outcome in outcomes:
        state = _health(outcome, by_url) or "asked"
        advice = _remedy(outcome, by_url)
        remedy = f"<p class=soft>&rarr; {text(advice)}</p>" if advice else ""
        look = "error" if state == "failing" else "plain"
        yield (
            f'<li class="card {state}"><code>{text(outcome.target.url)}</code>'
            f"<p class={look}>{text(outcome.why or outcome.live)}</p>{remedy}</li>"
        )


def _health(outcome: explaining.Outcome, by_url: Mapping[str, State]) -> str:
    if outcome.why:
        return ""
    state = by_url.get(outcome.target.url)
    return state.health if state else Health.PENDING


def _remedy(outcome: explaining.Outcome, by_url: Mapping[str, State]) -> str:
    """Return what to do about a target that is not scraped, or where nothing listens."""
    state = by_url.get(outcome.target.url)
    if outcome.why or state is None or state.cause is not Cause.REFUSED or not outcome.target.hint:
        return outcome.remedy
    return "mend prometheus.io/port"
