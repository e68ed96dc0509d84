"""The rights of every choice are listed, and are those of what is asked then."""

from pathlib import Path

from agent.runtime import cluster_kinds, cluster_permissions
from common.config import agent_inputs, runtime_metrics
from common.kube.rights import Rule
from tests.agent.runtime.test_cluster_names import OF_CLUSTER

LEASES = Rule(
    groups=("coordination.k8s.io",),
    resources=("leases",),
    verbs=("get", "create", "update"),
    namespace="home",
)


def rules(*additional: str, **resources: bool) -> tuple[Rule, ...]:
    every = dict.fromkeys(runtime_metrics.DEFAULT, False) | resources
    settings = agent_inputs.RuntimeInput(
        enabled=True,
        resources=agent_inputs.RuntimeResources(**every),
        additional_metrics=additional,
    )
    return cluster_permissions.rules(settings, "home")


def reading(group: str, *resources: str) -> Rule:
    return Rule(groups=(group,), resources=resources, verbs=("list", "watch"))


def test_an_input_that_is_off_or_asks_the_kubelet_only_needs_nothing() -> None:
    assert cluster_permissions.rules(agent_inputs.RuntimeInput(), "home") == ()
    assert rules(node=True, volume=True) == ()


def test_each_resource_needs_its_own_objects_and_the_lease() -> None:
    assert rules(pod=True) == (LEASES, reading("", "pods"))
    assert rules(container=True) == (LEASES, reading("", "pods"))
    assert rules(deployment=True) == (LEASES, reading("apps", "deployments"))
    assert rules(job=True) == (LEASES, reading("batch", "jobs"))
    assert rules("k8s.service.endpoint.count") == (
        LEASES, reading("", "services"), reading("discovery.k8s.io", "endpointslices"),
    )  # fmt: skip
    assert rules("k8s.service.load_balancer.ingress.count") == (LEASES, reading("", "services"))


def test_the_metrics_of_the_api_server_need_its_url() -> None:
    assert rules(apiserver=True) == (LEASES, Rule(verbs=("get",), urls=("/metrics",)))


def test_the_default_choice() -> None:
    settings = agent_inputs.RuntimeInput(enabled=True)
    assert cluster_permissions.rules(settings, "home") == (
        LEASES,
        reading("", "pods"),
        reading("apps", "daemonsets", "deployments", "statefulsets"),
        reading("batch", "jobs"),
    )


def test_all_metrics_together_need_every_kind() -> None:
    asked = {(g, r) for rule in rules(*OF_CLUSTER)[1:] for g in rule.groups for r in rule.resources}
    assert asked == {(kind.group, kind.resource) for kind in cluster_kinds.KINDS}


def test_the_rights_are_those_that_the_documentation_lists() -> None:
    text = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    table = text.partition("| metric | API group | resource | verbs |\n")[2].partition("\n\n")[0]
    assert table.splitlines()[1:] == [
        f"| {', '.join(f'`{prefix}*`' for prefix in kind.metrics)} | {kind.group or 'core'} "
        f"| `{kind.resource}` | list, watch |"
        for kind in cluster_kinds.KINDS
    ]
