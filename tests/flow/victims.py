"""A gateway that things are done to, looked at from outside from its start to its last words."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import processes
from tests.flow import numbered, programs
from tests.flow.numbered import Door

QUICK: dict[str, Any] = {
    "batch": {"linger": 0.02},
    "retry": {"initial": 0.05, "max_interval": 0.25},
}
"""Retries in a twentieth of a second where a user has them in one: a minute becomes three."""
_BAD = ("BUG", "Traceback", "Exception")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a gateway listens; the same for all its lives."""

    grpc: int
    http: int
    admin: int

    @classmethod
    def free(cls) -> Places:
        grpc, http, admin = processes.free_ports(3)
        return cls(grpc=grpc, http=http, admin=admin)

    @property
    def doors(self) -> dict[Door, int]:
        return {"grpc": self.grpc, "http": self.http}

    @property
    def pages(self) -> str:
        return f"http://127.0.0.1:{self.admin}"

    def document(self, *pipelines: dict[str, Any], **sections: Any) -> dict[str, Any]:
        """Return a configuration; each pipeline is `QUICK` where it does not say otherwise."""
        admin = f"127.0.0.1:{self.admin}"
        listen = {"grpc": f"127.0.0.1:{self.grpc}", "http": f"127.0.0.1:{self.http}"}
        return {
            "listen": listen,
            "admin": {"health": admin, "metrics": admin},
            "kubernetes": {"source": "none"},
            "pipelines": [{**QUICK, **pipeline} for pipeline in pipelines],
            "grace": 10.0,
            **sections,
        }


@dataclass(slots=True, kw_only=True)
class Victim:
    """A gateway's process, from its first moment to its last words."""

    places: Places
    config: Path
    log: Path
    child: asyncio.subprocess.Process

    async def ledgers(self) -> dict[str, Any]:
        """Return the accounts of all pipelines, which must balance whenever one looks."""
        page: Any = await processes.get(f"{self.places.pages}/debug/ledger")
        check(page)
        return page["pipelines"]

    async def destination(self, pipeline: str) -> dict[str, Any]:
        page: Any = await processes.get(f"{self.places.pages}/debug/pipelines")
        return page["destinations"][pipeline]

    async def settled(self, within: float = programs.WITHIN) -> dict[str, Any]:
        """Wait until nothing is held any more; return the accounts."""

        async def empty() -> dict[str, Any] | None:
            found = await self.ledgers()
            return None if any(each["held"] for each in found.values()) else found

        return await programs.until(empty, "nothing is held", within)

    def write(self, document: dict[str, Any]) -> None:
        """Change the configuration."""
        new = self.config.with_suffix(".new")
        new.write_text(json.dumps(document))
        new.replace(self.config)

    async def end(self, number: int = signal.SIGTERM, within: float = 20.0) -> int:
        """Send a signal, and return the exit code."""
        self.child.send_signal(number)
        async with asyncio.timeout(within):
            return await self.child.wait()

    def lines(self) -> list[dict[str, Any]]:
        """Return the log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def last_words(self) -> dict[str, Any]:
        (line,) = [line for line in self.lines() if line["msg"] == "stopped"]
        return line

    def complaints(self) -> list[str]:
        """Return lines of the log that must never be there."""
        return [
            line[:2000]
            for line in self.log.read_text(errors="replace").splitlines()
            if any(bad in line for bad in _BAD)
        ]


def check(page: dict[str, Any]) -> None:
    """Check what ``/debug/ledger`` says: everything received is delivered, lost or held."""
    assert (page["balance"], page["mismatches"]) == (0, 0), page
    for name, each in page["pipelines"].items():
        fates = each["delivered"] + each["filtered"] + each["dropped"] + each["held"]
        assert each["received"] == fates, (name, each)
        assert min(each["held"], each["delivered"]) >= 0, (name, each)


@asynccontextmanager
async def running(
    folder: Path, places: Places, document: dict[str, Any], *, inside: Sequence[str] = ()
) -> AsyncIterator[Victim]:
    """Run ``headgate gateway`` until it is ready; at the end it is killed if it still runs.

    *inside* is a command that runs it, such as ``unshare``.
    """
    config, log = folder / "gateway.yaml", folder / "gateway.log"
    config.write_text(json.dumps(document))
    command = (*inside, sys.executable, "-m", "cli.main", "gateway", "--config", str(config))
    with log.open("wb") as errors:
        child = await asyncio.create_subprocess_exec(*command, stderr=errors)
    victim = Victim(places=places, config=config, log=log, child=child)
    try:
        await processes.until_ready(f"{places.pages}/readyz")
        yield victim
    finally:
        if child.returncode is None:
            os.kill(child.pid, signal.SIGKILL)
            await child.wait()
    assert not victim.complaints()


def compare(account: numbered.Account, taken: set[int], lost: int = 0) -> None:
    """Check that all that was acknowledged is in *taken*, but for *lost* points; and nothing else.

    What was sent without an answer may be there or not.
    """
    missing = set(account.acknowledged) - taken
    assert len(missing) == lost, f"{len(missing)} missing, {lost} lost: {sorted(missing)[:20]}"
    assert max(taken, default=0) <= account.sent, "a point that nobody sent"
