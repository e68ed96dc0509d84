import itertools

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.resource.v1 import resource_pb2

from bench.references import enrichment as reference
from common.enrichment import association, attributes, enricher, pods
from common.kube import objects, reflector
from common.wire import errors, otlp

RULES = attributes.Rules(constants=(("k8s.cluster.name", "east"), ("cloud.provider", "")))
LEGACY = attributes.Rules(strategy="kyma-legacy", constants=RULES.constants)


def pod(uid: str = "u1", address: str = "10.0.0.1", **meta: object) -> objects.Pod:
    return objects.Pod(
        metadata=objects.Metadata(
            **{"name": f"pod-{uid}", "namespace": "shop", "uid": uid, **meta}
        ),
        spec=objects.PodSpec(
            node_name="n1", containers=(objects.Container(name="app", image="web:1"),)
        ),
        status=objects.PodStatus(phase="Running", pod_ip=address),
    )


def resource(**said: str) -> bytes:
    return b"".join(otlp.attribute(k.replace("__", "."), v) for k, v in said.items())


def made(
    *found: objects.Pod, rules: attributes.Rules = RULES, memo_bytes: int = 1 << 20
) -> tuple[enricher.Enricher, pods.PodIndex]:
    index = pods.PodIndex()
    index.apply(reflector.Replaced(tuple(pods.facts(p, rules) for p in found)), now=0.0)
    return enricher.Enricher(rules, index, memo_bytes), index


def read(enriched: enricher.Enriched) -> dict[str, str]:
    pairs = resource_pb2.Resource.FromString(enriched.resource).attributes
    assert len({p.key for p in pairs}) == len(pairs), "an attribute twice"
    return otlp.string_attributes(enriched.resource)


def test_a_resource_gets_all_that_it_lacks() -> None:
    subject, _ = made(pod())
    enriched = subject.enrich(resource(telemetry__sdk__name="x"), "10.0.0.1", trusted=False)
    assert read(enriched) == {
        "telemetry.sdk.name": "x",
        "k8s.pod.name": "pod-u1", "k8s.pod.uid": "u1", "k8s.pod.ip": "10.0.0.1",
        "k8s.namespace.name": "shop", "k8s.node.name": "n1", "k8s.container.name": "app",
        "service.name": "pod-u1", "service.namespace": "shop", "service.version": "1",
        "service.instance.id": "shop.pod-u1.app", "k8s.cluster.name": "east",
    }  # fmt: skip
    assert (enriched.namespace, enriched.source, enriched.hit) == ("shop", "otlp", "peer")


@pytest.mark.parametrize("rules", [RULES, LEGACY])
def test_what_an_agent_measures_of_a_pod_no_container_has_sent(rules) -> None:
    annotations = {"resource.opentelemetry.io/service.instance.id": "mine"}
    subject, _ = made(pod(annotations=annotations), rules=rules)
    said = {"k8s__pod__uid": "u1", "kyma__input__name": "runtime"}
    whole = read(subject.enrich(resource(**said), None, trusted=True))
    assert (whole["k8s.pod.name"], whole["service.name"]) == ("pod-u1", "pod-u1")
    assert whole.keys().isdisjoint({"k8s.container.name", "service.instance.id"})
    part = read(subject.enrich(resource(**said, k8s__container__name="app"), None, trusted=True))
    assert (part["k8s.container.name"], "service.instance.id" in part) == ("app", False)
    said["kyma__input__name"] = "prometheus"  # the only container is who was scraped
    scraped = read(subject.enrich(resource(**said), None, trusted=True))
    assert scraped["k8s.container.name"] == "app"


def test_an_empty_resource_is_enriched_too() -> None:
    subject, _ = made(pod())
    assert read(subject.enrich(b"", "10.0.0.1", trusted=False))["k8s.pod.uid"] == "u1"


def test_what_a_sender_says_stays_and_the_empty_string_says_nothing() -> None:
    subject, _ = made(pod())
    said = resource(
        k8s__pod__name="mine", k8s__namespace__name="", service__name="web",
        k8s__cluster__name="west", k8s__node__name="", other="",
    )  # fmt: skip
    found = read(subject.enrich(said, "10.0.0.1", trusted=False))
    assert (found["k8s.pod.name"], found["service.name"]) == ("mine", "web")
    assert (found["k8s.namespace.name"], found["k8s.node.name"]) == ("shop", "n1")
    assert (found["k8s.cluster.name"], found["other"]) == ("west", "")


def test_a_value_that_is_no_string_counts_as_said() -> None:
    message = resource_pb2.Resource()
    message.attributes.add(key="service.version").value.int_value = 7
    subject, _ = made(pod())
    enriched = subject.enrich(message.SerializeToString(), "10.0.0.1", trusted=False)
    assert "service.version" not in read(enriched)


@pytest.mark.parametrize("name", ["unknown_service", "unknown_service:python", ""])
def test_a_service_that_does_not_know_its_name_is_told(name: str) -> None:
    subject, _ = made(pod())
    enriched = subject.enrich(resource(service__name=name), "10.0.0.1", trusted=False)
    assert read(enriched)["service.name"] == "pod-u1"


def test_an_unknown_service_keeps_that_name_when_no_pod_gives_a_better_one() -> None:
    subject, _ = made()
    enriched = subject.enrich(resource(service__name="unknown_service:x"), None, trusted=False)
    assert read(enriched)["service.name"] == "unknown_service:x"


@pytest.mark.parametrize(
    ("said", "peer", "name"),
    [
        ({}, "10.0.0.1", "labelled"),
        ({"service__name": "unknown_service:java"}, "10.0.0.1", "labelled"),
        ({"service__name": "unknown_service_test"}, "10.0.0.1", "unknown_service_test"),
        ({"service__name": "mine"}, "10.0.0.1", "mine"),
        ({}, None, "unknown_service"),
        ({"service__name": "unknown_service:java"}, None, "unknown_service:java"),
        ({"k8s__deployment__name": "d"}, None, "d"),
    ],
)
def test_legacy_names_services_its_own_way(
    said: dict[str, str], peer: str | None, name: str
) -> None:
    subject, _ = made(pod(labels={"app": "labelled"}), rules=LEGACY)
    assert read(subject.enrich(resource(**said), peer, trusted=False))["service.name"] == name


def test_a_miss_still_gets_the_constants() -> None:
    subject, _ = made()
    enriched = subject.enrich(resource(a="b", k8s__namespace__name="n"), "10.9.9.9", trusted=False)
    assert read(enriched) == {"a": "b", "k8s.namespace.name": "n", "k8s.cluster.name": "east"}
    assert (enriched.hit, enriched.namespace) == ("unknown_peer", "n")


def test_without_anything_to_add_the_bytes_stay_the_same_object() -> None:
    subject, _ = made(rules=attributes.Rules())
    said = resource(a="b")
    assert subject.enrich(said, None, trusted=False).resource is said


def test_internal_attributes_never_leave_and_only_agents_are_believed() -> None:
    subject, _ = made()
    said = resource(kyma__input__name="prometheus", kyma__x="y", my__kyma__x="stays", kymatic="too")
    for trusted, source in ((True, "prometheus"), (False, "otlp")):
        enriched = subject.enrich(said, None, trusted=trusted)
        assert enriched.source == source
        assert read(enriched) == {
            "my.kyma.x": "stays",
            "kymatic": "too",
            "k8s.cluster.name": "east",
        }


def test_what_agents_send_is_not_theirs() -> None:
    subject, _ = made(pod())
    enriched = subject.enrich(resource(k8s__node__name="n7"), "10.0.0.1", trusted=True)
    assert "k8s.pod.name" not in read(enriched)
    assert enriched.hit == "nothing_to_go_by"
    by_uid = subject.enrich(resource(k8s__pod__uid="u1"), "10.0.0.9", trusted=True)
    assert (by_uid.hit, read(by_uid)["k8s.pod.name"]) == ("uid", "pod-u1")


TOLD = {
    "node": {"k8s.node.name": "n1"},
    "deployment": {
        "k8s.deployment.name": "web", "k8s.deployment.uid": "d1", "k8s.namespace.name": "shop",
    },
    "cluster": {},
    "API server": {"service.name": "apiserver", "server.address": "10.0.0.1"},
}  # fmt: skip


@pytest.mark.parametrize("rules", [RULES, LEGACY], ids=["otel", "kyma-legacy"])
@pytest.mark.parametrize("said", TOLD.values(), ids=TOLD)
def test_what_an_agent_tells_of_things_that_are_no_pods_gets_constants_and_nothing_else(
    said: dict[str, str], rules: attributes.Rules
) -> None:
    subject, _ = made(pod(), rules=rules)
    resource = b"".join(
        otlp.attribute(k, v) for k, v in (said | {"kyma.input.name": "runtime"}).items()
    )
    enriched = subject.enrich(resource, "10.0.0.1", trusted=True)
    assert read(enriched) == said | {"k8s.cluster.name": "east"}
    assert (enriched.source, enriched.missing) == ("runtime", None)
    assert enriched.namespace == said.get("k8s.namespace.name", "")


@pytest.mark.parametrize(
    "said",
    [
        {"k8s.pod.uid": "u1"},
        {"k8s.pod.ip": "10.0.0.1"},
        {"k8s.pod.name": "pod-u1", "k8s.namespace.name": "shop"},
    ],
)
@pytest.mark.parametrize(("rules", "name"), [(RULES, "pod-u1"), (LEGACY, "labelled")])
def test_what_an_agent_tells_of_a_pod_is_that_pods_wherever_the_agent_runs(
    said: dict[str, str], rules: attributes.Rules, name: str
) -> None:
    labelled = pod(labels={"app": "labelled"})
    subject, _ = made(labelled, pod("agent", "10.0.0.7"), rules=rules)
    resource = b"".join(otlp.attribute(k, v) for k, v in said.items())
    found = read(subject.enrich(resource, "10.0.0.7", trusted=True))
    assert (found["k8s.pod.uid"], found["k8s.node.name"]) == ("u1", "n1")
    assert (found["k8s.container.name"], found["service.name"]) == ("app", name)


def test_a_container_that_an_agent_tells_of_is_named_as_it_says() -> None:
    subject, _ = made(pod())
    said = resource(k8s__pod__uid="u1", k8s__container__name="sidecar")
    found = read(subject.enrich(said, None, trusted=True))
    assert (found["k8s.container.name"], found["k8s.pod.name"]) == ("sidecar", "pod-u1")
    assert "service.instance.id" not in found


def test_a_change_of_the_pod_shows_at_once() -> None:
    subject, index = made(pod())

    def node() -> str | None:
        return read(subject.enrich(b"", "10.0.0.1", trusted=False)).get("k8s.node.name")

    assert node() == "n1"
    moved = msgspec.structs.replace(pod(), spec=objects.PodSpec(node_name="n2"))
    index.apply(reflector.Modified(pods.facts(moved, RULES)), now=1.0)
    assert node() == "n2"
    index.apply(reflector.Deleted(pods.facts(moved, RULES)), now=2.0)
    assert node() == "n2"
    index.sweep(500.0)
    assert node() is None
    index.apply(reflector.Added(pods.facts(pod(), RULES)), now=501.0)
    assert node() == "n1"


def test_a_miss_before_the_first_list_is_another_miss_after_it() -> None:
    index = pods.PodIndex()
    subject = enricher.Enricher(RULES, index, 1 << 20)
    assert subject.enrich(b"", "10.0.0.1", trusted=False).hit == "not_synced"
    index.apply(reflector.Replaced(()), now=0.0)
    assert subject.enrich(b"", "10.0.0.1", trusted=False).hit == "unknown_peer"


def test_the_second_time_is_remembered_and_counted_all_the_same() -> None:
    subject, _ = made(pod())
    first = subject.enrich(resource(a="b"), "10.0.0.1", trusted=False)
    assert subject.enrich(resource(a="b"), "10.0.0.1", trusted=False) is first
    for _ in range(3):
        subject.enrich(resource(a="b"), None, trusted=False)
    assert (subject.memo.hits, subject.memo.misses) == (3, 2)
    assert subject.hits == {"address": 0, "uid": 0, "name": 0, "peer": 2}
    assert {k: v for k, v in subject.misses.items() if v} == {"nothing_to_go_by": 3}


def test_the_memo_is_bounded_in_bytes() -> None:
    subject, _ = made(pod(), memo_bytes=20_000)
    for i in range(200):
        subject.enrich(resource(a=str(i)), "10.0.0.1", trusted=False)
    assert subject.memo.size <= 20_000
    assert subject.memo.evictions > 0


def test_counters_have_a_label_for_every_outcome_and_no_other() -> None:
    subject, _ = made()
    assert tuple(subject.hits) == association.ASSOCIATIONS
    assert tuple(subject.misses) == association.CAUSES


def test_a_broken_resource_is_malformed() -> None:
    subject, _ = made()
    with pytest.raises(errors.Malformed):
        subject.enrich(b"\x0a\xff", None, trusted=False)


def test_people_can_ask_what_a_pod_adds() -> None:
    subject, index = made(pod())
    assert subject.adds(index.by_uid["u1"]) == read(subject.enrich(b"", "10.0.0.1", trusted=False))
    assert subject.adds(None) == {"k8s.cluster.name": "east"}


def test_a_pod_that_may_yet_become_known_is_missing() -> None:
    subject, _ = made(pod())
    assert subject.enrich(b"", "10.0.0.1", trusted=False).missing is None
    missing = subject.enrich(resource(k8s__pod__uid="u9"), "10.0.0.1", trusted=False).missing
    assert missing is not None
    assert (missing.awaited, missing.evidence.uid) == (("uid", "u9"), "u9")
    assert subject.enrich(b"", "127.0.0.1", trusted=False).missing is None
    assert subject.enrich(b"", "10.0.0.9", trusted=True).missing is None


KEYS = st.sampled_from(
    [
        "k8s.pod.ip",
        "k8s.pod.uid",
        "k8s.pod.name",
        "k8s.namespace.name",
        "k8s.container.name",
        "k8s.deployment.name",
        "service.name",
        "service.version",
        "service.instance.id",
        "k8s.cluster.name",
        "kyma.input.name",
        "kyma.x",
        "k8s.pod.label.team",
        "deployment.environment",
        "a",
    ]
)
TEXTS = st.sampled_from(
    [
        "",
        "10.0.0.1",
        "10.0.0.2",
        "127.0.0.1",
        "fd00::1",
        "u1",
        "u2",
        "pod-u1",
        "pod-u2",
        "shop",
        "app",
        "proxy",
        "unknown_service",
        "unknown_service:x",
        "unknown_service_x",
        "prometheus",
    ]
)
VALUES = st.one_of(TEXTS, TEXTS, TEXTS, st.integers(-5, 5), st.booleans())
PODS = st.builds(
    lambda uid, address, phase, host, labels, notes, owner, images, since: objects.Pod(
        metadata=objects.Metadata(
            name=f"pod-{uid}",
            namespace="shop",
            uid=uid,
            labels=labels,
            annotations=notes,
            owner_references=owner,
            creation_timestamp=since,
        ),
        spec=objects.PodSpec(node_name="n1", host_network=host, containers=images),
        status=objects.PodStatus(phase=phase, pod_ip=address, start_time=since),
    ),
    uid=st.sampled_from(["u1", "u2", "u3"]),
    address=st.sampled_from(["", "10.0.0.1", "10.0.0.2", "fd00::1", "127.0.0.1"]),
    phase=st.sampled_from(["Pending", "Running", "Running", "Succeeded"]),
    host=st.sampled_from([False, False, True]),
    labels=st.dictionaries(
        st.sampled_from(
            [
                "app",
                "app.kubernetes.io/name",
                "app.kubernetes.io/instance",
                "team",
                "app.kubernetes.io/version",
                "pod-template-hash",
                "cost/x",
            ]
        ),
        st.sampled_from(["", "5d", "v"]),
    ),
    notes=st.dictionaries(
        st.sampled_from(
            [
                "resource.opentelemetry.io/service.name",
                "resource.opentelemetry.io/k8s.x",
                "resource.opentelemetry.io/deployment.environment",
                "x",
            ]
        ),
        st.sampled_from(["", "noted"]),
    ),
    owner=st.sampled_from(
        [
            None,
            (objects.OwnerReference(kind="ReplicaSet", name="web-5d"),),
            (objects.OwnerReference(kind="DaemonSet", name="ds"),),
            (objects.OwnerReference(kind="Job", name="j"),),
            (objects.OwnerReference(kind="Node", name="static"),),
        ]
    ),
    images=st.sampled_from(
        [
            None,
            (objects.Container(name="app", image="r:5/web:1"),),
            (
                objects.Container(name="app", image="web"),
                objects.Container(name="proxy", image="p:2"),
            ),
        ]
    ),
    since=st.sampled_from(["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"]),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(PODS, max_size=3, unique_by=lambda p: p.metadata.uid),
    st.dictionaries(KEYS, VALUES, max_size=8),
    st.sampled_from([None, "10.0.0.1", "127.0.0.1", "fd00:0::1", "::ffff:10.0.0.2"]),
    st.booleans(),
    st.sampled_from(["otel", "kyma-legacy"]),
)
def test_it_agrees_with_the_obvious_implementation(
    found: list[objects.Pod],
    said: dict[str, str | int | bool],
    peer: str | None,
    trusted: bool,  # noqa: FBT001 - hypothesis passes it
    strategy: attributes.Strategy,
) -> None:
    rules = attributes.Rules(
        strategy=strategy,
        constants=(("k8s.cluster.name", "east"), ("service.namespace", "constant")),
        label_keys=frozenset({"team"}),
        label_prefixes=("cost/",),
    )
    message = resource_pb2.Resource(dropped_attributes_count=3)
    for key, value in said.items():
        pair = message.attributes.add(key=key).value
        if isinstance(value, str):
            pair.string_value = value
        elif isinstance(value, bool):
            pair.bool_value = value
        else:
            pair.int_value = value
    body = message.SerializeToString()
    plain_peer = {"fd00:0::1": "fd00::1", "::ffff:10.0.0.2": "10.0.0.2"}.get(peer or "", peer)
    expected = reference.enrich(body, plain_peer, trusted=trusted, pods=found, rules=rules)
    subject, _ = made(*found, rules=rules)
    for _ in range(2):  # computed, then remembered
        actual = subject.enrich(body, peer, trusted=trusted)
        assert (actual.namespace, actual.source) == (expected.namespace, expected.source)
        assert (actual.hit in association.ASSOCIATIONS) is bool(expected.pod)
        assert parsed(actual.resource) == parsed(expected.resource)


def parsed(body: bytes) -> tuple[int, dict[str, bytes], int]:
    message = resource_pb2.Resource.FromString(body)
    pairs = {p.key: p.value.SerializeToString() for p in message.attributes}
    return len(message.attributes), pairs, message.dropped_attributes_count


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([None, "10.0.0.1"]))
def test_hostile_bytes_end_in_a_resource_or_malformed(body: bytes, peer: str | None) -> None:
    subject, _ = made(pod())
    try:
        enriched = subject.enrich(body, peer, trusted=False)
    except errors.Malformed:
        return
    resource_pb2.Resource.FromString(enriched.resource)


def test_histories_never_leave_a_stale_answer() -> None:
    subject, index = made(pod("u1"), pod("u2", "10.0.0.2"))
    now = itertools.count(1.0, 50.0)
    said = [resource(k8s__pod__uid="u1"), resource(k8s__pod__ip="10.0.0.2"), b""]
    steps: list[reflector.Change[pods.PodFacts]] = [
        reflector.Deleted(pods.facts(pod("u1"), RULES)),
        reflector.Added(pods.facts(pod("u3"), RULES)),
        reflector.Modified(pods.facts(pod("u2", "10.0.0.7"), RULES)),
        reflector.Replaced(()),
        reflector.Replaced((pods.facts(pod("u1", "10.0.0.2"), RULES),)),
    ]
    for step in steps:
        index.apply(step, next(now))
        fresh = enricher.Enricher(RULES, index, 0)
        for body, peer in itertools.product(said, ["10.0.0.1", "10.0.0.2", None]):
            remembered = subject.enrich(body, peer, trusted=False)
            assert remembered == fresh.enrich(body, peer, trusted=False)
