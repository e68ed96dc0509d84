import msgspec
import pytest

from common.enrichment import attributes
from common.kube import objects

OTEL = attributes.Rules()
LEGACY = attributes.Rules(strategy="kyma-legacy")
META = objects.Metadata(
    name="web-0", namespace="shop", uid="u1", creation_timestamp="2024-05-01T10:00:00Z"
)


def pod(
    *images: str,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    owner: tuple[str, str] | None = None,
) -> objects.Pod:
    owned = (objects.OwnerReference(kind=owner[0], name=owner[1]),) if owner else ()
    return objects.Pod(
        metadata=msgspec.structs.replace(
            META, labels=labels, annotations=annotations, owner_references=owned
        ),
        spec=objects.PodSpec(
            node_name="n1",
            containers=tuple(
                objects.Container(name=f"c{i}", image=v) for i, v in enumerate(images)
            ),
        ),
        status=objects.PodStatus(
            phase="Running", pod_ip="10.0.0.7", start_time="2024-05-01T10:00:05Z"
        ),
    )


def of(pod: objects.Pod, rules: attributes.Rules = OTEL) -> dict[str, str]:
    return dict(attributes.of_pod(pod, rules))


def container(known: objects.Pod, name: str = "", rules: attributes.Rules = OTEL) -> dict[str, str]:
    return dict(
        attributes.of_container(attributes.containers(known, rules), "shop", "web-0", name, rules)
    )


def test_a_pod_says_who_it_is() -> None:
    assert of(pod("a"), LEGACY) == {
        "k8s.pod.name": "web-0", "k8s.pod.uid": "u1", "k8s.pod.ip": "10.0.0.7",
        "k8s.namespace.name": "shop", "k8s.node.name": "n1",
        "k8s.pod.start_time": "2024-05-01T10:00:00Z",
    }  # fmt: skip


def test_what_is_not_known_is_left_out() -> None:
    pending = objects.Pod(metadata=objects.Metadata(name="p", namespace="n", uid="u"))
    assert of(pending, LEGACY) == {
        "k8s.pod.name": "p",
        "k8s.pod.uid": "u",
        "k8s.namespace.name": "n",
    }


def test_the_workload_is_named_and_the_replicaset_is_not() -> None:
    found = of(pod(owner=("ReplicaSet", "web-5d"), labels={"pod-template-hash": "5d"}))
    assert found["k8s.deployment.name"] == found["service.name"] == "web"
    assert "k8s.replicaset.name" not in found


@pytest.mark.parametrize(
    ("labels", "annotations", "owner", "name"),
    [
        ({"app.kubernetes.io/instance": "i", "app.kubernetes.io/name": "n"},
         {"resource.opentelemetry.io/service.name": "a"}, ("StatefulSet", "s"), "a"),
        ({"app.kubernetes.io/instance": "i", "app.kubernetes.io/name": "n"}, {},
         ("StatefulSet", "s"), "i"),
        ({"app.kubernetes.io/name": "n"}, {}, ("StatefulSet", "s"), "n"),
        ({"app": "ignored"}, {}, ("StatefulSet", "s"), "s"),
        ({}, {}, ("ReplicaSet", "bare"), "bare"),
        ({}, {}, ("Job", "x-28575960"), "x"),
        ({}, {"resource.opentelemetry.io/service.name": ""}, None, "web-0"),
    ],
)  # fmt: skip
def test_the_service_name_has_an_order_of_precedence(
    labels: dict[str, str], annotations: dict[str, str], owner: tuple[str, str] | None, name: str
) -> None:
    assert of(pod(labels=labels, annotations=annotations, owner=owner))["service.name"] == name


def test_annotations_set_attributes_but_not_identity_nor_ours() -> None:
    found = of(pod(annotations={
        "resource.opentelemetry.io/deployment.environment": "prod",
        "resource.opentelemetry.io/service.version": "9",
        "resource.opentelemetry.io/k8s.namespace.name": "kube-system",
        "resource.opentelemetry.io/kyma.input.name": "prometheus",
        "resource.opentelemetry.io/": "nameless", "other/x": "y",
    }, labels={"app.kubernetes.io/version": "1"}))  # fmt: skip
    assert found["deployment.environment"] == "prod"
    assert found["service.version"] == "9"
    assert found["k8s.namespace.name"] == found["service.namespace"] == "shop"
    assert not {"kyma.input.name", "", "x"} & set(found)


def test_chosen_labels_become_attributes() -> None:
    rules = attributes.Rules(label_keys=frozenset({"team"}), label_prefixes=("cost/",))
    found = of(pod(labels={"team": "a", "teams": "b", "cost/center": "7", "app": "x"}), rules)
    assert {k: v for k, v in found.items() if ".label." in k} == {
        "k8s.pod.label.team": "a", "k8s.pod.label.cost/center": "7",
    }  # fmt: skip


def test_a_lone_container_is_the_sender() -> None:
    assert container(pod("shop/web:1.2")) == {
        "k8s.container.name": "c0",
        "service.instance.id": "shop.web-0.c0",
        "service.version": "1.2",
    }
    assert container(pod("shop/web")) == {
        "k8s.container.name": "c0",
        "service.instance.id": "shop.web-0.c0",
    }


def test_of_several_containers_only_the_named_one_is() -> None:
    both = pod("shop/web:1.2", "proxy:3")
    assert container(both) == {}
    assert container(both, "c1")["service.version"] == "3"
    assert container(both, "c9") == {}
    assert container(pod("shop/web:1.2"), "c9") == {}


def test_legacy_adds_no_service_attributes_of_its_own() -> None:
    assert container(pod("web:1"), rules=LEGACY) == {"k8s.container.name": "c0"}
    assert not [
        k for k in of(pod("web:1", labels={"app": "x"}), LEGACY) if k.startswith("service.")
    ]


@pytest.mark.parametrize(
    ("label", "merged", "sent", "name"),
    [
        ("l", {"k8s.deployment.name": "d"}, "", "l"),
        ("", {"k8s.pod.name": "p", "k8s.job.name": "j"}, "", "j"),
        ("", {"k8s.statefulset.name": "s", "k8s.daemonset.name": "d"}, "", "d"),
        ("", {"k8s.pod.name": "p"}, "", "p"),
        ("", {"k8s.cronjob.name": "c"}, "unknown_service:java", "unknown_service:java"),
        ("", {}, "", "unknown_service"),
    ],
)
def test_the_legacy_service_name_has_another(
    label: str, merged: dict[str, str], sent: str, name: str
) -> None:
    assert attributes.legacy_service_name(label, merged, sent) == name


def test_the_legacy_label_exists_for_legacy_only() -> None:
    labelled = pod(labels={"app": "a", "app.kubernetes.io/name": "n"})
    assert attributes.legacy_label(labelled, LEGACY) == "n"
    assert attributes.legacy_label(pod(labels={"app": "a"}), LEGACY) == "a"
    assert attributes.legacy_label(labelled, OTEL) == ""


@pytest.mark.parametrize(
    ("name", "otel", "legacy"),
    [
        ("unknown_service", True, True), ("unknown_service:java", True, True),
        ("unknown_service:", True, False), ("unknown_service_test", True, False),
        ("test_unknown_service", False, False), ("web", False, False),
    ],
)  # fmt: skip
def test_what_counts_as_an_unknown_service(name: str, otel: bool, legacy: bool) -> None:  # noqa: FBT001 - a table
    assert attributes.is_unknown_service(name, "otel") is otel
    assert attributes.is_unknown_service(name, "kyma-legacy") is legacy


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("web", ""), ("web:1", "1"), ("reg:5000/web", ""), ("reg:5000/a/web:1.2-x", "1.2-x"),
        ("web@sha256:ab", "sha256:ab"), ("reg:5000/web:1@sha256:ab", "1@sha256:ab"), ("", ""),
    ],
)  # fmt: skip
def test_an_image_tells_its_version(image: str, version: str) -> None:
    assert attributes.image_version(image) == version
