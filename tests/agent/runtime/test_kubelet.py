"""The kubelet is asked at its ticks, and says in words why it does not tell anything."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from agent.runtime import kubelet
from agent.runtime.kubelet import Clocks
from agent.runtime.node_pods import Facts, Known, Volume
from agent.runtime.source import Health, Source
from agent.scraping.response import Cause
from common.config import agent as config, runtime_metrics
from common.kube import credentials
from common.service.settings import SettingsError
from common.wire import otlp
from tests.fakes import certificates, kubelet as fakes, kubernetes
from tests.fakes.kubernetes import Answer, refusal

EPOCH = 1_795_514_400  # 2026-11-24T10:00:00Z
SECOND = 10**9
WEB = Facts(
    uid="uid-web-0",
    namespace="shop",
    name="web-0",
    ip="10.0.0.7",
    volumes={"scratch": Volume("emptyDir"), "kube-api-access-x": Volume("configMap")},
)


@dataclass
class Gateway:
    """Takes points like the queue to the gateway, and lets tests look inside."""

    room: bool = True
    taken: list[ExportMetricsServiceRequest] = field(default_factory=list)

    def offer(self, body: otlp.Encoded, points: int) -> bool:
        assert otlp.count(body) == points
        if self.room:
            self.taken.append(ExportMetricsServiceRequest.FromString(body))
        return self.room

    def names(self, request: int = -1) -> set[str]:
        return {
            metric.name
            for frame in self.taken[request].resource_metrics
            for scope in frame.scope_metrics
            for metric in scope.metrics
        }


def clocks() -> Clocks:
    loop = asyncio.get_running_loop()
    return Clocks(wall=lambda: EPOCH * SECOND + round(loop.time() * SECOND), stopwatch=loop.time)


def document(node: str = "worker-1", **runtime: Any) -> config.Agent:
    plain = {"node": node, "inputs": {"runtime": {"enabled": True, "interval": 10} | runtime}}
    return msgspec.convert(plain, config.Agent)


def with_token(server: str = "http://nowhere") -> credentials.Access:
    return replace(credentials.anonymous(server), authorization=lambda: f"Bearer {fakes.TOKEN}")


@asynccontextmanager
async def collecting(
    gateway: Gateway,
    fake: fakes.Kubelet,
    *,
    access: credentials.Access | None = None,
    asked: dict[str, Any] | None = None,
    **runtime: Any,
) -> AsyncIterator[Source]:
    chosen = document(kubelet={"endpoint": fake.url} | (asked or {}), **runtime)
    async with kubelet.collecting(
        chosen,
        access or with_token(),
        Known([WEB]),
        gateway.offer,
        clocks=clocks(),
        version="1.2.3",
    ) as source:
        yield source


async def test_the_kubelet_is_asked_once_an_interval_and_its_figures_are_handed_on() -> None:
    gateway = Gateway()
    async with fakes.serving() as fake, collecting(gateway, fake) as source:
        assert source.health is Health.PENDING
        await asyncio.sleep(60)
        assert fake.paths == ["/stats/summary"] * 6
        assert set(fake.tokens) == {f"Bearer {fakes.TOKEN}"}
        assert (source.health, source.error, source.interval) == (Health.UP, "", 10)
        assert source.asked["up"] == 6
        assert source.last_success == source.last_time == source.next_time - 10 * SECOND
        assert source.points > 0
        assert source.bytes > 1000
        assert source.total_points == 6 * source.points
    assert gateway.names() == runtime_metrics.OF_KUBELET - runtime_metrics.ADDITIONAL
    times, scopes = set[int](), set[tuple[str, str]]()
    for request in gateway.taken:
        for frame in request.resource_metrics:
            (scope,) = frame.scope_metrics
            scopes.add((scope.scope.name, scope.scope.version))
            times |= {p.time_unix_nano for m in scope.metrics for p in m.gauge.data_points}
    assert scopes == {("io.kyma-project.telemetry/runtime", "1.2.3")}
    assert len(times) == 6
    assert len({time % (10 * SECOND) for time in times}) == 1


async def test_resources_say_whose_figures_they_are() -> None:
    gateway = Gateway()
    async with fakes.serving() as fake, collecting(gateway, fake):
        await asyncio.sleep(10)
    resources = [
        {a.key: a.value.string_value for a in frame.resource.attributes}
        for frame in gateway.taken[0].resource_metrics
    ]
    pod = {
        "k8s.pod.uid": "uid-web-0",
        "k8s.pod.name": "web-0",
        "k8s.pod.ip": "10.0.0.7",
        "k8s.namespace.name": "shop",
        "k8s.node.name": "worker-1",
        "kyma.input.name": "runtime",
    }
    assert resources == [
        {"k8s.node.name": "worker-1", "kyma.input.name": "runtime"},
        pod,
        pod | {"k8s.container.name": "app"},
        pod
        | {
            "k8s.volume.name": "data",
            "k8s.volume.type": "persistentVolumeClaim",
            "k8s.persistentvolumeclaim.name": "orders",
        },
    ]


@pytest.fixture
def files(tmp_path: Path) -> certificates.Files:
    return certificates.write(tmp_path, "worker-1")


async def test_its_certificate_is_verified_by_the_authority_that_the_settings_name(
    files: certificates.Files,
) -> None:
    gateway = Gateway()
    async with fakes.serving(files) as fake:
        tls = {"ca_file": fake.authority, "server_name": "worker-1"}
        async with collecting(gateway, fake, asked={"tls": tls}) as source:
            await asyncio.sleep(10)
            assert (source.health, source.error) == (Health.UP, "")
    assert len(gateway.taken) == 1


async def test_without_settings_the_authority_of_the_cluster_verifies_it(
    files: certificates.Files,
) -> None:
    gateway = Gateway()
    directory = files.authority.parent / "account"
    directory.mkdir()
    (directory / "token").write_text(fakes.TOKEN)
    (directory / "ca.crt").write_bytes(files.authority.read_bytes())
    access = credentials.in_cluster("127.0.0.1", "443", directory)
    async with fakes.serving(files) as fake:
        asked: dict[str, Any]
        for asked in (
            {"tls": {"server_name": "worker-1"}},
            {
                "tls": {
                    "server_name": "worker-1",
                    "cert_file": str(files.certificate),
                    "key_file": str(files.key),
                }
            },
        ):
            async with collecting(gateway, fake, access=access, asked=asked) as source:
                await asyncio.sleep(10)
                assert (source.health, source.error) == (Health.UP, "")
    assert len(gateway.taken) == 2


async def test_a_certificate_of_its_own_fails_with_the_settings_that_help(
    files: certificates.Files,
) -> None:
    gateway = Gateway()
    async with fakes.serving(files) as fake:
        async with collecting(gateway, fake) as source:
            await asyncio.sleep(10)
            assert source.health is Health.FAILING
            assert "inputs.runtime.kubelet.tls.ca_file" in source.error
            assert "inputs.runtime.kubelet.tls.insecure_skip_verify" in source.error
            assert source.asked[Cause.TLS] == 1
        asked = {"tls": {"ca_file": fake.authority}}
        async with collecting(gateway, fake, asked=asked) as source:
            await asyncio.sleep(10)
            assert "inputs.runtime.kubelet.tls.server_name" in source.error
        assert not gateway.taken
        asked = {"tls": {"insecure_skip_verify": True}}
        async with collecting(gateway, fake, asked=asked) as source:
            await asyncio.sleep(10)
            assert source.health is Health.UP
    assert len(gateway.taken) == 1


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
async def test_files_that_cannot_be_used_are_a_matter_of_settings(
    files: certificates.Files, key: str
) -> None:
    broken = files.key.parent / "broken.pem"
    broken.write_text("nothing")
    tls = {"ca_file": str(files.authority)} | {key: str(broken)}
    if key == "cert_file":
        tls["key_file"] = str(broken)
    async with fakes.serving(files) as fake:
        with pytest.raises(SettingsError, match=rf"kubelet\.tls\.{key}: .*broken\.pem"):
            async with collecting(Gateway(), fake, asked={"tls": tls}):
                raise AssertionError


async def test_failures_are_words_and_the_log_tells_only_changes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "headgate.agent.runtime")
    gateway = Gateway()
    async with fakes.serving() as fake, collecting(gateway, fake) as source:
        fake.status = 403
        await asyncio.sleep(30)
        assert source.health is Health.FAILING
        assert source.error == (
            "status 403 Forbidden: our service account needs the right to get nodes/stats"
        )
        assert source.asked[Cause.STATUS] == 3
        fake.status, fake.body = 200, b'{"node": 5}'
        await asyncio.sleep(10)
        assert source.error.startswith("not a summary: Expected `object`")
        assert source.asked[Cause.MALFORMED] == 1
        fake.body = None
        await asyncio.sleep(20)
        assert (source.health, source.asked["up"]) == (Health.UP, 2)
        fake.silent = True
        await asyncio.sleep(30)
        assert source.error.startswith("timed out: ")
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the kubelet fails",
        "the kubelet fails",
        "the kubelet answers again",
        "the kubelet fails",
    ]
    assert len(gateway.taken) == 2


async def test_a_wrong_token_is_explained() -> None:
    nobody = credentials.anonymous("http://nowhere")
    async with fakes.serving() as fake, collecting(Gateway(), fake, access=nobody) as source:
        await asyncio.sleep(10)
        assert source.error.startswith("status 401 Unauthorized: it does not accept our token")


async def test_an_endpoint_without_tls_is_explained() -> None:
    async with fakes.serving() as fake:
        plain = replace(fake, url=fake.url.replace("http:", "https:"))
        async with collecting(Gateway(), plain) as source:
            await asyncio.sleep(10)
            assert source.asked[Cause.TLS] == 1
            assert source.error.endswith("does the endpoint speak https?")


async def test_a_redirect_gets_no_token() -> None:
    async with fakes.serving() as fake, collecting(Gateway(), fake) as source:
        fake.status = 307
        await asyncio.sleep(10)
        assert source.error.startswith("status 307 Temporary Redirect: redirects are not followed")
        assert fake.paths == ["/stats/summary"]


async def test_nothing_listening_is_explained() -> None:
    async with fakes.serving() as fake:
        pass
    async with collecting(Gateway(), fake) as source:
        await asyncio.sleep(10)
        assert source.asked[Cause.REFUSED] == 1
        assert source.error.startswith("connection refused: ")


async def test_an_answer_without_an_end_is_cut_off() -> None:
    async with (
        fakes.serving() as fake,
        collecting(Gateway(), fake, asked={"max_bytes": 500}) as source,
    ):
        await asyncio.sleep(10)
        assert source.asked[Cause.TOO_LARGE] == 1
        assert "more than 500 bytes" in source.error


async def test_what_finds_no_room_is_dropped_whole_and_counted() -> None:
    gateway = Gateway(room=False)
    async with fakes.serving() as fake, collecting(gateway, fake) as source:
        await asyncio.sleep(20)
        assert (source.lost, source.health) == (2, Health.UP)
        gateway.room = True
        await asyncio.sleep(10)
        assert source.lost == 2
    assert len(gateway.taken) == 1


async def test_ticks_that_were_missed_are_counted_and_not_made_up_for() -> None:
    gateway = Gateway()
    async with fakes.serving() as fake:
        began = asyncio.get_running_loop().time()
        held = False

        def wall() -> int:  # jumps ahead by a minute after a while
            now = asyncio.get_running_loop().time() - began
            return EPOCH * SECOND + round((now + 60 * held) * SECOND)

        time = Clocks(wall=wall, stopwatch=asyncio.get_running_loop().time)
        chosen = document(kubelet={"endpoint": fake.url})
        async with kubelet.collecting(
            chosen, with_token(), Known([WEB]), gateway.offer, clocks=time, version="1"
        ) as source:
            await asyncio.sleep(15)
            before = source.asked["up"]
            held = True
            await asyncio.sleep(10)
            assert source.late in {5, 6}
            assert source.asked["up"] - before in {1, 2}


SHARES = ("k8s.pod.cpu.node.utilization", "k8s.pod.memory.node.utilization")


def of_node(cpu: str = "4") -> Answer:
    status = {"capacity": {"cpu": cpu, "memory": "8Gi", "pods": "110"}}
    return Answer(body=msgspec.json.encode({"metadata": {"name": "worker-1"}, "status": status}))


def shares(request: ExportMetricsServiceRequest) -> dict[str, float]:
    return {
        metric.name: metric.gauge.data_points[0].as_double
        for frame in request.resource_metrics
        for scope in frame.scope_metrics
        for metric in scope.metrics
        if metric.name in SHARES
    }


async def test_shares_of_the_node_need_its_capacity_asked_for_once_a_minute() -> None:
    gateway = Gateway()
    async with fakes.serving() as fake, kubernetes.serving() as api:
        api.script(of_node(), of_node("2"))
        access = with_token(api.url)
        async with collecting(
            gateway, fake, access=access, additional_metrics=list(SHARES)
        ) as source:
            await asyncio.sleep(30)
            assert [request.path for request in api.requests] == ["/api/v1/nodes/worker-1"]
            assert api.requests[0].headers["Authorization"] == f"Bearer {fakes.TOKEN}"
            await asyncio.sleep(60)
            assert len(api.requests) == 2
            assert source.missing == ""
    memory = 80 / 8192
    assert shares(gateway.taken[0]) == dict(zip(SHARES, (0.125, memory), strict=True))
    assert shares(gateway.taken[-1]) == dict(zip(SHARES, (0.25, memory), strict=True))


async def test_without_the_capacity_all_else_is_told_and_what_is_missing_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gateway = Gateway()
    async with fakes.serving() as fake, kubernetes.serving() as api:
        api.script(refusal(403, "Forbidden", "no"), Answer(body=b"<html>"), of_node())
        access = with_token(api.url)
        async with collecting(
            gateway, fake, access=access, additional_metrics=list(SHARES)
        ) as source:
            await asyncio.sleep(15)
            assert source.health is Health.UP
            assert "403 Forbidden: no" in source.missing
            assert "get nodes" in source.missing
            assert not shares(gateway.taken[0])
            assert "k8s.pod.cpu.usage" in gateway.names(0)
            await asyncio.sleep(75)  # a minute, and the tick after it
            assert "unreadable answer" in source.missing
            await asyncio.sleep(75)
            assert source.missing == ""
            assert shares(gateway.taken[-1])
    assert len([r for r in caplog.records if "lacks shares" in r.getMessage()]) == 2


async def test_the_api_server_is_not_asked_for_what_nobody_wants() -> None:
    async with fakes.serving() as fake, kubernetes.serving() as api:
        async with collecting(Gateway(), fake, access=with_token(api.url)):
            await asyncio.sleep(30)
        assert not api.requests


@pytest.mark.parametrize(
    "runtime",
    [
        {"enabled": False},
        {"resources": dict.fromkeys(("pod", "container", "node", "volume"), False)},
    ],
)
async def test_what_nobody_asks_for_is_not_collected(runtime: dict[str, Any]) -> None:
    async with fakes.serving() as fake, collecting(Gateway(), fake, **runtime) as source:
        await asyncio.sleep(30)
        assert source.health is Health.OFF
        assert not fake.paths


async def test_without_a_node_and_an_endpoint_there_is_nobody_to_ask() -> None:
    async with kubelet.collecting(
        document(node=""), None, Known(), Gateway().offer, clocks=clocks(), version="1"
    ) as source:
        assert source.health is Health.OFF


async def test_by_default_the_node_is_asked_by_its_name() -> None:
    chosen = document(node="worker-1.invalid")
    async with kubelet.collecting(
        chosen, None, Known(), Gateway().offer, clocks=clocks(), version="1"
    ) as source:
        assert source.url == "https://worker-1.invalid:10250/stats/summary"
