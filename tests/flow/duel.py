"""A Prometheus that scrapes for itself, and one that gets everything through agent and gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from bench import processes
from common.service import clock
from tests.fakes import remote_write_v1
from tests.flow import histories, programs, scripted, traces

INTERVAL: Final = 1.0  # seconds between two scrapes; each may take as long
WITHIN: Final = 40.0  # seconds until both have seen everything
SIDES: Final = {"direct": "Prometheus/", "through": "headgate-agent/"}
"""Who scrapes, and how its User-Agent begins."""
DOWN: Final = "down"
"""A target that is never there."""
NAME: Final = "p"

Metadata: TypeAlias = dict[str, set[tuple[str, str, str]]]
"""Type, help and unit of families."""


@dataclass(slots=True, kw_only=True)
class Duel:
    """What came of it."""

    direct: dict[str, traces.Trace] = field(default_factory=dict)
    through: dict[str, traces.Trace] = field(default_factory=dict)
    direct_metadata: Metadata = field(default_factory=dict)
    through_metadata: Metadata = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """Rules of remote write that a request broke."""
    ledger: dict[str, Any] = field(default_factory=dict)
    agent: dict[str, float] = field(default_factory=dict)
    """The agent's own metrics."""


async def fight(folder: Path, story: Mapping[str, Sequence[scripted.Step]]) -> Duel:
    """Run everything until each side has been through the whole *story*."""
    duel = Duel()
    (nobody,) = processes.free_ports(1)
    async with AsyncExitStack() as stack:
        script = await stack.enter_async_context(
            scripted.serving(story, SIDES, doors=histories.DOORS)
        )
        places = {
            side: {target: _place(script, side, target) for target in story}
            | {DOWN: f"127.0.0.1:{nobody}"}
            for side in SIDES
        }
        stores = {}
        for side in SIDES:
            (folder / side).mkdir()
            stores[side] = await stack.enter_async_context(
                programs.prometheus(
                    folder / side,
                    _scraping(places[side]) if side == "direct" else None,
                    features=("native-histograms", "exemplar-storage"),
                    storage={"exemplars": {"max_exemplars": 10_000}},
                )
            )
        strict = await stack.enter_async_context(remote_write_v1.receiving())
        token = folder / "token"
        token.write_text("agents-secret")
        document = {
            "agents": {"token_file": str(token)},
            "pipelines": [
                _pipeline(NAME, stores["through"].write_url),
                _pipeline("strict", strict.url),
            ],
        }
        gateway = await stack.enter_async_context(programs.gateway(folder, document))
        admin = await stack.enter_async_context(
            programs.agent(folder, _agent(gateway, places["through"], token))
        )
        for side, store in stores.items():
            await _reopen(script, side, store)
        for side, store in stores.items():
            await programs.until(
                lambda side=side, store=store: _through(script, side, store),
                f"{side} has seen everything",
                WITHIN,
            )
        steps = {target: len(story[target]) for target in story} | {DOWN: 3}
        for side, store in stores.items():
            held = await _held(store)
            found = traces.traces(held, steps, collapsing=frozenset((*histories.DOORS, DOWN)))
            _unify(found, places[side])
            setattr(duel, side, found)
        duel.direct_metadata = await _metadata(stores["direct"])
        duel.ledger = await gateway.ledger(NAME)
        text = await asyncio.to_thread(processes.fetch_text, f"{admin}/metrics")
        duel.agent = programs.numbers(text)
    for write in strict.writes:
        duel.problems += write.problems
        for family, told in write.metadata.items():
            duel.through_metadata.setdefault(family, set()).add(told)
    return duel


def _place(script: scripted.Script, side: str, target: str) -> str:
    door = script.doors.get((side, target))
    return script.address if door is None else f"127.0.0.1:{door.port}"


def _scraping(places: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "job_name": target,
            "metrics_path": f"/{target}",
            "scrape_interval": f"{INTERVAL * 1000:.0f}ms",
            "scrape_timeout": f"{INTERVAL * 1000:.0f}ms",
            "honor_labels": target in histories.HONORING,
            "label_limit": histories.MAX_LABELS,
            "sample_limit": histories.MAX_SAMPLES,
            "static_configs": [
                {"targets": [place], "labels": {traces.TARGET: target, "zone": "z"}}
            ],
        }
        for target, place in places.items()
    ]


def _agent(gateway: programs.Gateway, places: Mapping[str, str], token: Path) -> dict[str, Any]:
    return {
        "gateway": {
            "endpoint": gateway.grpc,
            "token_file": str(token),
            "batch": {"linger": 0.05},
        },
        "scraping": {
            "interval": INTERVAL,
            "timeout": INTERVAL,
            "max_labels": histories.MAX_LABELS,
            "max_samples": histories.MAX_SAMPLES,
            "native_histograms": True,
        },
        "static_targets": [
            {
                "url": f"http://{place}/{target}",
                "job": target,
                "labels": {traces.TARGET: target, "zone": "z"},
                "honor_labels": target in histories.HONORING,
            }
            for target, place in places.items()
        ],
    }


def _pipeline(name: str, url: str) -> dict[str, Any]:
    write = {"url": url, "naming": "plain", "scope_labels": False, "target_info": False}
    return {
        "name": name,
        "inputs": {"prometheus": {"diagnostic_metrics": True}},
        "output": {"remote_write": write},
        "batch": {"linger": 0.05},
    }


async def _reopen(script: scripted.Script, side: str, store: programs.Prometheus) -> None:
    """Wait until *side* has noticed each shut door, and open it again."""
    for target in histories.DOORS:
        failed = f'up{{{traces.TARGET}="{target}"}} == 0'
        await programs.until(
            lambda failed=failed: store.query(failed), f"{side} finds {target} shut", WITHIN
        )
        script.doors[side, target].reopen()


async def _through(script: scripted.Script, side: str, store: programs.Prometheus) -> bool:
    """Say whether *side* has been through all histories, and its store holds what came of it."""
    if script.behind(side):
        return False
    report = f"{traces.TICK}{{{traces.TARGET}!='{DOWN}'}}"
    held = await store.query(f"count_over_time({report}[1h])")
    enough = [float(series["value"][1]) >= histories.STEPS for series in held]
    return all(enough) and len(enough) == len(script.histories)


async def _held(store: programs.Prometheus) -> remote_write_v1.Held:
    """Return what *store* holds until now, once there is a later scrape of every target."""
    now = clock.unix_seconds()
    later = f"min(timestamp({traces.TICK})) > {now:.3f}"
    await programs.until(lambda: store.query(later), "every target was scraped once more", WITHIN)
    return await store.held(now)


def _unify(found: Mapping[str, traces.Trace], places: Mapping[str, str]) -> None:
    """Call the instance of a target by its name where each side has another port for it."""
    for target in histories.DOORS:
        trace, own = found[target], ("instance", places[target])
        trace.series = {
            (key - {own}) | {("instance", target)} if own in key else key: series
            for key, series in trace.series.items()
        }


async def _metadata(store: programs.Prometheus) -> Metadata:
    answer = await processes.get(f"{store.url}/api/v1/targets/metadata")
    found: Metadata = {}
    for told in answer["data"]:
        family = (told["type"], told["help"], told["unit"])
        found.setdefault(told["metric"], set()).add(family)
    return found
