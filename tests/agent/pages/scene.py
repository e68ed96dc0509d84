"""Targets in every state, and what is not scraped, for the tests of the pages."""

import json
from html.parser import HTMLParser
from typing import Any

import msgspec

from agent import targets
from agent.discovery import roster
from agent.pages import view
from agent.scraping.state import Health, Oddity, State
from agent.targets import Step
from common.service import markup

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
BOUNDS = view.Bounds(samples=50_000, body_bytes=20_000_000)


def target(subject: str = "shop/a", **changes: object) -> targets.Target:
    name = subject.rpartition("/")[2]
    plain: dict[str, Any] = {
        "url": f"http://10.0.0.1:80/{name}?format=p",
        "job": "app-pods",
        "instance": "10.0.0.1:80",
        "subject": subject,
        "attributes": (("k8s.pod.name", name), ("kyma.input.name", "prometheus")),
        "interval": 30.0,
        "timeout": 10.0,
    }
    return targets.Target(**{**plain, **changes})


def state(subject: str, health: Health, error: str = "", **changes: object) -> State:
    scraped = health is not Health.PENDING
    plain: dict[str, Any] = {
        "health": health,
        "error": error,
        "last_scrape": NOW - 5 * SECOND if scraped else 0,
        "next_scrape": NOW + 2_500_000_000,
        "duration": 0.25 if scraped else 0.0,
        "samples": 7 if scraped else 0,
        "bytes": 99 if scraped else 0,
    }
    return State(target(subject), **{**plain, **changes})


STATES = (
    state("shop/a", Health.UP, oddities={Oddity.SKIPPED: "2 lines left out, the first: line 3"}),
    state("shop/b", Health.FAILING, "line 2: no", failures=3),
    state("shop/c", Health.PENDING),
)
INPUTS = {"discovery": "synced; 5 pods, 3 targets", "kubelet": "not yet"}
SKIPPED = (
    targets.Skipped(subject="shop/d", why="annotation prometheus.io/scrape is absent", asked=False),
    targets.Skipped(subject="shop/e", why="no IP yet", remedy="wait"),
)
DECISIONS = (
    targets.Decision(
        subject="shop/b",
        uid="b",
        steps=(Step("one"), Step("two", "note")),
        targets=(STATES[1].target,),
    ),
    targets.Decision(
        subject="shop/e",
        uid="e",
        steps=(Step("no IP yet", "fail", "wait"),),
        skipped=(SKIPPED[1],),
    ),
)


def shown(
    states=STATES, decisions=DECISIONS, skipped=SKIPPED, *, node: str = "n1", inputs=INPUTS, **query
) -> view.View:
    return view.view(
        states,
        decisions,
        skipped,
        asked=view.Asked.of(query),
        node=node,
        now=NOW,
        bounds=BOUNDS,
        inputs=inputs,
    )


def plainly(page: object) -> Any:
    return json.loads(msgspec.json.encode(page))


class Parsed(HTMLParser):
    """What a browser would make of a page: elements, attributes, and text outside of style."""

    def __init__(self, page: markup.Html) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.pieces: list[str] = []
        self.unclosed: list[str] = []
        self.feed(page.document())
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        if tag != "meta":
            self.unclosed.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag) -> None:
        assert self.unclosed.pop() == tag, tag

    def handle_data(self, data) -> None:
        if self.tags[-1:] != ["style"]:
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())


def nothing_known() -> roster.Roster:
    from tests.agent.discovery.candidates import RULES

    return roster.Roster((), 10, RULES)
