"""Whoever asks about a pod hears every check, and how its scrapes fare now."""

import pytest

from agent.discovery import roster
from agent.pages import explanation
from agent.scraping.response import Cause
from agent.scraping.state import Health, State
from common.service import health
from tests.agent.discovery.candidates import RULES, asking, service, slice_of, workload
from tests.agent.pages.scene import NOW, Parsed, plainly

REFUSED = "connection refused: prometheus.io/port=9999 but the container listens on 8080"


def known() -> roster.Roster:
    found = roster.Roster((), 10, RULES)
    found.replace_pods([workload(asking(port="9999,x"))])
    found.replace_services([service(asking(port="9999"))])
    found.replace_slices([slice_of()])
    return found


def states(found: roster.Roster, how: Health = Health.FAILING) -> list[State]:
    chosen, _ = found.select()
    return [
        State(
            target,
            health=how,
            error=REFUSED,
            cause=Cause.REFUSED if how is Health.FAILING else None,
            last_scrape=NOW - 10**9,
            failures=2,
        )
        for target in chosen.values()
    ]


def told(live: list[State], found: roster.Roster):
    return explanation.explained("shop/p", found, live, troubles={"services": "403"}, now=NOW)


def test_it_is_plain_values_with_what_the_last_scrape_said() -> None:
    found = known()
    live = states(found)
    page = plainly(explanation.plain(told(live, found), "n1", live))
    assert {
        key: page[key] for key in ("subject", "node", "known", "scraped", "summary", "notes")
    } == {
        "subject": "shop/p",
        "node": "n1",
        "known": True,
        "scraped": True,
        "summary": "scraped by the agent on n1: 1 of 2 targets, 1 failing",
        "notes": ["services: 403"],
    }
    own, served = page["candidates"]
    assert own["steps"][0] == {
        "verdict": "pass",
        "text": 'annotation prometheus.io/scrape is "true"',
        "remedy": "",
    }
    assert (own["steps"][-1]["verdict"], own["remedy"]) == ("fail", "mend prometheus.io/port")
    assert own["targets"] == [
        {
            "url": "http://10.0.0.1:9999/metrics",
            "state": "failing",
            "why": "",
            "remedy": "mend prometheus.io/port",
            "hint": "prometheus.io/port=9999 but the container listens on 8080",
            "live": f"failing, 2 times in a row: {REFUSED} (1 s ago)",
        }
    ]
    assert (served["scraped"], served["targets"][0]["state"]) == (False, "")
    assert "already, by its own annotations" in served["targets"][0]["why"]


def test_a_target_that_was_found_just_now_is_pending() -> None:
    found = known()
    page = plainly(explanation.plain(told([], found), "n1", []))
    (target,) = page["candidates"][0]["targets"]
    assert (target["state"], target["live"]) == ("pending", "is about to be scraped")


def test_what_is_up_is_not_called_failing() -> None:
    found = known()
    live = states(found, Health.UP)
    assert told(live, found).summary == "scraped by the agent on n1: 1 of 2 targets"


def test_people_read_the_same_with_marks() -> None:
    found = known()
    live = states(found)
    read = Parsed(explanation.page(told(live, found), live))
    for words in (
        "shop/p scraped by the agent on n1: 1 of 2 targets, 1 failing",
        'The pod\'s own annotations ✓ annotation prometheus.io/scrape is "true"',
        "→ mend prometheus.io/port",
        f"http://10.0.0.1:9999/metrics failing, 2 times in a row: {REFUSED}",
        "Annotations of Service shop/web",
        "services: 403",
    ):
        assert words in read.text, words
    assert read.unclosed == []
    assert ("href", "../targets") in read.attributes
    assert ("class", "card failing") in read.attributes


def test_what_annotations_say_stays_text() -> None:
    found = roster.Roster((), 10, RULES)
    found.replace_pods([workload(asking(port="<script>alert(1)</script>"), name="<b>")])
    asked = explanation.explained("shop/<b>", found, [], troubles={"<i>": "<u>"}, now=NOW)
    read = Parsed(explanation.page(asked, []))
    assert not {"script", "b", "i", "u"} & set(read.tags) - {"b"}
    assert "<script>alert(1)</script>" in read.text
    assert "<i>: <u>" in read.text
    assert "shop/<b>" in read.text


@pytest.mark.parametrize(
    "query", [{}, {"pod": "x"}, {"pod": "a/"}, {"pod": "/b"}, {"pod": "a/b/c"},
              {"pod": "a/" + "b" * 512}, {"name": "a/b"}],
)  # fmt: skip
def test_what_is_no_pod_is_refused_with_how_to_ask(query) -> None:
    with pytest.raises(health.BadQuery, match=r"ask with \?pod=NAMESPACE/NAME"):
        explanation.subject(query)


def test_a_pod_is_asked_for_by_namespace_and_name() -> None:
    assert explanation.subject({"pod": "shop/p", "json": ""}) == "shop/p"
