"""Keeps the targets in step with pods, Services and EndpointSlices, as they come, change and go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from agent import targets
from agent.discovery import roster, services as serving, workloads
from common.kube import client, credentials, informer, objects, reflector
from common.service.telemetry import Reading, labelled, single

SERVICES: Final = "/api/v1/services"
SLICES: Final = "/apis/discovery.k8s.io/v1/endpointslices"
# A slice has up to 100 endpoints, and a page is decoded whole before it is shrunk.
SLICES_PACE: Final = reflector.Pace(page_items=100)
OnTargets = Callable[[Mapping[str, targets.Target]], None]

Item = TypeVar("Item")


class Discovery:
    """What is known and decided, and which targets follow; tells *on_targets* of changes."""

    def __init__(self, known: roster.Roster, on_targets: OnTargets) -> None:
        self.roster, self._on_targets = known, on_targets
        self._informers: dict[str, informer.Informer] = {}
        self.skipped: tuple[targets.Skipped, ...] = ()
        self.chosen: Mapping[str, targets.Target] = {}
        self._select()

    @property
    def decisions(self) -> Iterable[targets.Decision]:
        """The latest decision about every candidate."""
        return tuple(self.roster.decisions)

    @property
    def status(self) -> str:
        """How it is doing, in words; targets that are known are scraped in any case."""
        troubles = dict(self.troubles)
        if not self.roster.rules.follows_pods or "pods" not in self._informers:
            words = [f"{kind} {trouble}" for kind, trouble in troubles.items()]
            return "; ".join(("not used", *words, f"{len(self.chosen)} static targets"))
        pods, found = len(self.roster.pods), len(self.chosen)
        pods_words = troubles.pop("pods", "") or self._informers["pods"].status
        words = [f"{kind} {trouble}" for kind, trouble in troubles.items()]
        return "; ".join((pods_words, *words, f"{pods} pods, {found} targets"))

    @property
    def troubles(self) -> Mapping[str, str]:
        """What is not, or no longer, told by the API server, in words by kind."""
        return informer.troubles(self._informers)

    def follow(self, kind: str, informed: informer.Informer) -> None:
        """Take words and figures about *kind* from *informed* from now on."""
        self._informers[kind] = informed

    def pods_changed(self, change: reflector.Change[workloads.Workload]) -> None:
        """Note what happened to pods."""
        known = self.roster
        self._apply(change, known.replace_pods, known.put_pod, known.remove_pod)

    def services_changed(self, change: reflector.Change[serving.Service]) -> None:
        """Note what happened to Services."""
        known = self.roster
        self._apply(change, known.replace_services, known.put_service, known.remove_service)

    def slices_changed(self, change: reflector.Change[serving.Slice]) -> None:
        """Note what happened to EndpointSlices."""
        known = self.roster
        self._apply(change, known.replace_slices, known.put_slice, known.remove_slice)

    def _apply(
        self,
        change: reflector.Change[Item],
        replace: Callable[[Iterable[Item]], bool],
        put: Callable[[Item], bool],
        remove: Callable[[Item], bool],
    ) -> None:
        if reflector.applied(change, replace, put, remove):
            self._select()

    def _select(self) -> None:
        chosen, self.skipped = self.roster.select()
        if chosen != self.chosen:
            self.chosen = chosen
            self._on_targets(chosen)

    def readings(self) -> Iterable[Reading]:
        """Return the own metrics of discovery."""
        known = self.roster
        skipped = sum(entry.asked for entry in self.skipped)
        for name, words, value in (
            ("pods", "Pods of this node.", len(known.pods)),
            ("services", "Services of the cluster that ask to be scraped.", len(known.services)),
            ("slices", "EndpointSlices with endpoints on this node.", len(known.slices)),
            ("skipped", "Pods, Services or ports that ask for it in vain.", skipped),
        ):
            yield single("gauge", f"headgate_agent_discovery_{name}", words, value)
        words = f"Services that ask and were not kept: there were {serving.MAX_SERVICES} already."
        name = "headgate_agent_discovery_refused_total"
        yield single("counter", name, words, known.refused)
        if not self._informers:
            return
        counts = {kind: informed.counts for kind, informed in self._informers.items()}
        for name, words in (
            ("lists", "Complete lists."),
            ("watches", "Watches opened."),
            ("events", "Watch events."),
            ("restarts", "Lists begun anew: the version had expired."),
            ("errors", "Requests to the API server that failed."),
        ):
            full, values = f"headgate_agent_discovery_{name}_total", _values(counts, name)
            yield labelled("counter", full, words, "kind", values)
        healthy, words = _values(self._informers, "healthy"), "1 while the API server answers."
        yield labelled("gauge", "headgate_agent_discovery_healthy", words, "kind", healthy)


def _values(by_kind: Mapping[str, object], name: str) -> Mapping[str, float]:
    return {kind: getattr(found, name) for kind, found in by_kind.items()}


@asynccontextmanager
async def discovering(
    known: roster.Roster,
    access: credentials.Access | None,
    on_targets: OnTargets,
) -> AsyncIterator[Discovery]:
    """Call *on_targets* with all targets by URL, at once and whenever they change.

    Services and EndpointSlices are followed here; of pods it is told, see `agent.pod_watch`.
    Without *access*, or where the rules of *known* follow nothing, there are only its fixed
    targets. Entering does not wait for the API server. Everything is shrunk as it is decoded, so
    that no more is kept than what decides about targets of this node.
    """
    discovery, rules = Discovery(known, on_targets), known.rules
    if access is None or not rules.follows_services:
        yield discovery
        return
    async with (
        client.connecting(access) as asking,
        informer.informing(
            asking,
            SERVICES,
            objects.decoder(objects.Service, serving.shrink_service),
            discovery.services_changed,
        ) as services,
        informer.informing(
            asking,
            SLICES,
            objects.decoder(objects.EndpointSlice, serving.shrinking(rules.node)),
            discovery.slices_changed,
            label_selector=serving.SERVICE_LABEL,
            pace=SLICES_PACE,
        ) as slices,
    ):
        discovery.follow("services", services)
        discovery.follow("endpointslices", slices)
        yield discovery
