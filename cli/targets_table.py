"""What an agent says of its targets, as a table for people that fits the terminal. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, final

import click
import msgspec

from cli.demo import screen

STATES: Final = ("failing", "pending", "up", "skipped")
_COLOURS: Final = {"failing": "red", "pending": "cyan", "up": "green", "skipped": "yellow"}
_MOST_LAST: Final = 48  # characters of a URL or a reason, for which other columns give way
_SIZES: Final = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


class Active(msgspec.Struct, frozen=True, kw_only=True):
    """What a page says of one target; durations in seconds."""

    subject: str
    url: str
    state: str
    error: str = ""
    warnings: tuple[str, ...] = ()
    last_scrape_age_seconds: float | None = None
    duration_seconds: float = 0.0
    timeout_seconds: float = 0.0
    samples: int = 0
    body_bytes: int = 0
    series_added: int = 0
    late: int = 0


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """What a page says of something that is not scraped."""

    subject: str
    why: str
    asked: bool = True
    url: str = ""
    remedy: str = ""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """``/targets`` of an agent, as far as it is shown."""

    counts: dict[str, int]
    active: tuple[Active, ...]
    skipped: tuple[Skipped, ...]
    node: str = ""
    inputs: dict[str, str] = {}

    def has(self, state: str) -> bool:
        """Say whether anything is in *state*; of what is skipped, whether anybody asked for it."""
        if state == "skipped":
            return any(entry.asked for entry in self.skipped)
        return any(target.state == state for target in self.active)

    def having(self, states: Collection[str]) -> Page:
        """Return it with what has one of *states* only; all if there are none."""
        if not states:
            return self
        return msgspec.structs.replace(
            self,
            active=tuple(target for target in self.active if target.state in states),
            skipped=self.skipped if "skipped" in states else (),
        )


@final
@dataclass(frozen=True, slots=True)
class _Row:
    cells: Sequence[str]
    state: str
    below: Sequence[str] = ()


def lines(page: Page, width: int, *, everything: bool) -> list[str]:
    """Return *page* in lines of *width* characters at most, with escapes for colours.

    What nobody asked for is counted only, unless *everything* is wanted.
    """
    rows = [_active(target) for target in page.active]
    quiet = [entry for entry in page.skipped if not entry.asked and not everything]
    shown = [entry for entry in page.skipped if entry.asked or everything]
    refused = [_skipped(entry) for entry in shown]
    out: list[str] = []
    if rows:
        out += _table(_HEAD, rows, width)
    if refused:
        out += [""] * bool(out) + _reasons(refused, width)
    if out:
        out.append("")
    tally = " · ".join(f"{page.counts.get(state, 0)} {state}" for state in STATES)
    node = f" on {page.node}" if page.node else ""
    out.append(click.style(screen.clip(f"{tally}{node}", width), bold=True))
    for name, said in page.inputs.items():
        out.append(click.style(screen.clip(f"{name}: {said}", width), dim=True))
    if quiet:
        words = f"{len(quiet)} of the skipped ask for nothing; --state skipped lists them"
        out.append(screen.clip(words, width))
    return out


_HEAD: Final = ("STATE", "SUBJECT", "LAST", "TOOK", "SAMPLES", "ADDED", "SIZE", "URL")
_RIGHT: Final = frozenset({"LAST", "TOOK", "SAMPLES", "ADDED", "SIZE"})
_GIVES_WAY: Final = ("ADDED", "SIZE", "TOOK", "LAST", "SAMPLES")


def _active(target: Active) -> _Row:
    age = target.last_scrape_age_seconds
    scraped = age is not None
    below = [target.error, *target.warnings]
    if target.late:
        below.append(f"{target.late} scrapes left out: the one before took too long")
    return _Row(
        (
            target.state,
            target.subject,
            f"{age:.0f} s" if age is not None else "",
            f"{target.duration_seconds:.2f} of {target.timeout_seconds:g} s" if scraped else "",
            str(target.samples) if scraped else "",
            str(target.series_added) if scraped else "",
            _size(target.body_bytes) if scraped else "",
            target.url,
        ),
        target.state,
        [words for words in below if words],
    )


def _skipped(entry: Skipped) -> _Row:
    below = [words for words in (entry.url, entry.remedy) if words] if entry.asked else []
    return _Row(("skipped", entry.subject, entry.why), "skipped", below)


def _table(head: Sequence[str], rows: Sequence[_Row], width: int) -> list[str]:
    columns = list(head)
    for name in _GIVES_WAY:
        if _needed(head, columns, rows) <= width:
            break
        if name in columns:
            columns.remove(name)
    chosen = [head.index(name) for name in columns]
    right = [at for at, name in enumerate(columns) if name in _RIGHT]
    cells = [[row.cells[at] for at in chosen] for row in rows]
    title, *body = screen.tabulate(columns, cells, width, right)
    out = [click.style(title, bold=True)]
    for line, row in zip(body, rows, strict=True):
        out.append(click.style(line, fg=_COLOURS.get(row.state)))
        out += [click.style(screen.clip(f"         {text}", width), dim=True) for text in row.below]
    return out


def _reasons(rows: Sequence[_Row], width: int) -> list[str]:
    """Return a table of what is skipped; reasons that do not fit beside are below."""
    head = ("STATE", "SUBJECT", "WHY")
    if max(len(row.cells[1]) + len(row.cells[2]) for row in rows) + 2 * 2 + 7 <= width:
        return _table(head, rows, width)
    below = [_Row(row.cells[:2], row.state, (row.cells[2], *row.below)) for row in rows]
    return _table(head[:2], below, width)


def _needed(head: Sequence[str], columns: Sequence[str], rows: Sequence[_Row]) -> int:
    """Return how wide a table of *columns* is, with no more of the last than has to be seen."""
    chosen = [head.index(name) for name in columns]
    widths = [max(len(head[at]), *(len(row.cells[at]) for row in rows)) for at in chosen]
    widths[-1] = min(widths[-1], _MOST_LAST)
    return sum(widths) + 2 * (len(widths) - 1)


def _size(count: int) -> str:
    for unit, name in _SIZES:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"
