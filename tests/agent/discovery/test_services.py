"""Of Services and slices is kept what this node needs, and nothing else."""

import msgspec

from agent.discovery import services
from agent.discovery.services import Endpoint
from common.kube import objects
from tests.agent.discovery.candidates import asking, endpoint, service, slice_of


def test_a_service_that_does_not_ask_is_only_a_name() -> None:
    silent = service({"other": "x" * 100, "prometheus.io/port": "80"})
    assert (silent.key, silent.notes.values, silent.ports) == ("shop/web", {}, ())
    asks = service(asking(port="80"), ports=(("", 80), ("admin", 81)))
    assert (asks.notes.values, asks.ports) == (
        {"scrape": "true", "port": "80"},
        (("", 80), ("admin", 81)),
    )


def test_endpoints_of_other_nodes_are_dropped_and_counted() -> None:
    found = slice_of(endpoint(), endpoint("10.0.9.9", pod="far", node="n2"))
    assert found.endpoints == (Endpoint(addresses=("10.0.0.1",), pod="p", uid="uid-p"),)
    assert found.elsewhere == 1
    foreign = slice_of(endpoint(node="n2"), ports=(("x", 1),))
    assert (foreign.key, foreign.endpoints, foreign.ports, foreign.elsewhere) == (
        "shop/web-x", (), (), 0,
    )  # fmt: skip


def test_an_endpoint_without_a_node_is_kept_for_its_pod_only() -> None:
    by_pod = slice_of(endpoint(node=None))
    assert by_pod.endpoints == (
        Endpoint(addresses=("10.0.0.1",), pod="p", uid="uid-p", here=False),
    )
    assert slice_of(endpoint(node=None, pod="")).endpoints == ()
    assert slice_of(endpoint(pod="")).endpoints == (Endpoint(addresses=("10.0.0.1",)),)


def test_only_tcp_ports_with_a_number_are_kept_and_only_addresses() -> None:
    assert slice_of(ports=(("a", 1), ("b", None))).ports == (("a", 1),)
    assert slice_of(protocol="UDP").ports == ()
    assert slice_of(kind="FQDN").endpoints == ()


def test_what_the_api_server_sends_is_understood() -> None:
    raw = """{
        "metadata": {"name": "web-1", "namespace": "shop",
                     "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv6",
        "endpoints": [
            {"addresses": ["fd00::1"], "conditions": {"ready": false}, "nodeName": "n1",
             "targetRef": {"kind": "Pod", "namespace": "shop", "name": "p", "uid": "u"}},
            {"addresses": null, "nodeName": "n1"}],
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}, {"port": 9}]}"""
    shrink = services.shrinking("n1")
    found = shrink(msgspec.json.decode(raw, type=objects.EndpointSlice))
    assert (found.key, found.service_key, found.ports) == (
        "shop/web-1", "shop/web", (("", 8080), ("", 9)),
    )  # fmt: skip
    assert found.endpoints == (Endpoint(addresses=("fd00::1",), pod="p", uid="u"),)
    empty = msgspec.json.decode('{"endpoints": null, "ports": null}', type=objects.EndpointSlice)
    assert shrink(empty).endpoints == ()
