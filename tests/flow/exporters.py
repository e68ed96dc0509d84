"""What real exporters expose: each runs once, and is asked a few times, in every format it has."""

import asyncio
import shutil
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from bench import processes
from tests.flow import programs

MARKS: Final = (
    pytest.mark.needs_prometheus_node_exporter,
    pytest.mark.needs_prometheus_process_exporter,
    pytest.mark.needs_prometheus_blackbox_exporter,
    pytest.mark.needs_prometheus_redis_exporter,
    pytest.mark.needs_redis_server,
)
"""Of a test that calls `captured`."""

CAPTURES: Final = 3
_ASKED: Final = {
    "text": "text/plain;version=0.0.4",
    "openmetrics": "application/openmetrics-text;version=1.0.0,*/*;q=0.1",
    "protobuf": "application/vnd.google.protobuf;"
    "proto=io.prometheus.client.MetricFamily;encoding=delimited,*/*;q=0.1",
}
_MODULES: Final = '{"modules": {"http": {"prober": "http"}, "tcp": {"prober": "tcp"}}}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One exposition."""

    content_type: str
    body: bytes


async def captured(folder: Path) -> dict[str, list[Capture]]:
    """Return `CAPTURES` expositions by exporter and format, as in ``node.text``.

    A format that an exporter has not got is not there.
    """
    node, process, blackbox, redis, store = processes.free_ports(5)
    modules = folder / "blackbox.json"
    modules.write_text(_MODULES)
    pages = {
        "node": f"{node}/metrics",
        "process": f"{process}/metrics",
        "blackbox": f"{blackbox}/metrics",
        "probe": f"{blackbox}/probe?module=http&target=http://127.0.0.1:{node}/",
        "failed_probe": f"{blackbox}/probe?module=tcp&target=127.0.0.1:1",
        "redis": f"{redis}/metrics",
    }
    commands = (
        ("prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{node}"),
        (
            "prometheus-process-exporter",
            f"-web.listen-address=127.0.0.1:{process}",
            "-procnames=redis-server,prometheus-node,python3",
        ),
        (
            "prometheus-blackbox-exporter",
            f"--web.listen-address=127.0.0.1:{blackbox}",
            f"--config.file={modules}",
        ),
        (
            "redis-server", "--bind", "127.0.0.1", "--port", str(store), "--save", "",
            "--appendonly", "no", "--dir", str(folder),
        ),
        (
            "prometheus-redis-exporter",
            f"-web.listen-address=127.0.0.1:{redis}",
            f"-redis.addr=redis://127.0.0.1:{store}",
        ),
    )  # fmt: skip
    found: dict[str, list[Capture]] = {}
    async with _running(folder, commands):
        for page in pages.values():
            await programs.until(lambda page=page: _answers(page), f"{page} answers")
        # redis_exporter answers before Redis does.
        await programs.until(lambda: _answers(pages["redis"], "\nredis_up 1\n"), "Redis is up")
        for _ in range(CAPTURES):
            for exporter, page in pages.items():
                for wanted, accept in _ASKED.items():
                    capture = await asyncio.to_thread(_fetch, page, accept)
                    if _format(capture) == wanted:
                        found.setdefault(f"{exporter}.{wanted}", []).append(capture)
    return found


@asynccontextmanager
async def _running(folder: Path, commands: tuple[tuple[str, ...], ...]) -> AsyncIterator[None]:
    children: list[asyncio.subprocess.Process] = []
    try:
        for program, *arguments in commands:
            with (folder / f"{program}.log").open("ab") as log:
                children.append(
                    await asyncio.create_subprocess_exec(
                        shutil.which(program) or program, *arguments, stdout=log, stderr=log
                    )
                )
        yield
    finally:
        for child in children:
            if child.returncode is None:
                child.terminate()
            await child.wait()


def _fetch(page: str, accept: str) -> Capture:
    asked = urllib.request.Request(f"http://127.0.0.1:{page}", headers={"Accept": accept})
    with urllib.request.urlopen(asked, timeout=5) as answer:
        return Capture(content_type=answer.headers["Content-Type"], body=answer.read())


def _format(capture: Capture) -> str:
    kind = capture.content_type.partition(";")[0]
    return {
        "application/openmetrics-text": "openmetrics",
        "application/vnd.google.protobuf": "protobuf",
    }.get(kind, "text")


async def _answers(page: str, words: str = "# ") -> bool:
    try:
        capture = await asyncio.to_thread(_fetch, page, _ASKED["text"])
    except OSError:
        return False
    return words.encode() in capture.body
