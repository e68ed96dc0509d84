"""Label sets are checked once, and known again by their bytes."""

import math

import pytest

from agent.exposition import labelling, model
from common.wire import errors
from tests.fakes import metric_families as made


def key(**pairs: str) -> tuple[bytes, ...]:
    return tuple(each.SerializeToString() for each in made.labels(pairs))


def test_a_set_that_comes_back_is_the_same_object() -> None:
    sets = labelling.Sets(model.Limits())
    found = sets.plain[key(b="1", a="ä")]
    assert found == ((b"b", b"1"), (b"a", "ä".encode()))
    assert sets.plain[key(b="1", a="ä")] is found
    assert sets.le[0.5] == (b"le", b"0.5")
    assert sets.le[0.5] is sets.le[0.5]
    assert sets.quantile[math.nan] == (b"quantile", b"NaN")


@pytest.mark.parametrize(
    "pairs",
    [
        made.labels({"": "1"}),
        made.labels({"__name__": "1"}),
        made.labels({"a": "1"}) + made.labels({"a": "2"}),
    ],
)
def test_names_are_there_once_and_not_reserved(pairs) -> None:
    encoded = tuple(each.SerializeToString() for each in pairs)
    with pytest.raises(errors.Malformed, match="a label name is empty, reserved or repeated"):
        labelling.Sets(model.Limits()).plain[encoded]


def test_steps_bring_a_label_of_their_own() -> None:
    sets = labelling.Sets(model.Limits())
    for memo, name in ((sets.buckets, "le"), (sets.quantiles, "quantile")):
        with pytest.raises(errors.Malformed, match="repeated"):
            memo[key(**{name: "1"})]
        assert sets.plain[key(**{name: "1"})] == ((name.encode(), b"1"),)


@pytest.mark.parametrize("field", ["name", "value"])
def test_text_is_utf8(field: str) -> None:
    encoded = made.make("LabelPair", **{"name": b"a", field: b"\xff"}).SerializeToString()
    with pytest.raises(errors.Malformed, match=f"the label {field} is not UTF-8"):
        labelling.Sets(model.Limits()).plain[(encoded,)]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (model.Limits(labels=1), "2 labels over the limit of 1"),
        (model.Limits(label_name_bytes=3), "a label name of 4 bytes over the limit of 3"),
        (model.Limits(label_value_bytes=2), "a label value of 3 bytes over the limit of 2"),
    ],
)
def test_limits_name_the_value_and_themselves(limits: model.Limits, message: str) -> None:
    with pytest.raises(errors.TooLarge, match=message):
        labelling.Sets(limits).plain[key(a="1", name="123")]
    exact = model.Limits(labels=2, label_name_bytes=4, label_value_bytes=3)
    assert len(labelling.Sets(exact).plain[key(a="1", name="123")]) == 2


def test_the_label_of_a_step_counts_too() -> None:
    sets = labelling.Sets(model.Limits(labels=1))
    assert len(sets.plain[key(a="1")]) == 1
    with pytest.raises(errors.TooLarge, match="2 labels over the limit of 1"):
        sets.buckets[key(a="1")]


def test_bounds_become_labels_up_to_the_one_for_everything() -> None:
    sets = labelling.Sets(model.Limits())
    labels = sets.buckets[key(a="1")]
    found = sets.steps(b"h", labels, [0.5, math.inf, 7])
    assert found == [(*labels, (b"le", b"0.5")), (*labels, (b"le", b"+Inf"))]
    assert sets.steps(b"h", labels, [0.5, math.inf, 7]) is found
    assert sets.steps(b"i", labels, []) == [(*labels, (b"le", b"+Inf"))]
    assert sets.steps(b"h", labels, [0.5]) == found
    assert [step[-1][1] for step in sets.steps(b"h", labels, [math.nan])] == [b"NaN", b"+Inf"]


def test_what_no_body_needs_any_more_is_forgotten() -> None:
    sets = labelling.Sets(model.Limits())
    for n in range(1_200):
        sets.plain[key(a=str(n))]
    sets.prune(100)
    assert len(sets.plain) == 1_200
    for n in range(1_200, 1_300):
        sets.plain[key(a=str(n))]
        sets.steps(b"h", ((b"a", str(n).encode()),), [])
    sets.prune(100)
    assert not sets.plain
    kept = sets.steps(b"h", ((b"a", b"1200"),), [])
    sets.prune(0)
    assert sets.steps(b"h", ((b"a", b"1200"),), []) is kept
