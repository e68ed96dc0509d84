"""Comparison with compiled gateways: what is said where one is missing, how a ratio is judged."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

from bench import processes
from bench.peers import peers, sides

ROOT = Path(__file__).resolve().parents[3]


def test_without_peers_it_says_what_stays_open_and_ends_well() -> None:
    environment = {k: v for k, v in os.environ.items() if k not in sides.VARIABLES.values()}
    command = [sys.executable, "-m", "bench.peers.peers", "--json"]
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    collector, agent, listed = run.stdout.splitlines()
    assert collector.startswith("HEADGATE_OTELCOL is not set")
    assert all(path in collector for path in peers.ROWS)
    assert agent.startswith("HEADGATE_VMAGENT is not set")
    assert "otlp-otlp" not in agent and "http-rw-50" in agent
    assert listed == "[]"


def test_a_ratio_is_held_against_its_bar() -> None:
    assert peers.verdict(0.25, 0.25) == "reached"
    assert peers.verdict(0.5, 0.25) == "missed by 100%"


def test_every_peer_of_a_row_can_be_run_and_takes_what_the_row_sends() -> None:
    for row in peers.ROWS.values():
        assert row.peers.keys() <= sides.VARIABLES.keys() & sides.SIDES.keys()
        assert "vmagent" not in row.peers or (row.door, row.output) == ("http", "write")


@pytest.mark.parametrize("template", ["otelcol-otlp.yaml", "otelcol-write.yaml", "vmagent.flags"])
def test_a_template_has_no_place_that_stays_empty(tmp_path, template) -> None:
    place = sides.Place(
        grpc=1, http=2, health=3, otlp="o", write="w", folder=tmp_path, errors=tmp_path / "e"
    )
    text = sides.filled(sides.HERE / template, place, "backend:4")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert "@" not in "".join(lines)
    assert "backend:4" in text


@pytest.mark.wallclock
async def test_a_point_too_many_is_an_error() -> None:
    async def points(_: web.Request) -> web.Response:
        return web.json_response({"grpc": 3, "write": 4})

    app = web.Application()
    app.router.add_get("/arrived", points)
    runner = web.AppRunner(app)
    await runner.setup()
    (port,) = processes.free_ports(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        async with asyncio.timeout(5):
            await peers.arrived(f"http://127.0.0.1:{port}", 7)
            with pytest.raises(RuntimeError, match="6 points were sent, 7 arrived"):
                await peers.arrived(f"http://127.0.0.1:{port}", 6)
    finally:
        await runner.cleanup()
