"""The gateway starts with or without a cluster, and says what it knows."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from common.config import gateway, shared
from common.enrichment import attributes
from common.service.settings import SettingsError
from common.service.telemetry import Telemetry
from gateway import kubernetes
from tests.fakes import kubernetes as fakes

RULES = attributes.Rules()


def config(**how) -> gateway.Gateway:
    return gateway.Gateway(kubernetes=shared.Kubernetes(**how))


@pytest.mark.parametrize("source", ["none", "auto"])
async def test_without_a_cluster_nobody_is_asked(source: str) -> None:
    async with kubernetes.knowing(config(source=source), RULES, {}) as known:
        assert known.status == "not used; serving without enrichment from pods"
        assert not known.informed
        assert list(known.readings()) == []


async def test_credentials_that_are_of_no_use_end_the_start(tmp_path: Path) -> None:
    for chosen in (
        config(source="in-cluster"),
        config(source="kubeconfig", kubeconfig=str(tmp_path / "none")),
    ):
        with pytest.raises(SettingsError):
            async with kubernetes.knowing(chosen, RULES, {}):
                pytest.fail("entered")


def kubeconfig(folder: Path, server: str) -> str:
    file = folder / "kubeconfig"
    file.write_text(
        json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
            }
        )
    )
    return str(file)


@pytest.mark.wallclock
async def test_an_api_server_that_is_away_does_not_keep_the_gateway_from_serving(
    tmp_path: Path,
) -> None:
    file = kubeconfig(tmp_path, "http://127.0.0.1:1")
    async with kubernetes.knowing(config(kubeconfig=file), RULES, {}) as known:
        assert "unreachable" in known.status
        assert not known.informed
        assert known.status.endswith("; serving without enrichment from pods")
        telemetry = Telemetry(process=False)
        telemetry.add(known.readings)
        shown = telemetry.render().decode()
        assert "headgate_gateway_kubernetes_synced 0.0" in shown
        assert "headgate_gateway_kubernetes_errors_total 0.0" not in shown


@pytest.mark.wallclock
async def test_the_pods_are_there_when_the_block_begins(tmp_path: Path) -> None:
    asked: list[str] = []

    async def pods(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.query_string)
        if "watch" in request.query:
            response = web.StreamResponse()
            await response.prepare(request)
            return response
        pod = {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {}, "status": {}}
        return web.json_response({"metadata": {"resourceVersion": "5"}, "items": [pod]})

    runner = web.ServerRunner(web.Server(pods), handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    file = kubeconfig(tmp_path, f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        chosen = gateway.Gateway(
            kubernetes=shared.Kubernetes(kubeconfig=file),
            enrichment=gateway.Enrichment(node="node-a"),
        )
        async with kubernetes.knowing(chosen, RULES, {}) as known:
            assert known.status == "synced; 1 pod"
            assert known.informed
            assert known.index.by_uid["u"].name == "p"
            assert "fieldSelector=spec.nodeName%3Dnode-a" in asked[0]
    finally:
        await runner.cleanup()


@pytest.mark.wallclock
async def test_who_listens_hears_of_a_pod_once_the_index_knows_it(tmp_path: Path) -> None:
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with fakes.serving() as api:
        api.script(fakes.page(), fakes.events(("ADDED", fakes.pod("late")), hang=True))
        chosen = config(kubeconfig=kubeconfig(tmp_path, api.url))
        async with kubernetes.knowing(chosen, RULES, {}) as known:

            def listen(_: object) -> None:
                heard.set_result(known.index.by_uid["uid-late"].name)

            known.listeners.append(listen)
            async with asyncio.timeout(10):
                assert await heard == "late"
