"""Decides which endpoints of a Service are scraped by the annotations of the Service. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from agent.discovery import annotations as asked, wishes
from agent.discovery.policy import Policy, Scope
from agent.discovery.services import Endpoint, Service, Slice
from agent.discovery.workloads import PROXY, Workload
from agent.targets import Decision, Step, Target
from common.config import input_names

SERVICE_JOB: Final = "app-services"  # service.name of pods is left to enrichment

Find: TypeAlias = Callable[[str, Endpoint], Workload | None]
"""Returns the pod of ours, in a namespace, that an endpoint names."""
_Places: TypeAlias = dict[int, tuple[asked.Port, dict[str, None]]]
"""Ports by number, each with the addresses at which it may be asked, in order."""


@final
@dataclass(slots=True)
class _Group:
    """The endpoints of one pod, or all those without a pod."""

    pod: Workload | None
    members: list[tuple[Slice, Endpoint]]


def decide(
    service: Service, slices: Iterable[Slice], find: Find, rules: Policy, scope: Scope
) -> tuple[Decision, ...]:
    """Decide about each pod of ours behind *service*, and about endpoints here without a pod.

    *slices* are those of the Service. Endpoints that are not ready are scraped all the same, as
    Prometheus does. Never raises.
    """
    groups: dict[str, _Group] = {}
    for found in sorted(slices, key=lambda each: each.name):
        for endpoint in found.endpoints:
            pod = find(service.namespace, endpoint) if endpoint.pod else None
            if pod is None and not endpoint.here:
                continue  # some other node's
            group = groups.setdefault(endpoint.pod, _Group(pod, []))
            group.members.append((found, endpoint))
    return tuple(_decide(service, name, group, rules, scope) for name, group in groups.items())


def _decide(service: Service, name: str, group: _Group, rules: Policy, scope: Scope) -> Decision:
    pod = group.pod
    subject = f"{service.namespace}/{name}" if name else f"Service {service.key}"
    uid = pod.uid if pod else ""

    def decided(
        steps: list[Step], targets: tuple[Target, ...] = (), wrong: tuple[Step, ...] = ()
    ) -> Decision:
        wanted = service.notes.asking
        return wishes.decided(
            subject, uid, steps, targets, wrong,
            kind="service", service=service.key, wanted=wanted,
        )  # fmt: skip

    steps, refusal = wishes.admitted(service.notes, service.namespace, scope, "the Service")
    if refusal is None and name:
        standing, refusal = _standing(pod, rules)
        steps += standing
    if refusal is not None:
        return decided(steps, wrong=(refusal,))
    wish = wishes.read(service.notes, scope)
    steps += wish.steps
    refusal = wish.wrong or _contained(wish, pod)
    if refusal is not None:
        return decided(steps, wrong=(refusal,))
    places, wrong = _places(service, group, wish, steps)
    targets: list[Target] = []
    for port, hosts in places.values():
        reached = wishes.reach(wish, pod, port, rules)
        if isinstance(reached, Step):
            wrong.append(reached)
            continue
        for host in _hosts(pod, port, tuple(hosts), steps):
            target = wishes.target(
                wish,
                reached,
                rules,
                kind="service",
                job=SERVICE_JOB,
                subject=subject,
                host=host,
                port=port,
                attributes=pod.attributes(port.container, input_names.PROMETHEUS)
                if pod
                else wishes.podless(rules.node, service.namespace, service.name),
                hint=pod.hint(port.number, f" of Service {service.key}") if pod else "",
                labels=(("service", service.name),),
            )
            steps.append(wishes.scraped(target, port))
            targets.append(target)
    return decided(steps, tuple(targets), tuple(wrong))


def _standing(pod: Workload | None, rules: Policy) -> tuple[list[Step], Step | None]:
    if pod is None:
        return [], Step("the pod behind it is not known", "fail", "wait; it may be about to come")
    return pod.standing(rules.node)


def _contained(wish: wishes.Wish, pod: Workload | None) -> Step | None:
    """Return what is wrong with the container that is wished for."""
    if not wish.container or pod is None:
        return None
    names = [container.name for container in pod.containers]
    if wish.container in names:
        return None
    known, given = ", ".join(names) or "none", asked.show(wish.container)
    words = f"container annotation {given} names none (containers: {known})"
    return Step(words, "fail", "mend prometheus.io/container")


def _places(
    service: Service, group: _Group, wish: wishes.Wish, steps: list[Step]
) -> tuple[_Places, list[Step]]:
    """Return where the ports that are wished for can be asked, and what is wrong with others."""
    places: _Places = {}
    problems: dict[str, None] = {}
    for found, endpoint in group.members:
        numbers, wrong = _numbers(service, found, group.pod, wish.port, steps)
        problems |= dict.fromkeys(wrong)
        for number in numbers:
            port = _port(number, group.pod, wish, steps)
            if port is not None:
                hosts = places.setdefault(number, (port, {}))[1]
                hosts |= dict.fromkeys(endpoint.addresses)
    if not places and not problems:
        problems["no TCP port of its slices is left"] = None
    if len(places) > asked.MAX_PORTS:
        problems[
            f"{len(places)} ports, the limit is {asked.MAX_PORTS}; the first ones are scraped"
        ] = None
        places = dict(list(places.items())[: asked.MAX_PORTS])
    remedy = "mend prometheus.io/port of the Service"
    return places, [Step(problem, "fail", remedy) for problem in problems]


def _numbers(
    service: Service, found: Slice, pod: Workload | None, wanted: str | None, steps: list[Step]
) -> tuple[list[int], list[str]]:
    """Return the numbers of the pod's ports that *wanted* means, and what is wrong with others.

    Names are those of the Service's ports, then those that containers declare. A number is the
    pod's own, as Prometheus takes it; but where no container declares it and the Service has it,
    what the Service makes of it: that can only be meant.
    """
    if wanted is None:
        return [number for _, number in found.ports], []
    declared = [p for c in pod.containers for p in c.ports or ()] if pod else []
    names = {p.name: p.container_port for p in reversed(declared) if p.name}
    names |= {name: number for name, number in found.ports if name}
    numbers, wrong, many = asked.numbered(wanted, names)
    if many > asked.MAX_PORTS:
        wrong.append(f"{many} ports, the limit is {asked.MAX_PORTS}; the first ones are scraped")
    behind = {number: name for name, number in reversed(service.ports)}
    own = {number for _, number in found.ports} | {p.container_port for p in declared}
    slice_ports = dict(reversed(found.ports))
    for at, number in enumerate(numbers):
        target = slice_ports.get(behind.get(number, "no such port"))
        if number not in own and target is not None:
            numbers[at] = target
            step = Step(f"port {number} of the Service is port {target} of the pod", "note")
            if step not in steps:
                steps.append(step)
    return list(dict.fromkeys(numbers)), wrong


def _port(
    number: int, pod: Workload | None, wish: wishes.Wish, steps: list[Step]
) -> asked.Port | None:
    """Return port *number* with its container; ``None`` for one of a container not meant."""
    owner = asked.owner_of(number, pod.containers) if pod else ""
    if wish.container:
        mine = owner in {"", wish.container}
        step = Step(f"port {number} is of container {owner}, not of {wish.container}", "note")
    else:
        mine = owner != PROXY or wish.port is not None
        step = Step(f"port {number} is left out: it is of container {PROXY}", "note")
    if mine:
        return asked.Port(number=number, container=owner or wish.container)
    if step not in steps:
        steps.append(step)
    return None


def _hosts(
    pod: Workload | None, port: asked.Port, hosts: tuple[str, ...], steps: list[Step]
) -> tuple[str, ...]:
    """Return the addresses to ask: one for a pod, for both families lead to the same series."""
    if pod is None or len(hosts) == 1:
        return hosts
    chosen = pod.address if pod.address in hosts else hosts[0]
    others = ", ".join(host for host in hosts if host != chosen)
    steps.append(Step(f"port {port.number} is also at {others}: the pod is scraped once", "note"))
    return (chosen,)
