"""The targets of a measurement expose what their row says."""

import pytest

from agent.exposition import delimited, model, openmetrics, target_state, text
from bench import expositions
from bench.test_exposition import NOW, ORIGIN

SAMPLES = 300


def series(body: bytes) -> list[tuple[bytes, object]]:
    read = text.parse(body, model.Limits())
    return list(zip(read.names, read.labels, strict=True))


def test_a_stable_target_says_the_same_in_every_format() -> None:
    limits = model.Limits()
    read = (
        text.parse(expositions.text(SAMPLES, 1, 7), limits),
        openmetrics.parse(expositions.open_metrics(SAMPLES, 1, 7), limits),
        delimited.parse(expositions.protobuf(SAMPLES, 1, 7), limits),
    )
    for each in read:
        assert each.values.tolist() == read[0].values.tolist()
        assert list(each.labels) == list(read[0].labels)
    assert len(read[1].exemplars) == SAMPLES // expositions.FAMILY


@pytest.mark.parametrize("form", list(model.Format))
def test_half_of_the_values_change(form: model.Format) -> None:
    following = expositions.stable(SAMPLES, 0, form)
    bodies = [following() for _ in range(5)]
    assert len(set(bodies)) == 4
    assert bodies[4] == bodies[0]


def test_of_a_hundred_series_one_is_another_each_time() -> None:
    following = expositions.Churning(SAMPLES, 0)
    before = series(following())
    ever = set(before)
    for _ in range(30):
        now = series(following())
        assert len(now) == len(set(now)) == SAMPLES
        assert len(set(before) - set(now)) == SAMPLES // expositions.CHURN
        assert not (set(now) - set(before)) & ever  # none comes back
        of_family = {name for name, _ in set(now) - set(before)}
        assert len(of_family) == SAMPLES // expositions.FAMILY  # spread evenly
        # Those that stay keep their order.
        assert [s for s in now if s in set(before)] == [s for s in before if s in set(now)]
        ever |= set(now)
        before = now


def test_those_that_come_are_of_several_widths() -> None:
    following = expositions.Churning(SAMPLES, 0)
    first, second = set(series(following())), set(series(following()))
    widths = {len(str(each)) for each in second - first}
    assert len(widths) > 1


def test_a_target_that_changes_is_adapted_to_every_time() -> None:
    # Lines get longer, so that at some point half of them have another block of 32 bytes.
    many = 2_000
    following = expositions.Churning(many, 0)
    state = target_state.TargetState(ORIGIN, target_state.Terms())
    state.accept(following(), NOW, 0.1)
    told = [state.accept(following(), NOW, 0.1) for _ in range(3 * expositions.CHURN)]
    assert all(each.adapted for each in told)
    changed = many // expositions.CHURN
    assert {(each.series_added, each.stale) for each in told} == {(changed, changed)}
