"""What a pipeline takes is what its configuration says, and every point left out has its rule."""

import fnmatch

import pytest
from hypothesis import given, settings, strategies as st

from common.config.gateway import Input, Inputs, PrometheusInput
from common.config.shared import Names, Namespaces
from common.service.ledger import FilterRule
from common.wire import otlp
from gateway import filters
from tests.gateway import samples


def encoded(*names: str, points: int = 1) -> otlp.Encoded:
    return otlp.Encoded(samples.request(names, points=points))


def test_an_input_that_is_off_takes_nothing() -> None:
    selection = filters.Selection(Input(enabled=False))
    assert selection.rule("shop") is selection.rule("") is FilterRule.INPUT_DISABLED


@pytest.mark.parametrize(
    ("chosen", "passing"),
    [
        (Namespaces(), {"shop", "kube-system", ""}),
        (Namespaces(include=("shop",)), {"shop", ""}),
        (Namespaces(exclude=("shop",)), {"kube-system", ""}),
    ],
)
def test_data_without_a_namespace_always_passes(chosen: Namespaces, passing: set[str]) -> None:
    selection = filters.Selection(Input(namespaces=chosen))
    assert {n for n in ("shop", "kube-system", "") if selection.rule(n) is None} == passing


def test_where_nothing_is_chosen_nothing_is_looked_at() -> None:
    assert filters.Selection(Input()).names is None
    assert filters.Selection(PrometheusInput(diagnostic_metrics=True)).names is None


def test_metrics_are_chosen_by_globs_and_case_matters() -> None:
    selection = filters.Selection(
        Input(metrics=Names(include=("http_*", "go?"), exclude=("*_bucket",)))
    )
    body = encoded("http_requests", "http_bucket", "go1", "go12", "HTTP_x", points=2)
    kept, points, removed = selection.metrics(body, 10)
    assert samples.names(kept) == ["http_requests", "go1"]
    assert (points, removed) == (4, {FilterRule.METRIC_NAME: 6})


def test_diagnostics_of_scrapes_are_left_out_unless_asked_for() -> None:
    body = encoded("up", "scrape_duration_seconds", "requests", "scrape_other")
    kept, points, removed = filters.Selection(PrometheusInput()).metrics(body, 4)
    assert samples.names(kept) == ["requests", "scrape_other"]
    assert (points, removed) == (2, {FilterRule.DIAGNOSTIC: 2})
    wanted = filters.Selection(PrometheusInput(diagnostic_metrics=True))
    assert wanted.metrics(body, 4) == (body, 4, {})


def test_each_rule_is_told_how_much_it_removed() -> None:
    chosen = PrometheusInput(metrics=Names(exclude=("up", "secret*")))
    body = encoded("up", "secret_a", "secret_b", "requests", points=3)
    _, points, removed = filters.Selection(chosen).metrics(body, 12)
    assert points == 3
    assert removed == {FilterRule.DIAGNOSTIC: 3, FilterRule.METRIC_NAME: 6}


def test_the_same_object_comes_back_when_nothing_is_removed() -> None:
    body = encoded("requests")
    kept, points, removed = filters.Selection(PrometheusInput()).metrics(body, 1)
    assert kept is body
    assert (points, removed) == (1, {})


def test_selections_are_found_by_the_name_of_the_source() -> None:
    found = filters.selections(Inputs(otlp=Input(enabled=False)))
    assert found["otlp"].rule("") is FilterRule.INPUT_DISABLED
    assert found["prometheus"].rule("") is None
    assert "runtime" not in found


def test_the_memo_of_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "MEMO_BYTES", 2000)
    globs = filters.Globs(Names(exclude=("b*",)))
    for i in range(100):
        assert (globs(f"a{i}"), globs(f"b{i}")) == (True, False)
        assert 0 <= globs._size <= 2000
        assert len(globs._verdicts) <= 12
    assert globs("a" * 5000)


GLOBS = st.lists(st.text("ab*?[]!.-", max_size=5).filter(bool), max_size=3).map(tuple)


@settings(max_examples=200)
@given(GLOBS, GLOBS, st.text("ab.-", max_size=6))
def test_globs_mean_what_fnmatch_says(
    include: tuple[str, ...], exclude: tuple[str, ...], name: str
) -> None:
    globs = filters.Globs(Names(include=include, exclude=exclude))
    expected = (not include or any(fnmatch.fnmatchcase(name, g) for g in include)) and not any(
        fnmatch.fnmatchcase(name, g) for g in exclude
    )
    assert globs(name) is globs(name) is expected
