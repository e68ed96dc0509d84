"""A long campaign of hostile requests: ``make fuzz ARGS="--requests 1000000 --seed 7"``.

Exit codes: 0 nothing found, 1 something was, 2 it could not be run.
"""

import argparse
import json
import pprint
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import uvloop

from tests.fuzz import campaign, inside, process, templates

WIDTH = 46


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="how many, of each gRPC door")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="only this one, to look at it")
    parser.add_argument("--door", choices=[*process.doors(), "all"], default="all")
    parser.add_argument("--inside", type=int, default=20_000, help="cases without sockets")
    parser.add_argument("--only", default="", help="only mutations whose name starts so")
    parser.add_argument("--json", action="store_true", help="end with one object on one line")
    options = parser.parse_args()
    indices: Sequence[int] = range(options.requests)
    if options.case is not None:
        indices = [options.case]
        options.inside = 0
        made = campaign.make(options.seed, options.case, templates.Pool(options.seed))
        print(pprint.pformat(campaign.picked(made), width=100))
    elif options.only:
        pool = templates.Pool(options.seed)
        indices = [
            index
            for index in indices
            if campaign.make(options.seed, index, pool).name.startswith(options.only)
        ]
        options.inside = 0
    reports = []
    doors = process.doors() if options.door == "all" else [options.door]
    for door in doors:
        with tempfile.TemporaryDirectory(prefix="headgate-fuzz-") as folder:
            try:
                report = uvloop.run(
                    campaign.run(
                        Path(folder), seed=options.seed, indices=indices, door=door, tell=_progress
                    )
                )
            except (OSError, RuntimeError) as error:
                print(f"could not be run: {error}", file=sys.stderr)
                return 2
        _show(report)
        reports.append(report.plain())
    missed = inside.run(options.seed, options.inside)
    print(f"inside: {options.inside} cases without sockets, {len(missed)} findings")
    for finding in missed[:20]:
        print(f"  {finding}")
    if options.json:
        print(json.dumps({"doors": reports, "inside": missed}))
    return 1 if missed or any(report["findings_total"] for report in reports) else 0


def _progress(report: campaign.Report) -> None:
    if sys.stderr.isatty():
        rate = report.requests / max(report.seconds, 1e-9)
        words = f"{report.door}: {report.requests:,} requests, {rate:,.0f} a second, "
        words += f"{report.findings_total} findings, {report.rss_mb[-1]:.0f} MB"
        print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)


def _show(report: campaign.Report) -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    table: dict[str, Counter[str]] = {}
    for (mutation, outcome), count in report.outcomes.items():
        table.setdefault(mutation, Counter())[outcome] += count
    for mutation in sorted(table):
        words = ", ".join(f"{outcome} {n}" for outcome, n in table[mutation].most_common())
        print(f"{mutation:<{WIDTH}} {sum(table[mutation].values()):>8}  {words}")
    plain = report.plain()
    print(
        f"{report.door}: {report.requests:,} requests in {report.seconds:.0f} s "
        f"({plain['requests_per_second']:,} a second), {report.sent_again} sent again; "
        f"gateway {plain['gateway_cpu_seconds']} s of CPU, "
        f"RSS {'/'.join(f'{mb:.0f}' for mb in report.rss_mb)} MB at the start, most, end"
    )
    print(f"  points {report.points}; ordinary clients (ms) {plain['normal']}")
    print(f"  {report.findings_total} findings")
    for finding in report.findings:
        where = "" if finding.index is None else f"--seed {report.seed} --case {finding.index} "
        right = f", right: {' '.join(finding.right)}" if finding.right else ""
        words = f"{finding.mutation} {finding.outcome}".strip()
        print(f"  {where}{finding.what}: {words}{right} {finding.details[:300]}")


if __name__ == "__main__":
    sys.exit(main())
