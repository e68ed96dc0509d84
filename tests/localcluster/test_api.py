import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from common.service import clock
from localcluster import api, apiserver, kinds
from localcluster.kinds import Object
from localcluster.store import Store

pytestmark = pytest.mark.wallclock
PODS = "/api/v1/namespaces/default/pods"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


class Client:
    def __init__(self, session: aiohttp.ClientSession, store: Store) -> None:
        self.session = session
        self.store = store

    async def __call__(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> tuple[int, Any]:
        async with self.session.request(method, path, json=body, **options) as response:
            text = await response.text()
            return response.status, json.loads(text) if text.startswith("{") else text


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[Client]:
    store = Store(now=clock.unix_seconds, entropy=os.urandom)
    store.create(kinds.NAMESPACES, {"metadata": {"name": "default"}})

    def logs(_namespace: str, _pod: str, container: str) -> bytes | None:
        return b"hello\n" if container == "c" else None

    async with (
        apiserver.serving(store, settings=api.Settings(**settings), logs=logs) as url,
        aiohttp.ClientSession(url) as session,
    ):
        yield Client(session, store)


def pod(name: str) -> Object:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c"}, {"name": "d"}]}}


def config(name: str, **data: str) -> Object:
    return {"metadata": {"name": name}, "data": data}


async def test_the_life_of_an_object() -> None:
    async with served() as call:
        status, made = await call("POST", CONFIGMAPS, config("a", k="1"))
        assert (status, made["metadata"]["name"], made["kind"]) == (201, "a", "ConfigMap")
        assert (await call("GET", f"{CONFIGMAPS}/a")) == (200, made)
        status, updated = await call("PUT", f"{CONFIGMAPS}/a", config("a", k="2"))
        assert (status, updated["data"]) == (200, {"k": "2"})
        status, gone = await call("DELETE", f"{CONFIGMAPS}/a")
        assert (status, gone["status"], gone["details"]["name"]) == (200, "Success", "a")
        status, missing = await call("GET", f"{CONFIGMAPS}/a")
        assert (status, missing["reason"]) == (404, "NotFound")


async def test_every_patch_has_its_content_type() -> None:
    async with served() as call:
        await call("POST", CONFIGMAPS, config("a", k="1"))
        for content_type, body in (
            ("application/merge-patch+json", {"data": {"m": "1"}}),
            ("application/strategic-merge-patch+json", {"data": {"s": "1"}}),
            ("application/json-patch+json", [{"op": "add", "path": "/data/j", "value": "1"}]),
        ):
            headers = {"Content-Type": content_type}
            status, item = await call("PATCH", f"{CONFIGMAPS}/a", body, headers=headers)
            assert status == 200
        assert item["data"] == {"k": "1", "m": "1", "s": "1", "j": "1"}
        status, refusal = await call("PATCH", f"{CONFIGMAPS}/a", {})
        assert (status, refusal["reason"]) == (415, "UnsupportedMediaType")


async def test_server_side_apply_creates_and_then_owns() -> None:
    headers = {"Content-Type": "application/apply-patch+yaml"}
    async with served() as call:
        path = f"{CONFIGMAPS}/a"
        status, _ = await call(
            "PATCH", f"{path}?fieldManager=me", config("a", k="1"), headers=headers
        )
        assert status == 201
        status, refusal = await call(
            "PATCH", f"{path}?fieldManager=you", config("a", k="2"), headers=headers
        )
        assert (status, refusal["reason"]) == (409, "Conflict")
        forced = f"{path}?fieldManager=you&force=true"
        status, item = await call("PATCH", forced, config("a", k="2"), headers=headers)
        assert (status, item["data"]) == (200, {"k": "2"})


async def test_a_status_is_patched_through_its_own_path() -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    async with served() as call:
        await call("POST", PODS, pod("a"))
        body = {"status": {"phase": "Running"}}
        _, item = await call("PATCH", f"{PODS}/a/status", body, headers=headers)
        assert item["status"]["phase"] == "Running"


async def test_a_list_comes_in_pages() -> None:
    async with served() as call:
        for name in "abc":
            await call("POST", CONFIGMAPS, config(name))
        _, first = await call("GET", f"{CONFIGMAPS}?limit=2")
        assert [i["metadata"]["name"] for i in first["items"]] == ["a", "b"]
        assert (first["kind"], first["metadata"]["remainingItemCount"]) == ("ConfigMapList", 1)
        token = first["metadata"]["continue"]
        _, rest = await call("GET", CONFIGMAPS, params={"limit": "2", "continue": token})
        assert [i["metadata"]["name"] for i in rest["items"]] == ["c"]
        assert "continue" not in rest["metadata"]


async def test_a_list_may_be_of_one_revision_and_not_of_the_future() -> None:
    async with served() as call:
        await call("POST", CONFIGMAPS, config("a"))
        exact = {"resourceVersion": str(call.store.revision), "resourceVersionMatch": "Exact"}
        await call("POST", CONFIGMAPS, config("b"))
        _, listed = await call("GET", CONFIGMAPS, params=exact)
        assert [i["metadata"]["name"] for i in listed["items"]] == ["a"]
        status, refusal = await call("GET", f"{CONFIGMAPS}?resourceVersion=999")
        assert (status, refusal["reason"]) == (504, "Timeout")


async def test_many_are_deleted_by_a_selector() -> None:
    async with served() as call:
        for name in "abc":
            await call("POST", CONFIGMAPS, config(name))
        status, deleted = await call("DELETE", f"{CONFIGMAPS}?fieldSelector=metadata.name!=b")
        assert (status, len(deleted["items"])) == (200, 2)
        assert [i["metadata"]["name"] for i in call.store.objects(kinds.CONFIGMAPS)] == ["b"]


async def test_orphans_are_released_on_demand() -> None:
    async with served() as call:
        _, owner = await call("POST", CONFIGMAPS, config("owner"))
        owned = config("owned")
        owned["metadata"]["ownerReferences"] = [{"uid": owner["metadata"]["uid"], "name": "owner"}]
        await call("POST", CONFIGMAPS, owned)
        await call("DELETE", f"{CONFIGMAPS}/owner", {"propagationPolicy": "Orphan"})
        _, left = await call("GET", f"{CONFIGMAPS}/owned")
        assert "ownerReferences" not in left["metadata"]


async def test_a_watch_streams_until_its_time_is_up() -> None:
    async with served() as call:
        await call("POST", CONFIGMAPS, config("a"))
        query = "watch=true&timeoutSeconds=1&allowWatchBookmarks=true"
        async with call.session.get(f"{CONFIGMAPS}?{query}") as response:
            first = json.loads(await response.content.readline())
            assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "a")
            call.store.delete(kinds.CONFIGMAPS, "default", "a")
            assert json.loads(await response.content.readline())["type"] == "DELETED"
            last = json.loads(await response.content.readline())
            assert (last["type"], last["object"]["kind"]) == ("BOOKMARK", "ConfigMap")
            assert last["object"]["metadata"]["resourceVersion"] == str(call.store.revision)
            assert await response.content.readline() == b""


async def test_kubectl_gets_a_table_when_it_asks() -> None:
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    async with served() as call:
        await call("POST", PODS, pod("a"))
        for path in (PODS, f"{PODS}/a"):
            _, table = await call("GET", path, headers=headers)
            assert (table["kind"], table["rows"][0]["cells"][0]) == ("Table", "a")


async def test_the_log_of_a_container_is_served() -> None:
    async with served() as call:
        await call("POST", PODS, pod("a"))
        assert await call("GET", f"{PODS}/a/log") == (200, "hello\n")
        status, refusal = await call("GET", f"{PODS}/a/log?container=d")
        assert (status, "has not started" in refusal["message"]) == (400, True)


async def test_only_the_bearer_of_the_token_is_served() -> None:
    async with served(token="secret") as call:
        status, refusal = await call("GET", PODS)
        assert (status, refusal["reason"]) == (401, "Unauthorized")
        assert (await call("GET", PODS, headers={"Authorization": "Bearer secret"}))[0] == 200
        assert await call("GET", "/readyz") == (200, "ok")


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", "/nowhere", None, 404),
        ("PUT", PODS, {}, 405),
        ("POST", PODS, [], 400),
        ("POST", PODS, {"metadata": 5}, 400),
        ("POST", f"{PODS}?dryRun=All", {}, 400),
        ("PUT", f"{CONFIGMAPS}/a", {"metadata": {"name": "b"}}, 400),
        ("DELETE", f"{CONFIGMAPS}/a", {"gracePeriodSeconds": "x"}, 404),
        ("GET", f"{PODS}?watch=1&resourceVersion=x", None, 400),
        ("POST", CONFIGMAPS, {"data": "x" * 200_000}, 413),
    ],
)
async def test_what_is_refused_has_a_status(method: str, path: str, body: Any, code: int) -> None:
    async with served(body_bytes=100_000) as call:
        status, refusal = await call(method, path, body)
        assert (status, refusal["kind"], refusal["code"]) == (code, "Status", code)
        assert (await call("GET", PODS))[0] == 200


async def test_its_own_metrics_are_for_those_who_may_ask_anything() -> None:
    async with served(token="right") as call:
        right = {"Authorization": "Bearer right"}
        status, refused = await call("GET", "/metrics")
        assert (status, refused["reason"]) == (401, "Unauthorized")
        await call("GET", PODS, headers=right)
        await call("POST", CONFIGMAPS, config("a"), headers=right)
        await call("GET", f"{CONFIGMAPS}/b", headers=right)
        async with call.session.get("/metrics", headers=right) as response:
            assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            lines = (await response.text()).splitlines()[2:]
    counted = [
        (line.split('resource="')[1].split('"')[0], line.split('code="')[1][:3]) for line in lines
    ]
    assert counted == [("pods", "200"), ("configmaps", "201"), ("", "401"), ("configmaps", "404")]
