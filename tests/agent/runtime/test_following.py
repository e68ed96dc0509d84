"""What is known of pods keeps up with the API server, where anything needs it."""

import asyncio
from typing import Any

import msgspec
import pytest

from agent.runtime import following, node_pods
from agent.runtime.node_pods import Volume
from common.config import agent as config
from common.kube import credentials, reflector
from tests.fakes import kubernetes
from tests.fakes.kubernetes import events, page, pod


def document(node: str = "n", **runtime: Any) -> config.Agent:
    plain = {"node": node, "inputs": {"runtime": {"enabled": True} | runtime}}
    return msgspec.convert(plain, config.Agent)


def with_volume(name: str, kind: str, version: str) -> dict[str, object]:
    found = pod(name, version=version)
    return found | {"spec": {"nodeName": "n", "volumes": [{"name": "v", kind: {}}]}}


async def test_pods_are_known_as_they_come_change_and_go() -> None:
    async with kubernetes.serving() as fake:
        fake.script(
            page(with_volume("a", "emptyDir", "1"), with_volume("b", "nfs", "1")),
            events(
                ("MODIFIED", with_volume("a", "hostPath", "2")),
                ("DELETED", with_volume("b", "nfs", "3")),
                ("ADDED", with_volume("c", "csi", "4")),
                hang=True,
            ),
        )
        access = credentials.anonymous(fake.url)
        async with following.pods(document(), access) as pods:
            assert pods().get("uid-a") is node_pods.UNKNOWN
            await asyncio.sleep(1)
            assert pods().get("uid-a").volumes == {"v": Volume("hostPath")}
            assert pods().get("uid-b") is node_pods.UNKNOWN
            assert pods().get("uid-c").volumes == {"v": Volume("csi")}
            assert pods.status == "synced; 2 pods"
        listed, watched = fake.requests
        assert listed.path == watched.path == "/api/v1/pods"
        assert listed.query["fieldSelector"] == "spec.nodeName=n"
        assert watched.query["watch"] == "true"


@pytest.mark.parametrize(
    ("node", "runtime"),
    [
        ("n", {"enabled": False}),
        ("n", {"resources": {"volume": False}}),
        ("", {}),
    ],
)
async def test_nobody_is_asked_for_what_nothing_needs(node: str, runtime: dict[str, Any]) -> None:
    async with kubernetes.serving() as fake:
        access = credentials.anonymous(fake.url)
        async with following.pods(document(node, **runtime), access) as pods:
            await asyncio.sleep(5)
            assert pods.status == "not used"
        assert not fake.requests


async def test_without_an_api_server_nothing_is_known() -> None:
    async with following.pods(document(), None) as pods:
        assert len(pods()) == 0


def test_another_informer_may_tell_as_well() -> None:
    pods = following.Pods()
    pods.changed(reflector.Added(node_pods.Facts(uid="u", namespace="n", name="p")))
    assert pods().get("u").name == "p"
