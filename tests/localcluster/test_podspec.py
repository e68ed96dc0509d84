import pytest

from localcluster import podspec
from localcluster.kinds import Object
from localcluster.podspec import Addresses, ConfigError

ADDRESSES = Addresses(pod="127.10.1.2", host="127.10.1.1")
POD: Object = {
    "metadata": {
        "name": "web-0", "namespace": "shop", "uid": "u-1",
        "labels": {"app": "web"}, "annotations": {"prometheus.io/port": "80"},
    },
    "spec": {"nodeName": "node-a", "serviceAccountName": "default"},
}  # fmt: skip


def program(container: Object, **entrypoints: list[str]) -> podspec.Program:
    container = {"name": "c", "image": "img", **container}
    return podspec.program(
        POD, container, ADDRESSES, base={"PATH": "/bin"}, entrypoints=entrypoints
    )


def field(path: str) -> Object:
    return {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-0"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u-1"),
        ("spec.nodeName", "node-a"),
        ("spec.serviceAccountName", "default"),
        ("status.podIP", "127.10.1.2"),
        ("status.hostIP", "127.10.1.1"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['prometheus.io/port']", "80"),
        ("metadata.labels['missing']", ""),
    ],
)
def test_the_downward_api_tells_a_pod_who_it_is(path: str, value: str) -> None:
    assert program({"command": ["x"], "env": [field(path)]}).environment["X"] == value


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("a$(A)b$(B_C)", "a1b2"),
        ("$$(A)", "$(A)"),
        ("$(MISSING)", "$(MISSING)"),
        ("$A ${A} $", "$A ${A} $"),
        ("$$$(A)", "$1"),
        ("$(A", "$(A"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text: str, expanded: str) -> None:
    assert podspec.expand(text, {"A": "1", "B_C": "2"}) == expanded


def test_variables_see_those_before_them_and_arguments_see_all() -> None:
    env = [field("status.podIP"), {"name": "URL", "value": "http://$(X):80"}, {"name": "E"}]
    found = program({"command": ["serve", "$(URL)"], "args": ["$(E)", 5], "env": env})
    assert found.arguments == ("serve", "http://127.10.1.2:80", "", "5")
    assert found.environment["HOSTNAME"] == "web-0"
    assert found.environment["PATH"] == "/bin"


def test_an_image_without_a_command_runs_its_entrypoint() -> None:
    assert program({"args": ["-v"]}, img=["serve"]).arguments == ("serve", "-v")
    assert program({"command": ["own"]}, img=["serve"]).arguments == ("own",)


@pytest.mark.parametrize(
    ("container", "why"),
    [
        ({}, "no command specified"),
        ({"command": ["x"], "envFrom": [{}]}, "envFrom is not supported"),
        ({"command": ["x"], "env": [field("status.phase")]}, "'status.phase' is not supported"),
        (
            {"command": ["x"], "env": [{"name": "A", "valueFrom": {"secretKeyRef": {}}}]},
            "secretKeyRef",
        ),
        ({"command": ["x"], "env": [{"name": "A=B"}]}, "cannot be the name"),
        ({"command": ["x\0"]}, "zero byte"),
    ],
)
def test_what_cannot_be_run_says_why(container: Object, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        program(container)


def test_a_probe_finds_its_port_by_name() -> None:
    container = {
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"port": "http", "path": "/ready"}, "periodSeconds": 1},
    }
    probe = podspec.probe(container, "127.10.1.2")
    assert probe is not None
    assert (probe.host, probe.port, probe.path) == ("127.10.1.2", 8080, "/ready")
    assert (probe.delay, probe.period, probe.timeout, probe.failures) == (0, 1, 1, 3)


def test_a_container_without_a_probe_has_none() -> None:
    assert podspec.probe({}, "127.10.1.2") is None


@pytest.mark.parametrize(
    ("probe", "why"),
    [
        ({"exec": {"command": ["x"]}}, "only httpGet and tcpSocket"),
        ({"httpGet": {"port": "http"}}, "'http' is no port"),
        ({"httpGet": {"port": 1, "scheme": "HTTPS"}}, "plain HTTP"),
    ],
)
def test_a_probe_that_cannot_be_made_says_why(probe: Object, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        podspec.probe({"readinessProbe": probe}, "127.10.1.2")
