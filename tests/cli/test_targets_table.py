"""Targets as a table: what fails first, nothing wider than the terminal, nothing that moves it."""

import click
import pytest
from hypothesis import given, strategies as st

from cli.demo import screen
from cli.targets_table import Active, Page, Skipped, lines

FAILING = Active(
    subject="billing/legacy", url="http://10.0.0.9:9999/metrics", state="failing",
    error="connection refused: prometheus.io/port=9999 but the container listens on 8080",
    last_scrape_age_seconds=1.4, duration_seconds=0.004, timeout_seconds=1.0, late=2,
)  # fmt: skip
UP = Active(
    subject="shop/front", url="http://10.0.0.6:8080/metrics", state="up",
    warnings=("2 lines left out",), last_scrape_age_seconds=0.2, duration_seconds=0.25,
    timeout_seconds=10.0, samples=512, body_bytes=41_000, series_added=3,
)  # fmt: skip
PENDING = Active(subject="shop/new", url="http://10.0.0.7:8080/metrics", state="pending")
ASKED = Skipped(subject="shop/odd", why="port annotation 'x' is none", remedy="mend it")
QUIET = Skipped(subject="shop/mute", why="annotation prometheus.io/scrape is absent", asked=False)
PAGE = Page(
    node="n1",
    inputs={"discovery": "synced; 5 pods"},
    counts={"failing": 1, "pending": 1, "up": 1, "skipped": 2},
    active=(FAILING, PENDING, UP),
    skipped=(ASKED, QUIET),
)


def plain(page: Page = PAGE, width: int = 120, *, everything: bool = False) -> list[str]:
    return [click.unstyle(line) for line in lines(page, width, everything=everything)]


def test_every_target_is_a_row_and_what_is_wrong_is_below() -> None:
    assert plain() == [
        "STATE    SUBJECT         LAST          TOOK  SAMPLES  ADDED     SIZE  URL",
        "failing  billing/legacy   1 s   0.00 of 1 s        0      0      0 B  http://10.0.0.9:9999/metrics",
        "         connection refused: prometheus.io/port=9999 but the container listens on 8080",
        "         2 scrapes left out: the one before took too long",
        "pending  shop/new                                                     http://10.0.0.7:8080/metrics",
        "up       shop/front       0 s  0.25 of 10 s      512      3  41.0 kB  http://10.0.0.6:8080/metrics",
        "         2 lines left out",
        "",
        "STATE    SUBJECT   WHY",
        "skipped  shop/odd  port annotation 'x' is none",
        "         mend it",
        "",
        "1 failing · 1 pending · 1 up · 2 skipped on n1",
        "discovery: synced; 5 pods",
        "1 of the skipped ask for nothing; --state skipped lists them",
    ]


def test_a_narrow_terminal_keeps_names_and_urls_and_puts_reasons_below() -> None:
    narrow = plain(width=60, everything=True)
    assert narrow[0].split() == ["STATE", "SUBJECT", "URL"]
    assert narrow[1].endswith("http://10.0.0.9:9999/metrics")
    at = narrow.index("STATE    SUBJECT")
    assert narrow[at + 1 : at + 4] == [
        "skipped  shop/odd",
        "         port annotation 'x' is none",
        "         mend it",
    ]
    assert "         annotation prometheus.io/scrape is absent" in narrow


def test_what_nobody_asked_for_is_listed_only_when_wanted() -> None:
    assert not [line for line in plain() if "shop/mute" in line]
    assert [line for line in plain(everything=True) if "shop/mute" in line]
    assert not [line for line in plain(everything=True) if "--state skipped" in line]


def test_it_can_be_narrowed() -> None:
    assert PAGE.having(()) is PAGE
    chosen = PAGE.having(("up", "skipped"))
    assert (chosen.active, chosen.skipped) == ((UP,), (ASKED, QUIET))
    assert PAGE.having(("failing",)).skipped == ()
    assert [state for state in ("failing", "pending", "up", "skipped") if PAGE.has(state)] == [
        "failing", "pending", "up", "skipped",
    ]  # fmt: skip
    quiet = Page(counts={}, active=(), skipped=(QUIET,))
    assert not quiet.has("skipped")
    assert not quiet.has("up")


def test_states_have_colours() -> None:
    shown = lines(PAGE, 120, everything=True)
    assert shown[1].startswith("\x1b[31m")
    assert [line for line in shown if line.startswith("\x1b[32m") and "shop/front" in line]
    assert [line for line in shown if line.startswith("\x1b[33m") and "shop/odd" in line]


def test_nothing_at_all_is_a_tally() -> None:
    assert plain(Page(counts={}, active=(), skipped=())) == [
        "0 failing · 0 pending · 0 up · 0 skipped"
    ]


@pytest.mark.parametrize("width", [1, 20, 79, 200])
@given(text=st.text(max_size=300))
def test_no_line_is_wider_than_the_terminal_whatever_targets_say(width: int, text: str) -> None:
    active = Active(subject=text, url=text, state="failing", error=text, warnings=(text,))
    page = Page(
        node=text,
        inputs={text: text},
        counts={},
        active=(active,),
        skipped=(Skipped(subject=text, why=text),),
    )
    for line in plain(page, width, everything=True):
        assert screen.columns_of(line) <= width
        assert line.isprintable()
