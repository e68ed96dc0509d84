"""The other ends of a measurement, each a process of its own: a backend, targets, an API server."""

import asyncio
import json
import sys

import cramjam
import grpc
from aiohttp import web

from bench import exposing, expositions, loads
from bench.references.prompb import WriteRequest
from bench.sending import METHOD
from bench.serving import serve
from cli.demo import sink
from cli.demo.arrivals import Arrivals


class Counting(Arrivals):
    """Counts remote write with upb: reading every label in Python would throttle what is measured.

    Every sample is a point here, but for those of ``target_info``: the loads have no histograms.
    """

    def remote_write(self, pipeline: str, body: bytes) -> int:
        count = 0
        for series in WriteRequest.FromString(body).timeseries:
            if series.labels[0].value != "target_info":  # sorted: the first one is __name__
                count += len(series.samples)
        self.points[pipeline] = self.points.get(pipeline, 0) + count
        return count


async def backend() -> None:
    """Take everything and count it.

    ``GET /arrived`` tells points by door, ``GET /resource`` the fullest resource that came by OTLP.
    """
    arrivals = Counting()
    names = sink.Names(otlp_grpc="grpc", otlp_http="http", remote_write="write")

    async def arrived(_: web.Request) -> web.Response:
        return web.json_response(arrivals.points)

    async def resource(_: web.Request) -> web.Response:
        return web.json_response(arrivals.best_resource())

    app = web.Application()
    app.router.add_get("/arrived", arrived)
    app.router.add_get("/resource", resource)
    async with sink.serving(arrivals, names) as at:
        await serve(
            app, otlp_grpc=at.otlp_grpc, otlp_http=at.otlp_http, remote_write=at.remote_write
        )


async def light(port: int, milliseconds: int) -> None:
    """Take everything and count it as cheaply as can be, for rates: by a key that each point has.

    That of `bench.loads`, or that of `bench.expositions`.

    OTLP over gRPC on *port*, 0 for any; remote write is answered after so many *milliseconds*.
    """
    points = {"grpc": 0, "write": 0}

    async def export(body: bytes, _: object) -> bytes:
        points["grpc"] += body.count(loads.KEY) + body.count(expositions.KEY)
        return b""

    handler = grpc.unary_unary_rpc_method_handler(export)
    service, _, method = METHOD.strip("/").partition("/")
    server = grpc.aio.server(
        handlers=[grpc.method_handlers_generic_handler(service, {method: handler})],
        options=[("grpc.max_receive_message_length", 64 << 20), ("grpc.so_reuseport", 0)],
    )
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()

    async def write(request: web.Request) -> web.Response:
        body = await request.read()
        await asyncio.sleep(milliseconds / 1000)
        written = bytes(cramjam.snappy.decompress_raw(body))
        points["write"] += written.count(loads.LABEL) + written.count(expositions.KEY)
        return web.Response(status=204)

    async def arrived(_: web.Request) -> web.Response:
        return web.json_response(points)

    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/api/v1/write", write)
    app.router.add_get("/arrived", arrived)
    await serve(app, otlp_grpc=f"http://127.0.0.1:{bound}")
    await server.stop(grace=0)


async def kubernetes(pods: int) -> None:
    """List *pods* pods in pages, as an API server does; watches stay open and silent.

    A watch that asks for ``sendInitialEvents``, as client-go does, begins with all the pods and the
    bookmark that ends them (Kubernetes API concepts, "Streaming lists"). ``GET /asked`` tells how
    many pages and watches there were.
    """
    asked = {"pages": 0, "watches": 0}
    pages = [
        json.dumps(page(start, min(500, pods - start), pods)).encode()
        for start in range(0, pods, 500)
    ]

    async def listed(request: web.Request) -> web.StreamResponse:
        asked["watches" if request.query.get("watch") else "pages"] += 1
        if request.query.get("watch"):
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            if request.query.get("sendInitialEvents") == "true":
                for n in range(pods):
                    await response.write(_event("ADDED", pod(n)))
                await response.write(_event("BOOKMARK", {"metadata": _INITIAL_EVENTS_END}))
            await asyncio.sleep(3600)
            return response
        number = int(request.query.get("continue") or 0)
        return web.Response(body=pages[number], content_type="application/json")

    async def told(_: web.Request) -> web.Response:
        return web.json_response(asked)

    app = web.Application()
    app.router.add_get("/api/v1/pods", listed)
    app.router.add_get("/asked", told)
    await serve(app)


def page(start: int, count: int, total: int) -> dict[str, object]:
    more = {"continue": str(start // 500 + 1)} if start + count < total else {}
    return {
        "kind": "PodList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "1000", **more},
        "items": [pod(n) for n in range(start, start + count)],
    }


_INITIAL_EVENTS_END = {
    "resourceVersion": "1000",
    "annotations": {"k8s.io/initial-events-end": "true"},
}


def _event(kind: str, of: dict[str, object]) -> bytes:
    told = {"type": kind, "object": {"kind": "Pod", "apiVersion": "v1", **of}}
    return json.dumps(told).encode() + b"\n"


def pod(n: int) -> dict[str, object]:
    name = f"service-{n // 10}-5d4f8c7b9d-{n:05}"
    replica_set = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": name.rpartition("-")[0],
        "controller": True,
    }
    return {
        "metadata": {
            "name": name,
            "namespace": f"namespace-{n % 50}",
            "uid": f"00000000-0000-0000-0000-{n:012}",
            "resourceVersion": str(n),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                "app.kubernetes.io/name": f"service-{n // 10}",
                "pod-template-hash": "5d4f8c7b9d",
            },
            "annotations": {"checksum/config": "0" * 64},
            "ownerReferences": [{**replica_set, "uid": f"00000000-0000-0000-0001-{n:012}"}],
            "managedFields": [
                {"manager": "kubelet", "fieldsV1": {"f:status": {"f:podIP": {}, "f:phase": {}}}}
            ],
        },
        "spec": {
            "nodeName": f"node-{n % 100}",
            "containers": [
                {
                    "name": "app",
                    "image": "registry.example/app:1.2.3",
                    "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
                    "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
                    "env": [{"name": f"VARIABLE_{i}", "value": "x" * 20} for i in range(10)],
                }
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": f"10.{n >> 16}.{(n >> 8) & 255}.{n & 255}",
            "podIPs": [{"ip": f"10.{n >> 16}.{(n >> 8) & 255}.{n & 255}"}],
            "hostIP": f"192.168.0.{n % 100}",
            "startTime": "2026-01-01T00:00:01Z",
            "containerStatuses": [
                {"name": "app", "containerID": f"containerd://{n:064x}", "ready": True}
            ],
        },
    }


if __name__ == "__main__":
    kinds = {
        "backend": backend,
        "light": light,
        "targets": exposing.targets,
        "kubernetes": kubernetes,
    }
    asyncio.run(kinds[sys.argv[1]](*map(int, sys.argv[2:])))
