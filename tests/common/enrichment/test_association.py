import pytest

from common.enrichment import association, attributes, pods
from common.kube import objects, reflector


def facts(uid: str, address: str, name: str) -> pods.PodFacts:
    return pods.facts(
        objects.Pod(
            metadata=objects.Metadata(name=name, namespace="ns", uid=uid),
            status=objects.PodStatus(phase="Running", pod_ip=address),
        ),
        attributes.Rules(),
    )


INDEX = pods.PodIndex()
INDEX.apply(
    reflector.Replaced(
        (
            facts("ua", "10.0.0.1", "a"),
            facts("ub", "10.0.0.2", "b"),
            facts("uc", "10.0.0.3", "c"),
            facts("ud", "10.0.0.4", "d"),
            facts("ul", "127.0.0.9", "l"),
            facts("u6", "fd00::6", "v6"),
        )
    ),
    now=0.0,
)

IP, UID = {"k8s.pod.ip": "10.0.0.1"}, {"k8s.pod.uid": "ub"}
NAME = {"k8s.namespace.name": "ns", "k8s.pod.name": "c"}
NO_IP, NO_UID = {"k8s.pod.ip": "10.9.9.9"}, {"k8s.pod.uid": "zz"}
NO_NAME = {"k8s.namespace.name": "ns", "k8s.pod.name": "zz"}


@pytest.mark.parametrize(
    ("said", "peer", "name", "by"),
    [
        (IP | UID | NAME, "10.0.0.4", "a", "address"),
        (NO_IP | UID | NAME, "10.0.0.4", "b", "uid"),
        (UID | NAME, "10.0.0.4", "b", "uid"),
        (NO_IP | NO_UID | NAME, "10.0.0.4", "c", "name"),
        (NO_IP | NO_UID | NO_NAME, "10.0.0.4", "d", "peer"),
        ({}, "10.0.0.4", "d", "peer"),
        ({"k8s.pod.ip": "", "k8s.pod.uid": ""}, "10.0.0.4", "d", "peer"),
        ({"k8s.pod.name": "c"}, "10.0.0.4", "d", "peer"),
        ({}, "::ffff:10.0.0.4", "d", "peer"),
        ({"k8s.pod.ip": "FD00::0006"}, None, "v6", "address"),
        ({}, "127.0.0.9", "l", "peer"),
    ],
)
def test_associations_are_tried_in_order_and_a_miss_falls_through(
    said: dict[str, str], peer: str | None, name: str, by: str
) -> None:
    known = association.evidence(said, peer, use_peer=True)
    found = association.locate(known, INDEX)
    assert found is not None
    assert (found.name, association.hit(known, INDEX)) == (name, by)


@pytest.mark.parametrize(
    ("said", "peer", "use_peer", "cause"),
    [
        (NO_IP | NO_UID | NO_NAME, "10.9.9.9", True, "unknown_address"),
        (NO_UID | NO_NAME, "10.9.9.9", True, "unknown_uid"),
        (NO_NAME, "10.9.9.9", True, "unknown_name"),
        ({}, "10.9.9.9", True, "unknown_peer"),
        ({}, "127.0.0.6", True, "loopback_peer"),
        ({}, "::1", True, "loopback_peer"),
        ({}, "::ffff:127.0.0.1", True, "loopback_peer"),
        ({}, "10.0.0.4", False, "nothing_to_go_by"),
        ({}, None, True, "nothing_to_go_by"),
        ({}, "", True, "nothing_to_go_by"),
        ({"k8s.namespace.name": "ns"}, None, True, "nothing_to_go_by"),
    ],
)
def test_a_miss_has_a_cause(
    said: dict[str, str],
    peer: str | None,
    use_peer: bool,  # noqa: FBT001 - a table
    cause: str,
) -> None:
    known = association.evidence(said, peer, use_peer=use_peer)
    assert association.locate(known, INDEX) is None
    assert association.hit(known, INDEX) is None
    assert association.cause(known, INDEX) == cause
    assert cause in association.CAUSES


def test_before_the_first_list_every_miss_is_for_lack_of_one() -> None:
    known = association.evidence(NO_IP, "10.9.9.9", use_peer=True)
    assert association.cause(known, pods.PodIndex()) == "not_synced"


def test_people_can_read_what_was_looked_up() -> None:
    known = association.evidence(NO_IP | NAME, "10.0.0.4", use_peer=True)
    assert association.explain(known, INDEX) == (
        ("address", "10.9.9.9", "unknown"), ("uid", "", "not given"),
        ("name", "ns/c", "ns/c"), ("peer", "10.0.0.4", "ns/d"),
    )  # fmt: skip
