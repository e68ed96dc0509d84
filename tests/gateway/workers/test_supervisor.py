"""The supervisor with workers that are small programs: who dies, who is stuck, who never starts."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from bench import processes
from common.service.settings import SettingsError
from gateway import settings
from gateway.workers import roster, supervisor

pytestmark = [pytest.mark.wallclock, pytest.mark.slow]

# A worker that serves nothing: reports once a tenth of a second, answers pages with its number.
WORKER = """
import json, os, select, signal, socket, sys
sys.path.insert(0, {root!r})
from gateway.workers import messages

seat = json.loads(sys.argv[-1])
line = socket.socket(fileno=seat["channel"])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

def report():
    line.sendall(messages.framed(messages.Report(
        listening=True, ready=True, checks={{}}, readings=[], ledgers=[], mismatches=0)))

def hear():
    head = line.recv(messages.HEAD, socket.MSG_WAITALL)
    if not head:
        sys.exit(0)
    said = messages.to_worker(line.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
    if isinstance(said, messages.Ask):
        found = json.dumps([seat["number"], said.query]).encode() if said.path == "/debug/me" \
            else None
        line.sendall(messages.framed(messages.Answer(said.ticket, found)))

{body}
while True:
    report()
    if select.select([line], [], [], 0.1)[0]:
        hear()
"""
ROOT = str(Path(__file__).parents[3])


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    """The supervisor sets the level of all logs; put it back."""
    before = logging.getLogger().level
    yield
    logging.getLogger().setLevel(before)


def command(body: str = "") -> list[str]:
    return [sys.executable, "-c", WORKER.format(root=ROOT, body=body)]


class Whole:
    def __init__(self, admin: str, client: aiohttp.ClientSession, serving: asyncio.Task) -> None:
        self.admin, self.client, self.serving = admin, client, serving

    async def get(self, path: str) -> tuple[int, object]:
        async with self.client.get(f"http://{self.admin}{path}") as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text[0] in "{[" else text

    async def until(self, condition) -> list[dict]:
        async with asyncio.timeout(15):
            while True:
                try:
                    workers = (await self.get("/debug/workers"))[1]
                except aiohttp.ClientConnectionError:
                    workers = []
                if workers and condition(workers):
                    return workers
                await asyncio.sleep(0.02)


@asynccontextmanager
async def supervising(
    folder: Path, body: str = "", start: Sequence[str] = ()
) -> AsyncIterator[Whole]:
    (port,) = processes.free_ports(1)
    admin = f"127.0.0.1:{port}"
    file = folder / "gateway.json"
    file.write_text(
        json.dumps(
            {
                "listen": {"grpc": "127.0.0.1:0", "http": "127.0.0.1:0"},
                "admin": {"health": admin, "metrics": admin},
                "kubernetes": {"source": "none"},
                "workers": 2,
                "grace": 2.0,
            }
        )
    )
    loaded = settings.load(file, environ={})
    running = supervisor.supervise(loaded, start or command(body), environ={})
    async with aiohttp.ClientSession() as client:
        # Not of a group: what it ends with is what the tests are about.
        serving = asyncio.get_running_loop().create_task(running)
        try:
            yield Whole(admin, client, serving)
        finally:
            serving.cancel()
            await asyncio.wait([serving])


def all_ready(workers: list[dict]) -> bool:
    return {worker["state"] for worker in workers} == {"ready"}


async def test_pages_are_asked_of_all_or_of_one(tmp_path: Path) -> None:
    async with supervising(tmp_path) as whole:
        await whole.until(all_ready)
        assert await whole.get("/readyz") == (
            200,
            {"ready": True, "checks": {"workers": "2 of 2 workers ready"}},
        )
        assert await whole.get("/debug/me?ip=x") == (
            200,
            {"workers": {"1": [1, {"ip": "x"}], "2": [2, {"ip": "x"}]}},
        )
        assert await whole.get("/debug/me?worker=2") == (200, {"workers": {"2": [2, {}]}})
        assert (await whole.get("/debug/other"))[0] == 404
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await whole.serving == 0


async def test_one_that_dies_is_replaced_and_the_other_serves(tmp_path: Path) -> None:
    async with supervising(tmp_path) as whole:
        workers = await whole.until(all_ready)
        os.kill(workers[0]["pid"], signal.SIGKILL)
        await whole.until(lambda now: now[0]["state"] == "waiting")
        assert (await whole.get("/readyz"))[0] == 200
        now = await whole.until(lambda now: all_ready(now) and now[0]["starts"] == 2)
        assert now[0]["last_end"] == "killed by SIGKILL"
        assert (now[1]["pid"], now[1]["starts"]) == (workers[1]["pid"], 1)


async def test_one_that_is_stuck_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "SILENCE", 1.0)
    stuck = "report(); select.select([], [], [], 60) if seat['number'] == 2 else None"
    async with supervising(tmp_path, stuck) as whole:
        now = await whole.until(lambda now: now[1]["last_end"] != "")
        assert now[1]["last_end"] == "killed by SIGKILL"
        assert now[0]["starts"] == 1
        said = (await whole.get("/metrics"))[1]
        assert 'headgate_gateway_worker_restarts_total{reason="silent"} 1.0' in said


FAILING = """
from common.service.settings import Problem
line.sendall(messages.framed(messages.Failed([Problem("pipelines[a]", "no such file")])))
sys.exit(1)
"""


async def test_settings_that_no_worker_starts_with_end_the_whole(tmp_path: Path) -> None:
    async with supervising(tmp_path, FAILING) as whole:
        with pytest.raises(SettingsError, match=r"^pipelines\[a\]: no such file$"):
            await whole.serving


async def test_a_program_that_cannot_be_started_ends_the_whole_in_words(tmp_path: Path) -> None:
    async with supervising(tmp_path, start=("/nowhere",)) as whole:
        with pytest.raises(OSError, match=r"^cannot start a worker: .*/nowhere"):
            await whole.serving


async def test_an_end_that_a_worker_does_not_take_is_the_end_of_it(tmp_path: Path) -> None:
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    async with supervising(tmp_path, deaf) as whole:
        workers = await whole.until(all_ready)
        loop = asyncio.get_running_loop()
        started = loop.time()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(TimeoutError):
            await whole.serving
        assert loop.time() - started < 2.0 + supervisor.MARGIN + 3.0
        for worker in workers:
            with pytest.raises(ProcessLookupError):
                os.kill(worker["pid"], 0)
