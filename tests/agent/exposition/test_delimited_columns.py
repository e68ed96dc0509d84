"""Columns become an exposition; what else is known of a sample goes by its number."""

import math

import pytest

from agent.exposition import delimited_columns as columns, model, numbers
from common.wire import errors


def filled(limits: model.Limits | None = None) -> columns.Columns:
    found = columns.Columns(limits or model.Limits())
    found.names += [b"a", b"b"]
    found.labels += [((b"x", b"1"),), ()]
    found.values += [2, -math.nan]
    return found


def test_starts_come_last_and_are_not_counted() -> None:
    made = filled()
    made.start(b"a", [((b"x", b"1"),)], [7.5])
    found = made.exposition()
    assert found.names == [b"a", b"b", b"a_created"]
    assert found.labels[2] == ((b"x", b"1"),)
    assert found.values[[0, 2]].tolist() == [2, 7.5]
    assert found.values[1:2].tobytes() == numbers.NAN.tobytes()
    assert (found.uncounted, found.format) == (1, model.Format.PROTOBUF)


def test_times_are_those_that_were_told() -> None:
    made = filled()
    made.stamp(5, range(1, 2))
    assert made.exposition().times.tolist() == [model.UNTIMED, 5]
    made.stamp(-1, range(2))
    assert made.exposition().times.tolist() == [0, 0]
    assert filled().exposition().times.tolist() == [model.UNTIMED] * 2


def test_samples_have_a_limit() -> None:
    made = filled(model.Limits(samples=3))
    made.check(1)
    with pytest.raises(errors.TooLarge, match="at least 4 samples exceed the limit of 3"):
        made.check(2)
    filled(model.Limits(samples=0)).check(1_000_000)
