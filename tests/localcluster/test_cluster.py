import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from localcluster import cluster, errors, kinds
from localcluster.cluster import Cluster, Settings
from localcluster.kinds import Object
from localcluster.podstatus import Backoff

pytestmark = pytest.mark.wallclock

# Says who it is, then serves on the address that the downward API names.
SERVER = """
import http.server, os
print(os.environ["WHO"], flush=True)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ["WHO"].encode())
    def log_message(self, *_): pass
http.server.HTTPServer((os.environ["POD_IP"], 8080), Answer).serve_forever()
"""


@asynccontextmanager
async def running(tmp_path: Path, **settings: Any) -> AsyncIterator[Cluster]:
    made = Settings(backoff=Backoff(first=0.05, longest=0.1), **settings)
    async with cluster.running(directory=tmp_path, settings=made) as found:
        yield found


def pod(name: str, *command: str, **spec: Any) -> Object:
    container = {"name": "c", "image": "none", "command": list(command)} | spec.pop("container", {})
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [container], **spec},
    }  # fmt: skip


def server(name: str) -> Object:
    def field(variable: str, path: str) -> Object:
        return {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": path}}}

    container = {
        "env": [
            field("POD_IP", "status.podIP"), field("NAME", "metadata.name"),
            {"name": "WHO", "value": "$(NAME) at $(POD_IP)"},
        ],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 0.05},
    }  # fmt: skip
    return pod(name, sys.executable, "-c", SERVER, container=container)


def status(found: Cluster, name: str) -> Object:
    item = found.store.find(kinds.PODS, "default", name)
    return item["status"] if item else {}


def container_status(found: Cluster, name: str) -> Object:
    statuses = status(found, name).get("containerStatuses") or [{"state": {}, "restartCount": 0}]
    return dict(statuses[0])


def process_of(found: Cluster, name: str) -> int:
    return int(container_status(found, name)["containerID"].removeprefix("process://"))


async def eventually(check: Callable[[], bool]) -> None:
    """Wait for something in another process, which has no event of ours to set."""
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_pods_serve_on_addresses_of_their_own_and_know_who_they_are(tmp_path: Path) -> None:
    async with running(tmp_path) as found:
        found.create(server("one"))
        found.create(server("two"))
        ports = [{"port": 80, "targetPort": "http"}]
        spec = {"selector": {"app": "web"}, "ports": ports}
        found.create(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}
        )
        await found.wait_for_pods("default/one", "default/two", timeout=10)
        addresses = {p["metadata"]["name"]: p["status"]["podIP"] for p in found.pods("default")}
        assert len(set(addresses.values())) == 2
        assert {p["spec"]["nodeName"] for p in found.pods()} == {"node-a", "node-b"}
        async with aiohttp.ClientSession() as session:
            for name, address in addresses.items():
                async with session.get(f"http://{address}:8080/") as answer:
                    assert await answer.text() == f"{name} at {address}"
        assert found.log("default", "one") == f"one at {addresses['one']}\n".encode()

        def endpoints() -> set[str]:
            slices = found.store.objects(kinds.ENDPOINTSLICES)
            listed = [e for s in slices for e in s["endpoints"] if e["conditions"]["ready"]]
            return {address for e in listed for address in e["addresses"]}

        await found.wait_until(lambda: endpoints() == set(addresses.values()), timeout=5)
        pids = [process_of(found, "one"), process_of(found, "two")]
        assert all(map(is_alive, pids))
    assert not any(map(is_alive, pids))


async def test_the_api_and_the_kubeconfig_are_there(tmp_path: Path) -> None:
    async with running(tmp_path) as found:
        assert found.kubeconfig_path.stat().st_mode & 0o777 == 0o600
        assert found.url in found.kubeconfig_path.read_text()
        async with (
            aiohttp.ClientSession(found.url) as session,
            session.get("/api/v1/nodes") as answer,
        ):
            items = (await answer.json())["items"]
        assert [n["metadata"]["name"] for n in items] == ["node-a", "node-b"]
        assert items[1]["metadata"]["labels"]["topology.kubernetes.io/zone"] == "local-b"
        assert found.store.get(kinds.NAMESPACES, "", "kube-system")["metadata"]["uid"]


async def test_a_pod_that_ends_has_ended_as_its_code_says(tmp_path: Path) -> None:
    async with running(tmp_path) as found:
        found.create(pod("good", "true", restartPolicy="Never"))
        found.create(pod("bad", "sh", "-c", "exit 3", restartPolicy="Never"))
        done = ("Succeeded", "Failed")
        await found.wait_until(
            lambda: tuple(status(found, n).get("phase") for n in ("good", "bad")) == done, timeout=5
        )
        assert container_status(found, "bad")["state"]["terminated"]["exitCode"] == 3


async def test_a_pod_that_crashes_is_started_again(tmp_path: Path) -> None:
    async with running(tmp_path) as found:
        found.create(pod("crash", "sh", "-c", "echo again; exit 1"))
        await found.wait_until(
            lambda: container_status(found, "crash")["restartCount"] >= 2, timeout=10
        )
        assert container_status(found, "crash")["lastState"]["terminated"]["exitCode"] == 1
        assert (found.log("default", "crash") or b"").startswith(b"again\nagain\n")


async def test_a_deleted_pod_is_asked_to_end_and_goes(tmp_path: Path) -> None:
    async with running(tmp_path) as found:
        found.create(pod("sleep", "sleep", "600"))
        await found.wait_for_pods("default/sleep", timeout=5)
        pid = process_of(found, "sleep")
        found.delete(pod("sleep"))
        await found.wait_until(lambda: not found.pods(), timeout=5)
        assert not is_alive(pid)


async def test_a_pod_that_does_not_listen_is_killed_after_its_grace(tmp_path: Path) -> None:
    stubborn = "trap '' TERM; echo deaf; while :; do sleep 600; done"
    async with running(tmp_path) as found:
        found.create(pod("deaf", "sh", "-c", stubborn, terminationGracePeriodSeconds=600))
        await eventually(lambda: found.log("default", "deaf") == b"deaf\n")
        pid = process_of(found, "deaf")
        found.delete(pod("deaf"), grace=0.2)
        await found.wait_until(lambda: not found.pods(), timeout=5)
        assert not is_alive(pid)


async def test_a_pod_deleted_by_force_is_killed_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as found:
        found.create(pod("sleep", "sleep", "600"))
        await found.wait_for_pods("default/sleep", timeout=5)
        pid = process_of(found, "sleep")
        found.delete(pod("sleep"), grace=0)
        assert not found.pods()
        await eventually(lambda: not is_alive(pid))


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (pod("bad"), "CreateContainerConfigError"),
        (pod("bad", "true", container={"workingDir": "/no/such"}), "RunContainerError"),
    ],
)
async def test_a_pod_that_cannot_run_says_why(tmp_path: Path, item: Object, reason: str) -> None:
    async with running(tmp_path) as found:
        found.create(item)
        await found.wait_until(
            lambda: (
                container_status(found, "bad")["state"].get("waiting", {}).get("reason") == reason
            ),
            timeout=5,
        )
        assert status(found, "bad")["phase"] == "Pending"
        found.delete(item)
        await found.wait_until(lambda: not found.pods(), timeout=5)


async def test_an_image_may_stand_for_a_command(tmp_path: Path) -> None:
    item = pod("echo", restartPolicy="Never", container={"image": "echo", "args": ["hello"]})
    async with running(tmp_path, entrypoints={"echo": ["echo"]}) as found:
        del item["spec"]["containers"][0]["command"]
        found.create(item)
        await found.wait_until(lambda: status(found, "echo")["phase"] == "Succeeded", timeout=5)
        assert found.log("default", "echo") == b"hello\n"


async def test_waiting_in_vain_says_what_the_pods_were_doing(tmp_path: Path) -> None:
    async with running(tmp_path) as found:
        found.create(pod("never", "sleep", "600", nodeSelector={"disk": "fast"}))
        with pytest.raises(TimeoutError, match="default/never is Pending"):
            await found.wait_for_pods("default/never", timeout=0.2)


async def test_two_clusters_on_one_machine_have_different_networks(tmp_path: Path) -> None:
    async with running(tmp_path / "1") as one, running(tmp_path / "2") as two:
        cidrs = [
            n["spec"]["podCIDR"] for found in (one, two) for n in found.store.objects(kinds.NODES)
        ]
        assert len(set(cidrs)) == 4


async def test_an_unknown_kind_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    async with running(tmp_path) as found:
        with pytest.raises(
            errors.StatusError, match="no such kind: v1 Dragon; known here: v1 Name"
        ):
            found.create({"apiVersion": "v1", "kind": "Dragon", "metadata": {"name": "a"}})


async def test_pods_end_when_the_block_is_left_by_an_exception(tmp_path: Path) -> None:
    pids: list[int] = []

    async def fail() -> None:
        async with running(tmp_path) as found:
            found.create(pod("sleep", "sh", "-c", "trap '' TERM; while :; do sleep 1; done"))
            await found.wait_for_pods("default/sleep", timeout=5)
            pids.append(process_of(found, "sleep"))
            raise OSError("boom")

    with pytest.raises(ExceptionGroup) as raised:
        await fail()
    assert raised.group_contains(OSError, match="boom")
    assert pids
    assert not is_alive(pids[0])


def test_the_environment_of_pods_is_not_ours() -> None:
    assert Settings().environment == {"PATH": os.defpath}
