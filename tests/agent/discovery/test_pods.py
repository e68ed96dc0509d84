"""Every pod is either scraped or has a reason not to be."""

import msgspec
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from agent import targets
from agent.discovery import pods
from common.kube import objects

RULES = pods.Policy(node="n1", interval=30.0, timeout=10.0)


def pod(
    notes: dict[str, str] | None = None,
    *,
    name: str = "p",
    ip: str = "10.0.0.1",
    phase: str = "Running",
    node: str = "n1",
    ports: tuple[int, ...] = (8080,),
    namespace: str = "shop",
) -> objects.Pod:
    declared = tuple(objects.ContainerPort(container_port=port) for port in ports)
    return objects.Pod(
        metadata=objects.Metadata(
            name=name, namespace=namespace, uid=f"uid-{name}", annotations=notes
        ),
        spec=objects.PodSpec(
            node_name=node,
            containers=(objects.Container(name="app", ports=declared),),
            init_containers=(
                objects.Container(name="init", ports=(objects.ContainerPort(container_port=1234),)),
            ),
        ),
        status=objects.PodStatus(phase=phase, pod_ip=ip),
    )


def asking(**notes: str) -> dict[str, str]:
    return {"prometheus.io/scrape": "true"} | {f"prometheus.io/{k}": v for k, v in notes.items()}


def reasons(decision: targets.Decision) -> list[str]:
    return [entry.why for entry in decision.skipped]


def test_an_annotated_pod_becomes_a_target_that_says_whose_it_is() -> None:
    decision = pods.decide(pod(asking(port="8080", path="stats", param_format="p")), RULES)
    (target,) = decision.targets
    assert target.url == "http://10.0.0.1:8080/stats?format=p"
    assert (target.instance, target.subject, target.job) == (
        "10.0.0.1:8080",
        "shop/p",
        "app-pods",
    )
    assert (target.interval, target.timeout) == (30.0, 10.0)
    assert dict(target.attributes) == {
        "k8s.pod.uid": "uid-p",
        "k8s.pod.name": "p",
        "k8s.pod.ip": "10.0.0.1",
        "k8s.namespace.name": "shop",
        "k8s.node.name": "n1",
        "k8s.container.name": "app",
        "kyma.input.name": "prometheus",
    }
    assert decision.skipped == ()


def test_the_steps_of_a_decision_are_in_order() -> None:
    assert pods.decide(pod(asking(interval="5s")), RULES).steps == (
        'annotation prometheus.io/scrape is "true"',
        "namespace shop is scraped",
        "phase Running",
        "IP 10.0.0.1",
        "interval 5 s by annotation",
        "port 8080 of container app: scrape http://10.0.0.1:8080/metrics every 5 s",
    )


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        (pod(), "annotation prometheus.io/scrape is absent"),
        (pod({}), "annotation prometheus.io/scrape is absent"),
        (
            pod({"prometheus.io/scrape": "True"}),
            "annotation prometheus.io/scrape is 'True', expected true",
        ),
        (pod(asking(), phase="Pending"), "phase Pending, only Running pods are scraped"),
        (pod(asking(), phase="Succeeded"), "phase Succeeded, only Running pods are scraped"),
        (pod(asking(), phase="Failed"), "phase Failed, only Running pods are scraped"),
        (pod(asking(), phase=""), "phase Unknown, only Running pods are scraped"),
        (pod(asking(), ip=""), "no IP yet"),
        (pod(asking(), node="n2"), "another node: it is on n2, this agent scrapes n1"),
        (pod(asking(scheme="ftp")), "scheme annotation 'ftp' is neither http nor https"),
        (pod(asking(port="99999")), "port annotation '99999' is not a port: expected 1 to 65535"),
        (
            pod(asking(), ports=()),
            "annotation prometheus.io/port is absent and no container declares a TCP port",
        ),
        (
            pod(asking(path="x" * 3000)),
            "path and parameters have 3001 bytes, the limit is 2048",
        ),
    ],
)
def test_a_pod_that_is_not_scraped_has_a_reason(candidate: objects.Pod, why: str) -> None:
    decision = pods.decide(candidate, RULES)
    assert decision.targets == ()
    assert reasons(decision) == [why]
    assert decision.steps[-1] == f"skipped: {why}"


def test_a_pod_that_did_not_ask_is_nobodys_mistake() -> None:
    assert [entry.asked for entry in pods.decide(pod(), RULES).skipped] == [False]
    assert [entry.asked for entry in pods.decide(pod(asking(), ip=""), RULES).skipped] == [True]


def test_one_wrong_port_does_not_cost_the_others() -> None:
    decision = pods.decide(pod(asking(port="8080,nope,8081")), RULES)
    assert [target.instance for target in decision.targets] == ["10.0.0.1:8080", "10.0.0.1:8081"]
    assert len(decision.skipped) == 1


def test_an_ipv6_address_gets_brackets() -> None:
    (target,) = pods.decide(pod(asking(), ip="fd00::7"), RULES).targets
    assert target.url == "http://[fd00::7]:8080/metrics"
    assert target.instance == "[fd00::7]:8080"


def test_namespaces_are_chosen_by_the_configuration() -> None:
    included = pods.Policy(node="n1", interval=1, timeout=1, include=frozenset({"other"}))
    excluded = pods.Policy(node="n1", interval=1, timeout=1, exclude=frozenset({"shop"}))
    assert reasons(pods.decide(pod(asking()), included)) == [
        "namespace shop is not among namespaces.include"
    ]
    assert reasons(pods.decide(pod(asking()), excluded)) == [
        "namespace shop is in namespaces.exclude"
    ]


@pytest.mark.parametrize(
    ("interval", "timeout", "expected"),
    [
        ("5s", "2s", (5.0, 2.0)),
        ("5s", "", (5.0, 5.0)),  # never longer than the interval
        ("soon", "2s", (30.0, 2.0)),
        ("1ms", "2s", (30.0, 2.0)),
        ("48h", "2s", (30.0, 2.0)),
    ],
)
def test_interval_and_timeout_come_from_annotations_where_they_make_sense(
    interval: str, timeout: str, expected: tuple[float, float]
) -> None:
    decision = pods.decide(pod(asking(interval=interval, timeout=timeout)), RULES)
    (target,) = decision.targets
    assert (target.interval, target.timeout) == expected
    assert (interval == "5s") == (f"interval annotation '{interval}'" not in str(decision.steps))


def test_a_port_that_nobody_declares_comes_with_a_hint() -> None:
    (target,) = pods.decide(pod(asking(port="9999")), RULES).targets
    assert target.hint == "prometheus.io/port=9999 but the container listens on 8080"
    (good,) = pods.decide(pod(asking(port="8080")), RULES).targets
    assert good.hint == ""


TEXT = st.text(max_size=30)


@given(notes=st.dictionaries(TEXT, TEXT, max_size=3), extra=TEXT, port=TEXT, path=TEXT)
@hypothesis_settings(max_examples=100)
def test_no_annotation_makes_deciding_fail(
    notes: dict[str, str], extra: str, port: str, path: str
) -> None:
    asked = asking(port=port, path=path, interval=extra, scheme="http") | notes
    decision = pods.decide(pod(asked), RULES)
    assert decision.targets or decision.skipped


def test_decisions_are_made_from_what_the_api_server_sends() -> None:
    raw = msgspec.json.encode(
        {
            "metadata": {"name": "p", "namespace": "shop", "uid": "u", "annotations": asking()},
            "spec": {
                "nodeName": "n1",
                "containers": [{"name": "app", "ports": [{"containerPort": 80}]}],
            },
            "status": {"phase": "Running", "podIP": "10.0.0.9"},
        }
    )
    decision = pods.decide(msgspec.json.decode(raw, type=objects.Pod), RULES)
    assert [target.url for target in decision.targets] == ["http://10.0.0.9:80/metrics"]


def test_equality_is_identity_but_the_pace_leaves_the_series_alone() -> None:
    (one,) = pods.decide(pod(asking()), RULES).targets
    (same,) = pods.decide(pod(asking()), RULES).targets
    (faster,) = pods.decide(pod(asking(interval="5s")), RULES).targets
    (renamed,) = pods.decide(pod(asking(), name="q"), RULES).targets
    assert one == same
    assert one != faster
    assert one.same_series(faster)
    assert not one.same_series(renamed)
