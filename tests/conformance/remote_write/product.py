"""The sender under test, whole: an agent that scrapes, a gateway, a pipeline for each receiver."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from bench import processes
from tests.conformance.remote_write import targets
from tests.fakes import remote_write_v1
from tests.fakes.backends import Answer, Break, BreakBody, Hang, Http
from tests.fakes.remote_write_v1 import Raw, Receiver, Write
from tests.flow import programs

INTERVAL = 1.0  # seconds between scrapes
SCRAPES = 8  # until it is over, at least
INITIAL = 0.2  # seconds; retry.initial
ATTEMPT_TIMEOUT = 1.5  # seconds; of the pipeline whose receiver hangs
LATE = 2.0  # seconds until a receiver that refuses connections comes up
AFTER = 2  # seconds; of Retry-After
DELAYS = (0.2, 5.0, 0.2, 1.0)  # seconds of the slow receiver, in turn
MEGABYTE = b"error \xff\x00 " * 100_000
NO_RETRY = (400, 401, 403, 404, 409, 415, 422)
RETRY = (500, 502, 503, 504)

SCRIPTS: dict[str, Sequence[Answer | Raw]] = {
    "plain": (),
    **{f"refuses-{status}": [Http(status=status, body=b"no, never")] for status in NO_RETRY},
    "too-large": [Http(status=413)],
    **{f"fails-{status}": [Http(status=status, body=b"later")] * 2 for status in RETRY},
    "backoff": [Http(status=500)] * 5,
    "busy-429": [Http(status=429, headers={"Retry-After": str(AFTER)})],
    "busy-503": [Http(status=503, headers={"Retry-After": str(AFTER)})],
    "status-200": [Http(status=200, body=MEGABYTE)] * 3,
    "status-999": [Http(status=999, body=b"?")],
    "verbose-500": [Http(status=500, body=MEGABYTE)],
    "verbose-400": [Http(status=400, body=MEGABYTE)],
    "empty-500": [Http(status=500)],
    "breaks": [Break(), Break()],
    "breaks-body": [BreakBody()],
    "garbage": [Raw(b"\x16\x03\x01 this is no HTTP\r\n\r\n")],
    "hangs": [Hang()],
    "redirects": [Http(status=307, headers={"Location": "http://127.0.0.1:9/"})],
}
"""What each receiver answers first; then it agrees to everything."""


@dataclass(slots=True)
class Run:
    """What came of it all."""

    receivers: dict[str, Receiver] = field(default_factory=dict)
    ledgers: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: str = ""
    target: targets.Exposed = field(default_factory=targets.Exposed)

    def writes(self, pipeline: str) -> list[Write]:
        return self.receivers[pipeline].writes

    def taken(self, pipeline: str = "plain") -> list[Write]:
        return self.receivers[pipeline].taken

    def samples(self, name: str, job: str = "test", **labels: str) -> list[list[tuple[int, int]]]:
        """Return the samples of all series in ``plain`` that have these labels."""
        wanted = {("__name__", name), ("job", job), *labels.items()}
        arrived = remote_write_v1.samples(self.taken())
        return [samples for key, samples in arrived.items() if key >= wanted]

    def series(self, name: str, job: str = "test", **labels: str) -> list[tuple[int, int]]:
        """Return the samples of the one series that has these labels."""
        (found,) = self.samples(name, job, **labels)
        return found


async def run(folder: Path) -> Run:
    """Run everything until every receiver has seen what it is there for."""
    found = Run()
    async with AsyncExitStack() as stack:
        found.target = await stack.enter_async_context(targets.exposing())
        for name, script in SCRIPTS.items():
            found.receivers[name] = await stack.enter_async_context(
                remote_write_v1.receiving(script)
            )
        delays = cycle(DELAYS)
        found.receivers["ordering"] = await stack.enter_async_context(
            remote_write_v1.receiving(delay=lambda: next(delays))
        )
        (late, nobody) = processes.free_ports(2)
        urls = {name: receiver.url for name, receiver in found.receivers.items()}
        urls["late"] = f"http://127.0.0.1:{late}/api/v1/write"
        urls["no-such-host"] = "http://no-such-host.invalid/api/v1/write"
        token = folder / "token"
        token.write_text("agents-secret")
        document = {
            "agents": {"token_file": str(token)},
            "pipelines": [*map(_pipeline, urls, urls.values())],
        }
        gateway = await stack.enter_async_context(programs.gateway(folder, document))
        document = {
            "gateway": {
                "endpoint": gateway.grpc,
                "token_file": str(token),
                "batch": {"linger": 0.05},
            },
            "scraping": {"interval": INTERVAL, "timeout": INTERVAL},
            "static_targets": [
                *({"url": f"http://{found.target.address}/{job}", "job": job}
                  for job in targets.PAGES),
                {"url": f"http://127.0.0.1:{nobody}/metrics", "job": "down"},
            ],
        }  # fmt: skip
        async with programs.agent(folder, document):
            await asyncio.sleep(LATE)
            found.receivers["late"] = await stack.enter_async_context(
                remote_write_v1.receiving(port=late)
            )
            await programs.until(lambda: _seen(found), "every receiver has seen enough", 30.0)
        found.receivers["ordering"].delay = lambda: 0.0
        for name in urls:
            found.ledgers[name] = await gateway.ledger(name)
    found.log = (folder / "gateway.log").read_text()
    return found


def _pipeline(name: str, url: str) -> dict[str, Any]:
    slow = name == "ordering"
    choice = {"include": ["ordered"]} if slow else {"exclude": ["ordered"]}
    write: dict[str, Any] = {
        "url": url,
        "naming": "plain",
        "scope_labels": False,
        "target_info": False,
    }
    if name == "hangs":
        write["timeout"] = ATTEMPT_TIMEOUT
    return {
        "name": name,
        "inputs": {"prometheus": {"diagnostic_metrics": not slow, "metrics": choice}},
        "output": {"remote_write": write},
        "batch": {"linger": 0.05},
        "retry": {"initial": INITIAL, **({"max_age": 2.0} if name == "no-such-host" else {})},
    }


async def _seen(found: Run) -> bool:
    """Say whether each has had its script and, then, fresh data."""
    scrapes = min(found.target.scrapes[job] for job in targets.PAGES)
    return scrapes >= SCRAPES and all(map(_went_on, found.receivers.values()))


def _went_on(receiver: Receiver) -> bool:
    return not receiver.script and len(receiver.taken) > len(DELAYS)


def overlaps(writes: Iterable[Write]) -> list[tuple[Write, Write]]:
    """Return the requests that were in flight together although they share a series."""
    ordered = sorted(writes, key=lambda write: write.arrived)
    keys = [frozenset(series.key for series in write.series) for write in ordered]
    return [
        (earlier, later)
        for at, later in enumerate(ordered)
        for before, earlier in enumerate(ordered[:at])
        if later.arrived < earlier.answered and not keys[before].isdisjoint(keys[at])
    ]
