"""The gateway's document refuses what cannot work."""

import pytest

from common.config.gateway import Gateway
from common.service import settings

GOOD = "{name: a, output: {otlp: {endpoint: 'http://x:4317'}}}"


def problems(text: str) -> list[str]:
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(text, Gateway, environ={}, read=lambda _: "")
    return [str(p) for p in caught.value.problems]


def test_an_empty_document_is_a_gateway_without_pipelines() -> None:
    assert settings.load("", Gateway, environ={}, read=lambda _: "").pipelines == ()


def test_what_a_pipeline_does_that_says_nothing_but_where() -> None:
    config = settings.load(f"pipelines: [{GOOD}]", Gateway, environ={}, read=lambda _: "")
    (pipeline,) = config.pipelines
    assert not pipeline.required, "a backend that is away must not close the doors"
    assert pipeline.buffer is None
    assert pipeline.queue_bytes == 64 << 20
    assert pipeline.output.otlp.temporality == "preserve"
    assert not pipeline.output.otlp.auth.given
    assert config.admin.otelcol_metrics, "alerts that exist fire without being asked to"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("listen: {grpc: nowhere}", "listen.grpc"),
        ("admin: {health: '1'}", "admin.health"),
        ("limits: {max_request_bytes: 0}", "limits.max_request_bytes"),
        ("limits: {header_timeout: 0}", "limits.header_timeout"),
        ("limits: {read_timeout: 0}", "limits.read_timeout"),
        ("limits: {idle_timeout: 0}", "limits.idle_timeout"),
        ("listen: {http2: {max_frame_bytes: 16383}}", "listen.http2.max_frame_bytes"),
        ("kubernetes: {source: kubeconfig}", "kubernetes.kubeconfig"),
        ("enrichment: {strategy: none}", "enrichment.strategy"),
        ("enrichment: {pod_labels: [{}]}", "enrichment.pod_labels[0].key"),
        ("pipelines: [{name: A_, output: {otlp: {endpoint: 'http://x'}}}]", "pipelines[0].name"),
        ("pipelines: [{name: a}]", "pipelines[0].output"),
        (
            (
                "pipelines: [{name: a, output: {remote_write: {url: 'http://x'}}, "
                "buffer: {dir: /b, order: newest}}]"
            ),
            "pipelines[0].buffer.order",
        ),
        (
            (
                "pipelines: [{name: a, output: {otlp: {endpoint: 'http://x', temporality: delta}}, "
                "buffer: {dir: /b, order: newest}}]"
            ),
            "pipelines[0].buffer.order",
        ),
        (
            (
                "pipelines: [{name: a, output: {otlp: {endpoint: 'http://x'}}, "
                "buffer: {dir: /b, max_bytes: 100}}]"
            ),
            "pipelines[0].buffer.max_bytes",
        ),
        (
            "pipelines: [{name: a, output: {remote_write: {url: 'http://x', min_lanes: 99}}}]",
            "pipelines[0].output.remote_write.min_lanes",
        ),
        (
            (
                "pipelines: [{name: a, output: {otlp: {endpoint: 'http://x', "
                "auth: {bearer_token: x, basic: {username: a, password: b}}}}}]"
            ),
            "pipelines[0].output.otlp.auth",
        ),
        ("pipelines: [{name: a, output: {}}]", "pipelines[0].output"),
        (
            "pipelines: [{name: a, output: {otlp: {endpoint: x}}}]",
            "pipelines[0].output.otlp.endpoint",
        ),
        (
            "pipelines: [{name: a, output: {otlp: {endpoint: 'http://x', path: /p}}}]",
            "pipelines[0].output.otlp.path",
        ),
        (
            (
                "pipelines: [{name: a, output: {otlp: "
                "{endpoint: 'http://x', grpc_client: grpcio, compression: zstd}}}]"
            ),
            "pipelines[0].output.otlp.compression",
        ),
        (
            "pipelines: [{name: a, output: {otlp: {endpoint: 'https://x', tls: {cert_file: c}}}}]",
            "pipelines[0].output.otlp.tls.key_file",
        ),
        (
            (
                "pipelines: [{name: a, output: {otlp: {endpoint: 'https://x',"
                " grpc_client: grpcio, tls: {insecure_skip_verify: true}}}}]"
            ),
            "pipelines[0].output.otlp.tls.insecure_skip_verify",
        ),
        (
            "pipelines: [{name: a, output: {remote_write: {url: 'ftp://x'}}}]",
            "pipelines[0].output.remote_write.url",
        ),
        (f"pipelines: [{GOOD}, {GOOD}]", "pipelines[1].name"),
    ],
)
def test_a_mistake_is_named_by_its_key(text: str, key: str) -> None:
    (said,) = problems(text)
    assert said.startswith(f"{key}: ")


@pytest.mark.parametrize(
    "output",
    [
        "remote_write: {url: 'http://x:1'}",
        "otlp: {endpoint: 'http://x:1', temporality: delta}",
    ],
)
def test_where_order_matters_the_oldest_is_sent_first(output: str) -> None:
    pipeline = f"name: a, output: {{{output}}}, buffer: {{dir: /b, order: newest}}"
    (problem,) = problems(f"pipelines: [{{{pipeline}}}]")
    assert problem.startswith("pipelines[0].buffer.order")
    assert "set oldest" in problem
    settings.load(
        f"pipelines: [{{{pipeline.replace('newest', 'oldest')}}}]",
        Gateway,
        environ={},
        read=lambda _: "",
    )


def test_include_and_exclude_together_are_refused() -> None:
    (said,) = problems(
        "pipelines: [{name: a, inputs: {otlp: {namespaces: {include: [x], exclude: [y]}}},"
        " output: {otlp: {endpoint: 'http://x'}}}]"
    )
    assert said.startswith("pipelines[0].inputs.otlp.namespaces.exclude: ")


@pytest.mark.parametrize(
    "url",
    ["http://otel..svc:4318", "http://" + "a" * 64 + ":1", "http://x:70000", "http://x\\u0001"],
)
def test_a_host_that_nobody_can_look_up_is_refused(url: str) -> None:
    (said,) = problems(f'pipelines: [{{name: a, output: {{remote_write: {{url: "{url}"}}}}}}]')
    assert said.startswith("pipelines[0].output.remote_write.url: expected http://host:port")


@pytest.mark.parametrize("secret", ["me:hunter2@x:70000", "x:70000/?key=hunter2", "me:?hunter2@x"])
def test_a_url_that_is_refused_does_not_show_its_secrets(secret: str) -> None:
    (said,) = problems(
        f"pipelines: [{{name: a, output: {{remote_write: {{url: 'ftp://{secret}'}}}}}}]"
    )
    assert said.startswith("pipelines[0].output.remote_write.url: expected http://host:port")
    assert "hunter2" not in said
