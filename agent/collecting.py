"""All that an agent collects, running together: targets, the kubelet, the cluster's state."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import final

from agent import pod_watch, relief, targets
from agent.discovery import following as discovery, policy, roster
from agent.exposition import model
from agent.runtime import (
    apiserver,
    cluster,
    cluster_terms,
    kubelet,
    kubelet_points,
    node_pods,
    source,
)
from agent.scraping import credentials, loop as scraping
from agent.scraping.terms import Terms
from common.config import agent
from common.exporters.outcomes import Offer
from common.kube import credentials as kube
from common.service import clock


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What runs, for metrics and pages."""

    loop: scraping.Loop
    discovery: discovery.Discovery
    kubelet: source.Source
    cluster: cluster.Cluster

    def status(self) -> Mapping[str, str]:
        """Return how each input is doing, in words; those that are off are left out."""
        found = {"discovery": self.discovery.status}
        if self.kubelet.health is not source.Health.OFF:
            found["kubelet"] = self.kubelet.status
        if self.cluster.used:
            found["cluster"] = self.cluster.status
        return found

    def runtime_page(self) -> dict[str, object]:
        """Return ``/debug/runtime``: how the halves of the runtime input are doing."""
        return {"kubelet": self.kubelet.page(), "cluster": self.cluster.page()}


@asynccontextmanager
async def collecting(
    document: agent.Agent,
    access: kube.Access | None,
    offer: Offer,
    *,
    host: str,
    monotonic: Callable[[], float],
) -> AsyncIterator[Collected]:
    """Collect what *document* asks for and hand it to *offer*, until left; leaving drains nothing.

    *access* is that to the API server, if there is one; *host* names the pod we run in. Entering
    waits for nobody. *monotonic* gives seconds on a clock that never jumps.
    """
    version = metadata.version("headgate")
    terms = _terms(document, access, version, monotonic)
    wanted = cluster_terms.terms(
        document,
        access,
        host=host,
        suffix=f"{random.getrandbits(64):016x}",  # an identity, not a secret
        version=version,
        wall=clock.unix_nanoseconds,
    )
    clocks = kubelet.Clocks(wall=clock.unix_nanoseconds, stopwatch=time.perf_counter)
    known = roster.Roster(
        targets.static(document), document.scraping.max_targets, policy.policy(document)
    )
    chosen = kubelet_points.choice(document.inputs.runtime)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        loop = await enter(scraping.scraping(terms, offer))
        await enter(relief.relieving(lambda: loop.counts.departed))
        merging = apiserver.Merging(loop.update)
        found = await enter(discovery.discovering(known, access, merging.discovered))
        pods, told_of_pods = node_pods.Known(), kubelet_points.needs_pods(chosen)
        await enter(pod_watch.watching(access, found, pods if told_of_pods else None))
        asked = await enter(
            kubelet.collecting(document, access, pods, offer, clocks=clocks, version=version)
        )
        told = await enter(cluster.collecting(wanted, access, offer, merging.lead))
        yield Collected(loop=loop, discovery=found, kubelet=asked, cluster=told)


def _terms(
    document: agent.Agent,
    access: kube.Access | None,
    version: str,
    monotonic: Callable[[], float],
) -> Terms:
    chosen = document.scraping
    profiles: dict[str, credentials.Profile] = {**credentials.profiles(document, monotonic)}
    if access is not None:
        tls = access.tls
        profiles[apiserver.PROFILE] = credentials.Asked(
            where="kubernetes",
            server_name=access.server_name,
            tls=lambda: tls,
            authorization=access.authorization,
        )
    return Terms(
        max_body_bytes=chosen.max_body_bytes,
        max_concurrency=chosen.max_concurrency,
        max_fetching_bytes=chosen.max_fetching_bytes,
        max_redirects=chosen.max_redirects,
        max_leaving=chosen.max_targets,
        limits=model.Limits(
            samples=chosen.max_samples,
            labels=chosen.max_labels,
            label_name_bytes=chosen.max_label_name_bytes,
            label_value_bytes=chosen.max_label_value_bytes,
            buckets=chosen.max_buckets,
        ),
        version=version,
        credentials=profiles,
        compression=chosen.compression,
        native_histograms=chosen.native_histograms,
        escaping=chosen.escaping,
        fallback=chosen.fallback_format == "text",
        classic_histograms=chosen.classic_histograms,
        track_timestamps=chosen.track_timestamps_staleness,
        extra_metrics=chosen.extra_metrics,
        wall=clock.unix_nanoseconds,
        stopwatch=time.perf_counter,
    )
