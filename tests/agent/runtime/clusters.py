"""Kubernetes objects as an API server sends them, and one that enforces rights."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from common.kube.rights import Rule

Object = dict[str, Any]


def meta(name: str, namespace: str = "shop", **more: Any) -> Object:
    place = {"namespace": namespace} if namespace else {}
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"} | place | more}


def pod(name: str = "p", namespace: str = "shop", **status: Any) -> Object:
    return meta(name, namespace) | {
        "spec": {
            "nodeName": "n1",
            "containers": [
                {
                    "name": "c",
                    "image": "registry:5000/shop/web:1.2",
                    "resources": {
                        "requests": {
                            "cpu": "250m", "memory": "64Mi", "storage": "1Gi",
                            "ephemeral-storage": "1e3", "nvidia.com/gpu": "1",
                        },
                        "limits": {
                            "cpu": "2", "memory": "1Gi", "storage": "2Gi",
                            "ephemeral-storage": "2k",
                        },
                    },
                }
            ],
            "initContainers": [{"name": "init", "image": "i"}],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [
                {
                    "name": "c", "image": "registry:5000/shop/web:1.2", "restartCount": 3,
                    "containerID": "containerd://0123abc", "ready": True,
                    "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                }
            ],
        } | status,
    }  # fmt: skip


EVERY: dict[str, list[Object]] = {
    "pods": [pod()],
    "deployments": [meta("d") | {"spec": {"replicas": 3}, "status": {"availableReplicas": 2}}],
    "replicasets": [meta("rs") | {"spec": {"replicas": 4}, "status": {"availableReplicas": 1}}],
    "replicationcontrollers": [meta("rc") | {"spec": {"replicas": 5}, "status": {}}],
    "daemonsets": [
        meta("ds")
        | {
            "status": {
                "currentNumberScheduled": 1, "desiredNumberScheduled": 2, "numberMisscheduled": 3,
                "numberReady": 4,
            }
        }
    ],
    "statefulsets": [
        meta("sts")
        | {
            "spec": {"replicas": 4},
            "status": {"currentReplicas": 3, "readyReplicas": 2, "updatedReplicas": 1},
        }
    ],
    "jobs": [
        meta("j")
        | {
            "spec": {"completions": 5, "parallelism": 4},
            "status": {"active": 3, "failed": 2, "succeeded": 1},
        }
    ],
    "cronjobs": [meta("cj") | {"status": {"active": [{"name": "cj-1"}, {"name": "cj-2"}]}}],
    "horizontalpodautoscalers": [
        meta("hpa")
        | {
            "spec": {"minReplicas": 2, "maxReplicas": 10},
            "status": {"currentReplicas": 3, "desiredReplicas": 4},
        }
    ],
    "resourcequotas": [
        meta("rq")
        | {
            "status": {
                "hard": {"requests.cpu": "2", "pods": "10"},
                "used": {"requests.cpu": "100m", "pods": "3"},
            }
        }
    ],
    "namespaces": [meta("shop", "") | {"status": {"phase": "Active"}}],
    "nodes": [
        meta("n1", "")
        | {
            "status": {
                "conditions": [
                    {"type": "Ready", "status": "True"},
                    {"type": "DiskPressure", "status": "False"},
                    {"type": "PIDPressure", "status": "Unknown"},
                ]
            }
        }
    ],
    "persistentvolumes": [
        meta("pv", "")
        | {
            "spec": {"capacity": {"storage": "10Gi"}, "storageClassName": "fast"},
            "status": {"phase": "Bound"},
        }
    ],
    "persistentvolumeclaims": [
        meta("pvc")
        | {
            "spec": {"resources": {"requests": {"storage": "5Gi"}}, "storageClassName": "fast"},
            "status": {"phase": "Bound", "capacity": {"storage": "10Gi"}},
        }
    ],
    "services": [
        meta("svc")
        | {
            "spec": {"type": "LoadBalancer"},
            "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "x"}]}},
        }
    ],
    "endpointslices": [
        meta("svc-1", labels={"kubernetes.io/service-name": "svc"})
        | {
            "addressType": "IPv4",
            "endpoints": [
                {"zone": "z1", "conditions": {"ready": True, "serving": True}},
                {
                    "zone": "z1",
                    "conditions": {"ready": False, "serving": True, "terminating": True},
                },
                {"conditions": {}},
            ],
        },
        meta("svc-2", labels={"kubernetes.io/service-name": "svc"})
        | {"addressType": "IPv4", "endpoints": [{"zone": "z1"}]},
    ],
}  # fmt: skip


@dataclass
class Guarded:
    """An API server that allows what its rules do, and remembers what was asked for."""

    rules: Iterable[Rule]
    url: str = ""
    used: set[tuple[str, ...]] = field(default_factory=set)
    forbidden: list[tuple[str, ...]] = field(default_factory=list)
    leases: dict[str, Object] = field(default_factory=dict)
    version: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def allowed(self) -> set[tuple[str, ...]]:
        """Every right that the rules give, one by one."""
        return {
            (verb, group, resource, name, rule.namespace)
            for rule in self.rules
            for verb in rule.verbs
            for group in rule.groups
            for resource in rule.resources
            for name in rule.names or ("",)
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        group = "" if parts[0] == "api" else parts[1]
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        verb = {"POST": "create", "PUT": "update", "GET": "get" if rest[1:] else "list"}[
            request.method
        ]
        if "watch" in request.query:
            verb = "watch"
        right = (verb, group, rest[0], "".join(rest[1:]), namespace)
        if right not in self.allowed:
            self.forbidden.append(right)
            return web.json_response({"message": f"cannot {verb} {rest[0]}"}, status=403)
        self.used.add(right)
        self.news.set()
        if rest[0] == "leases":
            return await self.lease(request)
        if verb == "list":
            items = EVERY[rest[0]]
            return web.json_response({"metadata": {"resourceVersion": "5"}, "items": items})
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    async def lease(self, request: web.Request) -> web.Response:
        name = "the-lease"
        if request.method != "GET":
            found = await request.json()
            current = self.leases.get(name, {"metadata": {}})["metadata"].get("resourceVersion")
            if found["metadata"].get("resourceVersion") != current:
                return web.json_response({"message": "conflict"}, status=409)
            self.version += 1
            found["metadata"]["resourceVersion"] = str(self.version)
            self.leases[name] = found
        if name not in self.leases:
            return web.json_response({"message": "not found"}, status=404)
        return web.json_response(self.leases[name])


@asynccontextmanager
async def guarded(rules: Iterable[Rule]) -> AsyncIterator[Guarded]:
    """Serve `EVERY` on loopback to those who have *rules*."""
    fake = Guarded(tuple(rules))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()
