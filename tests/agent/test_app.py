"""The whole agent as a process, from its first line of log to its last."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent import app
from common.service.ledger import Ledger
from common.service.settings import SettingsError
from common.wire import otlp
from tests.agent.exposer import Exposer, exposing, page
from tests.fakes import backends, kubernetes
from tests.fakes.kubernetes import Answer, events
from tests.flow import programs

pytestmark = [pytest.mark.wallclock, pytest.mark.slow]
GOOD = page(b"# TYPE a gauge\na 1\n")
BROKEN = page(b"a 1\nb two\n")
BROWSER = {"Accept": "text/html"}
MAIN = """
import asyncio, sys
from pathlib import Path
from agent import app
from common.service import lifecycle, logs

logs.configure("info", now=asyncio.new_event_loop().time, json=True)
code = lifecycle.run(lambda: app.serve(Path(sys.argv[1]), kubeconfig=sys.argv[2]))
sys.exit("an agent must not pay for this" if "kubernetes_asyncio" in sys.modules else code)
"""


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    """The agent sets the level of all logs; put it back."""
    before = logging.getLogger().level
    yield
    logging.getLogger().setLevel(before)


class Process:
    """An agent in a process of its own, and the lines of its log."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process, self.lines = process, list[dict[str, Any]]()

    async def until(self, message: str) -> dict[str, Any]:
        for line in self.lines:
            if message in str(line["msg"]):
                return line
        assert self.process.stderr is not None
        async for text in self.process.stderr:
            self.lines.append(json.loads(text))
            if message in str(self.lines[-1]["msg"]):
                return self.lines[-1]
        pytest.fail(f"the agent ended without saying {message!r}: {self.lines}")

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stderr is not None
        async for text in self.process.stderr:
            self.lines.append(json.loads(text))
        return await self.process.wait()


@contextlib.asynccontextmanager
async def running(
    folder: Path, kubeconfig: str = "", **document: object
) -> AsyncIterator[tuple[Process, aiohttp.ClientSession]]:
    file = folder / "agent.yaml"
    admin = {"health": "127.0.0.1:0", "metrics": "127.0.0.1:0"}
    plain = {"admin": admin, "scraping": {"interval": 0.2, "timeout": 0.2}} | document
    file.write_text(json.dumps(plain), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        MAIN,
        str(file),
        kubeconfig,
        stderr=asyncio.subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if not k.startswith("KUBERNETES_")},
        cwd=Path(app.__file__).parents[1],
    )
    started = Process(process)
    try:
        at = (await started.until("listening"))["admin"]
        async with aiohttp.ClientSession(f"http://{at}") as client:
            yield started, client
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def get(client: aiohttp.ClientSession, path: str) -> Any:
    async with client.get(path) as answer:
        return await (answer.json() if "json" in answer.content_type else answer.text())


async def read(client: aiohttp.ClientSession, *paths: str) -> list[str]:
    """Return pages as a browser has them."""
    pages = []
    for path in paths:
        async with client.get(path, headers=BROWSER) as answer:
            assert answer.content_type == "text/html"
            pages.append(await answer.text())
    return pages


async def settled(client: aiohttp.ClientSession) -> dict[str, Any]:
    """Return the targets page once no target is pending."""
    async with asyncio.timeout(10):
        while True:
            found = await get(client, "/targets")
            if not found["counts"]["pending"] and found["active"]:
                return found
            await asyncio.sleep(0.05)


def pod(name: str, target: Exposer | None, **notes: str) -> dict[str, Any]:
    asked = {"prometheus.io/scrape": "true", "prometheus.io/port": str(target and target.port)}
    given = {f"prometheus.io/{key}": value for key, value in notes.items()}
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "resourceVersion": "2",
            "annotations": {**asked, **given} if target else {},
        },
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Running", "podIP": "127.0.0.1"},
    }


def kubeconfig(folder: Path, url: str) -> str:
    path = folder / "kubeconfig"
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k"}}],
        "clusters": [{"name": "k", "cluster": {"server": url}}],
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


async def test_it_discovers_scrapes_pushes_explains_and_stops_cleanly(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n", encoding="utf-8")
    async with (
        backends.otlp_grpc() as gateway,
        exposing(GOOD) as good,
        exposing(BROKEN) as broken,
        kubernetes.serving(path="/api/v1/pods") as api,
    ):
        api.script(
            kubernetes.page(pod("good", good), pod("mute", None)),
            events(
                ("ADDED", pod("broken", broken)),
                ("ADDED", pod("odd", good, port="99999")),
                hang=True,
            ),
        )
        push = {
            "endpoint": gateway.url,
            "token_file": str(tmp_path / "token"),
            "batch": {"linger": 0.05},
        }
        async with running(tmp_path, kubeconfig(tmp_path, api.url), node="n1", gateway=push) as (
            agent,
            client,
        ):
            await agent.until("is up")
            failing = await agent.until("fails")
            found = await settled(client)
            ready = await get(client, "/readyz")
            compatible = await get(client, "/api/v1/targets?state=active")
            pools = await get(client, "/api/v1/scrape_pools")
            why = await get(client, "/debug/explain?pod=shop/broken")
            seen = await read(client, "/targets?state=failing", "/debug/explain?pod=shop/odd")
            account = await get(client, "/debug/ledger")
            metrics = await get(client, "/metrics")
            told = await programs.ledger(str(client._base_url))
            assert await agent.stop() == 0
    assert failing["level"] == "warning"
    assert failing["msg"].startswith(f"target {broken.url} fails: line 2, ")
    assert failing["subject"] == "shop/broken"
    assert found["counts"] == {"pending": 0, "up": 1, "failing": 1, "skipped": 2}
    assert [t["subject"] for t in found["active"]] == ["shop/broken", "shop/good"]
    assert {s["subject"]: s["why"] for s in found["skipped"]} == {
        "shop/odd": "port annotation '99999' is not a port: expected 1 to 65535",
        "shop/mute": "annotation prometheus.io/scrape is absent",
    }
    assert ready["ready"]
    assert ready["checks"]["discovery"] == "synced; 4 pods, 2 targets"
    assert ready["checks"]["gateway"].endswith(("takes data", "nothing was sent yet"))
    assert [t["health"] for t in compatible["data"]["activeTargets"]] == ["down", "up"]
    assert pools["data"] == {"scrapePools": ["app-pods"]}
    (discovered,) = {
        t["discoveredLabels"]["__meta_kubernetes_pod_name"]
        for t in compatible["data"]["activeTargets"]
        if t["health"] == "down"
    }
    assert discovered == "broken"
    assert (why["known"], why["scraped"]) == (True, True)
    assert why["summary"] == "scraped by the agent on n1: 1 of 1 targets, 1 failing"
    assert "line 2, " in why["candidates"][0]["targets"][0]["live"]
    assert "line 2, " in seen[0]
    assert "&#x27;99999&#x27; is not a port" in seen[1]
    assert account["pipelines"]["gateway"]["balance"] == 0
    assert (told[0], told[1]["balanced"], list(told[1]["pipelines"])) == (0, True, ["gateway"])
    assert 'headgate_agent_scrapes_total{outcome="malformed"}' in metrics
    last = agent.lines[-1]
    assert last["msg"] == "stopped"
    assert last["scraped"] == last["delivered"] > 0
    assert (last["lost"], last["held"]) == ({}, 0)
    assert sum(otlp.count(received.body) for received in gateway.received) == last["delivered"]
    assert {r.headers["authorization"] for r in gateway.received} == {"Bearer secret"}
    resources = [otlp.string_attributes(f.resource) for f in otlp.frames(gateway.received[0].body)]
    assert resources[0]["k8s.namespace.name"] == "shop"
    assert resources[0]["kyma.input.name"] == "prometheus"
    assert "service.name" not in resources[0]  # enrichment finds the workload's


async def test_static_targets_need_no_cluster_and_a_gateway_that_is_away_costs_no_target(
    tmp_path: Path,
) -> None:
    async with (
        exposing(GOOD) as good,
        running(
            tmp_path,
            kubernetes={"source": "none"},
            gateway={"endpoint": "http://127.0.0.1:1", "retry": {"initial": 0.1}},
            static_targets=[{"url": good.url, "job": "mine"}],
            grace=0.3,
        ) as (agent, client),
    ):
        await agent.until("destination is failing")
        found = await settled(client)
        ready = await get(client, "/readyz")
        assert await agent.stop() == 1
    assert found["counts"]["up"] == 1
    assert found["active"][0]["job"] == "mine"
    assert ready["ready"]
    assert ready["checks"]["discovery"] == "not used; 1 static targets"
    assert ready["checks"]["gateway"].startswith(
        "http://127.0.0.1:1 does not take data: UNAVAILABLE"
    )
    (stopped,) = [line for line in agent.lines if line["msg"] == "stopped"]
    assert stopped["lost"] == {"shutdown": stopped["scraped"]}
    assert "the grace period is over" in agent.lines[-1]["msg"]


async def test_an_account_that_is_off_is_told_again_and_again_until_all_is_drained(
    tmp_path: Path, monkeypatch, caplog
) -> None:
    assert app.AUDIT == 1.0
    monkeypatch.setattr(app, "AUDIT", 0.05)
    ledger = Ledger("gateway")
    monkeypatch.setattr(app, "Ledger", lambda _: ledger)
    file = tmp_path / "agent.yaml"
    async with asyncio.TaskGroup() as tasks, exposing(GOOD) as good:
        document = {
            "admin": {"health": "127.0.0.1:0", "metrics": "127.0.0.1:0"},
            "kubernetes": {"source": "none"},
            "gateway": {"endpoint": "http://127.0.0.1:1"},
            "scraping": {"interval": 0.2, "timeout": 0.2},
            "static_targets": [{"url": good.url, "job": "mine"}],
            "grace": 0.6,
        }
        file.write_text(json.dumps(document), encoding="utf-8")

        async def serve() -> None:
            with pytest.raises(TimeoutError):
                await app.serve(file, environ={})

        serving = tasks.create_task(serve())
        async with asyncio.timeout(10):
            while not ledger.held:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        ledger.received += 3
        bug = "BUG: pipeline gateway: the ledger is off by 3 points"
        async with asyncio.timeout(10):
            while caplog.text.count(bug) < 3:  # noqa: ASYNC110 - it tells the log only
                await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        await serving
    said = [line.getMessage() for line in caplog.records]
    assert said[said.index("stopping") :].count(bug) > 3


async def test_an_api_server_that_is_away_is_said_and_waited_for(tmp_path: Path) -> None:
    async with (
        backends.otlp_grpc() as gateway,
        exposing(GOOD) as good,
        kubernetes.serving(path="/api/v1/pods") as api,
    ):
        api.script(
            Answer(status=503),
            kubernetes.page(pod("good", good)),
            Answer(hang=True),
        )
        async with running(
            tmp_path, kubeconfig(tmp_path, api.url), node="n1", gateway={"endpoint": gateway.url}
        ) as (agent, client):
            first = await get(client, "/readyz")
            assert first["ready"]
            await agent.until("is up")
            assert await agent.stop() == 0


async def test_an_annotation_that_changes_acts_within_a_second(tmp_path: Path) -> None:
    async with (
        backends.otlp_grpc() as gateway,
        exposing(GOOD) as first,
        exposing(GOOD) as second,
        kubernetes.serving(path="/api/v1/pods") as api,
    ):
        api.script(
            kubernetes.page(pod("p", first)),
            events(("MODIFIED", pod("p", second)), hang=True),
        )
        async with running(
            tmp_path, kubeconfig(tmp_path, api.url), node="n1", gateway={"endpoint": gateway.url}
        ) as (agent, client):
            async with asyncio.timeout(1.0):
                await second.until(lambda: bool(second.requests))
            found = await get(client, "/targets")
            assert [t["url"] for t in found["active"]] == [second.url]
            assert await agent.stop() == 0


async def test_what_the_user_can_mend_is_said_before_anything_runs(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(
        "gateway: {endpoint: 'https://gw:4317', tls: {ca_file: /nowhere.pem}}\n"
        "kubernetes: {source: none}\n"
        "admin: {health: '127.0.0.1:0', metrics: '127.0.0.1:0'}\n",
        encoding="utf-8",
    )
    with pytest.raises(SettingsError) as caught:
        await app.serve(file, environ={})
    assert [problem.key for problem in caught.value.problems] == ["gateway.tls"]


async def test_the_log_has_changes_only_however_often_targets_are_scraped_and_pages_read(
    tmp_path: Path,
) -> None:
    async with (
        backends.otlp_grpc() as gateway,
        exposing(GOOD) as good,
        exposing(BROKEN) as broken,
    ):
        push = {"endpoint": gateway.url}
        static = [{"url": good.url}, {"url": broken.url}, {"url": "http://127.0.0.1:9/metrics"}]
        async with running(tmp_path, gateway=push, static_targets=static) as (agent, client):
            async with asyncio.timeout(20):
                failures = 0
                while failures < 5:
                    for path in ("/api/v1/targets", "/debug/explain?pod=a/b", "/readyz"):
                        await get(client, path)
                    await read(client, "/targets")
                    active = (await get(client, "/targets"))["active"]
                    failures = min((t["failures"] for t in active if t["error"]), default=0)
                    await asyncio.sleep(0.05)
            assert await agent.stop() == 0
    said = [line["msg"] for line in agent.lines if line["logger"] == "headgate.agent.scraping"]
    assert [message for message in said if " is up" in message] == [f"target {good.url} is up"]
    assert len([message for message in said if " fails: " in message]) == 2
    assert len([message for message in said if message == "target added"]) == len(said) - 3 == 3
