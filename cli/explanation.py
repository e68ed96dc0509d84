"""An agent's explanation of a pod in lines for people: check marks, reasons, remedies. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

import click
import msgspec

from cli.demo import screen

_MOST: Final = 2000  # characters of anything that is said


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One check; verdict is pass, fail or note."""

    verdict: str
    text: str
    remedy: str = ""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One target that somebody asks for; state is "" where it is not scraped, for *why* is said."""

    url: str
    state: str = ""
    why: str = ""
    remedy: str = ""
    live: str = ""
    hint: str = ""
    """What to look at if nothing listens there."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One reason for which a pod may be scraped."""

    title: str
    kind: str = ""
    scraped: bool = False
    steps: tuple[Step, ...] = ()
    targets: tuple[Target, ...] = ()
    remedy: str = ""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """``/debug/explain`` of an agent."""

    subject: str
    known: bool
    summary: str
    node: str = ""
    scraped: bool = False
    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Marks:
    """How verdicts are drawn."""

    passed: str
    failed: str
    note: str
    remedy: str

    def fits(self, encoding: str) -> bool:
        """Say whether *encoding* has all of them."""
        try:
            f"{self.passed}{self.failed}{self.note}{self.remedy}".encode(encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True


UNICODE: Final = Marks("✓", "✗", "•", "→")
ASCII: Final = Marks("ok", "no", "--", "->")


def marks(encoding: str) -> Marks:
    """Return those that a terminal of *encoding* can show."""
    return UNICODE if UNICODE.fits(encoding) else ASCII


def lines(page: Page, how: str, width: int, drawn: Marks) -> list[str]:
    """Return *page*, and *how* it is known, in lines of about *width* characters, with colours."""
    out = [click.style(_clean(f"{page.subject}: {page.summary}"), bold=True)]
    out += [click.style(_clean(how), dim=True)] if how else []
    for candidate in page.candidates:
        title = candidate.title[:1].upper() + candidate.title[1:]
        out += ["", click.style(_clean(title), bold=True)]
        for step in candidate.steps:
            out += _said(drawn, step.verdict, step.text, step.remedy, width)
        for target in candidate.targets:
            out += _target(drawn, target, width)
    out += [""] * bool(page.notes)
    for note in page.notes:
        out += _said(drawn, "note", note, "", width)
    return out


def _target(drawn: Marks, target: Target, width: int) -> Iterable[str]:
    verdict = {"up": "pass", "pending": "note"}.get(target.state, "fail")
    said = target.why or target.live or target.state
    yield from _said(drawn, verdict, f"{target.url}: {said}", target.remedy, width)


def _said(drawn: Marks, verdict: str, text: str, remedy: str, width: int) -> Iterable[str]:
    mark, colour = {"pass": (drawn.passed, "green"), "fail": (drawn.failed, "red")}.get(
        verdict, (drawn.note, "yellow")
    )
    margin = " " * (3 + len(mark))
    first, *others = _wrapped(text, width - len(margin))
    yield f"  {click.style(mark, fg=colour)} {first}"
    for line in others:
        yield margin + line
    if remedy:
        first, *others = _wrapped(remedy, width - len(margin) - len(drawn.remedy) - 1)
        yield margin + click.style(f"{drawn.remedy} {first}", bold=True)
        for line in others:
            yield f"{margin} {' ' * len(drawn.remedy)}{click.style(line, bold=True)}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(_clean(text), max(width, 20), break_on_hyphens=False) or [""]


def _clean(text: str) -> str:
    """Leave out what moves a terminal's cursor: errors quote what targets send."""
    return screen.clip(text[:_MOST], _MOST)
