"""``/targets`` for tools: all that is scraped, all that is not, and why. Pure."""

from __future__ import annotations

from agent import targets
from agent.pages import words
from agent.pages.view import View
from agent.scraping.state import State


def page(view: View) -> dict[str, object]:
    """Return *view* as plain values; times are RFC 3339, or seconds where the name says so."""
    return {
        "node": view.node,
        "inputs": dict(view.inputs),
        "counts": dict(view.counts),
        "active": [_active(state, view) for state in view.states],
        "skipped": [_skipped(entry, view) for entry in view.skipped],
    }


def _active(state: State, view: View) -> dict[str, object]:
    target = state.target
    return {
        "subject": target.subject,
        "url": target.url,
        "state": state.health,
        "error": state.error,
        "cause": state.cause,
        "failures": state.failures,
        "warnings": list(state.oddities.values()),
        "kind": target.kind,
        "job": target.job,
        "instance": target.instance,
        "labels": dict(target.labels),
        "attributes": dict(target.attributes),
        "interval_seconds": target.interval,
        "timeout_seconds": target.timeout,
        "last_scrape": words.timestamp(state.last_scrape) if state.last_scrape else None,
        "last_scrape_age_seconds": _seconds(view.now - state.last_scrape)
        if state.last_scrape
        else None,
        "next_scrape_seconds": _seconds(state.next_scrape - view.now),
        "duration_seconds": round(state.duration, 6),
        "samples": state.samples,
        "max_samples": view.bounds.samples,
        "series_added": state.added,
        "stale_markers": state.stale,
        "format": state.format,
        "body_bytes": state.bytes,
        "max_body_bytes": view.bounds.body_bytes,
        "redirects": state.redirects,
        "late": state.late,
        "decisions": list(map(str, view.reasons.of_target(target))),
    }


def _skipped(entry: targets.Skipped, view: View) -> dict[str, object]:
    decision = view.reasons.of_skipped(entry)
    return {
        "subject": entry.subject,
        "why": entry.why,
        "remedy": entry.remedy,
        "asked": entry.asked,
        "url": entry.url,
        "decisions": list(map(str, decision.steps if decision else ())),
    }


def _seconds(nanoseconds: int) -> float:
    return round(max(0, nanoseconds) / words.SECOND, 3)
