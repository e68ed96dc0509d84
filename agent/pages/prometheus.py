"""``/api/v1/targets`` and ``/api/v1/scrape_pools`` as Prometheus' HTTP API has them. Pure.

Sources: Prometheus, "HTTP API", sections "Targets" and "Scrape pools"; discovered labels are those
of its service discovery for Kubernetes ("Configuration", kubernetes_sd_config). Where we say more
than Prometheus does, the label begins with ``__headgate_``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from agent import targets
from agent.discovery import annotations as noted, endpoints, pods, sidecars
from agent.discovery.roster import Roster
from agent.discovery.workloads import Workload
from agent.pages import view, words
from agent.scraping.state import Health, State

NEVER: Final = "0001-01-01T00:00:00Z"  # what Prometheus says of a target that was never scraped
_HEALTH: Final = {Health.UP: "up", Health.FAILING: "down", Health.PENDING: "unknown"}
_META: Final = "__meta_kubernetes_"
_ODD: Final = re.compile(r"[^a-zA-Z0-9_]")  # what its strutil.SanitizeLabelName replaces
_JOBS: Final[Mapping[str, str]] = {
    "pod": pods.POD_JOB,
    "service": endpoints.SERVICE_JOB,
    "sidecar": sidecars.JOB,
}

Labels = dict[str, str]


def targets_page(
    states: Collection[State],
    skipped: Collection[targets.Skipped],
    known: Roster,
    query: Mapping[str, str],
) -> dict[str, object]:
    """Return ``/api/v1/targets``.

    *query* may hold ``state`` (active, dropped, any; for others nothing is shown, as there) and
    ``scrapePool``, a job. What is not scraped is among its pool's dropped targets, and
    ``__headgate_why`` says why; *known* has the annotations.
    """
    wanted, pool = query.get("state", "").lower(), query.get("scrapePool", "")
    pages = _Discovered(known)
    dropped = [pages.dropped(entry) for entry in skipped]
    counts = dict.fromkeys(_pools(states), 0)
    for name, _ in dropped:
        counts[name] = counts.get(name, 0) + 1
    shown = sorted(states, key=view.order) if wanted in {"", "any", "active"} else ()
    return {
        "status": "success",
        "data": {
            "activeTargets": [
                _active(state, pages.labels(state.target))
                for state in shown
                if pool in {"", state.target.job}
            ],
            "droppedTargets": [
                {"discoveredLabels": labels, "scrapePool": name}
                for name, labels in (dropped if wanted in {"", "any", "dropped"} else ())
                if pool in {"", name}
            ],
            "droppedTargetCounts": counts,
        },
    }


def pools_page(states: Collection[State]) -> dict[str, object]:
    """Return ``/api/v1/scrape_pools``."""
    return {"status": "success", "data": {"scrapePools": _pools(states)}}


def _pools(states: Collection[State]) -> list[str]:
    """Return the jobs; that of pods is always there, as a configured job is in Prometheus."""
    return sorted({pods.POD_JOB, *(state.target.job for state in states)})


def _active(state: State, discovered: Labels) -> dict[str, object]:
    target = state.target
    return {
        "discoveredLabels": discovered,
        "labels": {**dict(target.labels), "instance": target.instance, "job": target.job},
        "scrapePool": target.job,
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": state.error,
        "lastScrape": words.timestamp(state.last_scrape) if state.last_scrape else NEVER,
        "lastScrapeDuration": state.duration,
        "health": _HEALTH[state.health],
        "scrapeInterval": words.duration(target.interval),
        "scrapeTimeout": words.duration(target.timeout),
    }


class _Discovered:
    """What discovery knew of a target before anything was decided, as Prometheus names it."""

    def __init__(self, known: Roster) -> None:
        self._known = known
        self._pods = {pod.subject: pod for pod in known.pods.values()}
        self._reasons = view.Reasons(known.decisions)

    def labels(self, target: targets.Target, service: str = "") -> Labels:
        """Return the labels of *target*, which *service* (namespace/name) may have asked for."""
        parts = urlsplit(target.url)
        found = {
            "__address__": target.instance,
            "__scheme__": parts.scheme,
            "__metrics_path__": parts.path,
            "__scrape_interval__": words.duration(target.interval),
            "__scrape_timeout__": words.duration(target.timeout),
            "job": target.job,
        }
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            found.setdefault(f"__param_{name}", value)
        told = dict(target.attributes)
        namespace = told.get("k8s.namespace.name", "")
        if target.kind == "service" and not service:
            service = f"{namespace}/{dict(target.labels).get('service', '')}"
        if target.kind != "static" and namespace:
            found[f"{_META}namespace"] = namespace
        container = told.get("k8s.container.name", "")
        return found | self._kubernetes(target.subject, service, container)

    def dropped(self, entry: targets.Skipped) -> tuple[str, Labels]:
        """Return the pool that *entry* would be in, and its labels, with the reason among them."""
        decision = self._reasons.of_skipped(entry)
        found: Labels = {
            "job": _JOBS.get(decision.kind, decision.kind) if decision else targets.STATIC
        }
        for target in decision.targets if decision else self._known.fixed:
            if target.url == entry.url:
                found = self.labels(target, entry.service)
        if decision:
            found |= self._kubernetes(entry.subject, entry.service, "")
        pod = self._pods.get(entry.subject)
        found.setdefault("__address__", pod.address if pod else "")  # there is always one there
        found["__headgate_subject"], found["__headgate_why"] = entry.subject, entry.why
        if entry.remedy:
            found["__headgate_remedy"] = entry.remedy
        return found["job"], found

    def _kubernetes(self, subject: str, service: str, container: str) -> Labels:
        found: Labels = {}
        pod = self._pods.get(subject)
        if pod is not None:
            found |= _of_pod(pod, container)
        if service:
            namespace, _, name = service.partition("/")
            found |= {f"{_META}namespace": namespace, f"{_META}service_name": name}
            asking = self._known.services.get(service)
            found |= _annotated("service", asking.notes if asking else noted.NOTHING)
        return found


def _of_pod(pod: Workload, container: str) -> Labels:
    told = {
        "namespace": pod.namespace,
        "pod_name": pod.name,
        "pod_ip": pod.address,
        "pod_uid": pod.uid,
        "pod_node_name": pod.node,
        "pod_phase": pod.phase,
        "pod_container_name": container,
    }
    return {_META + name: value for name, value in told.items() if value} | _annotated(
        "pod", pod.notes
    )


def _annotated(whose: str, notes: noted.Notes) -> Labels:
    """Return the annotations that we look at, prometheus.io/*; others are not kept."""
    found: Labels = {}
    for name, value in notes.values.items():
        clean = _ODD.sub("_", noted.PREFIX + name)
        found[f"{_META}{whose}_annotation_{clean}"] = value
        found[f"{_META}{whose}_annotationpresent_{clean}"] = "true"
    return found
