"""What people and tools may ask an agent about its targets, as plain values. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from agent import targets
from agent.discovery import pods
from agent.scraping.state import Health, State

NEVER = "0001-01-01T00:00:00Z"  # what Prometheus says of a target that was never scraped
_PROMETHEUS_HEALTH = {Health.UP: "up", Health.FAILING: "down", Health.PENDING: "unknown"}


def targets_page(
    states: Collection[State],
    decisions: Iterable[targets.Decision],
    skipped: Collection[targets.Skipped],
    *,
    node: str,
    now: int,
) -> dict[str, object]:
    """Return ``/targets``: all that is scraped, all that is not, and why; *now* in nanoseconds."""
    steps: dict[str, tuple[str, ...]] = {}
    for decision in decisions:
        said = tuple(str(step) for step in decision.steps)
        steps[decision.subject] = (*steps.get(decision.subject, ()), *said)
    counts = dict.fromkeys(map(str, Health), 0)
    for state in states:
        counts[state.health] += 1
    return {
        "node": node,
        "counts": {**counts, "skipped": len(skipped)},
        "active": [_active(state, steps, now) for state in sorted(states, key=_order)],
        "skipped": [
            {
                "subject": entry.subject,
                "why": entry.why,
                "asked": entry.asked,
                "url": entry.url,
                "decisions": steps.get(entry.subject, ()),
            }
            for entry in sorted(skipped, key=lambda entry: (not entry.asked, entry.subject))
        ],
    }


def _order(state: State) -> tuple[bool, str, str]:
    return state.health is not Health.FAILING, state.target.subject, state.target.url


def _active(state: State, steps: Mapping[str, tuple[str, ...]], now: int) -> dict[str, object]:
    target = state.target
    return {
        "subject": target.subject,
        "url": target.url,
        "state": state.health,
        "error": state.error,
        "job": target.job,
        "instance": target.instance,
        "attributes": dict(target.attributes),
        "interval_seconds": target.interval,
        "timeout_seconds": target.timeout,
        "last_scrape": _timestamp(state.last_scrape) if state.last_scrape else None,
        "next_scrape_seconds": round(max(0, state.next_scrape - now) / 1e9, 3),
        "duration_seconds": round(state.duration, 6),
        "samples": state.samples,
        "stale_markers": state.stale,
        "body_bytes": state.bytes,
        "late": state.late,
        "decisions": steps.get(target.subject, ()),
    }


def prometheus_page(
    states: Collection[State],
    skipped: Collection[targets.Skipped],
    query: Mapping[str, str],
) -> dict[str, object]:
    """Return ``/api/v1/targets`` as Prometheus' HTTP API has it, so that existing tools work.

    *query* may hold ``state`` (active, dropped, any) and ``scrapePool``.
    """
    wanted, pool = query.get("state", "any"), query.get("scrapePool", "")
    active = [_prometheus_active(state) for state in sorted(states, key=_order)]
    dropped = [
        {
            "discoveredLabels": {
                "__headgate_subject": entry.subject,
                "__headgate_why": entry.why,
                "job": pods.POD_JOB,
            },
            "scrapePool": pods.POD_JOB,
        }
        for entry in skipped
    ]
    return {
        "status": "success",
        "data": {
            "activeTargets": [
                target
                for target in active
                if wanted in {"any", "active"} and pool in {"", target["scrapePool"]}
            ],
            "droppedTargets": [
                target
                for target in dropped
                if wanted in {"any", "dropped"} and pool in {"", target["scrapePool"]}
            ],
            "droppedTargetCounts": {pods.POD_JOB: len(dropped)},
        },
    }


def _prometheus_active(state: State) -> dict[str, object]:
    target = state.target
    parts = urlsplit(target.url)
    meta = {
        f"__meta_{key.removeprefix('k8s.').replace('.', '_')}": value
        for key, value in target.attributes
        if key.startswith("k8s.")
    }
    parameters = {f"__param_{name}": values[0] for name, values in parse_qs(parts.query).items()}
    return {
        "discoveredLabels": {
            "__address__": target.instance,
            "__scheme__": parts.scheme,
            "__metrics_path__": parts.path,
            "__scrape_interval__": f"{target.interval:g}s",
            "__scrape_timeout__": f"{target.timeout:g}s",
            "job": target.job,
            **parameters,
            **meta,
        },
        "labels": {"instance": target.instance, "job": target.job},
        "scrapePool": target.job,
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": state.error,
        "lastScrape": _timestamp(state.last_scrape) if state.last_scrape else NEVER,
        "lastScrapeDuration": state.duration,
        "health": _PROMETHEUS_HEALTH[state.health],
        "scrapeInterval": f"{target.interval:g}s",
        "scrapeTimeout": f"{target.timeout:g}s",
    }


def _timestamp(nanoseconds: int) -> str:
    at = datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
