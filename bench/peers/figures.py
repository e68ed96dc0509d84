"""What the rounds of several sides came to, as lines for people and as objects."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one round of one side came to."""

    cost: float
    """µs CPU per point."""
    points_per_second: float
    rss_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """On the line of one side: what *ours* costs in terms of *theirs*, and may cost at most."""

    ours: str
    theirs: str
    most: float | None


def told(path: str, taken: dict[str, list[Figures]], bars: dict[str, Bar]) -> list[dict]:
    """Print a line for each side of *path*, and return their figures; *bars* by side."""
    costs = {side: statistics.median(f.cost for f in rounds) for side, rounds in taken.items()}
    listed = []
    for side, rounds in taken.items():
        rate = statistics.median(f.points_per_second for f in rounds)
        rss = max(f.rss_mb for f in rounds)
        bar = bars.get(side)
        ratio, most = None, None
        if bar is not None and bar.theirs in costs:
            ratio, most = costs[bar.ours] / costs[bar.theirs], bar.most
        compared = "" if ratio is None else f"{ratio:>10.2f}"
        if ratio is not None and most is not None:
            compared += f"{most:>6.2f}  {verdict(ratio, most)}"
        print(
            f"{path:<16}{side:<14}{costs[side]:>10.3f}{rate:>10,.0f}{rss:>8.1f}{compared}",
            flush=True,
        )
        listed.append(
            {
                "path": path,
                "side": side,
                "value": round(costs[side], 3),
                "unit": "µs CPU per point",
                "rounds": [round(f.cost, 3) for f in rounds],
                "points_per_second": round(rate),
                "rss_mb": round(rss, 1),
                "ours_to_theirs": None if ratio is None else round(ratio, 3),
                "bar": most,
            }
        )
    return listed


def verdict(ratio: float, bar: float) -> str:
    return "reached" if ratio <= bar else f"missed by {ratio / bar - 1:.0%}"
