import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
import yaml

from common.service import clock
from localcluster import apiserver, kinds
from localcluster.store import Store

pytestmark = pytest.mark.wallclock
KUBECTL = shutil.which("kubectl")
Kubectl = Callable[..., Awaitable[str]]

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: first, command: [serve], env: [{name: A, value: b}]}
---
apiVersion: v1
kind: Pod
metadata: {name: lone, namespace: default, labels: {app: lone}}
spec: {containers: [{name: c, image: x}]}
"""


def fresh() -> Store:
    store = Store(now=clock.unix_seconds, entropy=os.urandom)
    store.create(kinds.NAMESPACES, {"metadata": {"name": "default"}})
    return store


@asynccontextmanager
async def started(directory: Path, *arguments: str) -> AsyncIterator[asyncio.StreamReader]:
    """Run kubectl and yield what it prints."""
    # HOME holds kubectl's discovery cache.
    environment = {"KUBECONFIG": str(directory / "kubeconfig"), "HOME": str(directory)}
    process = await asyncio.create_subprocess_exec(
        str(KUBECTL), *arguments, env=environment | {"PATH": os.environ["PATH"]}, cwd=directory,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@asynccontextmanager
async def kubectl_for(store: Store, directory: Path) -> AsyncIterator[Kubectl]:
    if KUBECTL is None:
        pytest.skip("kubectl is not installed: its view of the API server is not tested")
    async with apiserver.serving(store) as url:
        config = directory / "kubeconfig"
        config.write_text(apiserver.kubeconfig(url))
        (directory / "manifest.yaml").write_text(MANIFEST)

        async def kubectl(*arguments: str) -> str:
            async with started(directory, *arguments) as output:
                return (await output.read()).decode()

        yield kubectl


async def test_the_door_closes_when_the_block_is_left_even_with_watches_open() -> None:
    store = fresh()
    async with aiohttp.ClientSession() as session:
        async with apiserver.serving(store) as url:
            response = await session.get(f"{url}/api/v1/pods?watch=1")
            began = asyncio.get_running_loop().time()
        assert await response.content.read() == b""
        assert asyncio.get_running_loop().time() - began < 1
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"{url}/readyz")


def test_a_kubeconfig_names_the_server_and_the_token() -> None:
    found = yaml.safe_load(apiserver.kubeconfig("http://127.0.0.1:1", "secret"))
    assert found["clusters"][0]["cluster"] == {"server": "http://127.0.0.1:1"}
    assert found["users"][0]["user"] == {"token": "secret"}
    assert found["current-context"] == found["contexts"][0]["name"]


async def test_kubectl_applies_shows_edits_and_deletes(tmp_path: Path) -> None:
    store = fresh()
    async with kubectl_for(store, tmp_path) as kubectl:
        assert "endpointslices" in await kubectl("api-resources")
        assert "deployment.apps/web created" in await kubectl("apply", "-f", "manifest.yaml")
        changed = tmp_path / "changed.yaml"
        changed.write_text(MANIFEST.replace("first", "second"))
        said = await kubectl("apply", "--validate=false", "-f", "changed.yaml")
        assert "deployment.apps/web configured" in said
        assert "pod/lone unchanged" in said
        (container,) = store.get(kinds.DEPLOYMENTS, "default", "web")["spec"]["template"]["spec"][
            "containers"
        ]
        assert (container["image"], container["command"]) == ("second", ["serve"])
        shown = await kubectl("get", "pods", "-A", "-o", "wide")
        assert shown.split()[:8] == [
            "NAMESPACE",
            "NAME",
            "READY",
            "STATUS",
            "RESTARTS",
            "AGE",
            "IP",
            "NODE",
        ]
        assert "lone" in shown
        assert "default" in await kubectl("get", "ns")
        await kubectl("label", "pod", "lone", "colour=red")
        await kubectl("annotate", "pod", "lone", "note=this")
        found = yaml.safe_load(await kubectl("get", "pod", "lone", "-o", "yaml"))
        assert found["metadata"]["labels"]["colour"] == "red"
        assert found["metadata"]["annotations"]["note"] == "this"
        assert 'pod "lone" deleted' in await kubectl("delete", "pod", "lone")
        assert 'pods "lone" not found' in await kubectl("get", "pod", "lone")


async def test_kubectl_applies_on_the_server_and_learns_of_conflicts(tmp_path: Path) -> None:
    store = fresh()
    async with kubectl_for(store, tmp_path) as kubectl:
        apply = ("apply", "--server-side", "--validate=false", "-f")
        assert "deployment.apps/web serverside-applied" in await kubectl(*apply, "manifest.yaml")
        (tmp_path / "other.yaml").write_text(MANIFEST.replace("first", "other"))
        said = await kubectl(*apply, "other.yaml", "--field-manager=other")
        assert 'conflict with "kubectl"' in said
        said = await kubectl(*apply, "other.yaml", "--field-manager=other", "--force-conflicts")
        assert "deployment.apps/web serverside-applied" in said


async def test_kubectl_watches(tmp_path: Path) -> None:
    store = fresh()
    async with kubectl_for(store, tmp_path) as kubectl:
        await kubectl("create", "--validate=false", "-f", "manifest.yaml")
        async with started(tmp_path, "get", "pods", "-w", "--output-watch-events") as output:
            assert (await output.readline()).startswith(b"EVENT")
            assert (await output.readline()).startswith(b"ADDED")
            await kubectl("label", "pod", "lone", "seen=true")
            assert (await output.readline()).startswith(b"MODIFIED")
            store.delete(kinds.PODS, "default", "lone")
            assert (await output.readline()).startswith(b"DELETED")
