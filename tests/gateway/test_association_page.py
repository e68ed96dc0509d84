"""/debug/enrichment answers why, or says what was wrong with the question."""

import msgspec
import pytest

from common.enrichment import association, attributes, enricher, pods
from common.kube import objects, reflector
from common.service import health
from gateway import association_page

RULES = attributes.Rules(constants=(("k8s.cluster.name", "east"),))


class Waiting:
    def waiting(self, identity: association.Identity) -> dict[str, object] | None:
        return {"points": 3} if identity == ("address", "10.9.9.9") else None

    def in_vain(self, identity: association.Identity) -> bool:
        return identity == ("uid", "z")


def page() -> health.Page:
    pod = objects.Pod(
        metadata=objects.Metadata(name="web-0", namespace="shop", uid="u1"),
        spec=objects.PodSpec(node_name="n1", containers=(objects.Container(name="app"),)),
        status=objects.PodStatus(phase="Running", pod_ip="10.0.0.1", host_ip="192.168.0.1"),
    )
    index = pods.PodIndex()
    index.apply(reflector.Replaced((pods.facts(pod, RULES),)), 0.0)
    return association_page.explaining(
        enricher.Enricher(RULES, index, 1 << 20),
        index,
        Waiting(),
        status=lambda: "synced; 1 pod",
        now=lambda: 5.0,
    )


@pytest.mark.parametrize(
    ("query", "by"),
    [
        ({"ip": "10.0.0.1"}, "address"),
        ({"ip": "::ffff:10.0.0.1"}, "address"),
        ({"uid": "u1"}, "uid"),
        ({"name": "shop/web-0"}, "name"),
        ({"peer": "10.0.0.1"}, "peer"),
        ({"ip": "10.9.9.9", "peer": "10.0.0.1"}, "peer"),
    ],
)
def test_a_pod_is_shown_with_what_it_adds(query: dict[str, str], by: str) -> None:
    said = page()(query)
    assert (said["found"], said["by"], said["cause"]) == (True, by, None)
    assert said["asked"] == query
    assert said["kubernetes"] == "synced; 1 pod"
    assert [attempt["association"] for attempt in said["tried"]] == list(association.ASSOCIATIONS)
    found = [attempt for attempt in said["tried"] if attempt["outcome"] == "found"]
    assert found[0]["association"] == by
    assert found[0]["pod"] == "shop/web-0"
    assert said["pod"]["uid"] == "u1"
    assert said["pod"]["node_address"] == "192.168.0.1"
    assert said["adds"]["k8s.pod.name"] == "web-0"
    assert said["adds"]["service.instance.id"] == "shop.web-0.app"
    assert said["adds"]["k8s.cluster.name"] == "east"
    assert msgspec.json.encode(said)


def test_a_miss_is_shown_with_its_cause_and_what_is_held() -> None:
    said = page()({"ip": "10.9.9.9"})
    assert (said["found"], said["by"], said["cause"]) == (False, None, "unknown_address")
    assert [(a["association"], a["outcome"]) for a in said["tried"]] == [
        ("address", "unknown"), ("uid", "not_given"), ("name", "not_given"), ("peer", "unknown"),
    ]  # fmt: skip
    assert said["pod"] is None
    assert said["adds"] == {"k8s.cluster.name": "east"}
    assert said["held"] == {"address=10.9.9.9": {"points": 3}}
    assert said["waited_in_vain"] == []
    assert page()({"uid": "z"})["waited_in_vain"] == ["uid=z"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "nothing is asked for; give ip=ADDRESS, uid=UID or name=NAMESPACE/POD"),
        ({"uid": ""}, "nothing is asked for"),
        ({"ip": "10.0.0"}, "ip=10.0.0 is not an IP address"),
        ({"peer": "localhost", "uid": "u"}, "peer=localhost is not an IP address"),
        ({"name": "web-0"}, "name=web-0 is not NAMESPACE/POD"),
        ({"name": "/web-0"}, "name=/web-0 is not NAMESPACE/POD"),
        ({"name": "a/b/c"}, "name=a/b/c is not NAMESPACE/POD"),
        ({"address": "10.0.0.1"}, "unknown parameter 'address'"),
        ({"uid": "x" * 600}, "uid has 600 characters, the limit is 512"),
    ],
)
def test_a_bad_question_is_told_what_is_wrong_with_it(query: dict[str, str], words: str) -> None:
    with pytest.raises(health.BadQuery) as raised:
        page()(query)
    assert str(raised.value).startswith(words)
