"""The Kubernetes API over HTTP on loopback: what kubectl and our own clients talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import yaml
from aiohttp import web

from localcluster import kinds
from localcluster.api import Api, Logs, Settings
from localcluster.kinds import Catalogue
from localcluster.store import Store


@asynccontextmanager
async def serving(
    store: Store,
    *,
    catalogue: Catalogue | None = None,
    settings: Settings | None = None,
    logs: Logs | None = None,
) -> AsyncIterator[str]:
    """Serve *store* and yield the URL; leaving ends the watches and closes the door."""
    settings = settings or Settings()
    api = Api(store, catalogue or Catalogue(kinds.BUILT_IN), settings, logs)
    app = web.Application(client_max_size=settings.body_bytes)
    app.router.add_route("*", "/{path:.*}", api.answer)
    app.on_shutdown.append(api.close)
    # Cancelling the handler is the only way to learn that the client of an idle watch has gone.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def kubeconfig(url: str, token: str = "", *, name: str = "localcluster") -> str:
    """Return the text of a kubeconfig whose current context is the server at *url*."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": url}}],
            "users": [{"name": name, "user": {"token": token} if token else {}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        },
        sort_keys=False,
    )
