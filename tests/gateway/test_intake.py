"""A request is taken whole or not at all, and every point of it is booked."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest as Request,
)

from bench.references import gateway as reference
from common.config.gateway import Input, Inputs, PrometheusInput, RuntimeInput
from common.config.shared import Names, Namespaces
from common.enrichment import attributes, enricher, pods
from common.service.ledger import DropReason, Ledger
from common.wire import errors, layout, otlp
from gateway import filters, intake, routing
from gateway.receivers import door
from tests.gateway import samples


class Queue:
    """An outlet with room for so many bytes; a durable one writes when `write` is called."""

    def __init__(
        self, room: int = 1 << 20, *, required: bool = False, durable: bool = False
    ) -> None:
        self.ledger, self.room = Ledger("queue"), room
        self.required, self.durable = required, durable
        self.held: list[bytes] = []
        self.spans: list[otlp.Spans] = []
        self.unwritten: list[Callable[[bool], None]] = []

    def has_room(self, size: int) -> bool:
        return size <= self.room

    def offer(
        self,
        body: otlp.Encoded,
        points: int,
        spans: otlp.Spans = (),
        written: Callable[[bool], None] | None = None,
    ) -> bool:
        assert (written is not None) == self.durable
        if written is not None:
            self.unwritten.append(written)
        if not self.has_room(len(body)):
            self.ledger.drop(points, DropReason.INBOX_FULL)
            return False
        self.room -= len(body)
        self.held.append(body)
        self.spans.append(spans)
        return True

    def write(self, *, well: bool = True) -> None:
        for written in self.unwritten:
            written(well)


def taking(frames: intake.Frames = otlp.frames, **queues: tuple[Queue, Inputs]) -> intake.Intake:
    rules = attributes.Rules(constants=(("k8s.cluster.name", "c1"),))
    heart = intake.Intake(enricher.Enricher(rules, pods.PodIndex(), 1 << 20), frames)
    heart.routes = routing.Routes(
        generation=1,
        pipelines=tuple(
            routing.Route(
                name=name,
                selections=filters.selections(inputs),
                outlet=queue,
                required=queue.required,
            )
            for name, (queue, inputs) in queues.items()
        ),
        required=any(queue.required for queue, _ in queues.values()),
        durable=any(queue.durable for queue, _ in queues.values()),
    )
    return heart


def test_a_request_is_enriched_shared_out_and_booked() -> None:
    everything, nothing = Queue(), Queue()
    heart = taking(a=(everything, Inputs()), b=(nothing, Inputs(otlp=Input(enabled=False))))
    body = samples.request(("a", "b"), points=3)
    assert heart.take(body, "10.0.0.1", trusted=False) == door.Taken(points=6)
    assert heart.points == 6
    assert (everything.ledger.received, everything.ledger.held) == (6, 6)
    assert (nothing.ledger.received, nothing.ledger.held) == (6, 0)
    assert nothing.ledger.filtered["input_disabled"] == 6
    assert nothing.held == []
    found = Request.FromString(everything.held[0]).resource_metrics[0].resource.attributes
    assert {a.key: a.value.string_value for a in found} == {
        "service.name": "shop",
        "k8s.cluster.name": "c1",
    }


@pytest.mark.parametrize(("trusted", "taken"), [(True, "prometheus"), (False, "otlp")])
def test_only_the_trusted_may_say_which_input_their_data_came_by(
    trusted: bool,  # noqa: FBT001
    taken: str,
) -> None:
    queue = Queue()
    off = {"otlp": Inputs(otlp=Input(enabled=False)), "prometheus": Inputs()}
    heart = taking(a=(queue, off["otlp"]))
    body = samples.request(attributes={"kyma.input.name": "prometheus", "service.name": "x"})
    heart.take(body, "10.0.0.1", trusted=trusted)
    assert len(queue.held) == (taken == "prometheus")
    assert b"kyma" not in b"".join(queue.held)


def test_malformed_requests_change_nothing() -> None:
    queue = Queue()
    heart = taking(a=(queue, Inputs()))
    with pytest.raises(errors.Malformed):
        heart.take(samples.request() + b"\x0a\x05x", None, trusted=False)
    assert (queue.ledger.received, queue.held, heart.points) == (0, [], 0)


def test_a_request_without_points_is_a_success_that_reaches_nobody() -> None:
    queue = Queue()
    heart = taking(a=(queue, Inputs()))
    assert heart.take(b"", None, trusted=False) == door.Taken(points=0)
    assert heart.take(samples.request(()), None, trusted=False) == door.Taken(points=0)
    assert (queue.ledger.received, queue.held) == (0, [])


def test_without_pipelines_the_sender_is_told_that_nobody_takes_its_points() -> None:
    heart = taking()
    assert heart.overloaded() is None
    answer = heart.take(samples.request(points=4), None, trusted=False)
    assert answer == door.Taken(points=4, rejected=4, message="no pipeline is configured here")
    assert heart.rejected == 4


def test_points_of_metrics_without_a_name_are_refused_and_enter_no_account() -> None:
    queue = Queue()
    heart = taking(a=(queue, Inputs()))
    answer = heart.take(samples.request(("a", "", "b"), points=3), None, trusted=False)
    message = "3 data points of metrics without a name; name them"
    assert answer == door.Taken(points=9, rejected=3, message=message)
    assert (queue.ledger.received, queue.ledger.held, heart.points) == (6, 6, 6)
    assert heart.refused == {"unnamed": 3}
    assert samples.names(queue.held[0]) == ["a", "b"]


def test_a_request_of_nothing_but_refused_points_reaches_nobody() -> None:
    queue = Queue(room=0)
    heart = taking(a=(queue, Inputs()))
    answer = heart.take(samples.request(("",), points=2), None, trusted=False)
    assert isinstance(answer, door.Taken)
    assert (answer.points, answer.rejected) == (2, 2)
    assert (queue.ledger.received, queue.held, heart.refused) == (0, [], {"unnamed": 2})


def test_what_is_turned_away_is_not_refused() -> None:
    heart = taking(a=(Queue(room=0, required=True), Inputs()))
    heart.take(samples.request(("", "a")), None, trusted=False)
    assert (heart.refused, heart.turned_away) == ({"unnamed": 0}, 1)


def test_without_pipelines_refused_points_are_told_from_unrouted_ones() -> None:
    heart = taking()
    answer = heart.take(samples.request(("", "a"), points=2), None, trusted=False)
    assert answer == door.Taken(points=4, rejected=4, message="no pipeline is configured here")
    assert (heart.rejected, heart.refused) == (2, {"unnamed": 2})


def test_a_full_destination_loses_its_share_and_the_others_feel_nothing() -> None:
    full, free = Queue(room=0), Queue()
    heart = taking(a=(full, Inputs()), b=(free, Inputs()))
    assert heart.overloaded() is None
    assert heart.take(samples.request(points=5), None, trusted=False) == door.Taken(points=5)
    assert full.ledger.dropped[DropReason.INBOX_FULL] == 5
    assert free.ledger.held == 5


def test_without_room_where_it_is_required_the_sender_keeps_its_data() -> None:
    free = Queue()
    heart = taking(a=(Queue(room=0, required=True), Inputs()), b=(free, Inputs()))
    assert heart.overloaded() == door.Overloaded(intake.COME_AGAIN)
    nearly = Queue(room=5, required=True)
    heart = taking(a=(nearly, Inputs()), b=(free, Inputs()))
    assert heart.overloaded() is None
    refused = heart.take(samples.request(points=3), None, trusted=False)
    assert refused == door.Overloaded(intake.COME_AGAIN, 3)
    assert (nearly.ledger.received, heart.turned_away, heart.points) == (0, 1, 0)
    assert free.ledger.received == 0


def test_what_a_required_destination_does_not_get_needs_no_room_there() -> None:
    full = Queue(room=0, required=True)
    heart = taking(a=(full, Inputs(otlp=Input(metrics=Names(include=("other",))))))
    assert heart.take(samples.request(), None, trusted=False) == door.Taken(points=1)


def test_the_answer_waits_until_every_durable_destination_has_written() -> None:
    one, two, plain = Queue(durable=True), Queue(durable=True), Queue()
    heart = taking(a=(one, Inputs()), b=(two, Inputs()), c=(plain, Inputs()))
    answer = heart.take(samples.request(), None, trusted=False)
    assert isinstance(answer, door.Taken)
    assert answer.commit is not None
    told: list[bool] = []
    answer.commit.when_settled(lambda: told.append(True))
    one.write()
    assert (told, answer.commit.settled) == ([], False)
    two.write()
    assert (told, answer.commit.failed) == ([True], False)


def test_a_destination_that_cannot_write_makes_the_commit_fail() -> None:
    queue = Queue(durable=True)
    heart = taking(a=(queue, Inputs()))
    answer = heart.take(samples.request(), None, trusted=False)
    queue.write(well=False)
    assert isinstance(answer, door.Taken)
    assert answer.commit is not None
    assert (answer.commit.settled, answer.commit.failed) == (True, True)


def test_destinations_are_told_where_each_resource_of_a_request_ends() -> None:
    queue, some = Queue(), Queue()
    heart = taking(a=(queue, Inputs()), b=(some, Inputs(otlp=Input(metrics=Names(exclude=("b",))))))
    built = Request()
    samples.add_frame(built, ("a", "b"), points=2)
    samples.add_frame(built, ("a",), points=3, attributes={"service.name": "other"})
    heart.take(built.SerializeToString(), None, trusted=False)
    for found, points in ((queue, (4, 3)), (some, (2, 3))):
        (spans,) = found.spans
        assert tuple(count for _, count in spans) == points
        body, at = found.held[0], 0
        for size, count in spans:
            assert otlp.count(body[at : at + size]) == count
            at += size
        assert at == len(body)


def test_what_every_pipeline_filters_needs_no_room() -> None:
    full = Queue(room=5)
    heart = taking(a=(full, Inputs(otlp=Input(metrics=Names(include=("other",))))))
    assert heart.take(samples.request(), None, trusted=False) == door.Taken(points=1)
    assert (full.ledger.received, full.ledger.balance()) == (1, 0)


NAMES = st.sampled_from(["up", "a", "b", "scrape_series_added", "secret", ""])
RESOURCES = st.fixed_dictionaries(
    {},
    optional={
        "service.name": st.sampled_from(["shop", "x"]),
        "k8s.namespace.name": st.sampled_from(["shop", "kube-system"]),
        "k8s.cluster.name": st.just("own"),
        "kyma.input.name": st.sampled_from(["otlp", "prometheus", "runtime"]),
        "kyma.other": st.just("z"),
    },
)
FRAMES = st.tuples(RESOURCES, st.lists(NAMES, min_size=1, max_size=4), st.integers(1, 3))
NAMESPACES = st.sampled_from([
    Namespaces(), Namespaces(include=("shop",)), Namespaces(exclude=("shop",))
])  # fmt: skip
METRICS = st.sampled_from([Names(), Names(include=("a*", "u?")), Names(exclude=("[ab]", "sec*"))])
COMMON = {"enabled": st.booleans(), "namespaces": NAMESPACES, "metrics": METRICS}
INPUTS = st.builds(
    Inputs,
    otlp=st.builds(Input, **COMMON),
    prometheus=st.builds(PrometheusInput, **COMMON, diagnostic_metrics=st.booleans()),
    runtime=st.builds(RuntimeInput, **COMMON),
)


@settings(max_examples=100)
@given(st.lists(FRAMES, min_size=1, max_size=4), INPUTS, INPUTS, st.booleans())
def test_it_agrees_with_the_obvious_way(
    frames: list[tuple[dict[str, str], list[str], int]],
    one: Inputs,
    two: Inputs,
    trusted: bool,  # noqa: FBT001
) -> None:
    built = Request()
    for resource, names, points in frames:
        samples.add_frame(built, names, points=points, attributes=resource)
    body = built.SerializeToString()
    queues = {"one": (Queue(), one), "two": (Queue(), two)}
    heart = taking(**queues)
    heart.take(body, None, trusted=trusted)
    expected = reference.take(
        body,
        trusted=trusted,
        constants={"k8s.cluster.name": "c1"},
        pipelines={"one": one, "two": two},
    )
    assert heart.refused["unnamed"] == sum(points * names.count("") for _, names, points in frames)
    for name, (queue, _) in queues.items():
        received, sent, points, removed = expected[name]
        assert Request.FromString(b"".join(queue.held)) == Request.FromString(sent)
        assert (queue.ledger.received, queue.ledger.held) == (received, points)
        assert {rule: n for rule, n in queue.ledger.filtered.items() if n} == removed
        assert queue.ledger.balance() == 0


SENDERS = st.lists(st.lists(FRAMES, min_size=1, max_size=3), min_size=1, max_size=2)


@settings(max_examples=60, deadline=None)
@given(SENDERS, INPUTS, st.integers(0, 3))
def test_what_is_recognised_takes_the_same_way(
    senders: list[list[tuple[dict[str, str], list[str], int]]], inputs: Inputs, odd: int
) -> None:
    recogniser = layout.Recogniser(1 << 20, 1)
    fast, slow = Queue(), Queue()
    quick = taking(recogniser.frames, a=(fast, inputs))
    plain = taking(a=(slow, inputs))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "SMALL", 0)
        patch.setattr(layout, "SMALL_METRIC", 0)
        patch.setattr(layout, "LARGE", 0)
        for time in range(1, 6):
            for frames in senders:
                built = Request()
                for resource, names, points in frames:
                    samples.add_frame(
                        built, names, points=points + (time == odd), attributes=resource, first=time
                    )
                body = built.SerializeToString()
                expected = plain.take(body, None, trusted=True)
                assert quick.take(body, None, trusted=True) == expected
    assert [Request.FromString(b) for b in fast.held] == [Request.FromString(b) for b in slow.held]
    assert fast.ledger == slow.ledger
    assert fast.ledger.balance() == 0
    assert recogniser.recognised


@settings(max_examples=200)
@given(st.binary(max_size=60) | st.binary(max_size=8).map(lambda b: samples.request() + b))
def test_hostile_bytes_end_in_an_answer_or_malformed(body: bytes) -> None:
    queue = Queue()
    heart = taking(a=(queue, Inputs()))
    try:
        answer = heart.take(body, None, trusted=True)
    except errors.Malformed:
        assert queue.ledger.received == 0
        return
    assert isinstance(answer, door.Taken)
    assert queue.ledger.received == answer.points == queue.ledger.held
