"""What a data point costs, whole processes over loopback: the rows of the cost model.

CPU time is the operating system's (user and system, all threads) of the process under test alone,
from the first request of the measured part until everything is delivered; what arrived is counted
by the backend, and a row that lost a point fails. Beside it stand the share of frames (scrapes, of
an agent) whose shape was recognised, the rate, and memory. Run with ``make throughput``
(``ARGS=--json`` for one list of objects as the last line, ``ARGS='--only gateway-otlp'`` for some
rows).
"""

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from agent.exposition import model
from bench.agent_rows import UNIT as SAMPLE, Scraped, after_row, agent_row, churn_row
from bench.delivery_rows import backlog_row, buffered_row, many_row, slow_row
from bench.rows import Bench, Measure, gateway_row, pods_row


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What the cost model asks of a row."""

    limit: float
    unit: str
    measure: Measure


def linear(samples: int) -> float:
    """Return the goal of a target of *samples* samples: a line through the two of the cost model.

    A sample may cost 0.45 µs, and a scrape 526 µs: 0.5 µs a sample of 10,000 and 1.5 of 500.
    """
    return round(0.447 + 526 / samples, 2)


POINT = "µs CPU per point"
INFORMATION = float("inf")  # nothing is asked of the row
MODEL: dict[str, Goal] = {
    "gateway-otlp-otlp-1000": Goal(
        limit=0.45, unit=POINT, measure=gateway_row(door="grpc", output="otlp", points=1000)
    ),
    "gateway-otlp-otlp-50": Goal(
        limit=1.3, unit=POINT, measure=gateway_row(door="grpc", output="otlp", points=50)
    ),
    "gateway-otlp-rw-1000": Goal(
        limit=0.5, unit=POINT, measure=gateway_row(door="grpc", output="write", points=1000)
    ),
    "gateway-otlp-rw-unknown": Goal(
        limit=6.0,
        unit=POINT,
        measure=gateway_row(door="grpc", output="write", points=1000, fresh=True),
    ),
    "gateway-http-rw-1000": Goal(
        limit=0.45, unit=POINT, measure=gateway_row(door="http", output="write", points=1000)
    ),
    "gateway-http-rw-50": Goal(
        limit=1.0, unit=POINT, measure=gateway_row(door="http", output="write", points=50)
    ),
    "gateway-buffered": Goal(limit=1.43, unit="x CPU without", measure=buffered_row()),
    "gateway-rw-50ms": Goal(limit=1.11, unit="x time of quick", measure=slow_row(milliseconds=50)),
    "gateway-10-destinations": Goal(
        limit=4.0, unit="x CPU of one", measure=many_row(destinations=10)
    ),
    "gateway-backlog-oldest": Goal(
        limit=0.333, unit="live per drained", measure=backlog_row(order="oldest")
    ),
    "gateway-backlog-newest": Goal(
        limit=0.333, unit="live per drained", measure=backlog_row(order="newest")
    ),
    "agent-10000": Goal(
        limit=0.5, unit=SAMPLE, measure=agent_row(Scraped(targets=4, samples=10_000, interval=0.5))
    ),
    "agent-500": Goal(
        limit=1.5, unit=SAMPLE, measure=agent_row(Scraped(targets=20, samples=500, interval=0.25))
    ),
    "agent-open-metrics-10000": Goal(
        limit=INFORMATION,
        unit=SAMPLE,
        measure=agent_row(
            Scraped(targets=4, samples=10_000, interval=0.5, form=model.Format.OPEN_METRICS)
        ),
    ),
    "agent-protobuf-10000": Goal(
        limit=INFORMATION,
        unit=SAMPLE,
        measure=agent_row(
            Scraped(targets=4, samples=10_000, interval=0.5, form=model.Format.PROTOBUF)
        ),
    ),
    **{
        f"agent-targets-{targets}": Goal(
            limit=linear(100_000 // targets),
            unit=SAMPLE,
            measure=agent_row(Scraped(targets=targets, samples=100_000 // targets, interval=2.0)),
        )
        for targets in (1, 10, 100, 1000)
    },
    "agent-churn-1": Goal(
        limit=1.5,
        unit="x CPU of stable",
        measure=churn_row(Scraped(targets=2, samples=10_000, interval=0.5, churn=True)),
    ),
    "gateway-rss-10000-pods": Goal(limit=100, unit="MB", measure=pods_row(memory=True)),
    "agent-rss-50000-series": Goal(
        limit=110,
        unit="MB",
        measure=agent_row(Scraped(targets=100, samples=500, interval=2.0), memory=True),
    ),
    "agent-rss-after": Goal(
        limit=1.1, unit="x RSS before", measure=after_row(targets=100, samples=500)
    ),
    "pods-first-list": Goal(limit=0.5, unit="s CPU", measure=pods_row(memory=False)),
}


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--json", action="store_true", help="end with a list of objects on one line"
    )
    parser.add_argument("--only", default="", help="measure the rows whose path starts so")
    parser.add_argument("--scale", type=float, default=1.0, help="send this many times as much")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder:
        bench = Bench(Path(folder), options.scale)
        head = f"{'path':<26}{'measured':>10}{'goal':>8}  {'unit':<18}{'known':>7}"
        print(f"{head}{'points/s':>10}{'RSS MB':>8}")
        for path, goal in MODEL.items():
            if not path.startswith(options.only):
                continue
            try:
                row = await goal.measure(bench, path)
            except BaseException:
                print(
                    bench.errors.read_text()[-4000:] if bench.errors.exists() else "",
                    file=sys.stderr,
                )
                raise
            rows.append(row)
            rate = "" if row.points_per_second is None else f"{row.points_per_second:,}"
            known = "" if row.recognised is None else f"{row.recognised:.1%}"
            limit = "" if goal.limit == INFORMATION else goal.limit
            figures = f"{row.value:>10}{limit:>8}  {row.unit:<18}{known:>7}"
            figures += f"{rate:>10}{row.rss_mb:>8}"
            print(f"{path:<26}{figures}", flush=True)
    if options.json:
        keys = ("path", "value", "unit", "points_per_second", "rss_mb")
        listed = [{key: getattr(row, key) for key in keys} for row in rows]
        print(json.dumps(listed, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
