"""A kubelet that tells of one node and its pods over HTTPS, to whoever has the right token."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from tests.fakes import certificates, http_server

TOKEN = "a-service-account"
MEBIBYTE = 1 << 20


def cpu(cores: float, seconds: float) -> dict[str, Any]:
    return {
        "time": "2026-11-24T10:00:00Z",
        "usageNanoCores": int(cores * 1e9),
        "usageCoreNanoSeconds": int(seconds * 1e9),
    }


def memory(mebibytes: int, limit: int | None = None) -> dict[str, Any]:
    used = mebibytes * MEBIBYTE
    found = {
        "time": "2026-11-24T10:00:00Z",
        "usageBytes": used,
        "workingSetBytes": used - 4096,
        "rssBytes": used // 2,
        "pageFaults": 1000,
        "majorPageFaults": 3,
    }
    return found if limit is None else {**found, "availableBytes": limit * MEBIBYTE - used + 4096}


def filesystem(used: int, capacity: int = 100_000_000_000) -> dict[str, Any]:
    return {
        "time": "2026-11-24T10:00:00Z",
        "availableBytes": capacity - used,
        "capacityBytes": capacity,
        "usedBytes": used,
        "inodesFree": 900,
        "inodes": 1000,
        "inodesUsed": 100,
    }


def interface(name: str, received: int, sent: int) -> dict[str, Any]:
    return {"name": name, "rxBytes": received, "rxErrors": 1, "txBytes": sent, "txErrors": 2}


def container(name: str, **other: Any) -> dict[str, Any]:
    return {
        "name": name,
        "startTime": "2026-11-24T09:00:10Z",
        "cpu": cpu(0.25, 12.5),
        "memory": memory(64, 128),
        "rootfs": filesystem(4096),
        "logs": filesystem(8192),
        "userDefinedMetrics": None,
    } | other


def volume(name: str, claim: str = "") -> dict[str, Any]:
    named = {**filesystem(1000, 5000), "name": name}
    return {**named, "pvcRef": {"name": claim, "namespace": "shop"}} if claim else named


def pod(name: str, namespace: str = "shop", **other: Any) -> dict[str, Any]:
    return {
        "podRef": {"name": name, "namespace": namespace, "uid": f"uid-{name}"},
        "startTime": "2026-11-24T09:00:00Z",
        "containers": [container("app")],
        "cpu": cpu(0.5, 25),
        "memory": memory(80, 128),
        "network": {
            "time": "2026-11-24T10:00:00Z",
            **interface("eth0", 7, 8),
            "interfaces": [interface("eth0", 7, 8), interface("sit0", 0, 0)],
        },
        "volume": [
            volume("data", "orders"),
            volume("scratch"),
            volume("kube-api-access-x"),
        ],
        "ephemeral-storage": filesystem(12_288),
        "process_stats": {"process_count": 3},
    } | other


def node(**other: Any) -> dict[str, Any]:
    return {
        "nodeName": "worker-1",
        "systemContainers": [
            {
                "name": name,
                "startTime": "2026-11-20T00:00:00Z",
                "cpu": cpu(0.125, 1000),
                "memory": memory(32),
            }
            for name in ("kubelet", "runtime", "pods")
        ],
        "startTime": "2026-11-20T00:00:00Z",
        "cpu": cpu(1.5, 100_000),
        "memory": memory(4096, 8192),
        "network": {
            "time": "2026-11-24T10:00:00Z",
            **interface("eth0", 100, 200),
            "interfaces": [
                interface("eth0", 100, 200),
                interface("cali123", 1, 1),
                interface("ens5", 30, 40),
                interface("docker0", 5, 6),
                interface("lo", 9, 9),
            ],
        },
        "fs": filesystem(50_000_000),
        "runtime": {"imageFs": filesystem(1), "containerFs": filesystem(1)},
        "rlimit": {"time": "2026-11-24T10:00:00Z", "maxpid": 1, "curproc": 1},
    } | other


def summary(*pods: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {"node": node(**other), "pods": list(pods)}


@dataclass
class Kubelet:
    """What it answers, and who asked."""

    url: str = ""
    authority: str = ""
    told: object = None
    body: bytes | None = None
    """Instead of what it tells."""
    status: int = 200
    silent: bool = False
    tokens: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.paths.append(request.path)
        self.tokens.append(request.headers.get("Authorization", ""))
        self.asked.set()
        if self.silent:
            await asyncio.Event().wait()
        if self.tokens[-1] != f"Bearer {TOKEN}":
            return web.Response(status=401, text="Unauthorized")
        if self.status != 200:
            return web.Response(status=self.status, text="Forbidden (user=agent, verb=get)")
        if request.path != "/stats/summary":
            return web.Response(status=404, text="404 page not found")
        body = msgspec.json.encode(self.told) if self.body is None else self.body
        return web.Response(body=body, content_type="application/json")


@asynccontextmanager
async def serving(
    files: certificates.Files | None = None, told: object = None
) -> AsyncIterator[Kubelet]:
    """Serve with the certificate of *files*, plain without; it *told* what is in `summary`."""
    fake = Kubelet(told=summary(pod("web-0")) if told is None else told)
    context = None
    if files is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(files.certificate, files.key)
        fake.authority = str(files.authority)
    async with http_server.serving(fake.answer, context=context) as url:
        fake.url = url
        yield fake
