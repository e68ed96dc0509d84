"""A page of accounts as tables for people: what fits the terminal, and what is off in red."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import click
import msgspec

MIN_NAME: Final = 8  # characters that are left of a pipeline's name
_UNITS: Final = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**4, "k"))
_COLUMNS: Final = ("received", "delivered", "filtered", "dropped", "held", "balance")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What a page says of one pipeline, in points."""

    received: int
    delivered: int
    filtered: int
    dropped: int
    held: int
    balance: int
    recovered: int = 0
    filtered_by: dict[str, int] = {}
    dropped_by: dict[str, int] = {}

    @property
    def off(self) -> int:
        """By how much it is off; the sum is not left to the page."""
        found = self.received - self.delivered - self.filtered - self.dropped - self.held
        return found or self.balance


class FreshPods(msgspec.Struct, frozen=True, kw_only=True):
    """What a page says of the points that wait, or waited, for their pod to become known."""

    taken: int = 0
    held: int = 0
    released: int = 0
    balance: int = 0


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """``/debug/ledger`` of a gateway or an agent, as far as it is shown."""

    pipelines: dict[str, Account]
    mismatches: int = 0
    fresh_pods: FreshPods = FreshPods()

    @property
    def balanced(self) -> bool:
        """Whether every account balances."""
        return not any(account.off for account in self.pipelines.values()) and not (
            self.fresh_pods.balance
        )


def rates(before: Page, after: Page, seconds: float) -> dict[str, dict[str, float]]:
    """Return points per second of each pipeline between two looks, *seconds* apart.

    What has fallen began anew in between, as after a restart, and is taken from zero on.
    """
    found: dict[str, dict[str, float]] = {}
    for name, account in after.pipelines.items():
        old = before.pipelines.get(name)
        found[name] = {}
        for column in ("received", "delivered", "filtered", "dropped"):
            now, then = getattr(account, column), getattr(old, column, 0)
            found[name][column] = (now - then if now >= then else now) / seconds
    return found


def lines(
    page: Page, width: int, per_second: Mapping[str, Mapping[str, float]] | None = None
) -> list[str]:
    """Return *page* in lines of *width* characters at most, with escapes for colours.

    *per_second*, if there is any, is shown below each pipeline's points, see `rates`.
    """
    if not page.pipelines:
        return ["no pipeline has an account yet"]
    columns = [*_COLUMNS]
    if any(account.recovered for account in page.pipelines.values()):
        columns.append("recovered")
    rows: list[tuple[str, ...]] = []
    red: list[bool] = []
    for write in (str, _short):
        rows, red = _rows(page, columns, per_second or {}, write)
        if _widths([("pipeline", *columns), *rows], MIN_NAME)[1] <= width:
            break
    out = _table([("pipeline", *columns), *rows], width, [False, *red])
    reasons = [
        (_shown(name), what, reason, str(points))
        for name, account in page.pipelines.items()
        for what, by in (("dropped", account.dropped_by), ("filtered", account.filtered_by))
        for reason, points in sorted(by.items(), key=lambda pair: -pair[1])
        if points
    ]
    if reasons:
        head = ("pipeline", "", "reason", "points")
        out += ["", *_table([head, *reasons], width, [False] * (1 + len(reasons)), texts=3)]
    return [*out, *_remarks(page, width)]


def _rows(
    page: Page,
    columns: Sequence[str],
    per_second: Mapping[str, Mapping[str, float]],
    write: Callable[[int], str],
) -> tuple[list[tuple[str, ...]], list[bool]]:
    """Return the rows, and which of them are wrong."""
    rows: list[tuple[str, ...]] = []
    red: list[bool] = []
    for name, account in page.pipelines.items():
        values = [write(getattr(account, column)) for column in columns]
        values[columns.index("balance")] = str(account.off)
        rows.append((_shown(name), *values))
        red.append(bool(account.off))
        speeds = per_second.get(name)
        if speeds is not None:
            shown = [f"{_short(round(speeds[c]))}/s" if c in speeds else "" for c in columns]
            rows.append(("", *shown))
            red.append(False)
    return rows, red


def _remarks(page: Page, width: int) -> Iterable[str]:
    fresh = page.fresh_pods
    said: list[tuple[str, bool]] = []
    if fresh.taken or fresh.balance:
        words = f"fresh pods: {fresh.held} points wait, {fresh.released} of {fresh.taken} went on"
        off = f"; off by {fresh.balance}" if fresh.balance else ""
        said.append((words + off, bool(fresh.balance)))
    if page.mismatches:
        words = f"{page.mismatches} times an account did not balance: a bug, please report it"
        said.append((words, True))
    if said:
        yield ""
    for words, wrong in said:
        cut = _cut(words, width)
        yield click.style(cut, fg="red") if wrong else cut


def _widths(rows: Sequence[Sequence[str]], most_of_name: int) -> tuple[list[int], int]:
    """Return the width of each column, the first cut to *most_of_name*, and of all together."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths[0] = min(widths[0], most_of_name)
    return widths, sum(widths) + 2 * (len(widths) - 1)


def _table(
    rows: Sequence[Sequence[str]], width: int, red: Sequence[bool], texts: int = 1
) -> list[str]:
    """Return *rows*, the first of which is the head; *texts* columns are aligned to the left."""
    _, others = _widths(rows, 0)
    widths, _ = _widths(rows, max(MIN_NAME, width - others))
    out: list[str] = []
    for number, (row, wrong) in enumerate(zip(rows, red, strict=True)):
        cells = [_cut(row[0], widths[0]).ljust(widths[0])]
        cells += [
            cell.ljust(size) if at < texts else cell.rjust(size)
            for at, (cell, size) in enumerate(zip(row[1:], widths[1:], strict=True), 1)
        ]
        line = _cut("  ".join(cells).rstrip(), max(width, 1))
        style = {"fg": "red"} if wrong else {"bold": True} if not number else None
        out.append(click.style(line, **style) if style else line)
    return out


def _shown(name: str) -> str:
    return name if name.isprintable() else repr(name)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"


def _short(points: int) -> str:
    """Return four digits at most, and a unit."""
    for size, unit in _UNITS:
        if abs(points) >= size:
            scale = 1000 if unit == "k" else size
            number = points / scale
            return f"{number:.1f}{unit}" if abs(number) < 100 else f"{number:.0f}{unit}"
    return str(points)
