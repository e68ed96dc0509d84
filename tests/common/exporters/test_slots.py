"""What has one identity is in one request at a time, in order, whatever the number of lanes."""

from random import Random

import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from common.config.shared import Batching
from common.exporters.loads import Load, Piece
from common.exporters.slots import Slots
from common.wire import otlp, protobuf
from tests.fakes import points


def identify(resource: bytes) -> bytes:
    for pair in Resource.FromString(resource).attributes:
        if pair.key == "service.name":
            return pair.value.string_value.encode()
    return b""


def frame(who: str, value: float, width: int = 0) -> bytes:
    """Return a request of one point from *who*."""
    resource = otlp.attribute("service.name", who) if who else b""
    (found,) = otlp.frames(points.request([value], width=width))
    return otlp.splice(found, resource)


def slots(lanes: int = 1, max_bytes: int = 1 << 20, linger: float = 1.0) -> Slots:
    return Slots(Batching(max_bytes=max_bytes, linger=linger), lanes, identify)


def apart(count: int, lanes: int) -> list[str]:
    """Return names of senders, one for each lane."""
    found: dict[int, str] = {}
    for number in range(1000):
        where = slots(lanes)
        (lane,) = where.add(Piece(otlp.Encoded(frame(f"s{number}", 0.0)), 1, 0.0), ())
        found.setdefault(lane, f"s{number}")
    return [found[lane] for lane in range(count)]


def taken(supply: Slots, lane: int) -> Load:
    load = supply.take(lane, 0.0, hurry=True)
    assert load is not None
    return load


def test_a_series_is_not_sent_while_an_earlier_sample_of_it_is_on_its_way() -> None:
    supply = slots()
    supply.add(Piece(frame("a", 1.0), 1, 0.0), ())
    first = taken(supply, 0)
    assert list(supply.add(Piece(frame("a", 2.0), 1, 0.0), ())) == []
    assert supply.take(0, 99.0, hurry=True) is None
    assert supply.size > 0
    assert list(supply.done(first)) == [0]
    assert points.values(taken(supply, 0).batch.body) == [2.0]


def test_other_lanes_go_on_meanwhile() -> None:
    one, two = apart(2, 2)
    supply = slots(2)
    supply.add(Piece(frame(one, 1.0), 1, 0.0), ())
    supply.add(Piece(frame(two, 2.0), 1, 0.0), ())
    assert points.values(taken(supply, 0).batch.body) == [1.0]
    assert points.values(taken(supply, 1).batch.body) == [2.0]


def test_a_request_of_several_senders_is_taken_apart() -> None:
    one, two = apart(2, 2)
    supply = slots(2)
    frames = [frame(one, 1.0), frame(two, 2.0), frame(two, 3.0), frame(one, 4.0)]
    spans = tuple((len(each), 1) for each in frames)
    woken = supply.add(Piece(otlp.Encoded(b"".join(frames)), 4, 0.0), spans)
    assert sorted(woken) == [0, 1]
    first, second = taken(supply, 0), taken(supply, 1)
    assert points.values(first.batch.body) == [1.0, 4.0]
    assert points.values(second.batch.body) == [2.0, 3.0]
    assert (first.batch.points, second.batch.points, supply.size) == (2, 2, 0)


def test_a_request_of_one_sender_is_not_copied() -> None:
    supply = slots(4)
    frames = [frame("a", 1.0), frame("a", 2.0)]
    body = otlp.Encoded(b"".join(frames))
    (lane,) = supply.add(Piece(body, 2, 0.0), tuple((len(each), 1) for each in frames))
    assert taken(supply, lane).batch.body is body


def test_frames_without_a_resource_are_of_one_sender() -> None:
    supply = slots()
    supply.add(Piece(frame("", 1.0), 1, 0.0), ())
    assert points.values(taken(supply, 0).batch.body) == [1.0]


def test_a_lane_waits_for_company_until_its_first_has_waited_long_enough() -> None:
    supply = slots(1, linger=2.0)
    supply.add(Piece(frame("a", 1.0), 1, 10.0), ())
    supply.add(Piece(frame("b", 2.0), 1, 11.0), ())
    assert supply.due(0) == 12.0
    assert supply.take(0, 11.9, hurry=False) is None
    load = supply.take(0, 12.0, hurry=False)
    assert load is not None
    assert (load.batch.points, load.batch.oldest, supply.due(0)) == (2, 10.0, None)


def test_closed_lanes_do_nothing_and_hand_over_what_they_had() -> None:
    one, two = apart(2, 2)
    supply = slots(2)
    supply.add(Piece(frame(one, 1.0), 1, 0.0), ())
    supply.add(Piece(frame(two, 2.0), 1, 0.0), ())
    on_its_way = taken(supply, 1)
    supply.add(Piece(frame(two, 3.0), 1, 0.0), ())
    supply.resize(1)
    assert supply.take(1, 9.0, hurry=True) is None
    assert supply.due(1) is None
    assert points.values(taken(supply, 0).batch.body) == [1.0]
    assert supply.take(0, 9.0, hurry=True) is None  # the other's is still on its way
    assert list(supply.done(on_its_way)) == [0]
    assert points.values(taken(supply, 0).batch.body) == [3.0]


def test_a_batch_has_no_more_than_the_most_bytes_unless_a_piece_alone_has() -> None:
    supply = slots(1, max_bytes=1000)
    for value in range(8):
        supply.add(Piece(frame("a" if value % 2 else "b", float(value), 200), 1, 0.0), ())
    big = frame("c", 9.0, 3000)
    supply.add(Piece(big, 1, 0.0), ())
    loads = []
    while (load := supply.take(0, 0.0, hurry=True)) is not None:
        loads.append(load)
        supply.done(load)
    assert all(load.size <= 1000 or load.batch.body == big for load in loads)
    assert sum(load.batch.points for load in loads) == 9


def senders(load: Load) -> set[str]:
    return {identify(each.resource).decode() for each in otlp.frames(load.batch.body)}


def several(who: list[str], number: float) -> tuple[Piece, otlp.Spans]:
    """Return a request of a point from each, numbered on."""
    frames = [frame(each, number + n) for n, each in enumerate(who)]
    spans = tuple((len(each), 1) for each in frames) if len(frames) > 1 else ()
    return Piece(otlp.Encoded(b"".join(frames)), len(frames), 0.0), spans


def end(supply: Slots, load: Load, sent: dict[str, list[float]]) -> None:
    """Note what *load* brought to whom."""
    for each in otlp.frames(load.batch.body):
        who = identify(each.resource).decode()
        sent.setdefault(who, []).extend(points.values(otlp.splice(each, b"")))
    supply.done(load)


def end_all(supply: Slots, lane: int, sent: dict[str, list[float]]) -> None:
    while (load := supply.take(lane, 0.0, hurry=True)) is not None:
        end(supply, load, sent)


WHO = st.sampled_from("abcdefgh")
STEPS = st.one_of(
    st.tuples(st.just("add"), st.lists(WHO, min_size=1, max_size=4)),
    st.tuples(st.just("take"), st.integers(0, 4)),
    st.tuples(st.just("done"), st.integers(0, 4)),
    st.tuples(st.just("resize"), st.integers(1, 5)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=60), st.integers(1, 3000), st.randoms(use_true_random=False))
def test_every_series_is_in_order_and_in_one_request_at_a_time(
    steps: list[tuple[str, object]], max_bytes: int, random: Random
) -> None:
    supply = slots(2, max_bytes)
    flying: list[Load] = []
    sent: dict[str, list[float]] = {}
    number = 0.0
    for kind, what in steps:
        if kind == "add":
            supply.add(*several(what, number))
            number += len(what)
        elif kind == "take":
            load = supply.take(what, 0.0, hurry=random.random() < 0.5)
            if load is not None:
                for other in flying:
                    assert senders(load).isdisjoint(senders(other))
                flying.append(load)
        elif kind == "done" and flying:
            end(supply, flying.pop(what % len(flying)), sent)
        elif kind == "resize":
            supply.resize(what)
    while flying:
        end(supply, flying.pop(), sent)
    for lane in range(supply.lanes):
        end_all(supply, lane, sent)
    assert supply.size == 0
    assert sum(map(len, sent.values())) == number
    assert all(values == sorted(values) for values in sent.values())


def test_what_is_no_frame_of_ours_is_our_bug() -> None:
    with pytest.raises(Exception, match=r"varint|truncated|ends"):
        slots().add(Piece(otlp.Encoded(protobuf.tag(1, protobuf.BYTES) + b"\xff"), 1, 0.0), ())
