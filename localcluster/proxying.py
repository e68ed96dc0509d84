"""The way through the API server to a pod's port: ``pods/NAME:PORT/proxy/PATH``.

Source: Kubernetes, "Access Services Running on Clusters", and the API reference of core/v1 Pod,
"connect GET requests to proxy of Pod". Only GET, and only plain HTTP, pass here.
"""

from __future__ import annotations

import re
from typing import Final

import aiohttp
from aiohttp import web

from localcluster import kinds
from localcluster.errors import StatusError
from localcluster.store import Store

_PATH: Final = re.compile(
    r"/api/v1/namespaces/(?P<namespace>[^/]+)/pods/(?P<name>[^/:]+)(?::(?P<port>\d+))?/proxy(?P<rest>/.*)?"
)
_PATIENCE: Final = aiohttp.ClientTimeout(total=30.0)
_PASSED_ON: Final = ("Accept",)


async def answer(store: Store, request: web.Request) -> web.Response | None:
    """Return what the pod answers, or ``None`` where *request* is for no pod's proxy.

    Raises ``StatusError`` 404 for a pod that is not there, 405 for other methods than GET, and 503
    for a pod that does not answer.
    """
    found = _PATH.fullmatch(request.path)
    if found is None:
        return None
    if request.method != "GET":
        raise StatusError(405, "MethodNotAllowed", "only GET passes to pods here")
    pod = store.get(kinds.PODS, found["namespace"], found["name"])
    address = pod.get("status", {}).get("podIP")
    port = found["port"] or _declared(pod)
    if not address or not port:
        raise StatusError(503, "ServiceUnavailable", f"pod {found['name']} has no address to ask")
    url = f"http://{address}:{port}{found['rest'] or '/'}"
    headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
    try:
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE, auto_decompress=False) as session,
            session.get(
                url, params=request.query, headers=headers, allow_redirects=False
            ) as response,
        ):
            passed = {
                name: value
                for name, value in response.headers.items()
                if name.lower() in {"content-type", "content-encoding", "content-security-policy"}
            }
            return web.Response(status=response.status, body=await response.read(), headers=passed)
    except (aiohttp.ClientError, TimeoutError) as error:
        words = f"error trying to reach {address}:{port}: {str(error) or 'timed out'}"
        raise StatusError(503, "ServiceUnavailable", words) from error


def _declared(pod: kinds.Object) -> str:
    """Return the first port that a container declares, or ""."""
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            return str(port["containerPort"])
    return ""
