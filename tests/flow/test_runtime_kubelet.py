"""A whole agent beside a kubelet: what it tells arrives, and its refusals are explained."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from common.config import runtime_metrics
from tests.agent import test_app as agents
from tests.fakes import backends, certificates, http_server, kubelet, kubernetes

pytestmark = [pytest.mark.wallclock, pytest.mark.slow]


def mounting(name: str) -> dict[str, object]:
    found = kubernetes.pod(name, podIP="10.0.0.7")
    volumes = [{"name": "scratch", "emptyDir": {}}, {"name": "kube-api-access-x", "secret": {}}]
    metadata = {**found["metadata"], "namespace": "shop"}
    return found | {"metadata": metadata, "spec": {"nodeName": "worker-1", "volumes": volumes}}


async def pods(request: web.BaseRequest) -> web.StreamResponse:
    """Answer as an API server with one pod, to which nothing happens."""
    if "watch" not in request.query:
        return web.Response(body=kubernetes.page(mounting("web-0")).body)
    response = web.StreamResponse()
    await response.prepare(request)
    await asyncio.Event().wait()
    return response


async def test_what_the_kubelet_tells_arrives_and_a_refusal_is_explained(
    tmp_path: Path,
) -> None:
    files = certificates.write(tmp_path, "worker-1")
    async with (
        backends.otlp_grpc() as gateway,
        kubelet.serving(files) as node,
        http_server.serving(pods) as api,
    ):
        tls = {"ca_file": str(files.authority), "server_name": "worker-1"}
        runtime = {
            "enabled": True,
            "interval": 0.5,
            "kubelet": {"endpoint": node.url, "tls": tls, "timeout": 0.4},
        }
        async with agents.running(
            tmp_path,
            kubeconfig(tmp_path, api),
            node="worker-1",
            gateway={"endpoint": gateway.url, "batch": {"linger": 0.05}},
            inputs={"runtime": runtime, "prometheus": {"enabled": False}},
        ) as (agent, client):
            await agent.until("the kubelet answers")
            ready = await agents.get(client, "/readyz")
            node.status = 403
            failing = await agent.until("the kubelet fails")
            metrics = await agents.get(client, "/metrics")
            account = await agents.get(client, "/debug/ledger")
            assert await agent.stop() == 0
    assert "answers; " in ready["checks"]["kubelet"]
    assert "the right to get nodes/stats" in failing["msg"]
    assert 'headgate_agent_runtime_asked_total{outcome="status",source="kubelet"}' in metrics
    assert account["pipelines"]["gateway"]["balance"] == 0
    names, volumes = set[str](), set[str]()
    for received in gateway.received:
        for frame in ExportMetricsServiceRequest.FromString(received.body).resource_metrics:
            resource = {a.key: a.value.string_value for a in frame.resource.attributes}
            assert resource["kyma.input.name"] == "runtime"
            volumes.add(resource.get("k8s.volume.name", ""))
            names |= {metric.name for scope in frame.scope_metrics for metric in scope.metrics}
    # The agent leads, too: what only the API server knows is told beside it.
    assert names & runtime_metrics.OF_KUBELET == (
        runtime_metrics.OF_KUBELET - runtime_metrics.ADDITIONAL
    )
    assert volumes == {"", "data"}


def kubeconfig(folder: Path, url: str) -> str:
    path = Path(agents.kubeconfig(folder, url))
    user = {"name": "a", "user": {"token": kubelet.TOKEN}}
    text = path.read_text(encoding="utf-8")
    text = text.replace('{"cluster": "k"}', '{"cluster": "k", "user": "a"}')
    path.write_text(text[:-1] + f', "users": [{json.dumps(user)}]}}', encoding="utf-8")
    return str(path)
