"""Of a pod is kept what runs as long as it does, and whom it is asked as."""

import msgspec
import pytest

from agent.discovery import workloads
from common.kube import objects
from tests.agent.discovery.candidates import MESH, PROXY, asking, pod, workload

NATIVE = msgspec.structs.replace(PROXY, restart_policy="Always")


def test_init_containers_are_over_but_sidecars_among_them_run_on() -> None:
    plain = workloads.seen(pod(initial=(PROXY,)))
    native = workloads.seen(pod(initial=(NATIVE,)))
    assert [container.name for container in plain.containers] == ["app"]
    assert [container.name for container in native.containers] == ["app", "istio-proxy"]
    assert [container.name for container in native.ordinary] == ["app"]


def test_what_the_api_server_sends_is_understood() -> None:
    raw = """{
        "metadata": {"name": "p", "namespace": "shop", "uid": "u", "labels": null,
                     "annotations": {"prometheus.io/scrape": "true", "other": "x"}},
        "spec": {"nodeName": "n1", "hostNetwork": true, "containers": [
            {"name": "app", "ports": [{"containerPort": 80}, {"containerPort": 53,
             "protocol": "UDP"}]}],
            "initContainers": [{"name": "side", "restartPolicy": "Always", "ports": null}]},
        "status": {"phase": "Running", "podIP": "10.0.0.9"}}"""
    found = workloads.seen(msgspec.json.decode(raw, type=objects.Pod))
    assert found.subject == "shop/p"
    assert found.notes.values == {"scrape": "true"}
    assert [(c.name, [p.container_port for p in c.ports or ()]) for c in found.containers] == [
        ("app", [80]),
        ("side", []),
    ]
    assert (found.host_network, found.mesh) == (True, False)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"node": "n2"}, "another node: it is on n2, this agent scrapes n1"),
        ({"node": ""}, "another node: it is on none yet, this agent scrapes n1"),
        ({"phase": "Pending"}, "phase Pending, only Running pods are scraped"),
        ({"phase": "Succeeded"}, "phase Succeeded, only Running pods are scraped"),
        ({"phase": "Failed"}, "phase Failed, only Running pods are scraped"),
        ({"phase": ""}, "phase Unknown, only Running pods are scraped"),
        ({"ip": ""}, "no IP yet"),
    ],
)
def test_a_pod_that_cannot_be_scraped_fails_one_check(what, why: str) -> None:
    _, refusal = workload(asking(), **what).standing("n1")
    assert refusal is not None
    assert (refusal.text, refusal.verdict) == (why, "fail")


def test_a_pod_on_the_hosts_network_is_said_to_be() -> None:
    passed, refusal = workload(host_network=True).standing("n1")
    assert refusal is None
    assert [str(step) for step in passed] == [
        "on this node, n1",
        "phase Running",
        "IP 10.0.0.1",
        "on the host's network: its ports are the node's",
    ]


def test_the_label_of_istios_injection_tells_who_takes_mutual_tls() -> None:
    assert workload(labels=MESH).mesh
    assert not workload(labels={"security.istio.io/tlsMode": "disabled"}).mesh
