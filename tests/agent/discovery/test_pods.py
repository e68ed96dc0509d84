"""Every pod is either scraped or has a reason not to be."""

import msgspec
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from agent import targets
from agent.discovery import pods, workloads
from agent.discovery.policy import Policy, Scope
from common.kube import objects
from tests.agent.discovery.candidates import MESH, PROXY, RULES, SCOPE, asking, pod


def decide(candidate: objects.Pod, rules: Policy = RULES) -> targets.Decision:
    assert rules.workloads is not None
    return pods.decide(workloads.seen(candidate), rules, rules.workloads)


def reasons(decision: targets.Decision) -> list[str]:
    return [entry.why for entry in decision.skipped]


def test_an_annotated_pod_becomes_a_target_that_says_whose_it_is() -> None:
    decision = decide(pod(asking(port="8080", path="stats", param_format="p")))
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
    steps = decide(pod(asking(interval="5s"))).steps
    assert [(step.verdict, step.text) for step in steps] == [
        ("pass", 'annotation prometheus.io/scrape is "true"'),
        ("pass", "namespace shop is scraped"),
        ("pass", "on this node, n1"),
        ("pass", "phase Running"),
        ("pass", "IP 10.0.0.1"),
        ("pass", "interval 5 s by annotation"),
        ("pass", "port 8080 of container app: scrape http://10.0.0.1:8080/metrics every 5 s"),
    ]


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
    decision = decide(candidate)
    assert decision.targets == ()
    assert reasons(decision) == [why]
    assert str(decision.steps[-1]) == f"skipped: {why}"


def test_a_pod_that_did_not_ask_is_nobodys_mistake() -> None:
    assert [entry.asked for entry in decide(pod()).skipped] == [False]
    assert [entry.asked for entry in decide(pod(asking(), ip="")).skipped] == [True]
    for odd in ("True", " true", "1"):  # whoever writes that wonders why nothing happens
        decision = decide(pod({"prometheus.io/scrape": odd}))
        assert [entry.asked for entry in decision.skipped] == [True]
        assert not decision.targets


def test_one_wrong_port_does_not_cost_the_others() -> None:
    decision = decide(pod(asking(port="8080,nope,8081")))
    assert [target.instance for target in decision.targets] == ["10.0.0.1:8080", "10.0.0.1:8081"]
    assert len(decision.skipped) == 1


def test_an_ipv6_address_gets_brackets() -> None:
    (target,) = decide(pod(asking(), ip="fd00::7")).targets
    assert target.url == "http://[fd00::7]:8080/metrics"
    assert target.instance == "[fd00::7]:8080"


def test_namespaces_are_chosen_by_the_configuration() -> None:
    def rules(**chosen: frozenset[str]) -> Policy:
        scope = Scope(setting="inputs.prometheus", interval=1, timeout=1, **chosen)
        return Policy(node="n1", workloads=scope)

    assert reasons(decide(pod(asking()), rules(include=frozenset({"other"})))) == [
        "namespace shop is not among inputs.prometheus.namespaces.include"
    ]
    assert reasons(decide(pod(asking()), rules(exclude=frozenset({"shop"})))) == [
        "namespace shop is in inputs.prometheus.namespaces.exclude"
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
    decision = decide(pod(asking(interval=interval, timeout=timeout)))
    (target,) = decision.targets
    assert (target.interval, target.timeout) == expected
    said = " ".join(map(str, decision.steps))
    assert (interval == "5s") == (f"interval annotation '{interval}'" not in said)


def test_a_port_that_nobody_declares_comes_with_a_hint() -> None:
    (target,) = decide(pod(asking(port="9999"))).targets
    assert target.hint == "prometheus.io/port=9999 but the container listens on 8080"
    (good,) = decide(pod(asking(port="8080"))).targets
    assert good.hint == ""


TEXT = st.text(max_size=30)


@given(notes=st.dictionaries(TEXT, TEXT, max_size=3), extra=TEXT, port=TEXT, path=TEXT)
@hypothesis_settings(max_examples=100)
def test_no_annotation_makes_deciding_fail(
    notes: dict[str, str], extra: str, port: str, path: str
) -> None:
    asked = asking(port=port, path=path, interval=extra, scheme="http") | notes
    decision = decide(pod(asked))
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
    decision = decide(msgspec.json.decode(raw, type=objects.Pod))
    assert [target.url for target in decision.targets] == ["http://10.0.0.9:80/metrics"]


def test_equality_is_identity_but_the_pace_leaves_the_series_alone() -> None:
    (one,) = decide(pod(asking())).targets
    (same,) = decide(pod(asking())).targets
    (faster,) = decide(pod(asking(interval="5s"))).targets
    (renamed,) = decide(pod(asking(), name="q")).targets
    assert one == same
    assert one != faster
    assert one.same_series(faster)
    assert not one.same_series(renamed)


def test_every_declared_port_of_every_lasting_container_is_meant_but_those_of_the_sidecar() -> None:
    native = objects.Container(
        name="side", ports=(objects.ContainerPort(container_port=9),), restart_policy="Always"
    )
    decision = decide(pod(asking(), more=(PROXY,), initial=(native,)))
    assert [(t.instance, dict(t.attributes)["k8s.container.name"]) for t in decision.targets] == [
        ("10.0.0.1:8080", "app"),
        ("10.0.0.1:9", "side"),
    ]
    (asked,) = decide(pod(asking(port="http-envoy-prom"), more=(PROXY,))).targets
    assert asked.instance == "10.0.0.1:15090"


def test_one_container_may_be_meant() -> None:
    side = objects.Container(name="side", ports=(objects.ContainerPort(container_port=9),))
    (target,) = decide(pod(asking(container="side"), more=(side,))).targets
    assert target.instance == "10.0.0.1:9"
    assert dict(target.attributes)["k8s.container.name"] == "side"
    (undeclared,) = decide(pod(asking(container="side", port="77"), more=(side,))).targets
    assert dict(undeclared.attributes)["k8s.container.name"] == "side"
    assert reasons(decide(pod(asking(container="sid"), more=(side,)))) == [
        "container annotation 'sid' names none (containers: app, side)"
    ]


def test_what_a_bad_line_costs_is_said_by_annotation() -> None:
    (lenient,) = decide(pod(asking(on_error="drop_line"))).targets
    (strict,) = decide(pod(asking(on_error="fail"))).targets
    odd = decide(pod(asking(on_error="ignore")))
    assert (lenient.drop_lines, strict.drop_lines, odd.targets[0].drop_lines) == (
        True, False, False,
    )  # fmt: skip
    (note,) = [step for step in odd.steps if step.verdict == "note"]
    assert note.text == ("on_error annotation 'ignore' is neither fail nor drop_line; fail is used")


def test_labels_and_timestamps_are_honoured_as_the_configuration_says() -> None:
    rules = Policy(node="n1", workloads=SCOPE, honor_labels=True, honor_timestamps=False)
    (target,) = decide(pod(asking()), rules).targets
    (default,) = decide(pod(asking())).targets
    assert (target.honor_labels, target.honor_timestamps) == (True, False)
    assert (default.honor_labels, default.honor_timestamps) == (False, True)


@pytest.mark.parametrize(
    ("notes", "labels", "changes", "expected"),
    [
        ({}, {}, {}, ("http", "")),
        ({}, {}, {"proves": True}, ("http", "prometheus")),
        ({"scheme": "https"}, {}, {}, ("https", "prometheus")),
        ({}, MESH, {"mesh": True}, ("https", "mesh")),
        ({"scheme": "https"}, MESH, {"mesh": True}, ("https", "mesh")),
        ({"scheme": "http"}, MESH, {"mesh": True}, ("http", "")),
        ({"scheme": "http"}, MESH, {}, ("http", "")),
        # Outside the mesh these ports are like any other.
        ({"port": "15020"}, {}, {}, ("http", "")),
        ({"port": "15020", "scheme": "http"}, MESH, {"mesh": True}, ("http", "")),
    ],
)
def test_scheme_and_credentials_follow_annotation_mesh_and_configuration(
    notes, labels, changes, expected
) -> None:
    rules = Policy(node="n1", workloads=SCOPE, **changes)
    (target,) = decide(pod(asking(**notes), labels=labels), rules).targets
    assert (target.url.partition(":")[0], target.credentials) == expected


@pytest.mark.parametrize("port", ["15020", "15090"])
@pytest.mark.parametrize("certificates", [True, False])
def test_metrics_of_the_sidecar_are_not_scraped_as_those_of_the_workload(
    port: str, *, certificates: bool
) -> None:
    rules = Policy(node="n1", workloads=SCOPE, mesh=certificates)
    decision = decide(
        pod(asking(port=f"8080,{port}", path="/stats/prometheus"), labels=MESH), rules
    )
    assert [t.instance for t in decision.targets] == ["10.0.0.1:8080"] * certificates
    skipped = decision.skipped[-1]
    assert f"port {port} is of Istio's sidecar, whose metrics inputs.istio takes" in skipped.why
    assert 'prometheus.istio.io/merge-metrics: "false"' in skipped.remedy
    assert "prometheus.io/scheme: http" in skipped.remedy


@pytest.mark.parametrize("notes", [{}, {"scheme": "https"}])
def test_without_certificates_of_the_mesh_its_pods_are_skipped_with_a_remedy(notes) -> None:
    decision = decide(pod(asking(**notes), labels=MESH, ports=(1, 2)))
    (skipped,) = decision.skipped  # once, however many ports
    assert decision.targets == ()
    assert "inputs.prometheus.mesh_certificates is not set" in skipped.why
    assert "prometheus.io/scheme: http" in skipped.remedy


def test_annotations_without_end_are_refused() -> None:
    assert reasons(decide(pod(asking(param_x="y" * 9000)))) == [
        "prometheus.io annotations have 9017 characters, the limit is 4096"
    ]
