"""Times, sizes and states are said as people, and Prometheus, say them."""

import pytest

from agent.pages import words
from agent.scraping.state import Health, Oddity
from tests.agent.pages.scene import NOW, state


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0 s"), (0.25, "0.25 s"), (0.0004, "0 s"), (1.26, "1.3 s"), (2.0, "2 s"), (42.4, "42 s"),
     (119, "119 s"), (180, "3 min"), (7200, "2 h"), (200_000, "2 d")],
)  # fmt: skip
def test_seconds(value: float, said: str) -> None:
    assert words.seconds(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0 B"), (999, "999 B"), (1536, "1.54 kB"), (20_000_000, "20 MB"), (3 * 10**9, "3 GB")],
)
def test_sizes(value: int, said: str) -> None:
    assert words.size(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0s"), (0.5, "500ms"), (1.5, "1s500ms"), (15, "15s"), (60, "1m"), (90, "1m30s"),
     (3600, "1h"), (86_400, "1d"), (90_000, "25h"), (7 * 86_400, "1w"), (8 * 86_400, "8d")],
)  # fmt: skip
def test_durations_are_written_as_prometheus_writes_them(value: float, said: str) -> None:
    assert words.duration(value) == said


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (state("a", Health.PENDING), "not scraped yet; the first scrape is in 2.5 s"),
        (state("a", Health.UP), "up: 7 samples in 0.25 s, 5 s ago"),
        (
            state("a", Health.UP, oddities={Oddity.FALLBACK: "type x/y"}),
            "up: 7 samples in 0.25 s, 5 s ago; type x/y",
        ),
        (state("a", Health.FAILING, "no", failures=1), "failing: no (5 s ago)"),
        (
            state("a", Health.FAILING, "no", failures=9),
            "failing, 9 times in a row: no (5 s ago)",
        ),
    ],
)
def test_how_a_target_fares(how, said: str) -> None:
    assert words.fare(how, NOW) == said
