"""The configuration is read once into what decisions need."""

import msgspec
import pytest

from agent.discovery import policy
from agent.targets import Choice
from common.config import agent as config


def document(**sections: object) -> config.Agent:
    return msgspec.convert({"node": "n1", **sections}, config.Agent)


def test_by_default_annotated_pods_and_services_are_scraped_and_sidecars_are_not() -> None:
    rules = policy.policy(document())
    assert rules.workloads == policy.Scope(setting="inputs.prometheus", interval=30.0, timeout=10.0)
    assert rules.sidecars is None
    assert (rules.follows_pods, rules.follows_services, rules.mesh, rules.proves) == (
        True, True, False, False,
    )  # fmt: skip


def test_each_input_has_namespaces_and_an_interval_of_its_own() -> None:
    rules = policy.policy(
        document(
            scraping={"interval": 60, "timeout": 20, "honor_labels": True},
            inputs={
                "prometheus": {
                    "interval": 5,
                    "namespaces": {"include": ["shop"]},
                    "mesh_certificates": "/certs",
                    "auth": {"bearer_token_file": "/token"},
                },
                "istio": {
                    "enabled": True,
                    "namespaces": {"exclude": ["kube-system"]},
                    "envoy_metrics": True,
                    "own_workloads": ["gateway"],
                },
            },
        )
    )
    assert rules == policy.Policy(
        node="n1",
        workloads=policy.Scope(
            setting="inputs.prometheus", interval=5, timeout=20, include=frozenset({"shop"})
        ),
        sidecars=policy.Scope(
            setting="inputs.istio", interval=60, timeout=20, exclude=frozenset({"kube-system"})
        ),
        services=True,
        mesh=True,
        proves=True,
        honor_labels=True,
        choice=Choice(
            prefixes=("istio_", "envoy_"),
            without=(("source_workload", "gateway"), ("destination_workload", "gateway")),
        ),
    )


@pytest.mark.parametrize(
    ("inputs", "node", "pods", "services"),
    [
        ({}, "", False, False),
        ({"prometheus": {"enabled": False}}, "n1", False, False),
        ({"prometheus": {"enabled": False}, "istio": {"enabled": True}}, "n1", True, False),
        ({"prometheus": {"services": False}}, "n1", True, False),
    ],
)
def test_nothing_is_followed_that_nobody_needs(inputs, node, pods, services) -> None:
    rules = policy.policy(document(node=node, inputs=inputs))
    assert (rules.follows_pods, rules.follows_services) == (pods, services)


def test_a_namespace_is_judged_in_words_with_a_remedy() -> None:
    only = policy.Scope(setting="inputs.istio", interval=1, timeout=1, include=frozenset({"a"}))
    but = policy.Scope(setting="inputs.istio", interval=1, timeout=1, exclude=frozenset({"a"}))
    assert [(s.verdict, s.text) for s in map(only.judge, "ab")] == [
        ("pass", "namespace a is scraped"),
        ("fail", "namespace b is not among inputs.istio.namespaces.include"),
    ]
    assert [(s.verdict, s.text) for s in map(but.judge, "ab")] == [
        ("fail", "namespace a is in inputs.istio.namespaces.exclude"),
        ("pass", "namespace b is scraped"),
    ]
    assert only.judge("b").remedy == "add b to it"
