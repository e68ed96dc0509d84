"""Pages answer: what is scraped, what is not, and why."""

import json
from typing import Any

import msgspec

from agent import pages, targets
from agent.scraping.state import Health, State

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


def state(subject: str, health: Health, error: str = "", *, scraped: bool = True) -> State:
    target = targets.Target(
        url=f"http://10.0.0.1:80/{subject}?format=p",
        job="app-pods",
        instance="10.0.0.1:80",
        subject=subject,
        attributes=(("k8s.pod.name", subject), ("kyma.input.name", "prometheus")),
        interval=30.0,
        timeout=10.0,
    )
    return State(
        target,
        health=health,
        error=error,
        last_scrape=NOW - 5 * SECOND if scraped else 0,
        next_scrape=NOW + 2_500_000_000,
        duration=0.25,
        samples=7,
        bytes=99,
    )


STATES = [
    state("a", Health.UP),
    state("b", Health.FAILING, "line 2: no"),
    state("c", Health.PENDING, scraped=False),
]
SKIPPED = (
    targets.Skipped(subject="d", why="annotation prometheus.io/scrape is absent", asked=False),
    targets.Skipped(subject="e", why="no IP yet"),
)
DECISIONS = [
    targets.Decision(subject="b", uid="b", steps=("one", "two")),
    targets.Decision(subject="e", uid="e", steps=("skipped: no IP yet",)),
]


def plain(page: object) -> Any:
    return json.loads(msgspec.json.encode(page))


def test_the_targets_page_tells_states_reasons_and_decisions_worst_first() -> None:
    page = plain(pages.targets_page(STATES, DECISIONS, SKIPPED, node="n1", now=NOW))
    assert page["node"] == "n1"
    assert page["counts"] == {"pending": 1, "up": 1, "failing": 1, "skipped": 2}
    assert [(t["subject"], t["state"], t["error"]) for t in page["active"]] == [
        ("b", "failing", "line 2: no"),
        ("a", "up", ""),
        ("c", "pending", ""),
    ]
    failing, _, pending = page["active"]
    assert failing["decisions"] == ["one", "two"]
    assert failing["last_scrape"] == "2023-11-14T22:13:15.000Z"
    assert failing["next_scrape_seconds"] == 2.5
    assert pending["last_scrape"] is None
    assert page["skipped"] == [
        {
            "subject": "e",
            "why": "no IP yet",
            "asked": True,
            "url": "",
            "decisions": ["skipped: no IP yet"],
        },
        {
            "subject": "d",
            "why": "annotation prometheus.io/scrape is absent",
            "asked": False,
            "url": "",
            "decisions": [],
        },
    ]


def test_the_prometheus_page_has_the_fields_that_tools_read() -> None:
    page = plain(pages.prometheus_page(STATES, SKIPPED, {}))
    assert page["status"] == "success"
    failing, up, pending = page["data"]["activeTargets"]
    assert failing == {
        "discoveredLabels": {
            "__address__": "10.0.0.1:80",
            "__scheme__": "http",
            "__metrics_path__": "/b",
            "__scrape_interval__": "30s",
            "__scrape_timeout__": "10s",
            "__param_format": "p",
            "__meta_pod_name": "b",
            "job": "app-pods",
        },
        "labels": {"instance": "10.0.0.1:80", "job": "app-pods"},
        "scrapePool": "app-pods",
        "scrapeUrl": "http://10.0.0.1:80/b?format=p",
        "globalUrl": "http://10.0.0.1:80/b?format=p",
        "lastError": "line 2: no",
        "lastScrape": "2023-11-14T22:13:15.000Z",
        "lastScrapeDuration": 0.25,
        "health": "down",
        "scrapeInterval": "30s",
        "scrapeTimeout": "10s",
    }
    assert (up["health"], pending["health"]) == ("up", "unknown")
    assert pending["lastScrape"] == pages.NEVER
    assert len(page["data"]["droppedTargets"]) == 2
    assert page["data"]["droppedTargetCounts"] == {"app-pods": 2}


def test_the_prometheus_page_can_be_narrowed() -> None:
    def lengths(**query: str) -> tuple[int, int]:
        data = plain(pages.prometheus_page(STATES, SKIPPED, query))["data"]
        return len(data["activeTargets"]), len(data["droppedTargets"])

    assert lengths(state="active") == (3, 0)
    assert lengths(state="dropped") == (0, 2)
    assert lengths(scrapePool="other") == (0, 0)
    assert lengths(scrapePool="app-pods", state="any") == (3, 2)
