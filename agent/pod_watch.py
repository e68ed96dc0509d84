"""One watch of this node's pods, for all who must know them: discovery and the runtime input."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, TypeAlias, TypeVar

from agent.discovery import following as discovery, workloads
from agent.runtime import node_pods
from common.kube import client, credentials, informer, objects, reflector

PODS: Final = "/api/v1/pods"

Both: TypeAlias = tuple[workloads.Workload, node_pods.Facts]
Item = TypeVar("Item")


@asynccontextmanager
async def watching(
    access: credentials.Access | None,
    found: discovery.Discovery,
    known: node_pods.Known | None = None,
) -> AsyncIterator[None]:
    """Tell *found* of the pods of its node if its rules follow them, and *known* if there is one.

    Entering does not wait for the API server. Every pod is shrunk as it is decoded, and nothing is
    decoded that nobody needs. Without *access*, a node, or a need, nobody is asked.
    """
    rules = found.roster.rules
    node, decides = rules.node, rules.follows_pods
    if access is None or not node or not (decides or known is not None):
        yield
        return
    async with client.connecting(access) as asking:
        if known is None:
            seen = objects.decoder(objects.Pod, workloads.seen)
            informing = _informing(asking, node, seen, found.pods_changed)
        elif not decides:
            facts = objects.decoder(node_pods.Pod, node_pods.facts)
            informing = _informing(asking, node, facts, known.changed)
        else:
            both = objects.decoder(node_pods.Pod, _both)
            informing = _informing(asking, node, both, _telling(found, known))
        async with informing as informed:
            found.follow("pods", informed)
            yield


def _telling(
    found: discovery.Discovery, known: node_pods.Known
) -> Callable[[reflector.Change[Both]], None]:
    def changed(change: reflector.Change[Both]) -> None:
        found.pods_changed(reflector.converted(change, lambda both: both[0]))
        known.changed(reflector.converted(change, lambda both: both[1]))

    return changed


def _both(pod: node_pods.Pod) -> Both:
    return workloads.seen(pod), node_pods.facts(pod)


def _informing(
    asking: client.Client,
    node: str,
    decoder: objects.Decoder[Item],
    changed: Callable[[reflector.Change[Item]], None],
) -> AbstractAsyncContextManager[informer.Informer]:
    selector = f"spec.nodeName={node}"
    return informer.informing(asking, PODS, decoder, changed, field_selector=selector)
