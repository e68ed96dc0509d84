"""Relabelling: labels of the target win, exposed ones make room, all are sorted."""

import pytest
from hypothesis import given, settings, strategies as st

from agent.exposition import relabelling


def pairs(labels: dict[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode(), value.encode()) for name, value in labels.items())


@pytest.mark.parametrize(
    ("exposed", "stored"),
    [
        ({}, {}),
        ({"a": "1", "b": "2"}, {"a": "1", "b": "2"}),
        ({"b": "2", "a": "1", "c": ""}, {"a": "1", "b": "2"}),
        ({"job": "x"}, {"exported_job": "x"}),
        ({"exported_job": "y", "job": "x"}, {"exported_exported_job": "x", "exported_job": "y"}),
        ({"instance": ""}, {}),
    ],
)
def test_labels_are_sorted_and_job_and_instance_move(exposed, stored) -> None:
    assert relabelling.Relabelled(())[pairs(exposed)] == pairs(stored)


def test_what_the_target_adds_is_there_and_its_names_are_taken() -> None:
    relabelled = relabelling.Relabelled(((b"z", b"9"), (b"exported_z", b"8"), (b"empty", b"")))
    assert relabelled[()] == relabelled.own == ((b"exported_z", b"8"), (b"z", b"9"))
    assert relabelled[((b"empty", b"1"), (b"z", b"2"))] == pairs(
        {"empty": "1", "exported_exported_z": "2", "exported_z": "8", "z": "9"}
    )
    assert relabelled.reserved == {b"job", b"instance", b"z", b"exported_z"}


NAMES = st.sampled_from(["a", "b", "job", "instance", "exported_job", "exported_exported_job"])
EXPOSED = st.dictionaries(NAMES, st.sampled_from(["", "1", "2"])).map(pairs)


@settings(max_examples=200)
@given(st.lists(EXPOSED, max_size=4), st.sampled_from([(), ((b"a", b"9"),)]))
def test_no_value_is_lost_and_what_came_before_changes_nothing(exposed, added) -> None:
    relabelled = relabelling.Relabelled(added)
    for labels in exposed:
        found = relabelled[labels]
        assert found == relabelling.Relabelled(added)[labels]
        assert list(found) == sorted(dict(found).items())
        assert sorted(v for _, v in found) == sorted(v for _, v in (*labels, *added) if v)
        assert not {name for name, _ in found} & {b"job", b"instance"}


@pytest.mark.parametrize(
    ("exposed", "stored"),
    [
        ({}, {"z": "9"}),
        ({"b": "2", "a": "1", "c": ""}, {"a": "1", "b": "2", "z": "9"}),
        ({"job": "x", "instance": "y"}, {"instance": "y", "job": "x", "z": "9"}),
        ({"z": "1"}, {"z": "1"}),
        ({"z": "", "a": "1"}, {"a": "1"}),
        ({"z": ""}, {}),
    ],
)
def test_honored_labels_win_and_empty_ones_take_away_what_the_target_adds(exposed, stored) -> None:
    relabelled = relabelling.Relabelled(((b"z", b"9"),), honored=True)
    assert relabelled[pairs(exposed)] == pairs(stored)
    assert relabelled.own == pairs({"z": "9"})


def test_labels_of_a_scope_are_noticed_wherever_they_stand() -> None:
    relabelled = relabelling.Relabelled(())
    assert relabelled[pairs({"a": "1", "otel_scop": "1"})]
    assert not relabelled.scoped
    assert relabelled[pairs({"a": "1", "otel_scope_x": "1", "job": "2"})]
    assert relabelled.scoped


@pytest.mark.parametrize(
    ("exposed", "whose", "left"),
    [
        ({"job": "x", "a": "1"}, {"job": "x"}, {"a": "1", "z": "9"}),
        ({"job": "", "instance": "i"}, {"instance": "i", "job": ""}, {"z": "9"}),
        ({"z": ""}, {}, {}),
    ],
)
def test_an_honored_job_or_instance_says_whose_a_series_is(exposed, whose, left) -> None:
    relabelled = relabelling.Relabelled(((b"z", b"9"),), honored=True)
    labels = relabelled[pairs(exposed)]
    assert relabelled.scoped == bool(whose)
    assert relabelling.claimed(labels) == (pairs(whose), pairs(left))
