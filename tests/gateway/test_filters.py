"""What a pipeline takes is what its configuration says, and every point left out has its rule."""

import fnmatch
from collections.abc import Iterable

import pytest
from hypothesis import given, settings, strategies as st

from agent.exposition import report
from common.config import runtime_metrics
from common.config.agent_inputs import RuntimeResources
from common.config.gateway import Input, Inputs, IstioInput, PrometheusInput, RuntimeInput
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
    assert {name for name, each in found.items() if each.rule("") is None} == {"prometheus"}
    assert list(found) == ["otlp", "prometheus", "istio", "runtime", "apiserver"]


def test_the_api_server_is_a_resource_of_the_runtime_input_that_is_off_by_default() -> None:
    def found(*, enabled: bool = True, apiserver: bool = True) -> filters.Selection:
        chosen = RuntimeInput(
            enabled=enabled,
            resources=RuntimeResources(apiserver=apiserver, pod=False),
            metrics=Names(exclude=("apiserver_audit_*",)),
            namespaces=Namespaces(include=("shop",)),
        )
        return filters.selections(Inputs(runtime=chosen))["apiserver"]

    assert found(enabled=False).rule("") is FilterRule.INPUT_DISABLED
    assert found(apiserver=False).rule("") is FilterRule.INPUT_DISABLED
    assert found().rule("") is found().rule("shop") is None
    assert found().rule("kube-system") is FilterRule.NAMESPACE
    assert found().judge("apiserver_request_total") is None
    assert found().judge("apiserver_audit_event_total") is FilterRule.METRIC_NAME
    assert found().judge("up") is FilterRule.DIAGNOSTIC


def verdicts(chosen: Input, names: Iterable[str]) -> dict[FilterRule | None, set[str]]:
    found: dict[FilterRule | None, set[str]] = {}
    for name in names:
        found.setdefault(filters.Selection(chosen).judge(name), set()).add(name)
    return found


def test_without_a_choice_all_default_metrics_of_the_runtime_pass_and_no_additional_one() -> None:
    assert verdicts(RuntimeInput(), runtime_metrics.NAMES) == {
        None: set().union(*runtime_metrics.DEFAULT.values()),
        FilterRule.ADDITIONAL_METRIC: set(runtime_metrics.ADDITIONAL),
    }


@pytest.mark.parametrize("resource", runtime_metrics.DEFAULT)
def test_a_resource_that_is_off_takes_its_metrics_along_the_additional_ones_too(
    resource: runtime_metrics.Resource,
) -> None:
    of_it = {n for n in runtime_metrics.NAMES if runtime_metrics.resource_of(n) == resource}
    listed = {max(of_it & runtime_metrics.DEFAULT[resource]), max(runtime_metrics.ADDITIONAL)}
    chosen = RuntimeInput(
        resources=RuntimeResources(**{resource: False}), additional_metrics=tuple(listed)
    )
    found = verdicts(chosen, runtime_metrics.NAMES)
    assert found[FilterRule.RUNTIME_RESOURCE] == of_it - listed
    assert found[FilterRule.ADDITIONAL_METRIC] == runtime_metrics.ADDITIONAL - of_it - listed
    assert listed <= found[None]


def test_a_metric_that_is_asked_for_by_name_comes_even_if_its_resource_is_off() -> None:
    off = RuntimeResources(pod=False, container=False, node=False)
    wanted = ("k8s.pod.uptime", "k8s.pod.phase", "container.uptime")
    chosen = RuntimeInput(resources=off, additional_metrics=wanted)
    assert verdicts(chosen, [*wanted, "k8s.node.uptime"]) == {
        None: set(wanted), FilterRule.RUNTIME_RESOURCE: {"k8s.node.uptime"},
    }  # fmt: skip


def test_a_runtime_metric_of_tomorrow_belongs_to_its_resource_or_to_nobody() -> None:
    names = ["k8s.pod.tomorrow", "container.tomorrow", "k8s.gateway.tomorrow", "k8s.podium"]
    chosen = RuntimeInput(resources=RuntimeResources(pod=False))
    assert verdicts(chosen, names) == {
        FilterRule.RUNTIME_RESOURCE: {"k8s.pod.tomorrow"},
        None: {"container.tomorrow", "k8s.gateway.tomorrow", "k8s.podium"},
    }


def test_names_are_chosen_among_what_the_other_rules_leave() -> None:
    chosen = RuntimeInput(
        resources=RuntimeResources(volume=False),
        additional_metrics=("k8s.node.uptime", "k8s.pod.uptime"),
        metrics=Names(include=("k8s.*",), exclude=("*.uptime",)),
    )
    names = ["k8s.volume.inodes", "k8s.pod.uptime", "k8s.pod.phase", "container.cpu.usage"]
    assert verdicts(chosen, names) == {
        FilterRule.RUNTIME_RESOURCE: {"k8s.volume.inodes"},
        FilterRule.METRIC_NAME: {"k8s.pod.uptime", "container.cpu.usage"},
        None: {"k8s.pod.phase"},
    }


@pytest.mark.parametrize("diagnostic", [True, False])
@pytest.mark.parametrize("envoy", [True, False])
def test_of_a_sidecar_its_own_metrics_and_those_of_the_scrape_are_extra(
    diagnostic: bool,  # noqa: FBT001
    envoy: bool,  # noqa: FBT001
) -> None:
    chosen = IstioInput(diagnostic_metrics=diagnostic, envoy_metrics=envoy)
    selection = filters.Selection(chosen)
    assert selection.judge("istio_requests_total") is None
    assert selection.judge("up") is (None if diagnostic else FilterRule.DIAGNOSTIC)
    assert selection.judge("envoy_server_uptime") is (None if envoy else FilterRule.ENVOY)


def test_what_an_agent_tells_of_a_scrape_besides_is_diagnostic_as_well() -> None:
    for name, _ in report.SERIES + report.EXTRA:
        assert filters.Selection(PrometheusInput()).judge(name.decode()) is FilterRule.DIAGNOSTIC


@pytest.mark.parametrize("source", ["otlp", "runtime"])
def test_the_name_of_a_diagnostic_is_anybodys_where_nothing_is_scraped(source: str) -> None:
    assert filters.selections(Inputs())[source].judge("up") is None


def test_the_memo_of_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "MEMO_BYTES", 2000)
    judge = filters.Selection(Input(metrics=Names(exclude=("b*",)))).judge
    for i in range(100):
        for _ in range(2):
            assert (judge(f"a{i}"), judge(f"b{i}")) == (None, FilterRule.METRIC_NAME)
        assert 0 <= judge._size <= 2000
        assert len(judge._verdicts) <= 12
    assert judge("a" * 5000) is None


GLOBS = st.lists(st.text("ab*?[]!.-", max_size=5).filter(bool), max_size=3).map(tuple)


@settings(max_examples=200)
@given(GLOBS, GLOBS, st.text("ab.-", max_size=6))
def test_globs_mean_what_fnmatch_says(
    include: tuple[str, ...], exclude: tuple[str, ...], name: str
) -> None:
    globs = filters.globs(Names(include=include, exclude=exclude))
    expected = (not include or any(fnmatch.fnmatchcase(name, g) for g in include)) and not any(
        fnmatch.fnmatchcase(name, g) for g in exclude
    )
    assert globs(name) is globs(name) is expected
