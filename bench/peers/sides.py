"""The sides of a comparison as processes: our gateway, an OpenTelemetry Collector, a vmagent."""

import asyncio
import json
import os
import time
import urllib.error
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import processes, rows

HERE = Path(__file__).resolve().parent
VARIABLES = {"otelcol": "HEADGATE_OTELCOL", "vmagent": "HEADGATE_VMAGENT"}


def program(peer: str) -> str:
    """Return the program of *peer* that its variable names, or ""."""
    return os.environ.get(VARIABLES[peer], "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a side listens and sends, and a folder of its own."""

    grpc: int
    http: int
    health: int
    otlp: str
    write: str
    folder: Path
    errors: Path


@asynccontextmanager
async def headgate(place: Place, output: str) -> AsyncIterator[processes.Process]:
    """Run our gateway, as `bench.rows` does."""
    target = (
        {"otlp": {"endpoint": place.otlp, "compression": "none"}}
        if output == "otlp"
        else {"remote_write": {"url": place.write}}
    )
    inputs = {"otlp": {"namespaces": {"exclude": ["kube-system"]}}}
    document = {
        "log_level": "error",
        "listen": {"grpc": f"127.0.0.1:{place.grpc}", "http": f"127.0.0.1:{place.http}"},
        "admin": rows.admin(place.health),
        "kubernetes": {"source": "kubeconfig", "kubeconfig": str(place.folder / "kubeconfig")},
        "pipelines": [
            {"name": "bench", "inputs": inputs, "output": target, "queue_bytes": 1 << 30}
        ],
    }
    config = place.folder / "gateway.yaml"
    config.write_text(json.dumps(document))
    arguments = ("-m", "cli.main", "gateway", "--config", str(config))
    async with processes.running(*arguments, errors=place.errors) as process:
        await processes.until_ready(f"http://127.0.0.1:{place.health}/readyz")
        yield process


@asynccontextmanager
async def otelcol(place: Place, output: str) -> AsyncIterator[processes.Process]:
    """Run the collector that ``HEADGATE_OTELCOL`` names."""
    backend = place.otlp.removeprefix("http://") if output == "otlp" else place.write
    config = place.folder / "otelcol.yaml"
    config.write_text(filled(HERE / f"otelcol-{output}.yaml", place, backend))
    running = processes.running(
        "--config",
        str(config),
        errors=place.errors,
        program=program("otelcol"),
        environment={"KUBECONFIG": str(place.folder / "kubeconfig")},
    )
    async with running as process:
        await answering(f"http://127.0.0.1:{place.health}/")
        yield process


@asynccontextmanager
async def vmagent(place: Place, output: str) -> AsyncIterator[processes.Process]:
    """Run the vmagent that ``HEADGATE_VMAGENT`` names; it takes OTLP over HTTP and writes."""
    assert output == "write", "vmagent has no OTLP output"
    flags = filled(HERE / "vmagent.flags", place, place.write).splitlines()
    running = processes.running(
        *(flag for flag in flags if flag.startswith("-")),
        errors=place.errors,
        program=program("vmagent"),
    )
    async with running as process:
        await answering(f"http://127.0.0.1:{place.http}/health")
        yield process


Side = Callable[[Place, str], AbstractAsyncContextManager[processes.Process]]
SIDES: dict[str, Callable[[Place, str], AbstractAsyncContextManager[processes.Process]]] = {
    "headgate": headgate,
    "otelcol": otelcol,
    "vmagent": vmagent,
}
PATHS = {  # where OTLP over HTTP is taken, if not at /v1/metrics
    "vmagent": "/opentelemetry/v1/metrics"
}  # where OTLP over HTTP is taken, if not /v1/metrics


def filled(template: Path, place: Place, backend: str) -> str:
    """Return *template* with its places filled in."""
    text = template.read_text()
    for name, value in {
        "GRPC": f"127.0.0.1:{place.grpc}",
        "HTTP": f"127.0.0.1:{place.http}",
        "HEALTH": f"127.0.0.1:{place.health}",
        "BACKEND": backend,
        "FOLDER": str(place.folder),
    }.items():
        text = text.replace(f"@{name}@", value)
    return text


async def answering(url: str) -> None:
    """Wait until *url* answers with status 200."""
    end = time.monotonic() + processes.READY_SECONDS
    while True:
        try:
            return await asyncio.to_thread(lambda: processes.fetch_text(url) and None)
        except (OSError, urllib.error.HTTPError):
            if time.monotonic() > end:
                raise
        await asyncio.sleep(0.1)
