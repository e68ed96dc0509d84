"""Real programs for the flow tests: our own as processes, Prometheus, VictoriaMetrics."""

import asyncio
import json
import math
import re
import shutil
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import cramjam

from bench import processes
from tests.fakes import remote_write_rules, remote_write_v1
from tests.fakes.remote_write_rules import STALE
from tests.fakes.remote_write_v1 import Exemplar, Held, Labels, Native, Samples, Shown

WITHIN = 15.0  # seconds until something that must happen has happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    grpc: str
    http: str
    admin: str

    async def ledger(self, pipeline: str) -> dict[str, Any]:
        return (await processes.get(f"{self.admin}/debug/ledger"))["pipelines"][pipeline]


async def ledger(url: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code of ``headgate ledger --json`` for what runs at *url*, and its words."""
    asking = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.main", "ledger", url, "--json", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asking.communicate()
    return await asking.wait(), json.loads(said)


async def metrics(gateway: Gateway) -> dict[str, float]:
    """Return all own metrics by name with labels."""
    return numbers(await asyncio.to_thread(processes.fetch_text, f"{gateway.admin}/metrics"))


def numbers(text: str) -> dict[str, float]:
    """Return the values of an exposition by name with labels."""
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


@dataclass(frozen=True, slots=True)
class Mortal:
    """A program that may be killed before its time."""

    pages: str
    child: asyncio.subprocess.Process

    async def kill(self) -> None:
        """End it without a last word."""
        self.child.kill()
        await self.child.wait()

    async def stop(self) -> None:
        """End it as a kubelet would."""
        self.child.terminate()
        await self.child.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it stand still, as on a machine that is suspended."""
        self.child.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.child.send_signal(signal.SIGCONT)


@asynccontextmanager
async def mortal_agent(folder: Path, document: dict[str, Any]) -> AsyncIterator[Mortal]:
    """Run ``headgate agent``; exit code 0 is expected at the end, unless it was killed."""
    (port,) = processes.free_ports(1)
    admin = f"127.0.0.1:{port}"
    config = folder / "agent.yaml"
    config.write_text(json.dumps({"admin": {"health": admin, "metrics": admin}, **document}))
    with (folder / "agent.log").open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli.main", "agent", "--config", str(config), stderr=log
        )
        try:
            await processes.until_ready(f"http://{admin}/readyz")
            yield Mortal(f"http://{admin}", child)
            if child.returncode is None:
                child.terminate()
            code = await child.wait()
            assert code in {0, -signal.SIGKILL}, (folder / "agent.log").read_text()[-3000:]
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()


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

    async def query(self, promql: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return the vector that *promql* gives *at* a time in seconds since 1970, or now."""
        asked = {"query": promql, **({} if at is None else {"time": at})}
        answer = await processes.get(f"{self.url}/api/v1/query?{urlencode(asked)}")
        return answer["data"]["result"]

    async def exemplars(self, selector: str, around: float) -> list[dict[str, Any]]:
        """Return the series of *selector* that have exemplars within a minute of *around*."""
        asked = urlencode({"query": selector, "start": around - 60, "end": around + 60})
        answer = await processes.get(f"{self.url}/api/v1/query_exemplars?{asked}")
        return answer["data"]

    async def held(self, until: float | None = None) -> Held:
        """Return everything, and of every sample what two ways tell, which must agree.

        *until* leaves out what is younger, in seconds since 1970, if more may come meanwhile.

        Remote read tells bit by bit and with stale markers, but all zeros are 0 there; queries know
        the sign of zero, but neither stale markers nor which NaN it was. Of native histograms
        remote read says nothing in 2.42, so there are no stale markers among them here.
        """
        until_ms = None if until is None else int(until * 1000)  # both must mean the same
        held = await self._read(2**62 if until_ms is None else until_ms)
        at = None if until_ms is None else until_ms / 1000
        selection = await self.query('{__name__=~".+"}[1h]', at)
        selected = _selected(selection)
        held.histograms = _shown(selection)
        for labels, samples in held.samples.items():
            shown = selected.pop(labels, {})
            for ms, bits in samples.items():
                if bits == STALE:
                    assert ms not in shown
                    continue
                value = shown.pop(ms)
                if value == 0.0:
                    samples[ms] = remote_write_rules.bits(value)
                nan = math.isnan(value) and math.isnan(remote_write_rules.double(bits))
                assert nan or value == remote_write_rules.double(bits), (labels, ms)
            assert not shown, f"a query shows more than is held: {sorted(labels)} {shown}"
        assert not selected, f"a query shows more than is held: {selected}"
        held.exemplars = await self._exemplars()
        return held

    async def _exemplars(self) -> dict[Labels, set[Exemplar]]:
        query = urlencode({"query": '{__name__=~".+"}', "start": 0, "end": 1 << 33})
        answer = await processes.get(f"{self.url}/api/v1/query_exemplars?{query}")
        return {
            frozenset(series["seriesLabels"].items()): {
                Exemplar(
                    labels=frozenset(each["labels"].items()),
                    milliseconds=round(each["timestamp"] * 1000),
                    value=remote_write_rules.bits(float(each["value"])),
                )
                for each in series["exemplars"]
            }
            for series in answer["data"]
        }

    async def _read(self, until_ms: int) -> Held:
        request = remote_write_v1.ReadRequest()
        query = request.queries.add(end_timestamp_ms=until_ms)
        query.matchers.add(type=2, name="__name__", value=".+")  # 2: by regular expression
        body = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
        answer = remote_write_v1.ReadResponse.FromString(
            bytes(cramjam.snappy.decompress_raw(await _post(f"{self.url}/api/v1/read", body)))
        )
        (result,) = answer.results
        held = Held()
        for series in result.timeseries:
            held.add(remote_write_v1.read(series))
        return held

    async def metrics(self) -> dict[str, float]:
        """Return Prometheus' own metrics by name with labels."""
        return numbers(await asyncio.to_thread(processes.fetch_text, f"{self.url}/metrics"))


def _selected(selection: list[dict[str, Any]]) -> dict[Labels, dict[int, float]]:
    return {
        frozenset(series["metric"].items()): {
            round(at * 1000): float(text) for at, text in series["values"]
        }
        for series in selection
        if "values" in series
    }


def _shown(selection: list[dict[str, Any]]) -> dict[Labels, dict[int, Native | Shown]]:
    return {
        frozenset(series["metric"].items()): {
            round(at * 1000): Shown(
                count=float(shown["count"]),
                total=float(shown["sum"]),
                ranges=tuple(
                    (float(lower), float(upper), float(count))
                    for _, lower, upper, count in shown.get("buckets", ())
                ),
            )
            for at, shown in series["histograms"]
        }
        for series in selection
        if "histograms" in series
    }


@asynccontextmanager
async def prometheus(
    folder: Path,
    scrape_configs: list[dict[str, Any]] | None = None,
    features: Sequence[str] = (),
    storage: Mapping[str, Any] | None = None,
) -> AsyncIterator[Prometheus]:
    """Run the real Prometheus with its remote-write receiver on a free port of loopback.

    *storage* is that section of its configuration. What it holds stays in *folder*: run there
    again, it goes on with that.
    """
    (port,) = processes.free_ports(1)
    config = folder / "prometheus.yml"
    document = {"scrape_configs": scrape_configs or [], "storage": storage or {}}
    config.write_text(json.dumps(document))
    found = Prometheus(url=f"http://127.0.0.1:{port}")
    arguments = (
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        *(f"--enable-feature={feature}" for feature in features),
    )
    async with _store("prometheus", folder, arguments, f"{found.url}/api/v1/status/buildinfo"):
        yield found


@dataclass(frozen=True, slots=True, kw_only=True)
class VictoriaMetrics:
    url: str

    @property
    def write_url(self) -> str:
        return f"{self.url}/api/v1/write"

    async def held(self) -> Held:
        """Return every sample of every series; each NaN is a stale marker, for it keeps no other.

        Its values have twelve to fifteen decimal digits.
        """
        await asyncio.to_thread(processes.fetch_text, f"{self.url}/internal/force_flush")
        query = urlencode({"match[]": '{__name__!=""}', "end": "2200-01-01T00:00:00Z"})
        text = await asyncio.to_thread(processes.fetch_text, f"{self.url}/api/v1/export?{query}")
        found: dict[Labels, Samples] = {}
        for line in text.splitlines():
            parts = _EXPORTED.fullmatch(line)
            assert parts, line
            # Not JSON: it writes +Inf, and null for NaN.
            values = [float(v.replace("null", "nan")) for v in parts["values"].split(",")]
            times = map(int, parts["times"].split(","))
            bits = [STALE if math.isnan(v) else remote_write_rules.bits(v) for v in values]
            key = frozenset(json.loads(parts["labels"]).items())
            assert key not in found, "a series comes twice"
            found[key] = dict(zip(times, bits, strict=True))
        return Held(samples=found)

    async def metrics(self) -> dict[str, float]:
        """Return VictoriaMetrics' own metrics by name with labels."""
        return numbers(await asyncio.to_thread(processes.fetch_text, f"{self.url}/metrics"))


_EXPORTED = re.compile(
    r'\{"metric":(?P<labels>\{.*\}),"values":\[(?P<values>.*)\],"timestamps":\[(?P<times>.*)\]\}'
)


@asynccontextmanager
async def victoria_metrics(folder: Path) -> AsyncIterator[VictoriaMetrics]:
    """Run the real VictoriaMetrics on a free port of loopback; what it holds stays in *folder*."""
    (port,) = processes.free_ports(1)
    found = VictoriaMetrics(url=f"http://127.0.0.1:{port}")
    arguments = (
        f"-httpListenAddr=127.0.0.1:{port}",
        f"-storageDataPath={folder / 'victoria-metrics'}",
        "-memory.allowedBytes=64MB",
        "-maxLabelsPerTimeseries=100",
        "-retentionPeriod=100y",
    )
    async with _store("victoria-metrics", folder, arguments, f"{found.url}/api/v1/labels"):
        yield found


@asynccontextmanager
async def _store(
    program: str, folder: Path, arguments: Sequence[str], url: str
) -> AsyncIterator[None]:
    """Run a *program* that answers at *url* when it is ready; SIGTERM at the end."""
    with (folder / f"{program}.log").open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            shutil.which(program) or program, *arguments, stdout=log, stderr=log
        )
        try:
            await until(lambda: _answers(url), f"{program} answers")
            yield
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


async def _post(url: str, body: bytes) -> bytes:
    def send() -> bytes:
        asked = urllib.request.Request(url, data=body, headers={"Content-Encoding": "snappy"})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.read()

    return await asyncio.to_thread(send)
