"""The names that agents and gateways agree on are those of Kyma and Prometheus."""

from common.config import input_names
from common.config.gateway import Inputs
from gateway import filters


def test_every_input_that_an_agent_has_is_one_that_a_gateway_knows() -> None:
    known = filters.selections(Inputs()).keys()
    assert known == {input_names.OTLP} | input_names.SCOPES.keys()
    assert known == {"otlp", "prometheus", "istio", "runtime", "apiserver"}
    assert input_names.ATTRIBUTE == "kyma.input.name"


def test_scopes_are_kymas_and_what_the_api_server_exposes_is_runtimes() -> None:
    assert set(input_names.SCOPES.values()) == {
        "io.kyma-project.telemetry/prometheus",
        "io.kyma-project.telemetry/istio",
        "io.kyma-project.telemetry/runtime",
    }
    scopes = input_names.SCOPES
    assert scopes[input_names.APISERVER] == scopes[input_names.RUNTIME]


def test_what_a_scrape_tells_about_itself_has_prometheus_names() -> None:
    assert {
        "up",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
        "scrape_timeout_seconds",
        "scrape_sample_limit",
        "scrape_body_size_bytes",
    } == input_names.DIAGNOSTIC
