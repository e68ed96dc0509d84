"""An explanation in lines: marks, reasons, remedies, on any terminal."""

import click
import pytest
from hypothesis import given, strategies as st

from cli.explanation import ASCII, UNICODE, Candidate, Page, Step, Target, lines, marks

PAGE = Page(
    subject="billing/legacy",
    known=True,
    summary="scraped by the agent on n1: 1 of 2 targets, 1 failing",
    candidates=(
        Candidate(
            title="the pod's own annotations",
            steps=(
                Step(verdict="pass", text="phase Running"),
                Step(verdict="note", text="on the host's network"),
                Step(verdict="fail", text="port 'x' is none", remedy="mend prometheus.io/port"),
            ),
            targets=(
                Target(url="http://a/", state="failing", live="failing: connection refused"),
                Target(url="http://b/", state="up", live="up: 7 samples"),
                Target(url="http://c/", state="pending", live="not scraped yet"),
                Target(url="http://d/", why="its URL is taken", remedy="take another"),
            ),
        ),
    ),
    notes=("services: 403",),
)


def plain(page: Page = PAGE, how: str = "said by it", width: int = 100, drawn=UNICODE) -> list[str]:
    return [click.unstyle(line) for line in lines(page, how, width, drawn)]


def test_every_check_has_a_mark_and_every_refusal_its_remedy() -> None:
    assert plain() == [
        "billing/legacy: scraped by the agent on n1: 1 of 2 targets, 1 failing",
        "said by it",
        "",
        "The pod's own annotations",
        "  ✓ phase Running",
        "  • on the host's network",
        "  ✗ port 'x' is none",
        "    → mend prometheus.io/port",
        "  ✗ http://a/: failing: connection refused",
        "  ✓ http://b/: up: 7 samples",
        "  • http://c/: not scraped yet",
        "  ✗ http://d/: its URL is taken",
        "    → take another",
        "",
        "  • services: 403",
    ]


def test_a_terminal_without_marks_has_words() -> None:
    assert (marks("utf-8"), marks("ascii"), marks("nonsense")) == (UNICODE, ASCII, ASCII)
    assert marks("latin-1") is ASCII
    said = plain(drawn=ASCII)
    assert said[4:8] == [
        "  ok phase Running",
        "  -- on the host's network",
        "  no port 'x' is none",
        "     -> mend prometheus.io/port",
    ]
    "\n".join(said).encode("ascii")


def test_long_lines_are_continued_beside_their_marks() -> None:
    step = Step(verdict="fail", text="word " * 20, remedy="other " * 20)
    page = Page(
        subject="a/b", known=True, summary="", candidates=(Candidate(title="t", steps=(step,)),)
    )
    body = plain(page, "", 40)[3:]
    assert all(len(line) <= 40 for line in body)
    assert body[1].startswith("    word")
    assert [line for line in body if line.startswith("      other")]


def test_verdicts_have_colours() -> None:
    shown = "\n".join(lines(PAGE, "", 100, UNICODE))
    assert "\x1b[32m✓" in shown
    assert "\x1b[31m✗" in shown
    assert "\x1b[33m•" in shown


@pytest.mark.parametrize("width", [10, 80])
@given(text=st.text(max_size=200))
def test_nothing_that_is_said_moves_the_cursor(width: int, text: str) -> None:
    step = Step(verdict=text, text=text, remedy=text)
    target = Target(url=text, state=text, why=text, remedy=text)
    candidate = Candidate(title=text, steps=(step,), targets=(target,))
    page = Page(subject=text, known=True, summary=text, candidates=(candidate,), notes=(text,))
    assert all(line.isprintable() for line in plain(page, text, width))
