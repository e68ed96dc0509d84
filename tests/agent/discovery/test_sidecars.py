"""Istio's sidecars are scraped for what their input keeps, whatever their pods ask for."""

import msgspec
import pytest

from agent.discovery import sidecars
from agent.discovery.policy import Scope
from agent.targets import Choice
from common.kube import objects
from tests.agent.discovery.candidates import ISTIO, PROXY, istio, workload


def test_a_sidecar_becomes_a_target_of_the_istio_input() -> None:
    decision = sidecars.decide(workload(more=(PROXY,)), istio(honor_labels=True), ISTIO)
    assert decision is not None
    (target,) = decision.targets
    assert (target.url, target.job, target.instance, target.subject, target.kind) == (
        "http://10.0.0.1:15090/stats/prometheus",
        "istio-proxy",
        "10.0.0.1:15090",
        "shop/p",
        "sidecar",
    )
    assert (target.interval, target.timeout, target.credentials) == (20.0, 10.0, "")
    assert (target.choice, target.honor_labels) == (Choice(prefixes=("istio_",)), True)
    assert dict(target.attributes) == {
        "k8s.pod.uid": "uid-p",
        "k8s.pod.name": "p",
        "k8s.pod.ip": "10.0.0.1",
        "k8s.namespace.name": "shop",
        "k8s.node.name": "n1",
        "k8s.container.name": "istio-proxy",
        "kyma.input.name": "istio",
    }
    assert str(decision.steps[-1]) == (
        "port 15090 is http-envoy-prom: scrape http://10.0.0.1:15090/stats/prometheus every 20 s "
        "for istio_*"
    )


def test_a_timeout_is_never_longer_than_the_interval() -> None:
    often = Scope(setting="inputs.istio", interval=5.0, timeout=10.0)
    decision = sidecars.decide(workload(more=(PROXY,)), istio(), often)
    assert decision is not None
    assert [(t.interval, t.timeout) for t in decision.targets] == [(5.0, 5.0)]


def test_a_native_sidecar_is_one_too_and_an_ordinary_init_container_is_none() -> None:
    native = msgspec.structs.replace(PROXY, restart_policy="Always")
    found = sidecars.decide(workload(initial=(native,)), istio(), ISTIO)
    assert found is not None and len(found.targets) == 1
    assert sidecars.decide(workload(initial=(PROXY,)), istio(), ISTIO) is None
    assert sidecars.decide(workload(), istio(), ISTIO) is None


@pytest.mark.parametrize(
    ("what", "scope", "why", "asked"),
    [
        ({"phase": "Pending"}, ISTIO, "phase Pending, only Running pods are scraped", False),
        (
            {},
            Scope(setting="inputs.istio", interval=1, timeout=1, exclude=frozenset({"shop"})),
            "namespace shop is in inputs.istio.namespaces.exclude",
            False,
        ),
        (
            {"more": (objects.Container(name="istio-proxy", ports=None),)},
            ISTIO,
            "container istio-proxy declares no port http-envoy-prom (named ports: none)",
            True,
        ),
    ],
)
def test_a_sidecar_that_is_not_scraped_has_a_reason(what, scope, why, asked) -> None:
    decision = sidecars.decide(workload(**{"more": (PROXY,), **what}), istio(), scope)
    assert decision is not None
    assert decision.targets == ()
    assert [(entry.why, entry.asked) for entry in decision.skipped] == [(why, asked)]
