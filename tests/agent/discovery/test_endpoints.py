"""Endpoints of a Service are scraped as its annotations say, each pod once."""

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from agent import targets
from agent.discovery import endpoints
from agent.discovery.policy import Policy
from agent.discovery.services import Service, Slice
from agent.discovery.workloads import Workload
from common.kube import objects
from tests.agent.discovery.candidates import (
    MESH,
    PROXY,
    RULES,
    SCOPE,
    asking,
    endpoint,
    service,
    slice_of,
    workload,
)


def decide(
    found: Service,
    *slices: Slice,
    pods: tuple[Workload, ...] = (workload(),),
    rules: Policy = RULES,
) -> tuple[targets.Decision, ...]:
    names = {pod.subject: pod for pod in pods}
    return endpoints.decide(
        found, slices, lambda namespace, e: names.get(f"{namespace}/{e.pod}"), rules, SCOPE
    )


def one(found: Service, *slices: Slice, **what: object) -> targets.Decision:
    (decision,) = decide(found, *slices, **what)  # type: ignore[arg-type]
    return decision


def urls(decision: targets.Decision) -> list[str]:
    return [target.url for target in decision.targets]


def reasons(decision: targets.Decision) -> list[str]:
    return [entry.why for entry in decision.skipped]


def notes(decision: targets.Decision) -> list[str]:
    return [step.text for step in decision.steps if step.verdict == "note"]


def test_a_pod_behind_an_annotated_service_becomes_a_target_with_its_name() -> None:
    decision = one(service(asking(path="/stats", interval="5s")), slice_of())
    (target,) = decision.targets
    assert (target.url, target.job, target.kind, target.subject, target.interval) == (
        "http://10.0.0.1:8080/stats", "app-services", "service", "shop/p", 5.0,
    )  # fmt: skip
    assert target.labels == (("service", "web"),)
    assert dict(target.attributes) == {
        "k8s.pod.uid": "uid-p",
        "k8s.pod.name": "p",
        "k8s.pod.ip": "10.0.0.1",
        "k8s.namespace.name": "shop",
        "k8s.node.name": "n1",
        "k8s.container.name": "app",
        "kyma.input.name": "prometheus",
    }
    assert (decision.subject, decision.service, decision.uid, decision.kind) == (
        "shop/p", "shop/web", "uid-p", "service",
    )  # fmt: skip
    assert [str(step) for step in decision.steps] == [
        'annotation prometheus.io/scrape is "true"',
        "namespace shop is scraped",
        "on this node, n1",
        "phase Running",
        "IP 10.0.0.1",
        "interval 5 s by annotation",
        "port 8080 of container app: scrape http://10.0.0.1:8080/stats every 5 s",
    ]


def test_each_pod_of_ours_is_decided_about_and_others_are_not() -> None:
    found = slice_of(
        endpoint("10.0.0.1"),
        endpoint("10.0.0.2", pod="q"),
        endpoint("10.0.0.3", pod="far", node=None),  # nobody says where it is, and it is not ours
    )
    pods = (workload(), workload(name="q", ip="10.0.0.2", phase="Failed"))
    first, second = decide(service(asking()), found, pods=pods)
    assert urls(first) == ["http://10.0.0.1:8080/metrics"]
    assert reasons(second) == ["Service shop/web: phase Failed, only Running pods are scraped"]


def test_a_pod_of_ours_is_ours_even_if_its_endpoint_does_not_say_so() -> None:
    assert urls(one(service(asking()), slice_of(endpoint(node=None)))) == [
        "http://10.0.0.1:8080/metrics"
    ]


PORTS = (("http", 8080), ("metrics", 9090))
OF_SERVICE = (("http", 80), ("metrics", 90))


@pytest.mark.parametrize(
    ("port", "expected", "noted"),
    [
        (None, [8080, 9090], []),
        ("metrics", [9090], []),
        ("metrics, 8080,metrics", [9090, 8080], []),
        ("7777", [7777], []),  # the pod's own, as Prometheus takes it
        ("80", [8080], ["port 80 of the Service is port 8080 of the pod"]),
        ("80,8080", [8080], ["port 80 of the Service is port 8080 of the pod"]),
        ("admin", [99], []),  # the name that a container gives it
    ],
)
def test_ports_are_those_of_the_slice_by_number_or_name(port, expected, noted) -> None:
    admin = objects.Container(
        name="side", ports=(objects.ContainerPort(name="admin", container_port=99),)
    )
    given = {} if port is None else {"port": port}
    decision = one(
        service(asking(**given), ports=OF_SERVICE),
        slice_of(ports=PORTS),
        pods=(workload(more=(admin,)),),
    )
    assert urls(decision) == [f"http://10.0.0.1:{number}/metrics" for number in expected]
    assert notes(decision) == noted


def test_a_port_that_a_container_declares_is_the_pods_even_if_the_service_has_it_too() -> None:
    decision = one(
        service(asking(port="80"), ports=OF_SERVICE),
        slice_of(ports=PORTS),
        pods=(workload(ports=(80, 8080)),),
    )
    assert urls(decision) == ["http://10.0.0.1:80/metrics"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"port": "nope"}, "port annotation 'nope' is neither a number nor the name of a declared"),
        ({"port": "70000"}, "port annotation '70000' is not a port: expected 1 to 65535"),
        ({"scheme": "ftp"}, "scheme annotation 'ftp' is neither http nor https"),
        ({"container": "x"}, "container annotation 'x' names none (containers: app)"),
        ({"path": "x" * 3000}, "path and parameters have 3001 bytes, the limit is 2048"),
        (
            {"port": ",".join(map(str, range(1, 66)))},
            "65 ports, the limit is 64; the first ones are scraped",
        ),
    ],
)
def test_what_is_wrong_with_annotations_is_said_of_the_service(given, why) -> None:
    (entry,) = one(service(asking(**given)), slice_of()).skipped
    assert entry.subject == "shop/p"
    assert entry.why.startswith(f"Service shop/web: {why}")
    assert entry.asked and entry.remedy


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({"prometheus.io/scrape": "false"}, False),
        ({"prometheus.io/scrape": ""}, False),
        ({"prometheus.io/scrape": "yes"}, True),
        (asking(port="x"), True),
    ],
)
def test_only_who_says_yes_in_some_way_asks_in_vain(given, asked) -> None:
    assert [entry.asked for entry in one(service(given), slice_of()).skipped] == [asked]


def test_the_pod_behind_an_endpoint_must_be_known() -> None:
    assert reasons(one(service(asking()), slice_of(), pods=())) == [
        "Service shop/web: the pod behind it is not known"
    ]


def test_a_service_of_a_namespace_that_is_not_taken_is_left() -> None:
    decision = one(service({"prometheus.io/scrape": "true"}), slice_of())
    assert len(decision.targets) == 1
    scope = SCOPE.__class__(
        setting="inputs.prometheus", interval=1, timeout=1, exclude=frozenset({"shop"})
    )
    (left,) = endpoints.decide(service(asking()), [slice_of()], lambda *_: workload(), RULES, scope)
    assert reasons(left) == [
        "Service shop/web: namespace shop is in inputs.prometheus.namespaces.exclude"
    ]


def test_both_families_of_a_service_lead_to_one_target_at_the_primary_address() -> None:
    six, four = (
        slice_of(endpoint("fd00::1"), name="web-6", kind="IPv6"),
        slice_of(endpoint("10.0.0.1"), name="web-4"),
    )
    both = one(service(asking()), six, four)
    assert urls(both) == ["http://10.0.0.1:8080/metrics"]
    assert notes(both) == ["port 8080 is also at fd00::1: the pod is scraped once"]
    assert urls(one(service(asking()), six)) == ["http://[fd00::1]:8080/metrics"]


def test_ports_of_the_sidecar_are_left_to_its_input_unless_named() -> None:
    pods = (workload(more=(PROXY,)),)
    found = slice_of(ports=(("http", 8080), ("proxy", 15090)))
    left = one(service(asking()), found, pods=pods)
    assert urls(left) == ["http://10.0.0.1:8080/metrics"]
    assert notes(left) == ["port 15090 is left out: it is of container istio-proxy"]
    named = one(service(asking(port="proxy")), found, pods=pods)
    assert urls(named) == ["http://10.0.0.1:15090/metrics"]
    only = one(service(asking()), slice_of(ports=(("proxy", 15090),)), pods=pods)
    assert reasons(only) == ["Service shop/web: no TCP port of its slices is left"]


def test_one_container_may_be_meant() -> None:
    side = objects.Container(name="side", ports=(objects.ContainerPort(container_port=9),))
    found = slice_of(ports=(("a", 8080), ("b", 9), ("c", 10)))
    decision = one(service(asking(container="side")), found, pods=(workload(more=(side,)),))
    assert [(t.instance, dict(t.attributes)["k8s.container.name"]) for t in decision.targets] == [
        ("10.0.0.1:9", "side"),
        ("10.0.0.1:10", "side"),
    ]
    assert notes(decision) == ["port 8080 is of container app, not of side"]


@pytest.mark.parametrize(
    ("given", "mesh", "expected"),
    [
        ({}, True, [("https", "mesh")]),
        ({"scheme": "http"}, True, [("http", "")]),
        ({}, False, []),
        ({"scheme": "http"}, False, [("http", "")]),
    ],
)
def test_pods_of_the_mesh_are_asked_with_its_certificates(given, mesh, expected) -> None:
    rules = Policy(node="n1", workloads=SCOPE, services=True, mesh=mesh)
    decision = one(service(asking(**given)), slice_of(), pods=(workload(labels=MESH),), rules=rules)
    assert [(t.url.partition(":")[0], t.credentials) for t in decision.targets] == expected
    assert bool(decision.skipped) == (not expected)


def test_endpoints_without_a_pod_are_scraped_where_they_are_ours() -> None:
    found = slice_of(endpoint("192.0.2.1", pod=""), endpoint("192.0.2.2", pod=""))
    decision = one(service(asking()), found)
    assert urls(decision) == ["http://192.0.2.1:8080/metrics", "http://192.0.2.2:8080/metrics"]
    assert (decision.subject, decision.uid) == ("Service shop/web", "")
    assert dict(decision.targets[0].attributes) == {
        "service.name": "web",
        "k8s.namespace.name": "shop",
        "k8s.node.name": "n1",
        "kyma.input.name": "prometheus",
    }
    wrong = one(service(asking(port="x")), found)
    assert reasons(wrong)[0].startswith("port annotation 'x'")  # whose, the subject says


def test_a_port_where_nothing_may_listen_comes_with_a_hint() -> None:
    (target,) = one(service(asking(port="9999")), slice_of()).targets
    assert target.hint == (
        "prometheus.io/port=9999 of Service shop/web but the container listens on 8080"
    )


TEXT = st.text(max_size=20)


@given(st.dictionaries(TEXT, TEXT, max_size=3), TEXT, TEXT, TEXT)
@hypothesis_settings(max_examples=100)
def test_no_annotation_makes_deciding_fail(
    odd: dict[str, str], port: str, path: str, container: str
) -> None:
    given = asking(port=port, path=path, container=container) | odd
    decision = one(service(given), slice_of())
    assert decision.targets or decision.skipped
