import pytest

from localcluster import kinds, tables
from localcluster.kinds import Kind, Object

NOW = 1_700_000_000.0


def shown(kind: Kind, item: Object) -> dict[str, object]:
    item.setdefault("metadata", {}).setdefault("creationTimestamp", "2023-11-14T22:08:20Z")
    table = tables.table(kind, [item], now=NOW)
    names = [c["name"] for c in table["columnDefinitions"]]
    return dict(zip(names, table["rows"][0]["cells"], strict=True))


def pod(**status: object) -> Object:
    return {
        "metadata": {"name": "web"}, "spec": {"containers": [{}, {}], "nodeName": "node-a"},
        "status": {"phase": "Running", "podIP": "127.10.1.2", **status},
    }  # fmt: skip


def test_a_pod_shows_what_kubectl_shows() -> None:
    statuses = [{"ready": True, "restartCount": 2, "state": {"running": {}}}, {"restartCount": 1}]
    cells = shown(kinds.PODS, pod(containerStatuses=statuses))
    assert list(cells.values())[:7] == ["web", "1/2", "Running", "3", "5m", "127.10.1.2", "node-a"]


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ({"waiting": {"reason": "CrashLoopBackOff"}}, "CrashLoopBackOff"),
        ({"terminated": {"reason": "Completed"}}, "Completed"),
        ({"running": {}}, "Running"),
    ],
)
def test_the_status_of_a_pod_is_the_reason_of_its_container(state: Object, word: str) -> None:
    assert shown(kinds.PODS, pod(containerStatuses=[{"state": state}]))["Status"] == word


def test_a_pod_that_is_deleted_is_terminating() -> None:
    item = pod(reason="OutOfpods")
    assert shown(kinds.PODS, item)["Status"] == "OutOfpods"
    item["metadata"]["deletionTimestamp"] = "2023-11-14T22:08:20Z"
    assert shown(kinds.PODS, item)["Status"] == "Terminating"


@pytest.mark.parametrize(
    ("conditions", "spec", "word"),
    [
        ([{"type": "Ready", "status": "True"}], {}, "Ready"),
        ([{"type": "Ready", "status": "False"}], {}, "NotReady"),
        ([], {}, "Unknown"),
        (
            [{"type": "Ready", "status": "True"}],
            {"unschedulable": True},
            "Ready,SchedulingDisabled",
        ),
    ],
)
def test_a_node_says_whether_it_is_ready(conditions: list[Object], spec: Object, word: str) -> None:
    item = {"metadata": {"name": "n"}, "spec": spec, "status": {"conditions": conditions}}
    assert shown(kinds.NODES, item)["Status"] == word


def test_a_service_shows_its_ports() -> None:
    spec = {"type": "ClusterIP", "ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]}
    cells = shown(
        kinds.SERVICES, {"metadata": {"name": "s"}, "spec": spec | {"selector": {"a": "b"}}}
    )
    assert (cells["Port(s)"], cells["Cluster-IP"], cells["Selector"]) == (
        "80/TCP,53/UDP",
        "<none>",
        "a=b",
    )


@pytest.mark.parametrize("kind", kinds.BUILT_IN)
def test_every_kind_has_a_table_even_for_a_bare_object(kind: Kind) -> None:
    item: Object = {"metadata": {"name": "bare"}, "spec": {"containers": []}}
    assert "bare" in shown(kind, item).values()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (119, "119s"), (120, "2m"), (130, "2m10s"), (600, "10m"), (10799, "179m"),
        (10800, "3h"), (12000, "3h20m"), (30000, "8h"), (180000, "2d2h"), (700000, "8d"),
    ],
)  # fmt: skip
def test_an_age_is_written_as_kubectl_writes_it(seconds: int, text: str) -> None:
    assert tables.age("2023-11-14T22:13:20Z", NOW + seconds) == text


def test_rows_carry_what_was_asked_for() -> None:
    item = {"metadata": {"name": "a", "creationTimestamp": None}, "data": {"k": "v"}}
    rows = {
        include: tables.table(kinds.CONFIGMAPS, [item], now=NOW, include=include)["rows"][0]
        for include in ("None", "Metadata", "Object")
    }
    assert "object" not in rows["None"]
    assert rows["Metadata"]["object"]["kind"] == "PartialObjectMetadata"
    assert rows["Object"]["object"] is item
