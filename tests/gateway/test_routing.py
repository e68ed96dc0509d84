"""Every pipeline gets exactly what it takes, in order, and the counts add up."""

from hypothesis import given, settings, strategies as st

from bench.references import gateway as reference
from common.config.agent_inputs import RuntimeResources
from common.config.gateway import Input, Inputs, IstioInput, PrometheusInput, RuntimeInput
from common.config.shared import Names, Namespaces
from common.wire import otlp
from gateway import filters, routing
from tests.gateway import samples


def piece(
    *names: str, namespace: str = "shop", source: str = "otlp", points: int = 1
) -> routing.Piece:
    (frame,) = otlp.frames(samples.request(names, points=points))
    return routing.Piece(frame, frame.resource, namespace, source)


def routes(**inputs: Inputs) -> routing.Routes[str]:
    return routing.Routes(
        generation=1,
        pipelines=tuple(
            routing.Route(name=name, selections=filters.selections(chosen), outlet=name)
            for name, chosen in inputs.items()
        ),
    )


def test_pipelines_that_take_everything_share_one_body() -> None:
    pieces = [piece("a"), piece("b")]
    one, two = routing.route(pieces, routes(one=Inputs(), two=Inputs()))
    assert one.body is two.body
    assert samples.names(one.body) == ["a", "b"]
    assert (one.received, one.points, dict(one.filtered)) == (2, 2, {})


def test_a_frame_is_sent_with_its_completed_resource() -> None:
    frame = piece("a").frame
    completed = otlp.attribute("k8s.pod.name", "p")
    (share,) = routing.route([routing.Piece(frame, completed, "", "otlp")], routes(one=Inputs()))
    assert otlp.frames(share.body) == (otlp.Frame(completed, frame.rest, 1),)


def test_what_a_newer_agent_sends_of_an_input_nobody_knows_here_reaches_nobody() -> None:
    everything = Inputs(
        istio=IstioInput(enabled=True, diagnostic_metrics=True, envoy_metrics=True),
        runtime=RuntimeInput(enabled=True, resources=RuntimeResources(apiserver=True)),
    )
    pieces = [piece("a", source="cost", points=3), piece("b")]
    for share in routing.route(pieces, routes(one=everything, two=Inputs())):
        assert samples.names(share.body) == ["b"]
        assert (share.received, share.points) == (4, 1)
        assert share.filtered == {"unknown_input": 3}


def test_what_is_left_out_is_told_by_rule() -> None:
    chosen = Inputs(
        otlp=Input(namespaces=Namespaces(exclude=("kube-system",)), metrics=Names(exclude=("x*",))),
        prometheus=PrometheusInput(enabled=False),
    )
    pieces = [
        piece("a", "x", points=2),
        piece("b", namespace="kube-system"),
        piece("up", "c", source="prometheus"),
        piece("d", namespace=""),
    ]
    share = routing.route(pieces, routes(one=chosen))[0]
    assert samples.names(share.body) == ["a", "d"]
    assert (share.received, share.points) == (8, 3)
    assert share.filtered == {"metric_name": 2, "namespace": 1, "input_disabled": 2}


def test_without_pipelines_there_are_no_shares() -> None:
    assert routing.route([piece("a")], routes()) == []


def test_every_pipeline_gets_of_an_agent_what_it_asked_for() -> None:
    pieces = [
        piece("up", "requests", source="prometheus"),
        piece("istio_requests_total", "envoy_server_uptime", "up", source="istio"),
        piece("k8s.pod.cpu.usage", "k8s.pod.uptime", source="runtime"),
        piece("k8s.node.cpu.usage", "k8s.node.uptime", namespace="", source="runtime"),
        piece("k8s.deployment.desired", namespace="kube-system", source="runtime"),
        piece("up", "apiserver_request_total", namespace="", source="apiserver"),
    ]
    off = Input(enabled=False)
    wanted = {
        "prometheus": Inputs(otlp=off),
        "istio": Inputs(
            otlp=off,
            prometheus=PrometheusInput(enabled=False),
            istio=IstioInput(enabled=True, diagnostic_metrics=True),
        ),
        "runtime": Inputs(
            prometheus=PrometheusInput(enabled=False),
            runtime=RuntimeInput(
                enabled=True,
                namespaces=Namespaces(exclude=("kube-system",)),
                resources=RuntimeResources(pod=False, apiserver=True),
                additional_metrics=("k8s.pod.uptime",),
            ),
        ),
        "nodes": Inputs(
            prometheus=PrometheusInput(enabled=False),
            runtime=RuntimeInput(enabled=True, namespaces=Namespaces(include=("nowhere",))),
        ),
    }
    got = {
        share.route.name: (samples.names(share.body), dict(share.filtered))
        for share in routing.route(pieces, routes(**wanted))
    }
    assert got == {
        "prometheus": (["requests"], {"diagnostic": 1, "input_disabled": 10}),
        "istio": (["istio_requests_total", "up"], {"envoy": 1, "input_disabled": 9}),
        "runtime": (
            ["k8s.pod.uptime", "k8s.node.cpu.usage", "apiserver_request_total"],
            {
                "input_disabled": 5, "runtime_resource": 1, "additional_metric": 1,
                "namespace": 1, "diagnostic": 1,
            },
        ),
        "nodes": (
            ["k8s.node.cpu.usage"],
            {"input_disabled": 7, "namespace": 3, "additional_metric": 1},
        ),
    }  # fmt: skip


NAMES = st.sampled_from([
    "up", "a", "b", "scrape_series_added", "scrape_sample_limit", "secret",
    "istio_requests_total", "envoy_x",
    "container.cpu.usage", "container.uptime", "k8s.container.restarts", "k8s.container.ready",
    "k8s.pod.phase", "k8s.pod.uptime", "k8s.pod.of_the_future", "k8s.podium",
    "k8s.hpa.max_replicas", "k8s.node.cpu.usage", "k8s.node.cpu.time", "k8s.volume.inodes",
    "k8s.job.active_pods",
])  # fmt: skip
PIECES = st.builds(
    lambda names, namespace, source: piece(*names, namespace=namespace, source=source),
    st.lists(NAMES, min_size=1, max_size=6),
    st.sampled_from(["", "shop", "kube-system"]),
    st.sampled_from(["otlp", "prometheus", "istio", "runtime", "apiserver", "of-tomorrow"]),
)
CHOICES = st.builds(
    Names,
    include=st.sampled_from([(), ("a*",), ("*.c*", "up")]),
    exclude=st.sampled_from([(), ("secret", "*pod*")]),
)
NAMESPACES = st.sampled_from(
    [Namespaces(), Namespaces(include=("shop",)), Namespaces(exclude=("shop",))]
)
ON = st.booleans()
COMMON = {"enabled": ON, "namespaces": NAMESPACES, "metrics": CHOICES}
INPUTS = st.builds(
    Inputs,
    otlp=st.builds(Input, **COMMON),
    prometheus=st.builds(PrometheusInput, **COMMON, diagnostic_metrics=ON),
    istio=st.builds(IstioInput, **COMMON, diagnostic_metrics=ON, envoy_metrics=ON),
    runtime=st.builds(
        RuntimeInput,
        **COMMON,
        resources=st.builds(
            RuntimeResources, **dict.fromkeys(RuntimeResources.__struct_fields__, ON)
        ),
        additional_metrics=st.sampled_from(
            [(), ("k8s.pod.uptime",), ("k8s.pod.phase", "container.uptime")]
        ),
    ),
)


@settings(max_examples=300)
@given(st.lists(PIECES, min_size=1, max_size=4), INPUTS)
def test_routing_agrees_with_the_obvious_way_and_conserves_points(
    pieces: list[routing.Piece], inputs: Inputs
) -> None:
    share = routing.route(pieces, routes(one=inputs))[0]
    kept, filtered = [], {}
    for each in pieces:
        chosen = reference.chosen_of(inputs, each.source)
        for name in samples.names(otlp.splice(each.frame, b"")):
            rule = reference.rule_of(name, chosen, each.namespace)
            if rule is None:
                kept.append(name)
            else:
                filtered[rule] = filtered.get(rule, 0) + 1
    assert samples.names(share.body) == kept
    assert share.filtered == filtered
    assert otlp.count(share.body) == share.points
    assert share.received == share.points + sum(share.filtered.values())
    assert share.received == sum(p.frame.points for p in pieces)
