"""Comparison with compiled gateways: what is said where one is missing, how a ratio is judged."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

from bench import processes
from bench.peers import figures, peers, scraping, sides

ROOT = Path(__file__).resolve().parents[3]


def test_without_peers_it_says_what_stays_open_and_ends_well(tmp_path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in sides.VARIABLES.values()}
    environment["PATH"] = str(tmp_path)  # and none is installed
    command = [sys.executable, "-m", "bench.peers.peers", "--json"]
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    collector, agent, listed = run.stdout.splitlines()
    assert collector.startswith("HEADGATE_OTELCOL is not set")
    assert all(path in collector for path in peers.ROWS)
    assert agent.startswith("HEADGATE_VMAGENT is not set")
    assert "otlp-otlp" not in agent and "http-rw-50" in agent
    assert all(path in agent for path in scraping.ROWS)
    assert listed == "[]"


def test_a_ratio_is_held_against_its_bar() -> None:
    assert figures.verdict(0.25, 0.25) == "reached"
    assert figures.verdict(0.5, 0.25) == "missed by 100%"


def test_every_peer_of_a_row_can_be_run_and_takes_what_the_row_sends() -> None:
    for row in peers.ROWS.values():
        assert row.peers.keys() <= sides.VARIABLES.keys() & sides.SIDES.keys()
        assert "vmagent" not in row.peers or (row.door, row.output) == ("http", "write")


@pytest.mark.parametrize(
    "template", ["otelcol-otlp.yaml", "otelcol-write.yaml", "vmagent.flags", "vmagent-scrape.flags"]
)
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


def test_each_of_our_sides_is_held_against_the_same_peer(capsys) -> None:
    def rounds(*costs: float) -> list[figures.Figures]:
        return [figures.Figures(cost=c, points_per_second=10.0, rss_mb=c) for c in costs]

    taken = {"agent": rounds(1.0, 2.0, 9.0), "both": rounds(3.0), "vmagent": rounds(4.0)}
    bars = {
        "agent": figures.Bar(ours="agent", theirs="vmagent", most=1 / 3),
        "both": figures.Bar(ours="both", theirs="vmagent", most=None),
    }
    agent, both, vmagent = figures.told("scrape", taken, bars)
    assert (agent["value"], agent["ours_to_theirs"], agent["rss_mb"]) == (2.0, 0.5, 9.0)
    assert (both["ours_to_theirs"], both["bar"]) == (0.75, None)
    assert vmagent["ours_to_theirs"] is None
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("missed by 50%") and lines[1].endswith("0.75")


def test_a_vmagent_is_told_only_what_it_understands() -> None:
    filled = "# a comment\n-old=1\n-new=2\n"
    assert scraping.flags_of("  -old string\n", filled) == ["-old=1"]
    assert scraping.flags_of("  -old string\n  -new int\n", filled) == ["-old=1", "-new=2"]
