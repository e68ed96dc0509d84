"""All targets together: each URL once, within the limit, and the rest explained."""

from agent import targets
from agent.discovery import roster


def target(url: str, subject: str) -> targets.Target:
    return targets.Target(
        url=url, job="j", instance="i", subject=subject, attributes=(), interval=1, timeout=1
    )


def decision(uid: str, *urls: str) -> targets.Decision:
    return targets.Decision(
        subject=uid, uid=uid, steps=(), targets=tuple(target(url, uid) for url in urls)
    )


def test_a_url_is_scraped_once_and_the_second_pod_is_told_so() -> None:
    known = roster.Roster((), 10)
    known.replace([decision("a", "http://x"), decision("b", "http://x", "http://y")])
    chosen, skipped = known.select()
    assert {url: t.subject for url, t in chosen.items()} == {"http://x": "a", "http://y": "b"}
    assert [(entry.subject, entry.why) for entry in skipped] == [
        ("b", "its URL is scraped for a already")
    ]


def test_beyond_the_limit_targets_are_skipped_and_those_that_run_stay() -> None:
    known = roster.Roster((target("http://static", "configuration"),), 2)
    known.put(decision("a", "http://a"))
    known.put(decision("b", "http://b"))
    known.put(decision("a", "http://a2"))  # a changes, and keeps its place
    chosen, skipped = known.select()
    assert list(chosen) == ["http://static", "http://a2"]
    assert [entry.why for entry in skipped] == [
        "there are 2 targets already; raise scraping.max_targets"
    ]


def test_a_pod_that_is_gone_leaves_room() -> None:
    known = roster.Roster((), 1)
    known.put(decision("a", "http://a"))
    known.put(decision("b", "http://b"))
    known.remove("a")
    known.remove("never seen")
    assert list(known.select()[0]) == ["http://b"]
    known.replace([])
    assert known.select() == ({}, ())
