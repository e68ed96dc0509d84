"""The names of the runtime input: complete, and each with one resource."""

from common.config import runtime_metrics as runtime


def test_every_resource_has_the_metrics_that_its_switch_brings() -> None:
    assert {resource: len(names) for resource, names in runtime.DEFAULT.items()} == {
        "pod": 14,
        "container": 16,
        "node": 10,
        "volume": 5,
        "deployment": 2,
        "daemonset": 4,
        "statefulset": 4,
        "job": 5,
    }
    for resource, names in runtime.DEFAULT.items():
        assert {runtime.resource_of(name) for name in names} == {resource}


def test_what_is_additional_is_nobodys_by_default() -> None:
    assert len(runtime.ADDITIONAL) == 52
    assert not runtime.ADDITIONAL & frozenset().union(*runtime.DEFAULT.values())


def test_the_kubelet_does_not_tell_what_only_the_api_server_knows() -> None:
    known = runtime.OF_KUBELET
    assert "k8s.pod.phase" not in known
    assert "k8s.container.restarts" not in known
    assert {"k8s.pod.cpu.usage", "container.cpu.time", "k8s.node.uptime"} <= known


def test_a_resource_without_a_switch_has_none() -> None:
    for name in ("k8s.hpa.min_replicas", "k8s.cronjob.active_jobs", "up", "k8s.podium.height"):
        assert runtime.resource_of(name) is None


def test_a_name_that_is_none_comes_with_a_suggestion() -> None:
    names = ["k8s.pod.uptime", "k8s.pod.up_time", "entropy"]
    assert list(runtime.unknown("additional_metrics", names)) == [
        (
            "additional_metrics[1]",
            "'k8s.pod.up_time' is no metric of the runtime input; did you mean k8s.pod.uptime?",
        ),
        ("additional_metrics[2]", "'entropy' is no metric of the runtime input"),
    ]
