"""Real programs for the flow tests: our own as processes, and Prometheus."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench import processes

WITHIN = 15.0  # seconds until something that must happen has happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    grpc: str
    http: str
    admin: str

    async def ledger(self, pipeline: str) -> dict[str, Any]:
        return (await processes.get(f"{self.admin}/debug/ledger"))["pipelines"][pipeline]


async def metrics(gateway: Gateway) -> dict[str, float]:
    """Return all own metrics by name with labels."""
    text = await asyncio.to_thread(processes.fetch_text, f"{gateway.admin}/metrics")
    lines = (line.rpartition(" ") for line in text.splitlines() if line[:1] != "#")
    return {name: float(value) for name, _, value in lines if name}


async def pipelines(gateway: Gateway) -> list[str]:
    """Return the names of all pipelines that have an account."""
    return list((await processes.get(f"{gateway.admin}/debug/ledger"))["pipelines"])


@asynccontextmanager
async def gateway(folder: Path, document: dict[str, Any]) -> AsyncIterator[Gateway]:
    """Run ``headgate gateway`` on free ports of loopback; exit code 0 is expected at the end."""
    grpc, http, admin = (f"127.0.0.1:{port}" for port in processes.free_ports(3))
    document = {
        "admin": {"health": admin, "metrics": admin},
        "kubernetes": {"source": "none"},
        **document,
        "listen": {"grpc": grpc, "http": http, **document.get("listen", {})},
    }
    async with _program("gateway", folder, document, admin):
        yield Gateway(grpc=f"http://{grpc}", http=f"http://{http}", admin=f"http://{admin}")


@asynccontextmanager
async def agent(folder: Path, document: dict[str, Any]) -> AsyncIterator[str]:
    """Run ``headgate agent``; yields the URL of its pages."""
    (port,) = processes.free_ports(1)
    admin = f"127.0.0.1:{port}"
    document = {
        "admin": {"health": admin, "metrics": admin},
        "kubernetes": {"source": "none"},
        **document,
    }
    async with _program("agent", folder, document, admin):
        yield f"http://{admin}"


@asynccontextmanager
async def _program(
    name: str, folder: Path, document: dict[str, Any], admin: str
) -> AsyncIterator[None]:
    config, errors = folder / f"{name}.yaml", folder / f"{name}.log"
    config.write_text(json.dumps(document))
    async with processes.running("-m", "cli.main", name, "--config", str(config), errors=errors):
        await processes.until_ready(f"http://{admin}/readyz")
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    url: str

    @property
    def write_url(self) -> str:
        return f"{self.url}/api/v1/write"

    async def query(self, promql: str) -> list[dict[str, Any]]:
        """Return the vector that *promql* gives now."""
        answer = await processes.get(f"{self.url}/api/v1/query?{urlencode({'query': promql})}")
        return answer["data"]["result"]

    async def exemplars(self, selector: str, around: float) -> list[dict[str, Any]]:
        """Return the series of *selector* that have exemplars within a minute of *around*."""
        asked = urlencode({"query": selector, "start": around - 60, "end": around + 60})
        answer = await processes.get(f"{self.url}/api/v1/query_exemplars?{asked}")
        return answer["data"]


@asynccontextmanager
async def prometheus(
    folder: Path,
    scrape_configs: list[dict[str, Any]] | None = None,
    features: tuple[str, ...] = (),
) -> AsyncIterator[Prometheus]:
    """Run the real Prometheus with its remote-write receiver on a free port of loopback."""
    (port,) = processes.free_ports(1)
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"scrape_configs": scrape_configs or []}))
    with (folder / "prometheus.log").open("wb") as log:
        child = await asyncio.create_subprocess_exec(
            shutil.which("prometheus") or "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-remote-write-receiver",
            *[f"--enable-feature={feature}" for feature in features],
            stdout=log,
            stderr=log,
        )
        try:
            found = Prometheus(url=f"http://127.0.0.1:{port}")
            await until(
                lambda: _answers(f"{found.url}/api/v1/status/buildinfo"), "Prometheus answers"
            )
            yield found
        finally:
            if child.returncode is None:
                child.terminate()
            await child.wait()


@asynccontextmanager
async def forwarding(port: int, to: int) -> AsyncIterator[None]:
    """Forward *port* of 127.0.0.1 to port *to*: a server that comes up late, where expected."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", to)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pump(reader, there[1]))
            tasks.create_task(pump(there[0], writer))

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


async def until(
    check: Callable[[], Any], what: str, within: float = WITHIN, every: float = 0.1
) -> Any:
    """Wait until the coroutine that *check* makes returns something true; return that."""
    end = asyncio.get_running_loop().time() + within
    while True:
        found = await check()
        if found:
            return found
        assert asyncio.get_running_loop().time() < end, f"not within {within} s: {what}"
        await asyncio.sleep(every)


async def _answers(url: str) -> bool:
    try:
        return bool(await processes.get(url))
    except (OSError, ValueError):
        return False
