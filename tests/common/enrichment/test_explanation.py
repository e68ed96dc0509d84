"""Every reason for a miss has a word."""

from typing import get_args

import pytest

from common.enrichment import association, attributes, explanation, pods
from common.kube import objects, reflector

RULES = attributes.Rules()


def facts(uid: str, address: str, *, phase: str = "Running", host: bool = False, since: str = "1"):
    return pods.facts(
        objects.Pod(
            metadata=objects.Metadata(name=f"pod-{uid}", namespace="ns", uid=uid),
            spec=objects.PodSpec(host_network=host),
            status=objects.PodStatus(
                phase=phase, pod_ip=address, host_ip="192.168.0.1", start_time=since
            ),
        ),
        RULES,
    )


def world() -> pods.PodIndex:
    index = pods.PodIndex()
    index.apply(
        reflector.Replaced(
            (
                facts("live", "10.0.0.1"),
                facts("host", "192.168.0.2", host=True),
                facts("done", "10.0.0.3", phase="Succeeded"),
                facts("twin1", "10.0.0.4"),
                facts("twin2", "10.0.0.4"),
                facts("stale", "10.0.0.5"),
                facts("gone", "10.0.0.6"),
            )
        ),
        0.0,
    )
    index.apply(reflector.Added(facts("heir", "10.0.0.5")), 1.0)
    index.apply(reflector.Modified(facts("heir", "10.0.0.5", phase="Failed")), 2.0)
    index.apply(reflector.Deleted(facts("gone", "10.0.0.6")), 10.0)
    return index


NAMED = {"k8s.namespace.name": "ns"}


@pytest.mark.parametrize(
    ("said", "by", "outcome", "words"),
    [
        ({"k8s.pod.ip": "10.0.0.1"}, "address", "found", ""),
        ({"k8s.pod.ip": "10.0.0.6"}, "address", "found",
         "deleted 12 s ago, found for 108 s more"),
        ({"k8s.pod.uid": "done"}, "uid", "found", "Succeeded"),
        ({"k8s.pod.uid": "host"}, "uid", "found", "hostNetwork"),
        ({}, "address", "not_given", ""),
        ({"k8s.pod.ip": "10.0.0.1", "k8s.pod.uid": "gone"}, "address", "contradicted",
         "ns/pod-live has uid live"),
        ({"k8s.pod.ip": "10.0.0.1", **NAMED, "k8s.pod.name": "pod-gone"}, "address",
         "contradicted", "it is the address of ns/pod-live, the resource names another"),
        ({"k8s.pod.ip": "10.0.0.6", **NAMED, "k8s.pod.name": "new"}, "address", "contradicted",
         "it is the address of ns/pod-gone (deleted 12 s ago"),
        ({"k8s.pod.ip": "127.0.0.6"}, "address", "loopback", "this machine's own"),
        ({"k8s.pod.ip": "192.168.0.1"}, "address", "host", "a node's own address"),
        ({"k8s.pod.ip": "192.168.0.2"}, "address", "host", "a node's own address"),
        ({"k8s.pod.ip": "10.0.0.3"}, "address", "ended",
         "it was the address of ns/pod-done (Succeeded)"),
        ({"k8s.pod.ip": "10.0.0.4"}, "address", "several",
         "claimed by ns/pod-twin1, ns/pod-twin2"),
        ({"k8s.pod.ip": "10.0.0.99"}, "address", "unknown", "no pod has it"),
        ({"k8s.pod.uid": "nobody"}, "uid", "unknown", "no pod has it"),
        ({**NAMED, "k8s.pod.name": "nobody"}, "name", "unknown", "no pod has it"),
    ],
)  # fmt: skip
def test_every_association_says_what_came_of_it(
    said: dict[str, str], by: str, outcome: str, words: str
) -> None:
    known = association.evidence(said, None, use_peer=True)
    index = world()
    found = {a.by: a for a in explanation.attempts(known, index, 22.0)}
    assert list(found) == list(association.ASSOCIATIONS)
    assert (found[by].outcome, found[by].words[: len(words)]) == (outcome, words)
    assert outcome in get_args(explanation.Outcome)
    pod = association.locate(known, index)
    chosen = [a.pod for a in found.values() if a.pod is not None]
    assert chosen[:1] == ([pod] if pod is not None else [])


def test_an_address_that_was_lost_to_a_pod_that_is_gone() -> None:
    index = world()
    index.apply(reflector.Deleted(facts("heir", "10.0.0.5", phase="Failed")), 30.0)
    index.sweep(1000.0)
    known = association.evidence({"k8s.pod.ip": "10.0.0.5"}, None, use_peer=True)
    told = explanation.attempts(known, index, 1000.0)[0]
    assert (told.outcome, told.words) == ("taken", "ns/pod-stale lost it to a pod that is gone")


def test_before_the_first_list_nothing_can_be_known() -> None:
    known = association.evidence({"k8s.pod.uid": "u"}, "10.0.0.1", use_peer=True)
    told = explanation.attempts(known, pods.PodIndex(), 0.0)
    assert [a.outcome for a in told] == ["not_given", "not_synced", "not_given", "not_synced"]


def test_names_that_two_pods_of_one_list_have() -> None:
    index = pods.PodIndex()
    twins = [
        pods.facts(
            objects.Pod(metadata=objects.Metadata(name="web-0", namespace="ns", uid=uid)), RULES
        )
        for uid in ("a", "b")
    ]
    index.apply(reflector.Replaced(tuple(twins)), 0.0)
    known = association.evidence({**NAMED, "k8s.pod.name": "web-0"}, None, use_peer=True)
    told = explanation.attempts(known, index, 0.0)[2]
    assert (told.outcome, told.words) == ("several", "uids a, b")


def test_lists_of_names_are_bounded() -> None:
    index = pods.PodIndex()
    many = tuple(facts(f"{n:02}", "10.0.0.1") for n in range(50))
    index.apply(reflector.Replaced(many), 0.0)
    known = association.evidence({"k8s.pod.ip": "10.0.0.1"}, None, use_peer=True)
    words = explanation.attempts(known, index, 0.0)[0].words
    assert words.count("ns/") == explanation.MOST
    assert words.endswith("ns/pod-09, ...")
