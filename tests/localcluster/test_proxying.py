"""Who may speak to the API server may speak to pods through it."""

import pytest
from aiohttp import web

from localcluster import kinds
from tests.localcluster.test_api import pod, served

pytestmark = pytest.mark.wallclock


async def echo(request: web.Request) -> web.Response:
    said = {"path": request.path, "query": dict(request.query), "accept": request.headers["Accept"]}
    return web.json_response(said, status=418 if request.path == "/teapot" else 200)


async def test_requests_reach_the_pods_port_with_path_query_and_accept() -> None:
    app = web.Application()
    app.router.add_get("/{path:.*}", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with served() as call:
            call.store.create(kinds.PODS, pod("a"), namespace="default")
            call.store.create(
                kinds.PODS,
                {
                    "metadata": {"name": "b"},
                    "spec": {"containers": [{"name": "c", "ports": [{"containerPort": port}]}]},
                },
                namespace="default",
            )
            for name in ("a", "b"):
                call.store.change(
                    kinds.PODS, "default", name,
                    lambda item: {**item, "status": {"podIP": "127.0.0.1"}}, subresource="status",
                )  # fmt: skip
            base = "/api/v1/namespaces/default/pods"
            accept = {"headers": {"Accept": "text/html"}}
            assert await call("GET", f"{base}/a:{port}/proxy/x/y?q=a%2Fb", **accept) == (
                200,
                {"path": "/x/y", "query": {"q": "a/b"}, "accept": "text/html"},
            )
            status, said = await call("GET", f"{base}/b/proxy", **accept)
            assert (status, said["path"]) == (200, "/")
            assert (await call("GET", f"{base}/a:{port}/proxy/teapot", **accept))[0] == 418
            assert (await call("POST", f"{base}/a:{port}/proxy/x"))[0] == 405
            status, said = await call("GET", f"{base}/a/proxy/x")
            assert (status, said["message"]) == (503, "pod a has no address to ask")
            status, said = await call("GET", f"{base}/a:9/proxy/x")
            assert (status, said["reason"]) == (503, "ServiceUnavailable")
            assert "error trying to reach 127.0.0.1:9" in said["message"]
            assert (await call("GET", f"{base}/none:{port}/proxy/x"))[0] == 404
    finally:
        await runner.cleanup()


async def test_a_token_is_asked_for_there_too() -> None:
    async with served(token="secret") as call:
        assert (await call("GET", "/api/v1/namespaces/default/pods/a:1/proxy/x"))[0] == 401
