"""Two expositions are of the same series where only their numbers differ."""

import dataclasses

import numpy as np
import pytest

from agent.exposition import model

NATIVE = model.Native(
    schema=1,
    zero_threshold=0.5,
    zero_count=1,
    count=3,
    sum=2.5,
    positive_offset=0,
    positive=(2,),
    negative_offset=0,
    negative=(),
)
OLD = model.Exposition(
    names=[b"a", b"h", b"a_created"],
    labels=[((b"x", b"1"),), (), ((b"x", b"1"),)],
    values=np.array([1.0, 3.0, 5.0]),
    times=np.array([7, model.UNTIMED, model.UNTIMED]),
    value_at=np.empty(0, np.int64),
    families={b"a": model.Family(b"counter")},
    natives={1: NATIVE},
    uncounted=1,
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"values": np.array([2.0, 3.0, 5.0])},
        {"times": np.array([8, model.UNTIMED, model.UNTIMED])},
        {"exemplars": {0: model.Exemplar((), 1.0, 5)}},
        {"natives": {1: dataclasses.replace(NATIVE, positive=(1, 1), positive_offset=-4)}},
        {"names": list(OLD.names), "labels": list(OLD.labels), "families": dict(OLD.families)},
    ],
)
def test_numbers_change_and_the_series_stay(changes) -> None:
    assert model.same_series(OLD, dataclasses.replace(OLD, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": model.Format.OPEN_METRICS},
        {"names": [b"a", b"h", b"b_created"]},
        {"labels": [((b"x", b"2"),), (), ((b"x", b"1"),)]},
        {"families": {b"a": model.Family(b"gauge")}},
        {"times": np.array([model.UNTIMED] * 3)},
        {"uncounted": 0},
        {"classic_of_native": frozenset({2})},
        {"natives": {}},
        {"natives": {0: NATIVE}},
        {"natives": {1: dataclasses.replace(NATIVE, schema=2)}},
        {"natives": {1: dataclasses.replace(NATIVE, gauge=True)}},
        {"natives": {1: dataclasses.replace(NATIVE, fractional=True)}},
        {"natives": {1: dataclasses.replace(NATIVE, custom=(1.0,))}},
        {
            "names": OLD.names[:2],
            "labels": OLD.labels[:2],
            "values": OLD.values[:2],
            "times": OLD.times[:2],
        },
    ],
)
def test_what_is_said_of_the_series_makes_others_of_them(changes) -> None:
    changed = dataclasses.replace(OLD, **changes)
    assert not model.same_series(OLD, changed)
    assert not model.same_series(changed, OLD)
