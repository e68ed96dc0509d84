"""A gateway of several processes: one from outside, whichever of them dies."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from bench import processes
from cli.demo import sink
from cli.demo.arrivals import Arrivals
from tests.flow import programs
from tests.flow.test_bad_input import METHOD, NAMES, request

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(90)]

CLIENTS = 24
POINTS = 10
# What a worker may take between its last report and its death, of this load at most.
UNKNOWN = CLIENTS * 150 * POINTS // 4
RETRIED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


def document(endpoint: str, *names: str, **sections: object) -> dict[str, Any]:
    pipelines = [
        {
            "name": name,
            "output": {"otlp": {"endpoint": endpoint}},
            "batch": {"linger": 0.05},
            "retry": {"initial": 0.1},
        }
        for name in names or ("p",)
    ]
    return {"pipelines": pipelines, "workers": 2, "grace": 10.0, **sections}


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(programs.Gateway):
    """A gateway with workers, seen from outside."""

    pid: int
    config: Path

    async def page(self, path: str) -> Any:
        return await processes.get(f"{self.admin}{path}")

    async def workers(self) -> list[dict[str, Any]]:
        return await self.page("/debug/workers")

    async def all_ready(self) -> bool:
        return all(worker["state"] == "ready" for worker in await self.workers())

    async def metrics(self) -> dict[str, float]:
        text = await asyncio.to_thread(processes.fetch_text, f"{self.admin}/metrics")
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}


@asynccontextmanager
async def running(folder: Path, told: dict[str, Any], code: int = 0) -> AsyncIterator[Whole]:
    """Run ``headgate gateway`` with workers; all are ready at the yield, and gone afterwards."""
    where = [f"127.0.0.1:{port}" for port in processes.free_ports(3)]
    doc = {
        "listen": {"grpc": where[0], "http": where[1]},
        "admin": {"health": where[2], "metrics": where[2]},
        "kubernetes": {"source": "none"},
        **told,
    }
    config = folder / "gateway.json"
    config.write_text(json.dumps(doc))
    with (folder / "gateway.log").open("ab") as errors:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli.main", "gateway", "--config", str(config), stderr=errors
        )
    family: set[int] = set()
    try:
        whole = Whole(
            grpc=where[0],
            http=f"http://{where[1]}",
            admin=f"http://{where[2]}",
            pid=child.pid,
            config=config,
        )
        await processes.until_ready(f"{whole.admin}/readyz")
        await programs.until(whole.all_ready, "all workers are ready")
        family |= {worker["pid"] for worker in await whole.workers()}
        yield whole
        with contextlib.suppress(ConnectionError, OSError):
            family |= {w["pid"] for w in await whole.workers() if w["pid"]}
        if code >= 0:
            child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await child.wait() == code
        await programs.until(lambda: gone(family), "every worker has ended")
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
        for pid in alive(family):
            os.kill(pid, signal.SIGKILL)


def alive(pids: set[int]) -> Iterator[int]:
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                yield pid


async def gone(pids: set[int]) -> bool:
    return not list(alive(pids))


class Client:
    """Sends requests over a connection of its own, each again until it is acknowledged."""

    def __init__(self, number: int, where: str) -> None:
        self.body = request(POINTS, service_name=f"client-{number}")
        self.acknowledged = 0
        self.retried = 0
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 50)]
        self.channel = grpc.aio.insecure_channel(where, options=options)

    async def send(self, requests: int) -> None:
        export = self.channel.unary_unary(METHOD)
        while requests:
            try:
                await export(self.body, timeout=5, wait_for_ready=True)
            except grpc.aio.AioRpcError as error:
                if error.code() not in RETRIED:
                    raise
                self.retried += 1
                continue
            self.acknowledged += POINTS
            requests -= 1


@asynccontextmanager
async def clients(where: str) -> AsyncIterator[list[Client]]:
    made = [Client(number, where) for number in range(CLIENTS)]
    try:
        yield made
    finally:
        for client in made:
            await client.channel.close()


async def send_all(made: list[Client], requests: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for client in made:
            tasks.create_task(client.send(requests))


def received(ledger: dict[str, Any], worker: str) -> int:
    return ledger["workers"][worker]["pipelines"].get("p", {"received": 0})["received"]


async def test_both_take_connections_and_the_metrics_are_those_of_the_whole(tmp_path) -> None:
    arrivals = Arrivals()
    async with (
        sink.serving(arrivals, NAMES) as at,
        running(tmp_path, document(at.otlp_grpc)) as whole,
        clients(whole.grpc) as made,
    ):
        await send_all(made, 5)
        sent = CLIENTS * 5 * POINTS

        async def settled() -> bool:
            page = await whole.page("/debug/ledger")
            return page["pipelines"].get("p", {}).get("delivered") == sent

        await programs.until(settled, "all was delivered")
        page = await whole.page("/debug/ledger")
        assert (page["balance"], page["mismatches"]) == (0, 0)
        code, shown = await programs.ledger(whole.admin)
        assert (code, shown["balanced"], shown["pipelines"]["p"]["delivered"]) == (0, True, sent)
        parts = [received(page, "1"), received(page, "2")]
        assert sum(parts) == sent
        assert min(parts) > 0, "one worker got no connection"

        async def told() -> bool:
            said = await whole.metrics()
            name = "headgate_gateway_points_taken_total"
            answered = 'headgate_gateway_requests_total{code="ok",transport="grpc"}'
            return (said.get(name), said.get(answered)) == (sent, CLIENTS * 5)

        await programs.until(told, "the metrics add up")
        said = await whole.metrics()
        assert said['headgate_gateway_points_received_total{pipeline="p"}'] == sent
        assert said['headgate_gateway_workers{state="ready"}'] == 2
        assert said["headgate_gateway_routes_generation"] == 1
        assert said['headgate_gateway_queue_limit_bytes{pipeline="p"}'] == 64 << 20
        pages = await whole.page("/debug/pipelines")
        assert set(pages["workers"]) == {"1", "2"}
        one = await whole.page("/debug/pipelines?worker=2")
        assert set(one["workers"]) == {"2"}
        assert one["workers"]["2"]["configuration"]["pipelines"][0]["queue_bytes"] == 32 << 20
    assert sum(arrivals.points.values()) == sent


async def test_kill_9_of_one_worker_under_load(tmp_path) -> None:
    """The others serve, it is replaced, and what it held is booked."""
    arrivals = Arrivals()
    async with (
        sink.serving(arrivals, NAMES) as at,
        running(tmp_path, document(at.otlp_grpc)) as whole,
        clients(whole.grpc) as made,
    ):
        victim = (await whole.workers())[0]["pid"]
        async with asyncio.TaskGroup() as tasks:
            load = tasks.create_task(send_all(made, 150))

            async def busy() -> bool:
                return received(await whole.page("/debug/ledger"), "1") > 0

            await programs.until(busy, "the victim takes part")
            before = await whole.metrics()
            os.kill(victim, signal.SIGKILL)
            await programs.until(lambda: replaced(whole, victim), "the worker is replaced")
            during = await whole.metrics()
            await load
        assert [n for n, v in before.items() if "_total" in n and during.get(n, 0.0) < v] == []
        assert during['headgate_gateway_worker_restarts_total{reason="killed"}'] == 1
        assert (await processes.get(f"{whole.admin}/readyz"))["ready"]

        async def settled() -> bool:
            account = await whole.ledger("p")
            return account["held"] == 0

        await programs.until(settled, "nothing is held")
        page = await whole.page("/debug/ledger")
        account = page["pipelines"]["p"]
        acknowledged = sum(client.acknowledged for client in made)
        assert acknowledged == CLIENTS * 150 * POINTS
        assert page["balance"] == 0
        assert set(account["dropped_by"]) <= {"worker_lost"}
        assert account["dropped"] == page["workers"]["gone"]["pipelines"]["p"]["dropped"]
        arrived = sum(arrivals.points.values())
        # All that the living took has arrived. What the dead one took after its last report is in
        # nobody's books; what it held then may have arrived, or have been lost with it.
        dead = page["workers"]["gone"]["pipelines"]["p"]
        taken_by_living = account["received"] - dead["received"]
        assert arrived >= taken_by_living + dead["delivered"]
        assert arrived >= acknowledged - account["dropped"] - UNKNOWN
        last = (await whole.workers())[0]
        assert (last["starts"], last["last_end"]) == (2, "killed by SIGKILL")


async def test_kill_9_of_a_worker_loses_nothing_that_is_on_disk(tmp_path) -> None:
    """With a buffer, what it had acknowledged is delivered by the worker in its place."""
    arrivals = Arrivals()
    async with sink.serving(arrivals, NAMES) as at:
        told = document(at.otlp_grpc)
        told["pipelines"][0]["buffer"] = {"dir": str(tmp_path / "buffer"), "sync": "each"}
        async with running(tmp_path, told) as whole, clients(whole.grpc) as made:
            victim = (await whole.workers())[0]["pid"]
            async with asyncio.TaskGroup() as tasks:
                load = tasks.create_task(send_all(made, 60))

                async def busy() -> bool:
                    return received(await whole.page("/debug/ledger"), "1") > 0

                await programs.until(busy, "the victim takes part")
                os.kill(victim, signal.SIGKILL)
                await programs.until(lambda: replaced(whole, victim), "the worker is replaced")
                await load

            async def settled() -> bool:
                return (await whole.ledger("p"))["held"] == 0

            await programs.until(settled, "nothing is held")
            page = await whole.page("/debug/ledger")
            assert page["balance"] == 0
            assert page["pipelines"]["p"]["dropped"] == 0
            assert sum(arrivals.points.values()) >= sum(client.acknowledged for client in made)
            folders = sorted(each.name for each in (tmp_path / "buffer" / "p").iterdir())
            assert folders == ["1", "2"]


async def replaced(whole: Whole, victim: int) -> bool:
    workers = await whole.workers()
    return workers[0]["pid"] not in {victim, None} and workers[0]["state"] == "ready"


async def test_sigterm_drains_all(tmp_path) -> None:
    arrivals = Arrivals()
    told = document("http://127.0.0.1:9")
    async with sink.serving(arrivals, NAMES) as at:
        told = document(at.otlp_grpc)
        told["pipelines"][0]["batch"]["linger"] = 60.0  # nothing leaves before the end
        async with running(tmp_path, told) as whole, clients(whole.grpc) as made:
            await send_all(made, 2)
            assert sum(arrivals.points.values()) == 0
    assert sum(arrivals.points.values()) == CLIENTS * 2 * POINTS
    lines = [json.loads(line) for line in (tmp_path / "gateway.log").read_text().splitlines()]
    last = lines[-1]
    assert (last["msg"], last["delivered"]) == ("all workers ended", CLIENTS * 2 * POINTS)
    assert (last["lost"], last["held"]) == ({}, 0)
    assert not [line for line in lines if line["level"] in {"warning", "error"}]


async def test_what_a_dead_backend_never_took_makes_the_exit_code_1(tmp_path) -> None:
    told = document("http://127.0.0.1:9", grace=0.5)
    async with running(tmp_path, told, code=1) as whole, clients(whole.grpc) as made:
        await send_all(made, 1)
    last = json.loads((tmp_path / "gateway.log").read_text().splitlines()[-1])
    assert last["lost"] == {"shutdown": CLIENTS * POINTS}


async def test_workers_end_when_their_supervisor_is_killed(tmp_path) -> None:
    arrivals = Arrivals()
    async with sink.serving(arrivals, NAMES) as at:
        told = document(at.otlp_grpc)
        told["pipelines"][0]["batch"]["linger"] = 60.0
        async with (
            running(tmp_path, told, code=-signal.SIGKILL) as whole,
            clients(whole.grpc) as made,
        ):
            await send_all(made, 1)
            os.kill(whole.pid, signal.SIGKILL)
    assert sum(arrivals.points.values()) == CLIENTS * POINTS, "they drained"


async def test_a_change_of_the_configuration_reaches_all(tmp_path) -> None:
    arrivals = Arrivals()
    async with (
        sink.serving(arrivals, NAMES) as at,
        running(tmp_path, document(at.otlp_grpc)) as whole,
    ):
        kept = json.loads(whole.config.read_text())

        def write(told: dict[str, Any] | str) -> None:
            new = whole.config.with_suffix(".new")
            new.write_text(told if isinstance(told, str) else json.dumps(told))
            new.replace(whole.config)

        async def says(words: str) -> bool:
            page = await whole.page("/debug/pipelines")
            return len(page["workers"]) == 2 and all(
                words in said["status"] for said in page["workers"].values()
            )

        write({**kept, **document(at.otlp_grpc, "p", "q")})
        await programs.until(lambda: says("2 pipelines"), "both have it", within=2.0)
        write("pipelines: [{")
        await programs.until(lambda: says("is refused, the old one runs"), "both refuse it")
        assert (await processes.get(f"{whole.admin}/readyz"))["ready"]
        write({**kept, "workers": 3})
        await programs.until(lambda: says("restart to change workers"), "both say so")


async def test_one_informer_tells_all_and_those_that_come_later(tmp_path) -> None:
    """A worker that is replaced while the API server is away knows the pods all the same."""
    arrivals = Arrivals()
    kubeconfig = tmp_path / "kubeconfig"
    told = {"kubernetes": {"kubeconfig": str(kubeconfig)}, "limits": {"idle_timeout": 60.0}}
    async with sink.serving(arrivals, NAMES) as at, contextlib.AsyncExitStack() as stack:
        server = contextlib.AsyncExitStack()
        async with server:
            api = await server.enter_async_context(
                processes.running("-m", "bench.others", "kubernetes", "700")
            )
            url = json.loads(await api.child.stdout.readline())["url"]
            kubeconfig.write_text(json.dumps(kubeconfig_of(url)))
            whole = await stack.enter_async_context(
                running(tmp_path, document(at.otlp_grpc, **told))
            )

            async def known() -> bool:
                ready = await whole.page("/readyz")
                return ready["checks"]["kubernetes"] == "synced; 700 pods"

            await programs.until(known, "both know all pods")
            asked = await processes.get(f"{url}/asked")
            assert asked == {"pages": 2, "watches": 1}
        victim = (await whole.workers())[0]["pid"]
        os.kill(victim, signal.SIGKILL)
        await programs.until(lambda: replaced(whole, victim), "the worker is replaced")

        async def kept() -> bool:
            said = (await whole.page("/readyz"))["checks"]["kubernetes"]
            return "unreachable" in said and said.count("700 pods") == 1 and "worker" not in said

        await programs.until(kept, "both still know all pods, and say the same")


def kubeconfig_of(server: str) -> dict[str, object]:
    return {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
    }


@pytest.mark.parametrize("workers", ["0", "65", "two"])
async def test_a_number_of_workers_that_makes_no_sense_is_refused(tmp_path, workers) -> None:
    file = tmp_path / "gateway.json"
    file.write_text("pipelines: []")
    code, said = await ended("--config", str(file), "--workers", workers)
    assert (code, "--workers" in said) == (2, True)


async def ended(*arguments: str) -> tuple[int, str]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.main", "gateway", *arguments, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(30):
            _, said = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return child.returncode, said.decode()


async def test_what_no_worker_can_start_with_ends_the_whole_in_words(tmp_path) -> None:
    ports = [f"127.0.0.1:{port}" for port in processes.free_ports(1)]
    told = document("https://b:1")
    tls = {"ca_file": str(tmp_path / "none.pem")}
    told["pipelines"][0]["output"]["otlp"]["tls"] = tls
    listen = {"grpc": "127.0.0.1:0", "http": "127.0.0.1:0"}
    admin = {"health": ports[0], "metrics": ports[0]}
    file = tmp_path / "gateway.json"
    file.write_text(json.dumps({**told, "listen": listen, "admin": admin}))
    code, said = await ended("--config", str(file))
    assert code == 1
    assert f"error: {file}: pipelines[p].output.otlp.tls" in said
    assert "Traceback" not in said


async def test_a_port_that_somebody_listens_on_is_an_error_in_words(tmp_path) -> None:
    arrivals = Arrivals()
    async with (
        sink.serving(arrivals, NAMES) as at,
        running(tmp_path, document(at.otlp_grpc)) as whole,
    ):
        other = tmp_path / "other.json"
        listen = {"grpc": whole.grpc, "http": "127.0.0.1:0"}
        other.write_text(json.dumps({**document(at.otlp_grpc), "listen": listen}))
        code, said = await ended("--config", str(other))
        assert (code, f"cannot listen on {whole.grpc} for OTLP gRPC" in said) == (1, True)
