"""What a target is asked, and how it is remembered, follows from it and from what all share."""

from collections.abc import Callable
from typing import Any

import pytest

from agent import targets
from agent.exposition import model
from agent.scraping import credentials
from agent.scraping.terms import Terms, fresh_memory, request
from common.config import agent as config
from common.wire import otlp

NEVER: Callable[[], float] = lambda: 0.0  # noqa: E731 - a clock that stands
BODY = b'# TYPE a gauge\na 1\nb{x="y"} 2\n'
NOW = 1_795_514_400 * 10**9


def terms(**changes: Any) -> Terms:
    return Terms(
        max_body_bytes=1000,
        max_concurrency=10,
        max_fetching_bytes=1 << 20,
        max_redirects=3,
        max_leaving=10,
        limits=model.Limits(samples=10),
        version="1.2.3",
        credentials=credentials.profiles(config.Agent(), NEVER),
        wall=lambda: 0,
        stopwatch=NEVER,
        **changes,
    )


def target(**changes: Any) -> targets.Target:
    return targets.Target(
        **{
            "url": "https://10.0.0.1/metrics",
            "job": "app-pods",
            "instance": "10.0.0.1:443",
            "subject": "shop/web",
            "attributes": (("kyma.input.name", "prometheus"),),
            "interval": 10,
            "timeout": 5,
        }
        | changes
    )


def resource_and_body(one: targets.Target, common: Terms) -> tuple[dict[str, str], bytes]:
    told = fresh_memory(one, common).accept(BODY, NOW, 0.1)
    (frame,) = otlp.frames(told.payload)
    return dict(otlp.string_attributes(frame.resource)), frame.rest


def test_a_target_is_asked_within_the_limits_of_all_and_its_own_time() -> None:
    asked = request(target(timeout=7), terms(native_histograms=True, fallback=False))
    assert (asked.url, asked.timeout, asked.max_bytes) == ("https://10.0.0.1/metrics", 7, 1000)
    assert (asked.max_redirects, asked.user_agent) == (3, "headgate-agent/1.2.3")
    assert (asked.protobuf, asked.fallback, asked.compression) == (True, False, False)


def test_the_job_of_a_discovered_pod_is_nobodys_name() -> None:
    found, _ = resource_and_body(target(), terms())
    assert found == {
        "service.instance.id": "10.0.0.1:443",
        "server.address": "10.0.0.1",
        "server.port": "443",
        "url.scheme": "https",
        "kyma.input.name": "prometheus",
    }
    found, _ = resource_and_body(target(subject=targets.STATIC, job="shop"), terms())
    assert found["service.name"] == "shop"


@pytest.mark.parametrize(
    ("source", "scope"),
    [
        ("prometheus", b"io.kyma-project.telemetry/prometheus"),
        ("istio", b"io.kyma-project.telemetry/istio"),
        ("apiserver", b"io.kyma-project.telemetry/runtime"),
    ],
)
def test_the_scope_is_that_of_the_input(source: str, scope: bytes) -> None:
    _, body = resource_and_body(target(attributes=(("kyma.input.name", source),)), terms())
    assert scope in body


def test_the_choice_and_the_labels_of_a_target_hold_for_all_its_scrapes() -> None:
    named_b = b"\x0a\x01b"  # string name = 1 of a metric
    _, body = resource_and_body(target(), terms())
    assert named_b in body
    one = target(choice=targets.Choice(prefixes=("a",)), labels=(("service", "web"),))
    _, body = resource_and_body(one, terms(extra_metrics=True))
    assert b"service" in body
    assert b"scrape_timeout_seconds" in body
    assert named_b not in body
