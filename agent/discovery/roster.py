"""All targets of one node together: each URL once, within the limit, and the rest explained."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, final

from agent import targets
from agent.discovery import endpoints, pods, sidecars
from agent.discovery.policy import Policy
from agent.discovery.services import MAX_SERVICES, Endpoint, Service, Slice
from agent.discovery.workloads import Workload

# How many times max_targets Services may ask for. Decisions cost memory, and ten pods behind a
# thousand Services that each name 64 ports would be 640,000 of them.
OVERSUBSCRIBED: Final = 10


@final
@dataclass(slots=True)
class Roster:
    """Everything known and decided so far, and what follows from all of it together.

    Deciding happens once per changed pod, Service or slice, and for the Services that it concerns;
    only the selection looks at everything, a few dictionary operations for each of the hundred or
    so pods of a node. Methods that note something return whether a decision may be another one now.
    """

    fixed: tuple[targets.Target, ...]
    max_targets: int
    rules: Policy
    pods: dict[str, Workload] = field(default_factory=dict)
    """By uid."""
    services: dict[str, Service] = field(default_factory=dict)
    """Those that ask, by "namespace/name"."""
    slices: dict[str, Slice] = field(default_factory=dict)
    """Those with endpoints here, by "namespace/name"."""
    _own: dict[str, targets.Decision] = field(default_factory=dict)
    _sidecars: dict[str, targets.Decision] = field(default_factory=dict)
    _asked: int = 0
    """How many targets Services ask for."""
    _served: dict[str, tuple[targets.Decision, ...]] = field(default_factory=dict)
    _unread: dict[str, None] = field(default_factory=dict)
    """Keys of the Services that were not decided about, for all of them ask for too much."""
    refused: int = 0
    """How often a Service was not kept: there were `MAX_SERVICES` that ask."""

    @property
    def decisions(self) -> Iterator[targets.Decision]:
        """The latest decisions: pods, sidecars, and Services in the order of their names."""
        yield from self._own.values()
        yield from self._sidecars.values()
        for key in sorted(self._served):
            yield from self._served[key]

    def put_pod(self, pod: Workload) -> bool:
        """Note the latest state of a pod."""
        if self.pods.get(pod.uid) == pod:
            return False  # most changes of a pod's status decide nothing
        self.pods[pod.uid] = pod
        self._judge(pod)
        self._serve(self._behind(pod))
        return True

    def remove_pod(self, pod: Workload) -> bool:
        """Forget a pod that is gone."""
        if self.pods.pop(pod.uid, None) is None:
            return False
        self._own.pop(pod.uid, None)
        self._sidecars.pop(pod.uid, None)
        self._serve(self._behind(pod))
        return True

    def replace_pods(self, found: Iterable[Workload]) -> bool:
        """Note a complete list: other pods are gone."""
        self.pods = {pod.uid: pod for pod in found}
        self._own, self._sidecars = {}, {}
        for pod in self.pods.values():
            self._judge(pod)
        self._serve(self.services)
        return True

    def put_service(self, service: Service) -> bool:
        """Note the latest state of a Service; one that does not ask is forgotten."""
        if not service.notes.values:
            return self.remove_service(service)
        before = self.services.get(service.key)
        if before == service:
            return False
        if before is None and len(self.services) >= MAX_SERVICES:
            self.refused += 1
            return False
        self.services[service.key] = service
        self._serve([service.key])
        return True

    def remove_service(self, service: Service) -> bool:
        """Forget a Service."""
        if self.services.pop(service.key, None) is None:
            return False
        self._serve([service.key])
        return True

    def replace_services(self, found: Iterable[Service]) -> bool:
        """Note a complete list of Services."""
        asking = {service.key: service for service in found if service.notes.values}
        self.refused += max(0, len(asking) - MAX_SERVICES)
        self.services = dict(islice(asking.items(), MAX_SERVICES))
        self._forget()
        self._serve(self.services)
        return True

    def put_slice(self, found: Slice) -> bool:
        """Note the latest state of a slice; one without endpoints here is forgotten."""
        if not found.endpoints:
            return self.remove_slice(found)
        before = self.slices.get(found.key)
        self.slices[found.key] = found
        if before == found:
            return False  # only endpoints of other nodes changed
        self._serve({found.service_key, *([before.service_key] if before else ())})
        return True

    def remove_slice(self, found: Slice) -> bool:
        """Forget a slice."""
        before = self.slices.pop(found.key, None)
        if before is None:
            return False
        self._serve([before.service_key])
        return True

    def replace_slices(self, found: Iterable[Slice]) -> bool:
        """Note a complete list of slices."""
        self.slices = {each.key: each for each in found if each.endpoints}
        self._forget()
        self._serve(self.services)
        return True

    def find(self, namespace: str, endpoint: Endpoint) -> Workload | None:
        """Return the pod of ours that *endpoint* names."""
        if not endpoint.uid:
            return self.named(f"{namespace}/{endpoint.pod}")
        pod = self.pods.get(endpoint.uid)
        # Whoever may write slices in one namespace must not speak for pods of another.
        return pod if pod is not None and pod.namespace == namespace else None

    def named(self, subject: str) -> Workload | None:
        """Return the pod "namespace/name"; of several the one that came last."""
        return next((pod for pod in reversed(self.pods.values()) if pod.subject == subject), None)

    def _judge(self, pod: Workload) -> None:
        rules = self.rules
        if rules.workloads is not None:
            self._own[pod.uid] = pods.decide(pod, rules, rules.workloads)
        sidecar = rules.sidecars and sidecars.decide(pod, rules, rules.sidecars)
        if sidecar:
            self._sidecars[pod.uid] = sidecar
        else:
            self._sidecars.pop(pod.uid, None)

    def _behind(self, pod: Workload) -> set[str]:
        """Return the keys of the Services that have *pod* among their endpoints."""
        return {
            found.service_key
            for found in self.slices.values()
            if found.namespace == pod.namespace
            and any(endpoint.pod == pod.name for endpoint in found.endpoints)
        }

    def _forget(self) -> None:
        self._served, self._unread, self._asked = {}, {}, 0

    def _serve(self, keys: Collection[str]) -> None:
        """Decide anew about the Services of *keys*, and about unread ones if there is room now."""
        most = OVERSUBSCRIBED * self.max_targets
        for key in keys:
            self._asked -= sum(len(each.targets) for each in self._served.pop(key, ()))
            self._unread.pop(key, None)
        wanted = dict.fromkeys((*sorted(keys), *(self._unread if self._asked < most else ())))
        behind: dict[str, list[Slice]] = {key: [] for key in wanted if key in self.services}
        for found in self.slices.values() if behind else ():
            if found.service_key in behind:
                behind[found.service_key].append(found)
        rules, scope = self.rules, self.rules.workloads
        for key, slices in behind.items():
            if not slices or scope is None:
                continue
            self._unread.pop(key, None)
            if self._asked >= most:
                self._unread[key] = None
                self._served[key] = (_unread(key, most),)
                continue
            found_here = endpoints.decide(self.services[key], slices, self.find, rules, scope)
            self._served[key] = found_here
            self._asked += sum(len(each.targets) for each in found_here)

    def select(self) -> tuple[dict[str, targets.Target], tuple[targets.Skipped, ...]]:
        """Return the targets by URL, each URL once and at most *max_targets*, and all else.

        Who comes first has the URL, and the room: fixed targets, pods by their own annotations in
        the order in which they came, sidecars, then Services in the order of their names.
        """
        chosen: dict[str, targets.Target] = {}
        decisions = tuple(self.decisions)
        skipped = [entry for decision in decisions for entry in decision.skipped]
        fixed = [(target, "") for target in self.fixed]
        offered = [(target, each.service) for each in decisions for target in each.targets]
        for target, service in (*fixed, *offered):
            first = chosen.get(target.url)
            if first is not None:
                why, remedy = self._taken(target, first), ""
            elif len(chosen) >= self.max_targets:
                why = f"there are {self.max_targets} targets already; raise scraping.max_targets"
                remedy = "raise scraping.max_targets"
            else:
                chosen[target.url] = target
                continue
            why = f"Service {service}: {why}" if service else why
            skipped.append(
                targets.Skipped(
                    subject=target.subject,
                    why=why,
                    url=target.url,
                    remedy=remedy,
                    service=service,
                )
            )
        return chosen, tuple(skipped)

    def _taken(self, target: targets.Target, first: targets.Target) -> str:
        """Say who has the URL of *target* already, and how that could be."""
        by = dict(first.labels).get("service", "") if first.kind == "service" else ""
        why = f"its URL is scraped for {first.subject} already"
        if by and not first.subject.startswith("Service "):
            why += f", by Service {by}"
        elif target.subject == first.subject:
            why += ", by its own annotations"
        if target.subject != first.subject:
            both = [self.named(each.subject) for each in (target, first)]
            if all(pod and pod.host_network for pod in both):
                why += "; both are on the host's network, where a port is one pod's only"
        return why


def _unread(key: str, most: int) -> targets.Decision:
    """Decide about a Service that it is one too many to be decided about."""
    step = targets.Step(
        f"Services ask for {most} targets already, {OVERSUBSCRIBED} times scraping.max_targets",
        "fail",
        "find out who asks for so many, or raise scraping.max_targets",
    )
    subject = f"Service {key}"
    skipped = targets.Skipped(subject=subject, why=step.text, remedy=step.remedy)
    return targets.Decision(
        subject=subject, uid="", steps=(step,), skipped=(skipped,), kind="service", service=key
    )
