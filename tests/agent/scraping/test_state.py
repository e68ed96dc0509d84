"""A target's state says how its last scrape went, and whether that is news."""

from agent import targets
from agent.exposition import target_state, translate
from agent.scraping.response import Cause, Failed, Fetched
from agent.scraping.state import Counts, Health, State

TARGET = targets.Target(
    url="http://x/metrics", job="j", instance="x", subject="s", attributes=(), interval=1, timeout=1
)
FETCHED = Fetched(body=b"a 1\n", wire_bytes=3, unlabelled=True)


def told(error: str = "", **changes: object) -> target_state.Outcome:
    plain: dict[str, object] = {
        "payload": b"", "points": 6, "samples": 1, "series_added": 0, "stale": 2, "duplicates": 1,
        "dropped": {translate.Drop.NO_COUNT: 3}, "known": True, "error": error,
    }  # fmt: skip
    return target_state.Outcome(**(plain | changes))  # type: ignore[arg-type]


def test_only_changes_of_health_or_reason_are_news() -> None:
    state = State(TARGET)
    scrapes = [
        (FETCHED, ""),
        (FETCHED, ""),
        (None, "timeout"),
        (None, "timeout"),
        (None, "refused"),
        (FETCHED, ""),
    ]
    news = [state.note(i, 0.1, fetched, told(error)) for i, (fetched, error) in enumerate(scrapes)]
    assert news == [True, False, True, False, True, True]


def test_a_state_is_that_of_the_last_scrape() -> None:
    state = State(TARGET)
    assert (state.health, state.last_scrape) == (Health.PENDING, 0)
    state.note(7, 0.25, FETCHED, told())
    assert (state.health, state.last_scrape, state.duration) == (Health.UP, 7, 0.25)
    assert (state.samples, state.bytes, state.stale) == (1, 4, 2)
    state.note(8, 0.5, None, told("why", samples=0))
    assert (state.health, state.error, state.bytes, state.samples) == (
        Health.FAILING,
        "why",
        0,
        0,
    )


def test_scrapes_are_counted_by_outcome() -> None:
    counts = Counts()
    counts.note(0.1, FETCHED, told())
    counts.note(0.2, FETCHED, told("line 1: no"))
    counts.note(0.3, Failed(cause=Cause.DNS, why="dns"), told("dns", known=False))
    assert {k: n for k, n in counts.scrapes.items() if n} == {"up": 1, "malformed": 1, "dns": 1}
    assert (counts.bytes, counts.wire_bytes, counts.unlabelled) == (8, 6, 2)
    assert (counts.samples, counts.stale, counts.known, counts.duplicates) == (3, 6, 2, 3)
    assert counts.dropped_points[translate.Drop.NO_COUNT] == 9
    assert round(counts.seconds, 6) == 0.6
