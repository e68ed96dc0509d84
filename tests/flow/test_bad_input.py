"""Bad input, dead backends and absent API servers: a clear answer, and everything else goes on."""

import asyncio
import gzip
import json
import urllib.error
import urllib.request

import grpc
import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from bench import processes
from cli.demo import sink
from cli.demo.arrivals import Arrivals
from localcluster import cluster
from tests.flow import programs

pytestmark = [pytest.mark.wallclock, pytest.mark.timeout(60)]

METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
NAMES = sink.Names(otlp_grpc="p", otlp_http="q", remote_write="r")
LIMIT = 100_000


def request(points: int = 1, **resource: str) -> bytes:
    made = ExportMetricsServiceRequest()
    frame = made.resource_metrics.add()
    for key, value in resource.items():
        frame.resource.attributes.add(key=key.replace("_", ".")).value.string_value = value
    data = frame.scope_metrics.add().metrics.add(name="m").gauge.data_points
    for n in range(points):
        data.add(as_double=n, time_unix_nano=1)
    return made.SerializeToString()


async def post(gateway: programs.Gateway, body: bytes, **headers: str) -> tuple[int, bytes]:
    def send() -> tuple[int, bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        asked = urllib.request.Request(
            f"{gateway.http}/v1/metrics", body, {"Content-Type": "application/x-protobuf"} | named
        )
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    return await asyncio.to_thread(send)


async def export(gateway: programs.Gateway, body: bytes, compression=None) -> grpc.StatusCode:
    where = gateway.grpc.removeprefix("http://")
    async with grpc.aio.insecure_channel(where) as channel:
        call = channel.unary_unary(METHOD)(body, compression=compression, timeout=10)
        code = await call.code()
        assert code is grpc.StatusCode.OK or await call.details(), "a refusal without words"
        return code


async def test_every_kind_of_bad_request_gets_its_answer_and_nothing_is_forwarded(tmp_path) -> None:
    arrivals = Arrivals()
    async with sink.serving(arrivals, NAMES) as at:
        pipeline = {
            "name": "p",
            "output": {"otlp": {"endpoint": at.otlp_grpc}},
            "batch": {"linger": 0.05},
        }
        document = {"pipelines": [pipeline], "limits": {"max_request_bytes": LIMIT}}
        async with programs.gateway(tmp_path, document) as gateway:
            large, bomb = request(LIMIT), gzip.compress(bytes(10 * LIMIT))
            answers = [
                await post(gateway, b"\xff\xff"),
                await post(gateway, b"{not json", Content_Type="application/json"),
                await post(gateway, b'{"resourceMetrics": 7}', Content_Type="application/json"),
                await post(gateway, large),
                await post(gateway, bomb, Content_Encoding="gzip"),
                await post(gateway, b"no gzip", Content_Encoding="gzip"),
                await post(gateway, request(), Content_Encoding="rot13"),
                await post(gateway, request(), Content_Type="text/plain"),
            ]
            assert [status for status, _ in answers] == [400, 400, 400, 413, 413, 400, 415, 415]
            assert all(body for _, body in answers), "every refusal says why"
            assert await export(gateway, b"\xff\xff") is grpc.StatusCode.INVALID_ARGUMENT
            assert await export(gateway, large) is grpc.StatusCode.RESOURCE_EXHAUSTED
            too_much = await export(gateway, bytes(10 * LIMIT), grpc.Compression.Gzip)
            assert too_much is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert (await gateway.ledger("p"))["received"] == 0
            assert (await post(gateway, request(3)))[0] == 200
            assert await export(gateway, request(4)) is grpc.StatusCode.OK

            async def arrived() -> bool:
                return arrivals.points.get("p") == 7

            await programs.until(arrived, "the good points arrive")
    assert arrivals.points == {"p": 7}


async def test_a_dead_backend_costs_its_own_pipeline_only_and_is_counted_with_a_reason(
    tmp_path,
) -> None:
    arrivals, (dead,) = Arrivals(), processes.free_ports(1)
    retry = {"initial": 0.1, "max_interval": 0.2, "max_age": 1.0}
    batch = {"linger": 0.05}
    async with sink.serving(arrivals, NAMES) as at:
        outputs = {"alive": at.otlp_grpc, "dead": f"http://127.0.0.1:{dead}"}
        pipelines = [
            {
                "name": name,
                "batch": batch,
                "retry": retry,
                "output": {"otlp": {"endpoint": endpoint}},
            }
            for name, endpoint in outputs.items()
        ]
        async with programs.gateway(tmp_path, {"pipelines": pipelines}) as gateway:
            for _ in range(5):
                assert (await post(gateway, request(2)))[0] == 200

            async def given_up() -> bool:
                return (await gateway.ledger("dead"))["dropped_by"] == {"too_old": 10}

            await programs.until(given_up, "the dead pipeline's points are dropped for their age")
            alive, lost = await gateway.ledger("alive"), await gateway.ledger("dead")
    assert (alive["delivered"], alive["dropped"]) == (10, 0)
    assert (lost["delivered"], lost["held"], lost["balance"]) == (0, 0, 0)
    assert arrivals.points == {"p": 10}


async def test_without_an_api_server_data_flows_and_with_it_enrichment_catches_up(tmp_path) -> None:
    (port,) = processes.free_ports(1)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(_kubeconfig(f"http://127.0.0.1:{port}"))
    arrivals = Arrivals()
    async with sink.serving(arrivals, NAMES) as at:
        document = {
            "kubernetes": {"source": "kubeconfig", "kubeconfig": str(kubeconfig)},
            "pipelines": [
                {
                    "name": "p",
                    "output": {"otlp": {"endpoint": at.otlp_grpc}},
                    "batch": {"linger": 0.05},
                }
            ],
        }
        async with programs.gateway(tmp_path, document) as gateway:
            checks = (await processes.get(f"{gateway.admin}/readyz"))["checks"]
            assert "unreachable" in checks["kubernetes"]
            assert (await post(gateway, request(k8s_pod_uid="u-1")))[0] == 200

            async def plain() -> bool:
                return arrivals.points.get("p") == 1

            await programs.until(plain, "a point arrives without enrichment")
            assert "k8s.pod.name" not in arrivals.best_resource()
            async with cluster.running(directory=tmp_path / "cluster") as home:
                pod = home.create(_pod())
                async with programs.forwarding(port, int(home.url.rpartition(":")[2])):

                    async def enriched() -> bool:
                        await post(gateway, request(k8s_pod_uid=pod["metadata"]["uid"]))
                        return arrivals.best_resource().get("k8s.pod.name") == "api-1"

                    await programs.until(enriched, "enrichment catches up", within=30)
                    checks = (await processes.get(f"{gateway.admin}/readyz"))["checks"]
                    assert "synced" in checks["kubernetes"]


async def test_a_broken_exposition_is_explained_and_other_targets_go_on(tmp_path) -> None:
    async def broken(_: web.Request) -> web.Response:
        return web.Response(body=b"good 1\nbad one\n", content_type="text/plain")

    async def good(_: web.Request) -> web.Response:
        return web.Response(body=b"good 1\n", content_type="text/plain")

    app = web.Application()
    app.router.add_get("/broken", broken)
    app.router.add_get("/good", good)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with sink.serving(Arrivals(), NAMES) as at:
        document = {
            "gateway": {"endpoint": at.otlp_grpc, "batch": {"linger": 0.05}},
            "scraping": {"interval": 0.5, "timeout": 0.5},
            "static_targets": [{"url": f"{base}/broken"}, {"url": f"{base}/good"}],
        }
        async with programs.agent(tmp_path, document) as pages:

            async def both():
                found = {t["url"]: t for t in (await processes.get(f"{pages}/targets"))["active"]}
                states = [found[f"{base}/{name}"]["state"] for name in ("broken", "good")]
                return found if states == ["failing", "up"] else None

            found = await programs.until(both, "one fails, the other is up")
    await runner.cleanup()
    error = found[f"{base}/broken"]["error"]
    assert "line 2" in error
    assert "'one'" in error
    assert error in (tmp_path / "agent.log").read_text()


def _pod() -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "api-1",
            "namespace": "default",
            "annotations": {"kubernetes.io/config.mirror": "api-1"},
        },
        "spec": {"nodeName": "node-a", "containers": [{"name": "c", "image": "i"}]},
    }


def _kubeconfig(url: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    )
