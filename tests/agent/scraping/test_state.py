"""A target's state says how its last scrape went, and whether that is news."""

from agent import targets
from agent.exposition import target_state, translate
from agent.scraping.response import Cause, Failed, Fetched
from agent.scraping.state import Counts, Health, Oddity, State

TARGET = targets.Target(
    url="http://x/metrics", job="j", instance="x", subject="s", attributes=(), interval=1, timeout=1
)
FETCHED = Fetched(body=b"a 1\n", wire_bytes=3, fallback="no content type")


def told(error: str = "", **changes: object) -> target_state.Outcome:
    plain: dict[str, object] = {
        "payload": b"", "points": 6, "samples": 1, "series_added": 0, "stale": 2, "duplicates": 1,
        "dropped": {translate.Drop.NO_COUNT: 3}, "known": True, "error": error,
    }  # fmt: skip
    return target_state.Outcome(**(plain | changes))  # type: ignore[arg-type]


PLAIN = Fetched(body=b"a 1\n", wire_bytes=3)


def failed(cause: Cause, why: str) -> Failed:
    return Failed(cause=cause, why=why)


def test_only_changes_of_health_or_of_the_kind_of_reason_are_news() -> None:
    state = State(TARGET)
    scrapes: list[tuple[Fetched | Failed, str, bool]] = [
        (PLAIN, "", True),
        (PLAIN, "", False),
        (failed(Cause.TIMEOUT, "2 bytes"), "2 bytes", True),
        (failed(Cause.TIMEOUT, "3 bytes"), "3 bytes", False),
        (failed(Cause.REFUSED, "refused"), "refused", True),
        (PLAIN, "", True),
        (FETCHED, "", True),
        (FETCHED, "", False),
        (PLAIN, "line 1: no", True),
    ]
    news = [state.note(i, 0.1, answer, told(why)) for i, (answer, why, _) in enumerate(scrapes)]
    assert news == [new for *_, new in scrapes]


def test_failures_in_a_row_are_counted_and_oddities_are_those_of_the_last_scrape() -> None:
    state = State(TARGET)
    for _ in range(3):
        state.note(1, 0.1, failed(Cause.DNS, "dns"), told("dns"))
    assert (state.failures, state.cause, state.format) == (3, Cause.DNS, "")
    state.note(2, 0.1, FETCHED, told())
    assert (state.failures, state.cause) == (0, None)
    assert state.oddities == {Oddity.FALLBACK: "no content type"}
    assert state.format == "PrometheusText0.0.4"
    assert state.note(3, 0.1, FETCHED, told(skipped=2, complaint="line 1: no"))
    assert state.oddities == {
        Oddity.FALLBACK: "no content type",
        Oddity.SKIPPED: "2 lines left out, the first: line 1: no",
    }
    state.note(4, 0.1, PLAIN, told(series_added=5))
    assert state.added == 5
    assert state.oddities == {}


def test_a_state_is_that_of_the_last_scrape() -> None:
    state = State(TARGET)
    assert (state.health, state.last_scrape) == (Health.PENDING, 0)
    state.note(7, 0.25, FETCHED, told())
    assert (state.health, state.last_scrape, state.duration) == (Health.UP, 7, 0.25)
    assert (state.samples, state.bytes, state.stale) == (1, 4, 2)
    state.note(8, 0.5, failed(Cause.DNS, "why"), told("why", samples=0))
    assert (state.health, state.error, state.bytes, state.samples) == (
        Health.FAILING,
        "why",
        0,
        0,
    )


def test_scrapes_are_counted_by_outcome() -> None:
    counts = Counts()
    counts.note(0.1, FETCHED, told(skipped=2))
    assert counts.skipped == 2
    counts.note(0.2, FETCHED, told("line 1: no"))
    counts.note(0.3, Failed(cause=Cause.DNS, why="dns"), told("dns", known=False))
    counts.note(0.0, PLAIN, told("too many", too_large=True, samples=0, known=False))
    assert {k: n for k, n in counts.scrapes.items() if n} == {
        "up": 1, "malformed": 1, "dns": 1, "too_large": 1,
    }  # fmt: skip
    assert (counts.bytes, counts.wire_bytes, counts.unlabelled) == (12, 9, 2)
    assert (counts.samples, counts.stale, counts.known, counts.duplicates) == (3, 8, 2, 4)
    assert counts.dropped_points[translate.Drop.NO_COUNT] == 12
    assert round(counts.seconds, 6) == 0.6
