"""What a pipeline takes is what its configuration says, and every point left out has its rule."""

import fnmatch

import pytest
from hypothesis import given, settings, strategies as st

from common.config.gateway import Input, Inputs, PrometheusInput
from common.config.shared import Names, Namespaces
from common.service.ledger import FilterRule
from common.wire import layout, otlp
from gateway import filters
from tests.gateway import samples


def frame(*names: str, points: int = 1) -> otlp.Frame:
    (only,) = otlp.frames(samples.request(names, points=points))
    return only


def kept(frame: otlp.Frame, recipe: otlp.Recipe) -> list[str]:
    return samples.names(otlp.splice(otlp.Frame(b"", recipe.cut(frame.rest), 1), b""))


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
    for chosen in (Input(), PrometheusInput(diagnostic_metrics=True)):
        selection = filters.Selection(chosen)
        assert (selection.frames, selection.names) == (False, False)
    assert filters.Selection(PrometheusInput()).names
    assert filters.Selection(Input(metrics=Names(include=("a",)))).names
    assert filters.Selection(Input(enabled=False)).frames
    assert filters.Selection(Input(namespaces=Namespaces(include=("a",)))).frames


def test_metrics_are_chosen_by_globs_and_case_matters() -> None:
    selection = filters.Selection(
        Input(metrics=Names(include=("http_*", "go?"), exclude=("*_bucket",)))
    )
    body = frame("http_requests", "http_bucket", "go1", "go12", "HTTP_x", points=2)
    recipe = selection.recipe(body)
    assert kept(body, recipe) == ["http_requests", "go1"]
    assert (recipe.removed, recipe.total) == ({FilterRule.METRIC_NAME: 6}, 6)


def test_diagnostics_of_scrapes_are_left_out_unless_asked_for() -> None:
    body = frame("up", "scrape_duration_seconds", "requests", "scrape_other")
    recipe = filters.Selection(PrometheusInput()).recipe(body)
    assert kept(body, recipe) == ["requests", "scrape_other"]
    assert recipe.removed == {FilterRule.DIAGNOSTIC: 2}
    wanted = filters.Selection(PrometheusInput(diagnostic_metrics=True))
    assert wanted.judge("up") is None


def test_diagnostics_count_as_such_whatever_the_names_chosen() -> None:
    chosen = PrometheusInput(metrics=Names(exclude=("up", "secret*")))
    recipe = filters.Selection(chosen).recipe(
        frame("up", "secret_a", "secret_b", "requests", points=3)
    )
    assert recipe.removed == {FilterRule.DIAGNOSTIC: 3, FilterRule.METRIC_NAME: 6}


def test_the_same_object_comes_back_when_nothing_is_removed() -> None:
    body = frame("requests")
    recipe = filters.Selection(PrometheusInput()).recipe(body)
    assert recipe.cut(body.rest) is body.rest
    assert recipe.removed == {}


def test_a_recipe_is_found_once_for_all_frames_of_a_layout() -> None:
    recogniser = layout.Recogniser(1 << 20, 1)
    body = samples.request(("up", "requests"), points=30)
    for _ in range(3):
        (recognised,) = recogniser.frames(body)
    one, other = filters.Selection(PrometheusInput()), filters.Selection(PrometheusInput())
    assert one.recipe(recognised) is one.recipe(recognised)
    assert one.recipe(recognised) is not other.recipe(recognised)
    assert kept(recognised, one.recipe(recognised)) == ["requests"]


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
