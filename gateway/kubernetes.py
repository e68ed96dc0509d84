"""What the gateway knows of pods: an informer that keeps the index, or the reason there is none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias, TypeVar, final

from common.config import gateway
from common.enrichment import attributes, pods
from common.kube import access, client, informer, objects, reflector
from common.service.telemetry import Reading, single

log = logging.getLogger("headgate.gateway.kubernetes")

PODS: Final = "/api/v1/pods"
PATIENCE: Final = 5.0  # seconds a start waits for the first list, so that the first data has names
GLANCE: Final = 0.05  # seconds between looks whether the API server has failed us meanwhile

Item = TypeVar("Item")


class Informed(Protocol):
    """How well somebody is informed, see :class:`common.kube.informer.Informer`."""

    @property
    def synced(self) -> bool: ...  # noqa: D102 - the protocol's names say it
    @property
    def healthy(self) -> bool: ...  # noqa: D102
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def counts(self) -> informer.Counts | None:
        """What happened so far; ``None`` where another process asks, and tells it."""
        ...

    async def wait_synced(self, within: float) -> bool: ...  # noqa: D102


Changed: TypeAlias = Callable[[reflector.Change[pods.PodFacts]], None]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """The pods, and how well they are known."""

    index: pods.PodIndex
    informer: Informed | None  # None: nobody is asked
    listeners: list[Changed] = field(default_factory=list)
    """Called with every change, after the index has taken it in, between awaits; must not raise."""

    @property
    def informed(self) -> bool:
        """Whether pods that appear would be told of: the API server answers, or was just asked."""
        return self.informer is not None and self.informer.healthy

    @property
    def status(self) -> str:
        """How it is doing, in words; the gateway serves in any case."""
        if self.informer is None:
            return "not used; serving without enrichment from pods"
        known = len(self.index) - self.index.departed
        if not self.informer.synced:
            return f"{self.informer.status}; serving without enrichment from pods"
        return f"{self.informer.status}; {known} pod{'s' * (known != 1)}"

    def readings(self) -> Iterable[Reading]:
        """Return the own metrics of knowing pods, and of asking the API server if we do."""
        if self.informer is None:
            return
        yield from readings(self.informer)
        words = "Pods known, those deleted a moment ago included."
        name = "headgate_gateway_kubernetes_pods"
        yield single("gauge", name, words, len(self.index), "max")


def readings(informed: Informed) -> Iterable[Reading]:
    """Return the own metrics of asking the API server, of the process that asks it."""
    counts = informed.counts
    if counts is None:
        return
    for name, words, value in (
        ("lists", "Complete lists of pods.", counts.lists),
        ("watches", "Watches opened.", counts.watches),
        ("events", "Watch events.", counts.events),
        ("restarts", "Lists begun anew because a version had expired.", counts.restarts),
        ("errors", "Requests to the API server that failed.", counts.errors),
    ):
        full = f"headgate_gateway_kubernetes_{name}_total"
        yield single("counter", full, words, value)
    for name, words, value in (
        ("synced", "1 once a complete list of pods arrived.", int(informed.synced)),
        ("healthy", "1 while the API server answers.", int(informed.healthy)),
    ):
        full = f"headgate_gateway_kubernetes_{name}"
        yield single("gauge", full, words, value, "min")


@asynccontextmanager
async def knowing(
    config: gateway.Gateway, rules: attributes.Rules, environ: Mapping[str, str]
) -> AsyncIterator[Knowledge]:
    """Keep an index of pods for as long as the block runs.

    Entering waits for the first list, but not for an API server that is away. Raises
    :class:`~common.service.settings.SettingsError` when the credentials are of no use.
    """
    index = pods.PodIndex()
    loop = asyncio.get_running_loop()
    listeners: list[Changed] = []

    def changed(change: reflector.Change[pods.PodFacts]) -> None:
        index.apply(change, loop.time())
        for listener in listeners:
            listener(change)

    def shrink(pod: objects.Pod) -> pods.PodFacts:
        return pods.facts(pod, rules)

    async with asking(config, environ, shrink, changed) as informed:
        if informed is not None:
            await first_list(informed)
        yield Knowledge(index=index, informer=informed, listeners=listeners)


@asynccontextmanager
async def asking(
    config: gateway.Gateway,
    environ: Mapping[str, str],
    shrink: Callable[[objects.Pod], Item],
    changed: Callable[[reflector.Change[Item]], None],
) -> AsyncIterator[informer.Informer | None]:
    """Tell *changed* what *shrink* leaves of all pods, see :func:`common.kube.informer.informing`.

    Yields ``None`` when no API server is to be asked. Raises like `knowing`.
    """
    reached = await access.choose(config.kubernetes, environ)
    if reached is None:
        yield None
        return

    node = config.enrichment.node
    async with (
        client.connecting(reached) as connection,
        informer.informing(
            connection,
            PODS,
            objects.decoder(objects.Pod, shrink),
            changed,
            field_selector=f"spec.nodeName={node}" if node else "",
        ) as informed,
    ):
        yield informed


async def first_list(informed: Informed) -> None:
    """Wait a while for the first list, unless the API server fails us meanwhile."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE
    while not await informed.wait_synced(GLANCE):
        if not informed.healthy or loop.time() >= until:
            log.warning("serving without enrichment from pods: %s", informed.status)
            return
