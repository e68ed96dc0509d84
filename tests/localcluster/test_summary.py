"""A summary of processes is one that an agent reads."""

import msgspec

from agent.runtime import summary as reading
from localcluster import summary
from localcluster.procfs import Sample, Usage

POD = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "u", "labels": {}},
    "status": {
        "startTime": "2026-11-24T09:00:00Z",
        "containerStatuses": [
            {
                "name": "app",
                "containerID": "process://42",
                "state": {"running": {"startedAt": "2026-11-24T09:00:01Z"}},
            },
            {"name": "gone", "containerID": "process://43", "state": {"terminated": {}}},
            {"name": "new", "state": {"waiting": {}}},
        ],
    },
}
BEFORE = Sample(at=10.0, sessions={42: Usage(1.0, 100, 5, 1)}, busy=50.0, memory={"MemTotal": 1})
NOW = Sample(
    at=12.0,
    sessions={42: Usage(2.0, 200, 7, 1), 43: Usage(9.0, 900)},
    busy=51.0,
    memory={"MemTotal": 1000, "MemAvailable": 700, "MemFree": 400, "AnonPages": 250},
    interfaces={"eth0": (1, 2, 3, 4)},
)


def told(now: Sample = NOW, before: Sample = BEFORE) -> reading.Summary:
    built = summary.build(
        "node-a", [POD], now, before, started="2026-11-24T08:00:00Z", time="2026-11-24T10:00:00Z"
    )
    return reading.decode(msgspec.json.encode(built))


def test_a_node_is_its_machine() -> None:
    node = told().node
    assert (node.node_name, node.start_time) == ("node-a", "2026-11-24T08:00:00Z")
    assert node.cpu == reading.Cpu(usage_nano_cores=500_000_000, usage_core_nano_seconds=51 * 10**9)
    assert node.memory == reading.Memory(
        available_bytes=700, usage_bytes=600, working_set_bytes=300, rss_bytes=250
    )
    assert node.network is not None
    assert node.network.interfaces == (
        reading.Interface(name="eth0", rx_bytes=1, rx_errors=2, tx_bytes=3, tx_errors=4),
    )


def test_a_pod_is_the_processes_of_its_running_containers() -> None:
    (pod,) = told().pods or ()
    (container,) = pod.containers or ()
    assert pod.reference == reading.Reference(name="web", namespace="shop", uid="u")
    assert (container.name, container.start_time) == ("app", "2026-11-24T09:00:01Z")
    assert container.cpu == pod.cpu == reading.Cpu(
        usage_nano_cores=500_000_000, usage_core_nano_seconds=2 * 10**9
    )  # fmt: skip
    assert pod.memory is not None
    assert (pod.memory.rss_bytes, pod.memory.page_faults) == (200, 7)


def test_without_a_sample_before_there_is_no_rate() -> None:
    (pod,) = told(before=NOW).pods or ()
    assert pod.cpu == reading.Cpu(usage_core_nano_seconds=2 * 10**9)


def test_where_nothing_is_known_nothing_is_told() -> None:
    found = told(Sample(at=2.0), Sample(at=1.0))
    assert found.node.cpu is None
    (pod,) = found.pods or ()
    assert (pod.cpu, pod.containers) == (None, ())
