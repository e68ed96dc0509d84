"""What the demo's programs say of themselves, over the pages that any user can open."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from cli.demo.screen import Target

TIMEOUT = aiohttp.ClientTimeout(total=2.0)
PORT = 13133


async def page(session: aiohttp.ClientSession, host: str, path: str) -> dict[str, Any] | None:
    """Return a page of the program at *host*, or ``None`` while it does not answer."""
    try:
        async with session.get(f"http://{host}:{PORT}{path}", timeout=TIMEOUT) as answer:
            if answer.status != 200:
                return None
            found: dict[str, Any] = await answer.json()
            return found
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None


async def ledgers(session: aiohttp.ClientSession, host: str) -> dict[str, dict[str, int]] | None:
    """Return the accounts of the gateway at *host* by pipeline."""
    found = await page(session, host, "/debug/ledger")
    return None if found is None else found["pipelines"]


async def targets(session: aiohttp.ClientSession, hosts: Sequence[str]) -> list[Target] | None:
    """Return what the agents at *hosts* scrape or not; ``None`` unless all of them answer."""
    pages = []
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(page(session, host, "/targets")) for host in hosts]
    for task in asked:
        found = task.result()
        if found is None:
            return None
        pages.append(found)
    return merge(pages)


def merge(pages: Sequence[Mapping[str, Any]]) -> list[Target]:
    """Turn the agents' pages into lines: failing first, then up, then what is not scraped.

    A pod that is scraped for its Service or its sidecar is not also told not to be for itself.
    """
    lines = [
        Target(state=t["state"], workload=t["subject"], url=t["url"], why=t["error"])
        for found in pages
        for t in found["active"]
    ]
    scraped = {line.workload for line in lines}
    lines += [
        Target(state="skipped", workload=t["subject"], url=t["url"], why=t["why"])
        for found in pages
        for t in found["skipped"]
        if t["asked"] or t["subject"] not in scraped
    ]
    order = {"failing": 0, "up": 1, "pending": 2, "skipped": 3}
    return sorted(lines, key=lambda t: (order[t.state], t.workload, t.url))
