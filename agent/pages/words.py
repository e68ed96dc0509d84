"""How times, sizes and states are said to people. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from agent.scraping.state import Health, State

SECOND: Final = 1_000_000_000  # nanoseconds
_LONG: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))
_SIZES: Final = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
_UNITS: Final = (("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000),
                 ("m", 60_000), ("s", 1_000), ("ms", 1))  # fmt: skip


def seconds(value: float) -> str:
    """Say a duration: "0.25 s", "3 min"."""
    for size, unit in _LONG:
        if value >= 2 * size:
            return f"{value / size:.0f} {unit}"
    digits = 0 if value >= 10 else 1 if value >= 1 else 3
    written = f"{value:.{digits}f}"
    return f"{written.rstrip('0').rstrip('.') if digits else written} s"


def age(since: int, now: int) -> str:
    """Say how long ago *since* was; both in Unix nanoseconds."""
    return f"{seconds(round(max(0, now - since) / SECOND, 1))} ago"


def until(moment: int, now: int) -> str:
    """Say in how long *moment* is; both in Unix nanoseconds."""
    return f"in {seconds(round(max(0, moment - now) / SECOND, 1))}"


def size(value: int) -> str:
    """Say a number of bytes, in decimal units, as settings are written."""
    for unit, name in _SIZES:
        if value >= unit:
            return f"{value / unit:.3g} {name}"
    return f"{value} B"


def timestamp(nanoseconds: int) -> str:
    """Write a moment as RFC 3339, in UTC, to the millisecond."""
    at = datetime.fromtimestamp(nanoseconds / SECOND, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration(value: float) -> str:
    """Write seconds as Prometheus does: "1m30s", "500ms" (model.Duration; no year has 365.25 days).

    Weeks, days and years are written only where nothing is left over, as there.
    """
    left = round(value * 1000)
    if not left:
        return "0s"
    out = ""
    for unit, length in _UNITS:
        if unit in {"y", "w", "d"} and left % length:
            continue
        count, left = divmod(left, length)
        out += f"{count}{unit}" if count else ""
    return out


def fare(state: State, now: int) -> str:
    """Say how the scrapes of a target fare; *now* in Unix nanoseconds."""
    if state.health is Health.PENDING:
        return f"not scraped yet; the first scrape is {until(state.next_scrape, now)}"
    ago = age(state.last_scrape, now)
    if state.health is Health.FAILING:
        often = f", {state.failures} times in a row" if state.failures > 1 else ""
        return f"failing{often}: {state.error} ({ago})"
    odd = "".join(f"; {words}" for words in state.oddities.values())
    return f"up: {state.samples} samples in {seconds(state.duration)}, {ago}{odd}"
