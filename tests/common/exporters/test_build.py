"""What the configuration describes gets built, and what cannot work is said before it runs."""

from collections.abc import Callable
from contextlib import asynccontextmanager
from importlib import metadata

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from common.config import agent, gateway, outputs
from common.config.outputs import Auth, BasicAuth, OAuth2
from common.config.shared import Tls
from common.exporters import build
from common.exporters.outcomes import (
    Batch,
    Delivered,
    Exporter,
    Prepared,
    Proofs,
    Refused,
    Retry,
)
from common.service.ledger import DropReason
from common.service.settings import SettingsError
from common.wire import compression, otlp as wire, remote_write
from tests.fakes import backends, points
from tests.fakes.backends import Http, Rpc
from tests.fakes.remote_write_v2 import V1, V2

BODY = points.request([1.0])
KINDS = ("grpc", "grpcio", "http", "remote_write")
Code = grpc.StatusCode
VERSION = metadata.version("headgate")


def otlp(**settings: object) -> gateway.Output:
    return gateway.Output(otlp=gateway.OtlpOutput(**settings))


def writing(**settings: object) -> gateway.Output:
    return gateway.Output(remote_write=gateway.RemoteWriteOutput(**settings))


BEARER = Auth(bearer_token="secret")


def tokens(url: str, **settings: object) -> Auth:
    return Auth(oauth2=OAuth2(token_url=url, client_id="me", client_secret="secret", **settings))


async def send(exporter: Exporter) -> object:
    (request,) = exporter.encode(Batch(body=BODY, points=1, oldest=0.0)).requests
    return await exporter.send(request)


def exporting(output: gateway.Output):
    return build.exporting(output, now=lambda: 1_790_000_000.0)


@pytest.mark.wallclock
async def test_otlp_over_grpc() -> None:
    async with backends.otlp_grpc() as backend:
        output = otlp(endpoint=backend.url, headers={"X-Tenant": "shop"})
        async with exporting(output) as exporter:
            assert await send(exporter) == Delivered()
    (received,) = backend.received
    assert received.body == BODY
    assert received.headers["x-tenant"] == "shop"
    agent_name = received.headers["user-agent"]
    assert agent_name == f"OTel-OTLP-Exporter-python-headgate/{VERSION}"


@pytest.mark.wallclock
@pytest.mark.parametrize(
    ("suffix", "path", "asked"),
    [
        ("", "", "/v1/metrics"),
        ("/", "", "/v1/metrics"),
        ("/tenant", "", "/tenant/v1/metrics"),
        ("", "/in/here", "/in/here"),
        ("/a/", "b", "/a/b"),
    ],
)
async def test_otlp_over_http_with_its_path(suffix, path, asked) -> None:
    async with backends.http() as backend:
        output = otlp(endpoint=backend.url + suffix, path=path, protocol="http", compression="zstd")
        async with exporting(output) as exporter:
            assert await send(exporter) == Delivered()
    (received,) = backend.received
    assert received.path == asked
    assert compression.inflate(received.body, "zstd", 1 << 20) == BODY
    assert received.headers["user-agent"] == f"OTel-OTLP-Exporter-python-headgate/{VERSION}"


@pytest.mark.wallclock
@pytest.mark.parametrize("key", ["promote", "promote_without_instance"])
async def test_remote_write_with_its_options(key: str) -> None:
    async with backends.http() as backend:
        output = writing(
            url=f"{backend.url}/api/v1/write?x=y",
            headers={"User-Agent": "mine", "X-Scope-OrgID": "shop"},
            external_labels={"cluster": "c1"},
            target_info=False,
            naming="utf8",
            **{key: ("service.name",)},
        )
        async with exporting(output) as exporter:
            assert await send(exporter) == Delivered()
    (received,) = backend.received
    assert received.path == "/api/v1/write?x=y"
    assert received.headers["user-agent"] == "mine"
    assert received.headers["x-scope-orgid"] == "shop"
    (series,) = remote_write.read(compression.inflate(received.body, "snappy", 1 << 20)).series
    labels = dict(series.labels)
    assert (labels["cluster"], labels["service.name"]) == ("c1", "shop")


@pytest.mark.parametrize("wanted", [True, False])
async def test_exemplars_are_sent_if_they_are_wanted(wanted) -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="hits")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 2
    metric.sum.data_points.add(as_double=1.0).exemplars.add(as_double=0.5)
    body = wire.Encoded(request.SerializeToString())
    async with exporting(writing(url="http://127.0.0.1:9", exemplars=wanted)) as exporter:
        (encoded,) = exporter.encode(Batch(body=body, points=1, oldest=0.0)).requests
    (series,) = remote_write.read(compression.inflate(encoded.body, "snappy", 1 << 20)).series
    assert [each.value for each in series.exemplars] == ([0.5] if wanted else [])


def kinds(port: int, scheme: str = "http") -> dict[str, Callable[..., gateway.Output]]:
    """Return the four exporters, as settings by their name."""
    url = f"{scheme}://127.0.0.1:{port}"
    return {
        "grpc": lambda **other: otlp(endpoint=url, **other),
        "grpcio": lambda **other: otlp(endpoint=url, grpc_client="grpcio", **other),
        "http": lambda **other: otlp(endpoint=url, protocol="http", **other),
        "remote_write": lambda **other: writing(url=url, **other),
    }


@asynccontextmanager
async def served(kind: str, script=()):
    serving = backends.otlp_grpc if kind in {"grpc", "grpcio"} else backends.http
    async with serving(script) as backend:
        yield backend, kinds(int(backend.url.rpartition(":")[2]))[kind]


@pytest.mark.wallclock
@pytest.mark.parametrize("kind", KINDS)
async def test_every_exporter_proves_itself_and_secrets_change_in_place(kind) -> None:
    def secret(word: str) -> list[gateway.Output]:
        return [
            output(headers={"X-Key": word}),
            output(auth=Auth(bearer_token=word)),
            output(auth=Auth(basic=BasicAuth(username="me", password=word))),
        ]

    async with served(kind) as (backend, output):
        for before, after in zip(secret("one"), secret("two"), strict=True):
            async with exporting(before) as exporter:
                (request,) = exporter.encode(Batch(body=BODY, points=1, oldest=0.0)).requests
                assert await exporter.send(request) == Delivered()
                exporter.renew(after)
                assert await exporter.send(request) == Delivered()  # encoded before the change
    sent = [r.headers.get("x-key", r.headers.get("authorization")) for r in backend.received]
    basic = ["Basic bWU6b25l", "Basic bWU6dHdv"]
    assert sent == ["one", "two", "Bearer one", "Bearer two", *basic]


@pytest.mark.wallclock
@pytest.mark.parametrize("kind", KINDS)
async def test_who_is_not_believed_for_good_is_refused(kind) -> None:
    refusals = {
        "grpc": [Rpc(code=Code.UNAUTHENTICATED), Rpc(code=Code.PERMISSION_DENIED)],
        "http": [Http(status=401), Http(status=403)],
    }
    script = refusals["grpc" if kind in {"grpc", "grpcio"} else "http"]
    async with (
        served(kind, script) as (backend, output),
        exporting(output(auth=BEARER)) as exporter,
    ):
        verdicts = [await send(exporter) for _ in script]
    assert [type(verdict) for verdict in verdicts] == [Refused, Refused]
    assert len(backend.received) == 2


@pytest.mark.wallclock
@pytest.mark.parametrize("kind", KINDS)
async def test_a_backend_that_repeats_the_token_does_not_make_us_tell_it(kind) -> None:
    word = "secret-of-ours"
    script = [
        Rpc(code=Code.UNAUTHENTICATED, details=f"bad token {word}")
        if kind in {"grpc", "grpcio"}
        else Http(status=401, body=f"bad token {word}".encode())
    ]
    async with (
        served(kind, script) as (_, output),
        exporting(output(auth=Auth(bearer_token=word))) as exporter,
    ):
        verdict = await send(exporter)
    assert isinstance(verdict, Refused)
    assert "bad token ***" in verdict.why
    assert "secret" not in verdict.why


@pytest.mark.wallclock
@pytest.mark.parametrize("kind", KINDS)
async def test_a_token_is_asked_for_used_and_asked_for_again_when_it_is_refused(kind) -> None:
    refusal = Rpc(code=Code.UNAUTHENTICATED) if kind in {"grpc", "grpcio"} else Http(status=401)
    fine = Rpc() if kind in {"grpc", "grpcio"} else None
    given = [Http(body=b'{"access_token": "%d", "token_type": "Bearer"}' % i) for i in range(3)]
    async with (
        backends.http(given) as endpoint,
        served(kind, [fine, refusal] if fine else [Http(), refusal]) as (backend, output),
        exporting(output(auth=tokens(endpoint.url))) as exporter,
    ):
        assert [await send(exporter) for _ in range(3)] == [Delivered()] * 3
        assert exporter.proofs() == Proofs(tokens=2)
    assert [r.headers["authorization"] for r in backend.received] == [
        "Bearer 0",
        "Bearer 0",  # refused
        "Bearer 1",
        "Bearer 1",
    ]
    assert len(endpoint.received) == 2


def sum_of(value: int, at: int, temporality: int) -> Batch:
    request = ExportMetricsServiceRequest()
    frame = request.resource_metrics.add()
    frame.resource.attributes.add(key="service.name").value.string_value = "shop"
    metric = frame.scope_metrics.add().metrics.add(name="sold")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, temporality
    metric.sum.data_points.add(as_int=value, time_unix_nano=at * 10**9, start_time_unix_nano=5)
    return Batch(body=request.SerializeToString(), points=1, oldest=0.0)


@pytest.mark.parametrize(
    "client",
    [{"protocol": "http"}, {"protocol": "grpc"}, {"protocol": "grpc", "grpc_client": "grpcio"}],
)
async def test_otlp_with_deltas(client) -> None:
    output = otlp(endpoint="http://127.0.0.1:1", temporality="delta", **client)
    async with exporting(output) as exporter:
        first = exporter.prepare(sum_of(5, 10, temporality=2))
        assert (first.batch.points, first.dropped) == (0, {DropReason.BASELINE: 1})
        second = exporter.prepare(sum_of(7, 20, temporality=2))
        stats = exporter.series()
    request = ExportMetricsServiceRequest.FromString(second.batch.body)
    metric = request.resource_metrics[0].scope_metrics[0].metrics[0]
    assert metric.sum.aggregation_temporality == 1
    assert metric.sum.data_points[0].as_int == 2
    assert stats is not None
    assert (stats.series, stats.max_bytes) == (1, 64 << 20)


async def test_otlp_as_it_came() -> None:
    async with exporting(otlp(endpoint="http://127.0.0.1:1")) as exporter:
        assert exporter.series() is None
        batch = sum_of(5, 10, temporality=2)
        assert exporter.prepare(batch) == Prepared(batch=batch)


@pytest.mark.parametrize(("protocol", "start"), [("1.0", 0), ("2.0", 10)])
async def test_start_times_are_for_remote_write_2_0(protocol, start) -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="hits")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 2
    metric.sum.data_points.add(
        as_double=1.0, start_time_unix_nano=10 * 10**6, time_unix_nano=10**18
    )
    body = wire.Encoded(request.SerializeToString())
    async with exporting(writing(url="http://127.0.0.1:1", protocol=protocol)) as exporter:
        (encoded,) = exporter.encode(Batch(body=body, points=1, oldest=0.0)).requests
    sent = compression.inflate(encoded.body, "snappy", 1 << 20)
    schema = V2["Request"] if protocol == "2.0" else V1["WriteRequest"]
    (series,) = schema.FromString(sent).timeseries
    (sample,) = series.samples
    assert getattr(sample, "start_timestamp", 0) == start


async def test_remote_write_adds_deltas_up() -> None:
    state = outputs.SeriesState(max_bytes=1 << 20, expiry=7.0)
    output = writing(url="http://127.0.0.1:1", series_state=state)
    async with exporting(output) as exporter:
        exporter.prepare(sum_of(5, 10, temporality=1))
        prepared = exporter.prepare(sum_of(7, 20, temporality=1))
        (request,) = exporter.encode(prepared.batch).requests
        stats = exporter.series()
    series = remote_write.read(compression.inflate(request.body, "snappy", 1 << 20)).series
    found = {dict(one.labels)["__name__"]: one.samples for one in series}
    assert found["sold_total"] == ((12.0, 20_000),)
    assert stats is not None
    assert (stats.series, stats.max_bytes) == (1, 1 << 20)


async def test_remote_write_drops_deltas_where_the_settings_say_so() -> None:
    async with exporting(writing(url="http://127.0.0.1:1", deltas="drop")) as exporter:
        assert exporter.series() is None
        prepared = exporter.prepare(sum_of(5, 10, temporality=1))
        encoding = exporter.encode(prepared.batch)
    assert (prepared.dropped, encoding.requests) == ({}, ())
    assert encoding.dropped == {DropReason.DELTA_UNSUPPORTED: 1}


@pytest.mark.wallclock
async def test_an_agent_sends_the_token_that_is_current() -> None:
    tokens = ["", " one\n", "two\x00"]
    async with backends.otlp_grpc() as backend:
        push = agent.Push(endpoint=backend.url)
        async with build.pushing(push, token=lambda: tokens.pop(0)) as exporter:
            for _ in range(3):
                assert await send(exporter) == Delivered()
    sent = [received.headers.get("authorization") for received in backend.received]
    assert sent == [None, "Bearer one", "Bearer two?"]
    claims = [received.headers.get("headgate-agent") for received in backend.received]
    assert claims == [None, "1", "1"], "without a token there is nothing to believe"


@pytest.mark.wallclock
async def test_an_agent_whose_token_is_not_believed_comes_again() -> None:
    script = [Rpc(code=Code.UNAUTHENTICATED, details="the token is none of ours")]
    async with (
        backends.otlp_grpc(script) as backend,
        build.pushing(agent.Push(endpoint=backend.url), token=lambda: "secret-of-ours") as exporter,
    ):
        verdict = await send(exporter)
        assert verdict == Retry("UNAUTHENTICATED: the token is none of ours")
        assert exporter.proofs() == Proofs(refusals=1)
        assert await send(exporter) == Delivered()
    assert len(backend.received) == 2


@pytest.mark.wallclock
@pytest.mark.parametrize("code", [Code.PERMISSION_DENIED, Code.INVALID_ARGUMENT])
async def test_what_a_gateway_refuses_an_agent_for_good_is_refused(code) -> None:
    async with (
        backends.otlp_grpc([Rpc(code=code)]) as backend,
        build.pushing(agent.Push(endpoint=backend.url), token=lambda: "") as exporter,
    ):
        assert isinstance(await send(exporter), Refused)


@pytest.mark.parametrize(
    ("output", "key", "word"),
    [
        (otlp(endpoint="http://h:1", headers={"a b": "x"}), "otlp.headers.a b", "name"),
        (otlp(endpoint="http://h:1", headers={"grpc-x": "x"}), "otlp.headers.grpc-x", "name"),
        (otlp(endpoint="http://h:1", headers={"x-bin": "x"}), "otlp.headers.x-bin", "name"),
        (otlp(endpoint="http://h:1", headers={"x": "s\necret"}), "otlp.headers.x", "ASCII"),
        (
            otlp(endpoint="http://h:1", protocol="http", headers={"Content-Type": "x"}),
            "otlp.headers.Content-Type",
            "remove",
        ),
        (writing(url="http://h:1", headers={"x": "sécret"}), "remote_write.headers.x", "ASCII"),
        (
            writing(url="http://u:secret@h:1", headers={"Authorization": "secret"}),
            "remote_write.url",
            "one of them",
        ),
        (
            otlp(endpoint="http://h:1", headers={"authorization": "secret"}, auth=BEARER),
            "otlp.headers.authorization",
            "auth",
        ),
        (otlp(endpoint="http://u:secret@h:1", auth=BEARER), "otlp.endpoint", "one of them"),
        (writing(url="http://u:secret@h:1", auth=BEARER), "remote_write.url", "one of them"),
        (
            otlp(endpoint="http://h:1", auth=tokens("https://t", tls=Tls(ca_file="/absent"))),
            "otlp.auth.oauth2.tls",
            "No such file",
        ),
        (
            otlp(
                endpoint="https://h:1",
                auth=tokens("https://t"),
                tls=Tls(ca_file="/absent"),
            ),
            "otlp.tls",
            "No such file",
        ),
        (otlp(endpoint="https://h:1", tls=Tls(ca_file="/absent")), "otlp.tls", "No such file"),
        (
            otlp(endpoint="https://h:1", protocol="http", tls=Tls(ca_file="/absent")),
            "otlp.tls",
            "No such file",
        ),
        (
            writing(url="https://h:1", tls=Tls(cert_file="/absent", key_file="/absent")),
            "remote_write.tls",
            "No such file",
        ),
    ],
)
async def test_what_cannot_be_sent_is_a_problem_of_the_settings(output, key, word) -> None:
    with pytest.raises(SettingsError) as error:
        async with exporting(output):
            pytest.fail("it was accepted")
    (problem,) = error.value.problems
    assert problem.key == key
    assert word in problem.message
    assert "ecret" not in problem.message


async def test_every_wrong_header_is_said_at_once() -> None:
    output = otlp(endpoint="http://h:1", headers={"a b": "x", "fine": "x", "c": "\x00"})
    with pytest.raises(SettingsError) as error:
        async with exporting(output):
            pytest.fail("it was accepted")
    assert [problem.key for problem in error.value.problems] == [
        "otlp.headers.a b",
        "otlp.headers.c",
    ]
