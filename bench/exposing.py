"""Targets of a measurement, and an API server whose pods they are, which come and go as asked."""

import asyncio
import json
from collections.abc import Callable

from aiohttp import web

from agent.exposition import model
from bench import expositions
from bench.serving import serve

NODE = "node-1"


class Targets:
    """Answers ``/metrics?target=N&samples=M``, ``&form=`` and ``&churn=1``; counts samples."""

    def __init__(self) -> None:
        self._makers: dict[str, Callable[[], bytes]] = {}
        self.scrapes = self.samples = 0

    async def metrics(self, request: web.Request) -> web.Response:
        """Expose a target."""
        asked = request.query
        form = model.Format(asked.get("form", model.Format.TEXT.value))
        samples, target = int(asked["samples"]), int(asked["target"])
        make = self._makers.get(request.query_string)
        if make is None:
            churning = "churn" in asked
            make = (
                expositions.Churning(samples, target)
                if churning
                else expositions.stable(samples, target, form)
            )
            self._makers[request.query_string] = make
        self.scrapes += 1
        self.samples += samples
        content = {"Content-Type": expositions.CONTENT_TYPES[form]}
        return web.Response(body=make(), headers=content)

    async def asked(self, _: web.Request) -> web.Response:
        """Tell what was exposed so far."""
        return web.json_response({"scrapes": self.scrapes, "samples": self.samples})


class Pods:
    """Lists and watches annotated pods of one node; ``/pods?count=N`` says how many there are."""

    def __init__(self, samples: int) -> None:
        self._samples, self._count = samples, 0
        self._version = 1  # of the list: one more than there are events
        self._events: list[bytes] = []
        self._more = asyncio.Condition()

    async def listed(self, request: web.Request) -> web.StreamResponse:
        """Answer a list with what is there, a watch with what changes."""
        if not request.query.get("watch"):
            port = request.url.port
            meta = {"resourceVersion": str(self._version)}
            items = [self._pod(n, port) for n in range(self._count)]
            return web.json_response({"kind": "PodList", "metadata": meta, "items": items})
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        told = int(request.query.get("resourceVersion") or 1) - 1
        while True:
            async with self._more:
                while len(self._events) <= told:
                    await self._more.wait()
            await response.write(b"".join(self._events[told:]))
            told = len(self._events)

    async def change(self, request: web.Request) -> web.Response:
        """Let pods come or go until there are so many."""
        wanted, port = int(request.query["count"]), request.url.port
        for n in range(min(wanted, self._count), max(wanted, self._count)):
            self._version += 1
            kind = "ADDED" if wanted > self._count else "DELETED"
            event = {"type": kind, "object": self._pod(n, port)}
            self._events.append(json.dumps(event).encode() + b"\n")
        self._count = wanted
        async with self._more:
            self._more.notify_all()
        return web.json_response({"pods": wanted})

    def _pod(self, n: int, port: int | None) -> dict[str, object]:
        asks = {"scrape": "true", "port": str(port), "param_target": str(n)}
        asks |= {"param_samples": str(self._samples)}
        return {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {
                "name": f"pod-{n}",
                "namespace": "bench",
                "uid": f"00000000-0000-0000-0000-{n:012}",
                "resourceVersion": str(self._version),
                "annotations": {f"prometheus.io/{key}": value for key, value in asks.items()},
            },
            "spec": {"nodeName": NODE, "containers": [{"name": "app"}]},
            "status": {"phase": "Running", "podIP": "127.0.0.1"},
        }


async def targets(samples: int) -> None:
    """Serve targets and, of *samples* samples each, the pods of an API server."""
    exposed, pods = Targets(), Pods(samples)
    app = web.Application()
    app.router.add_get("/metrics", exposed.metrics)
    app.router.add_get("/asked", exposed.asked)
    app.router.add_get("/api/v1/pods", pods.listed)
    app.router.add_get("/pods", pods.change)
    await serve(app)
