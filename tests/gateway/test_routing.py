"""Every pipeline gets exactly what it takes, in order, and the counts add up."""

from hypothesis import given, settings, strategies as st

from common.config.gateway import Input, Inputs, PrometheusInput
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


def test_a_source_that_is_not_named_passes_whole() -> None:
    off = Inputs(otlp=Input(enabled=False), prometheus=PrometheusInput(enabled=False))
    share = routing.route([piece("a", source="runtime"), piece("b")], routes(one=off))[0]
    assert samples.names(share.body) == ["a"]


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


NAMES = st.sampled_from(["up", "a", "b", "scrape_series_added", "secret"])
PIECES = st.builds(
    lambda names, namespace, source: piece(*names, namespace=namespace, source=source),
    st.lists(NAMES, min_size=1, max_size=4),
    st.sampled_from(["", "shop", "kube-system"]),
    st.sampled_from(["otlp", "prometheus", "runtime"]),
)
CHOICES = st.builds(Names, include=st.sampled_from([(), ("a*",)]), exclude=st.just(("secret",)))
NAMESPACES = st.sampled_from(
    [Namespaces(), Namespaces(include=("shop",)), Namespaces(exclude=("shop",))]
)
ON = st.booleans()
INPUTS = st.builds(
    Inputs,
    otlp=st.builds(Input, enabled=ON, namespaces=NAMESPACES, metrics=CHOICES),
    prometheus=st.builds(
        PrometheusInput,
        enabled=ON,
        namespaces=NAMESPACES,
        metrics=CHOICES,
        diagnostic_metrics=ON,
    ),
)


def obvious(pieces: list[routing.Piece], inputs: Inputs) -> list[str]:
    """Name by name, as the configuration reads."""
    kept = []
    for each in pieces:
        chosen = {"otlp": inputs.otlp, "prometheus": inputs.prometheus}.get(each.source)
        for name in samples.names(otlp.splice(each.frame, b"")):
            if chosen is None:
                kept.append(name)
                continue
            include, exclude = chosen.namespaces.include, chosen.namespaces.exclude
            passes = not each.namespace or (
                each.namespace not in exclude and (not include or each.namespace in include)
            )
            names = not chosen.metrics.include or name.startswith("a")
            diagnostic = (
                isinstance(chosen, PrometheusInput)
                and not chosen.diagnostic_metrics
                and name in filters.DIAGNOSTIC
            )
            if chosen.enabled and passes and names and name != "secret" and not diagnostic:
                kept.append(name)
    return kept


@settings(max_examples=100)
@given(st.lists(PIECES, min_size=1, max_size=4), INPUTS)
def test_routing_agrees_with_the_obvious_way_and_conserves_points(
    pieces: list[routing.Piece], inputs: Inputs
) -> None:
    share = routing.route(pieces, routes(one=inputs))[0]
    assert samples.names(share.body) == obvious(pieces, inputs)
    assert otlp.count(share.body) == share.points
    assert share.received == share.points + sum(share.filtered.values())
    assert share.received == sum(p.frame.points for p in pieces)
