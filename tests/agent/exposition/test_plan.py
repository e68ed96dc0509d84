"""The plan: a request of several scopes and metrics, and where each point of it lies."""

from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from agent.exposition import drafting, metrics, model, openmetrics, plan, points, translate
from common.wire import protobuf
from tests.agent.exposition import expositions

ORIGIN = metrics.Origin.of(job="j", instance="i", scope=("agent", "1"), attributes={}, labels={})
NOBODY = metrics.Origin(resource=b"", scope=b"", labels=())
LIBRARY = translate.Scope(protobuf.framed(1, b"library"), b"https://schema")
OTHER = translate.Scope(protobuf.framed(1, b"other"))


def wrapping(name: str, scope: translate.Scope = translate.OWN) -> metrics.Wrapping:
    return metrics.Wrapping.of(name.encode(), translate.Kind.GAUGE, b"gauge", b"", scope=scope)


def chunk(size: int) -> bytes:
    """Return a point, head included, of about *size* bytes."""
    encoded = points.Attributes().encode(translate.Kind.GAUGE, ((b"n", b"x" * size),))
    payload = points.number(encoded)
    return metrics.point_head(len(payload)) + payload


def read(body: bytes):
    return metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)


def test_metrics_of_one_scope_stand_in_one_message_in_their_order() -> None:
    wrappings = [wrapping("a"), wrapping("b"), wrapping("c", LIBRARY), wrapping("d", OTHER)]
    body, firsts = plan.assemble(
        ORIGIN, wrappings, [[chunk(1)], [chunk(2)] * 3, [chunk(3)], [chunk(4)]]
    )
    (frame,) = read(body).resource_metrics
    assert {a.key for a in frame.resource.attributes} == {"service.name", "service.instance.id"}
    told = [(s.scope.name, s.schema_url, [m.name for m in s.metrics]) for s in frame.scope_metrics]
    assert told == [
        ("agent", "", ["a", "b"]), ("library", "https://schema", ["c"]), ("other", "", ["d"]),
    ]  # fmt: skip
    assert len(frame.scope_metrics[0].metrics[1].gauge.data_points) == 3
    assert [body[at : at + len(chunk(n))] == chunk(n) for n, at in enumerate(firsts, 1)] == [
        True
    ] * 4


def test_metrics_without_points_are_left_out_and_scopes_without_metrics() -> None:
    wrappings = [wrapping("a", LIBRARY), wrapping("b"), wrapping("c", OTHER), wrapping("d")]
    body, _ = plan.assemble(ORIGIN, wrappings, [[], [chunk(1)], [], [chunk(1)]])
    (frame,) = read(body).resource_metrics
    (scoped,) = frame.scope_metrics
    assert [m.name for m in scoped.metrics] == ["b", "d"]
    nothing, _ = plan.assemble(ORIGIN, wrappings, [[], [], [], []])
    assert nothing == b""


def test_what_is_of_another_owner_has_a_resource_of_its_own() -> None:
    pushed = translate.OWN._replace(job=b"push")
    library = LIBRARY._replace(job=b"push")
    wrappings = [wrapping("a"), wrapping("b", pushed), wrapping("c", library), wrapping("d")]
    body, firsts = plan.assemble(ORIGIN, wrappings, [[chunk(n)] for n in range(4)])
    told = [
        (
            {a.key: a.value.string_value for a in frame.resource.attributes},
            [(s.scope.name, [metric.name for metric in s.metrics]) for s in frame.scope_metrics],
        )
        for frame in read(body).resource_metrics
    ]
    own = {"service.name": "j", "service.instance.id": "i"}
    assert told == [
        (own, [("agent", ["a"])]),
        (own | {"service.name": "push"}, [("agent", ["b"]), ("library", ["c"])]),
        (own, [("agent", ["d"])]),
    ]
    assert [body[at:].startswith(chunk(n)) for n, at in enumerate(firsts)] == [True] * 4


def test_points_may_come_in_pieces() -> None:
    whole = chunk(9) + chunk(300)
    pieces = [whole[:5], memoryview(whole)[5:70], whole[70:]]
    one, _ = plan.assemble(ORIGIN, [wrapping("a")], [[whole]])
    assert plan.assemble(ORIGIN, [wrapping("a")], [pieces])[0] == one


def test_nobody_has_neither_resource_nor_scope() -> None:
    body, firsts = plan.assemble(NOBODY, [wrapping("a")], [[chunk(1)]])
    (frame,) = read(body).resource_metrics
    assert not frame.HasField("resource")
    assert not frame.scope_metrics[0].HasField("scope")
    assert body[firsts[0] :].startswith(chunk(1))


GROUPS = st.lists(
    st.tuples(
        st.sampled_from([translate.OWN, LIBRARY, OTHER]),
        st.lists(st.sampled_from([0, 9, 120, 20_000]), max_size=3),
    ),
    max_size=6,
)


@settings(max_examples=150)
@given(GROUPS)
def test_each_metric_has_its_points_whatever_their_sizes(groups) -> None:
    wrappings = [wrapping(f"m{i}", scope) for i, (scope, _) in enumerate(groups)]
    chunks = [[chunk(size) for size in sizes] for _, sizes in groups]
    body, firsts = plan.assemble(ORIGIN, wrappings, chunks)
    found = {
        metric.name: (
            translate.Scope(s.scope.SerializeToString(), s.schema_url.encode()),
            [len(p.attributes[0].value.string_value) for p in metric.gauge.data_points],
        )
        for frame in read(body).resource_metrics
        for s in frame.scope_metrics
        for metric in s.metrics
    }
    own = translate.Scope(ORIGIN.scope)
    owed = {
        f"m{i}": (own if scope == translate.OWN else scope, sizes)
        for i, (scope, sizes) in enumerate(groups)
        if sizes
    }
    assert found == owed
    for first, those in zip(firsts.tolist(), chunks, strict=True):
        assert body[first : first + sum(map(len, those))] == b"".join(those)


@settings(max_examples=100)
@given(expositions.open_metrics())
def test_the_columns_say_where_each_payload_lies(body: bytes) -> None:
    draft = drafting.Draft()
    exposition = openmetrics.parse(body, model.Limits())
    draft.write(translate.translate(exposition, translate.Rules()), ())
    planned = draft.plan()
    written, firsts = plan.assemble(ORIGIN, draft.wrappings, draft.groups)
    starts = planned.starts(firsts).tolist()
    every = [each for group in draft.groups for each in group]
    spans = zip(starts, planned.sizes.tolist(), planned.heads.tolist(), strict=True)
    assert [written[at - head : at + size] for at, size, head in spans] == every
    assert planned.metric_of.tolist() == [i for i, group in enumerate(draft.groups) for _ in group]
    kinds = [draft.wrappings[i].kind in points.LONE for i in planned.metric_of]
    assert planned.lone.tolist() == kinds
    assert planned.held_bytes > 0
