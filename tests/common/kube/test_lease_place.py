"""What is written is a Lease that the API server takes, and that says no less than before."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from common.kube import client, credentials, leadership
from common.kube.lease_place import Place
from tests.fakes import kubernetes
from tests.fakes.kubernetes import Answer

STORED = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "the-lease", "resourceVersion": "7", "labels": {"a": "b"}},
    "spec": {
        "holderIdentity": "b", "leaseDurationSeconds": 15, "leaseTransitions": 3,
        "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:05.000000Z",
        "strategy": "OldestEmulationVersion",
    },
}  # fmt: skip
NOW = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


@asynccontextmanager
async def place(*answers: object) -> AsyncIterator[tuple[Place, kubernetes.FakeKubernetes]]:
    async with kubernetes.serving() as fake:
        fake.script(*[Answer(body=msgspec.json.encode(answer)) for answer in answers])
        async with client.connecting(credentials.anonymous(fake.url)) as asking:
            yield Place(asking, "home", "the-lease"), fake


def write(**changes: Any) -> leadership.Write:
    step = {"holder": "a", "duration": 15, "transitions": 4, "version": "7", "acquires": True}
    return leadership.Write(**step | changes)


async def test_a_lease_is_read_fresh_or_from_the_cache() -> None:
    async with place(STORED, STORED) as (one, fake):
        record = await one.read(fresh=True)
        assert record == leadership.Record(holder="b", version="7", duration=15.0, transitions=3)
        assert await one.read(fresh=False) == record
    assert [dict(request.query) for request in fake.requests] == [{}, {"resourceVersion": "0"}]


@pytest.mark.parametrize("spec", [None, {}, {"holderIdentity": None, "leaseTransitions": None}])
async def test_a_lease_that_says_little_is_nobodys(spec: object) -> None:
    async with place({"metadata": {"resourceVersion": "1"}, "spec": spec}) as (one, _):
        assert await one.read(fresh=True) == leadership.Record(version="1")


async def test_a_new_lease_is_whole() -> None:
    async with place(STORED) as (one, fake):
        assert await one.write(write(version="", transitions=0)) == "7"
    sent = msgspec.json.decode(fake.bodies[0])
    assert (sent["apiVersion"], sent["kind"]) == ("coordination.k8s.io/v1", "Lease")
    assert sent["metadata"] == {"name": "the-lease", "namespace": "home"}
    times = {sent["spec"].pop("acquireTime"), sent["spec"].pop("renewTime")}
    assert len(times) == 1
    assert re.fullmatch(NOW, times.pop())
    assert sent["spec"] == {
        "holderIdentity": "a", "leaseDurationSeconds": 15, "leaseTransitions": 0,
    }  # fmt: skip


async def test_a_change_keeps_what_others_wrote_and_the_version_that_it_is_about() -> None:
    async with place(STORED, STORED, STORED) as (one, fake):
        await one.read(fresh=True)
        await one.write(write(version="6", acquires=False))
        await one.write(write())
    renewed, taken = (msgspec.json.decode(body) for body in fake.bodies[1:])
    assert renewed["metadata"] == STORED["metadata"] | {"resourceVersion": "6"}
    spec: Any = STORED["spec"]
    assert renewed["spec"]["strategy"] == "OldestEmulationVersion"
    assert renewed["spec"]["acquireTime"] == spec["acquireTime"]
    assert renewed["spec"]["renewTime"] > spec["renewTime"]
    assert taken["spec"]["acquireTime"] == taken["spec"]["renewTime"]
