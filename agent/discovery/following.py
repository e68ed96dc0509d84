"""Keeps the targets in step with the pods of this node, as they come, change and go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final, assert_never

from agent import targets
from agent.discovery import pods as deciding, roster
from common.kube import client, credentials, informer, objects, reflector
from common.service.telemetry import Reading

PODS: Final = "/api/v1/pods"
OnTargets = Callable[[Mapping[str, targets.Target]], None]


class Discovery:
    """What was decided about every pod, and which targets follow; tells *on_targets* of changes."""

    def __init__(self, known: roster.Roster, on_targets: OnTargets) -> None:
        self._roster, self._on_targets = known, on_targets
        self._informer: informer.Informer | None = None
        self.skipped: tuple[targets.Skipped, ...] = ()
        self._chosen: dict[str, targets.Target] = {}
        self._select()

    @property
    def decisions(self) -> Iterable[targets.Decision]:
        """The latest decision about every pod."""
        return self._roster.pods.values()

    @property
    def status(self) -> str:
        """How it is doing, in words; targets that are known are scraped in any case."""
        if self._informer is None:
            return f"not used; {len(self._chosen)} static targets"
        pods, found = len(self._roster.pods), len(self._chosen)
        return f"{self._informer.status}; {pods} pods, {found} targets"

    def follow(self, informed: informer.Informer) -> None:
        """Take words and figures from *informed* from now on."""
        self._informer = informed

    def changed(self, change: reflector.Change[targets.Decision]) -> None:
        """Note what happened to pods; only those that changed were decided anew."""
        match change:
            case reflector.Replaced(items=items):
                self._roster.replace(items)
            case reflector.Added(item=item) | reflector.Modified(item=item):
                if self._roster.pods.get(item.uid) == item:
                    return  # most changes of a pod's status decide nothing
                self._roster.put(item)
            case reflector.Deleted(item=item):
                self._roster.remove(item.uid)
            case _ as never:
                assert_never(never)
        self._select()

    def _select(self) -> None:
        chosen, self.skipped = self._roster.select()
        if chosen != self._chosen:
            self._chosen = chosen
            self._on_targets(chosen)

    def readings(self) -> Iterable[Reading]:
        """Return the own metrics of discovery."""
        skipped = sum(entry.asked for entry in self.skipped)
        yield _reading("gauge", "pods", "Pods of this node.", len(self._roster.pods))
        yield _reading("gauge", "skipped", "Pods or ports that ask for it in vain.", skipped)
        if self._informer is None:
            return
        counts = self._informer.counts
        for name, words, value in (
            ("lists_total", "Complete lists of pods.", counts.lists),
            ("watches_total", "Watches opened.", counts.watches),
            ("events_total", "Watch events.", counts.events),
            ("restarts_total", "Lists begun anew: the version had expired.", counts.restarts),
            ("errors_total", "Requests to the API server that failed.", counts.errors),
        ):
            yield _reading("counter", name, words, value)
        yield _reading(
            "gauge", "healthy", "1 while the API server answers.", int(self._informer.healthy)
        )


def _reading(kind: str, name: str, words: str, value: float) -> Reading:
    full = f"headgate_agent_discovery_{name}"
    if kind == "counter":
        return Reading("counter", full, words, (({}, value),))
    return Reading("gauge", full, words, (({}, value),))


@asynccontextmanager
async def discovering(
    known: roster.Roster,
    rules: deciding.Policy,
    access: credentials.Access | None,
    on_targets: OnTargets,
) -> AsyncIterator[Discovery]:
    """Call *on_targets* with all targets by URL, at once and whenever they change.

    Without *access*, or a node in *rules*, there are only the fixed targets of *known*. Entering
    does not wait for the API server. Pods are shrunk to decisions as they are decoded, so that no
    more of them is kept than what pages show.
    """
    discovery = Discovery(known, on_targets)
    if access is None or not rules.node:
        yield discovery
        return

    def decide(pod: objects.Pod) -> targets.Decision:
        return deciding.decide(pod, rules)

    async with (
        client.connecting(access) as asking,
        informer.informing(
            asking,
            PODS,
            objects.decoder(objects.Pod, decide),
            discovery.changed,
            field_selector=f"spec.nodeName={rules.node}",
        ) as informed,
    ):
        discovery.follow(informed)
        yield discovery
