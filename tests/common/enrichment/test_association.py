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
        (IP, "10.0.0.4", "a", "address"),
        (IP | {"k8s.pod.uid": "ua"}, "10.0.0.4", "a", "address"),
        (IP | NO_NAME, "10.0.0.4", "a", "address"),
        (NO_IP | UID | NAME, "10.0.0.4", "b", "uid"),
        (UID | NAME, "10.0.0.4", "b", "uid"),
        (NO_IP | NAME, "10.0.0.4", "c", "name"),
        (NO_IP | NO_NAME, "10.0.0.4", "d", "peer"),
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


def test_a_uid_is_never_used_twice_so_it_alone_decides() -> None:
    """Whoever has the address now: data that names a uid is of that pod, or of nobody we know."""
    by_uid = association.evidence(IP | UID | NAME, "10.0.0.4", use_peer=True)
    assert association.locate(by_uid, INDEX) is INDEX.by_uid["ub"]
    assert association.hit(by_uid, INDEX) == "uid"
    for said in (IP | NO_UID, NO_UID | NAME, NO_UID):
        known = association.evidence(said, "10.0.0.4", use_peer=True)
        assert association.locate(known, INDEX) is None
        assert association.cause(known, INDEX) == "unknown_uid"


def test_a_pod_that_is_named_and_known_is_meant_whoever_has_the_address() -> None:
    known = association.evidence(IP | NAME, "10.0.0.4", use_peer=True)
    assert association.locate(known, INDEX) is INDEX.by_uid["uc"]
    assert association.hit(known, INDEX) == "name"


def test_the_address_of_a_deleted_pod_is_not_that_of_one_with_another_name() -> None:
    index = pods.PodIndex()
    old = facts("ua", "10.0.0.1", "a")
    index.apply(reflector.Replaced((old,)), now=0.0)
    index.apply(reflector.Deleted(old), now=1.0)
    own = association.evidence(IP | {"k8s.namespace.name": "ns", "k8s.pod.name": "a"}, None,
                               use_peer=True)  # fmt: skip
    assert association.locate(own, index) is old
    assert association.locate(association.evidence(IP, None, use_peer=True), index) is old
    for said, peer in ((IP | NO_NAME, None), (NO_NAME, "10.0.0.1")):
        new = association.evidence(said, peer, use_peer=True)
        assert association.locate(new, index) is None
        assert association.cause(new, index) == "unknown_name"


@pytest.mark.parametrize(
    ("said", "peer", "awaited"),
    [
        (NO_IP | NO_UID | NO_NAME, "10.9.9.9", ("uid", "zz")),
        (NO_IP | NO_NAME, "10.9.9.9", ("name", "ns/zz")),
        (NO_IP, "10.8.8.8", ("address", "10.9.9.9")),
        ({"k8s.pod.ip": "192.168.0.1"}, "10.8.8.8", ("address", "10.8.8.8")),
        ({"k8s.pod.ip": "localhost"}, "FD00::0007", ("address", "fd00::7")),
        ({}, "192.168.0.1", None),
        ({}, "127.0.0.6", None),
        ({}, "::1", None),
        ({}, "fe80::1", None),
        ({"k8s.pod.ip": "::"}, "224.0.0.1", None),
        ({}, "somebody", None),
        ({}, None, None),
    ],
)
def test_what_a_missing_pod_would_become_known_by(
    said: dict[str, str], peer: str | None, awaited: association.Identity | None
) -> None:
    index = pods.PodIndex()
    host = objects.Pod(
        metadata=objects.Metadata(name="h", namespace="ns", uid="uh"),
        status=objects.PodStatus(phase="Running", pod_ip="10.0.0.8", host_ip="192.168.0.1"),
    )
    index.apply(reflector.Replaced((pods.facts(host, attributes.Rules()),)), now=0.0)
    known = association.evidence(said, peer, use_peer=True)
    missing = association.missing(known, index)
    assert (missing.awaited if missing else None) == awaited
    if missing is not None:
        assert awaited in association.mentioned(known)


def test_a_pod_is_known_by_what_its_data_mentions() -> None:
    pod = facts("ua", "10.0.0.1", "a")
    assert association.identities(pod) == (
        ("uid", "ua"), ("name", "ns/a"), ("address", "10.0.0.1")
    )  # fmt: skip
    every = association.evidence(NO_NAME | IP, "10.0.0.4", use_peer=True)
    assert association.mentioned(every) == (
        ("name", "ns/zz"), ("address", "10.0.0.1"), ("address", "10.0.0.4")
    )  # fmt: skip
