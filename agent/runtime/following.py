"""Keeps what must be known of this node's pods in step with the API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, assert_never, final

from agent.runtime import kubelet_points, node_pods
from common.config import agent
from common.kube import client, credentials, informer, objects, reflector

PODS: Final = "/api/v1/pods"


@final
class Pods:
    """The pods of this node, as far as they are known. Call it for what is known by now."""

    def __init__(self) -> None:
        self._known = node_pods.Known()
        self._informer: informer.Informer | None = None

    def __call__(self) -> node_pods.Known:
        """Return what is known now; it changes in place."""
        return self._known

    @property
    def status(self) -> str:
        """How it is doing, in words."""
        if self._informer is None:
            return "not used"
        return f"{self._informer.status}; {len(self._known)} pods"

    def follow(self, informed: informer.Informer) -> None:
        """Take words from *informed* from now on."""
        self._informer = informed

    def changed(self, change: reflector.Change[node_pods.Facts]) -> None:
        """Note what happened to pods."""
        match change:
            case reflector.Replaced(items=items):
                self._known.replace(items)
            case reflector.Added(item=item) | reflector.Modified(item=item):
                self._known.put(item)
            case reflector.Deleted(item=item):
                self._known.remove(item)
            case _ as never:
                assert_never(never)


@asynccontextmanager
async def pods(document: agent.Agent, access: credentials.Access | None) -> AsyncIterator[Pods]:
    """Follow the pods of this node, if metrics that the document asks for need it.

    Entering does not wait for the API server. Without *access* nothing is ever known: metrics of
    volumes are told only where the kubelet itself names a claim, shares of limits never.
    """
    found = Pods()
    needed = kubelet_points.needs_pods(kubelet_points.choice(document.inputs.runtime))
    if access is None or not document.node or not needed:
        yield found
        return
    async with (
        client.connecting(access) as asking,
        informer.informing(
            asking,
            PODS,
            objects.decoder(node_pods.Pod, node_pods.facts),
            found.changed,
            field_selector=f"spec.nodeName={document.node}",
        ) as informed,
    ):
        found.follow(informed)
        yield found
