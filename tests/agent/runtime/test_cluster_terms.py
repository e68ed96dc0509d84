"""Where the Lease is, and under which name this process takes part."""

from pathlib import Path

from agent.runtime import cluster_terms
from common.config import agent as config, agent_inputs
from common.kube import credentials


def terms(access: credentials.Access | None, **resources: bool) -> cluster_terms.Terms:
    runtime = agent_inputs.RuntimeInput(
        enabled=True, resources=agent_inputs.RuntimeResources(**resources), interval=7.0
    )
    return cluster_terms.terms(
        config.Agent(inputs=agent_inputs.Inputs(runtime=runtime)), access,
        host="agent-x7k2p", suffix="0a1b", version="1", wall=lambda: 0,
    )  # fmt: skip


def test_the_namespace_of_the_lease(tmp_path: Path) -> None:
    unset = agent_inputs.Lease()
    given = agent_inputs.Lease(namespace="given")
    assert cluster_terms.lease_namespace(given, tmp_path) == "given"
    assert cluster_terms.lease_namespace(unset, tmp_path) == "headgate-system"
    (tmp_path / "namespace").write_text("mine\n")
    assert cluster_terms.lease_namespace(unset, tmp_path) == "mine"
    (tmp_path / "namespace").write_bytes(b"\xff")
    assert cluster_terms.lease_namespace(unset, tmp_path) == "headgate-system"


def test_the_identity_is_the_pod_and_something_of_chance() -> None:
    assert terms(None).identity == "agent-x7k2p_0a1b"


def test_the_api_server_is_a_target_only_if_it_is_asked_for_and_known() -> None:
    access = credentials.anonymous("http://h")
    assert terms(access).target is None
    assert terms(None, apiserver=True).target is None
    target = terms(access, apiserver=True).target
    assert target is not None
    assert (target.url, target.interval) == ("http://h/metrics", 7.0)
