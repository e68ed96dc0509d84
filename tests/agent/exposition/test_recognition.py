"""A metric that is known again says what it would say if it were taken apart."""

import math
import struct

import pytest
from hypothesis import given, settings, strategies as st

from agent.exposition import families, recognition
from common.wire import errors, protobuf
from tests.fakes import metric_families as made

COUNTER, GAUGE = families.COUNTER_FIELD, families.GAUGE_FIELD


def counter(value: float, started: tuple[int, int] | None = None, **labels: str) -> bytes:
    stamped = {}
    if started is not None:
        stamped["start_timestamp"] = made.make("Timestamp", seconds=started[0], nanos=started[1])
    of = made.make("Counter", value=value, **stamped)
    return made.metric(labels, counter=of).SerializeToString()


def learn(memory: recognition.Memory, encoded: bytes, started: float = 0) -> None:
    metric = families.metric(encoded)
    memory.learn(encoded, metric, families.pairs(metric.label), started)


def test_other_values_and_other_pairs_of_head_and_tail_are_known() -> None:
    memory = recognition.Memory(COUNTER)
    learn(memory, counter(1, (5, 0), a="b"), 5)
    learn(memory, counter(1, (6, 500_000_000), c="d"), 6.5)
    assert memory.find(counter(7.5, (5, 0), a="b")) == (((b"a", b"b"),), 7.5, 5)
    assert memory.find(counter(8.5, (6, 500_000_000), c="d")) == (((b"c", b"d"),), 8.5, 6.5)
    # The tail is as long as one that is known, and has come with other labels.
    learn(memory, counter(1, (7, 0), c="d"), 7)
    assert memory.find(counter(2, (7, 0), a="b")) == (((b"a", b"b"),), 2, 7)


def test_what_is_new_is_not_known() -> None:
    memory = recognition.Memory(COUNTER)
    assert memory.find(counter(1, a="b")) is None
    learn(memory, counter(1, a="b"))
    assert memory.find(counter(1, a="c")) is None
    assert memory.find(counter(1, (5, 0), a="b")) is None
    assert memory.find(b"") is None
    assert memory.find(counter(2, a="b")) == (((b"a", b"b"),), 2, 0)


def test_a_gauge_is_one_without_a_start() -> None:
    memory = recognition.Memory(GAUGE)
    gauge = made.metric({"a": "b"}, gauge=made.make("Gauge", value=math.inf)).SerializeToString()
    learn(memory, gauge)
    assert memory.find(gauge) == (((b"a", b"b"),), math.inf, 0)
    # A counter in a family of gauges is no number of it.
    learn(memory, counter(1, a="b"))
    assert memory.find(counter(1, a="b")) is None


LABEL = protobuf.framed(1, made.labels({"a": "b"})[0].SerializeToString())
VALUE = b"\x09" + struct.pack("<d", 3)


@pytest.mark.parametrize(
    "encoded",
    [
        protobuf.framed(COUNTER, VALUE) + LABEL,
        LABEL + protobuf.framed(COUNTER, VALUE) + b"\x78\x01",
        LABEL + b"\x78\x01" + protobuf.framed(COUNTER, VALUE),
        LABEL + protobuf.framed(COUNTER, b""),
        LABEL + protobuf.framed(COUNTER, VALUE + VALUE),
        LABEL + protobuf.framed(COUNTER, VALUE + b"\x78\x01"),
        LABEL + protobuf.framed(COUNTER, VALUE + b"\x1a\x02\x08\x01\x1a\x02\x08\x01"),
        LABEL + protobuf.framed(COUNTER, b"\x1a\x02\x08\x01" + VALUE),
        LABEL + protobuf.framed(COUNTER, VALUE) + protobuf.framed(COUNTER, VALUE),
        LABEL.replace(b"\x0a\x06", b"\x0a\x86\x00", 1) + protobuf.framed(COUNTER, VALUE),
        counter(3, a="b" * 200),
    ],
)
def test_what_is_written_otherwise_is_never_known(encoded: bytes) -> None:
    memory = recognition.Memory(COUNTER)
    learn(memory, encoded)
    assert memory.find(encoded) is None


def test_what_no_body_needs_any_more_is_forgotten() -> None:
    memory = recognition.Memory(COUNTER)
    for n in range(1_101):
        learn(memory, counter(1, a=str(n)))
    memory.prune(100)
    assert memory.find(counter(2, a="7")) is not None
    for n in range(1_101, 1_201):
        learn(memory, counter(1, a=str(n)))
    memory.prune(100)
    assert memory.find(counter(2, a="7")) is None


_COUNTERS = st.builds(
    counter,
    st.floats(),
    st.none() | st.tuples(st.integers(-5, 1 << 40), st.integers(-1, 999_999_999)),
    a=st.text(max_size=2),
    b=st.text(max_size=2),
)


@settings(max_examples=500)
@given(
    st.lists(_COUNTERS, min_size=1, max_size=4),
    _COUNTERS,
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2), st.binary(max_size=2)), max_size=3),
)
def test_whatever_is_known_is_what_its_message_says(
    before: list[bytes], encoded: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    memory = recognition.Memory(COUNTER)
    for each in before:
        started = families.metric(each).counter.start_timestamp
        learn(memory, each, started.seconds + started.nanos / 1e9)
    for base in (*before, encoded):
        changed = base
        for at, left_out, put_in in changes:
            changed = changed[:at] + put_in + changed[at + left_out :]
        found = memory.find(changed)
        if found is None:
            continue
        try:
            metric = families.metric(changed)
        except errors.Malformed:
            pytest.fail("known, and not even a message")
        labels, value, seconds = found
        told = metric.counter
        assert labels == families.pairs(metric.label)
        assert struct.pack("<d", value) == struct.pack("<d", told.value)
        assert seconds == told.start_timestamp.seconds + told.start_timestamp.nanos / 1e9
        assert not told.HasField("exemplar")
        assert metric.timestamp_ms == 0
