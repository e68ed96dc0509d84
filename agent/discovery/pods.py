"""Decides which pods are scraped by their own annotations, and says why all else is not. Pure."""

from __future__ import annotations

from typing import Final

from agent.discovery import annotations as asked, wishes, workloads
from agent.discovery.policy import Policy, Scope
from agent.targets import Decision, Step, Target
from common.config import input_names

POD_JOB: Final = "app-pods"  # job of discovered pods; their service.name is left to enrichment


def decide(pod: workloads.Workload, rules: Policy, scope: Scope) -> Decision:
    """Decide whether and where *pod* is scraped; never raises, whatever the annotations say."""
    steps, refusal = wishes.admitted(
        pod.notes, pod.namespace, scope, "the pod (the template of what makes it)"
    )
    if refusal is None:
        standing, refusal = pod.standing(rules.node)
        steps += standing
    if refusal is not None:
        wanted = pod.notes.asking
        return wishes.decided(
            pod.subject, pod.uid, steps, wrong=(refusal,), kind="pod", wanted=wanted
        )
    wish = wishes.read(pod.notes, scope)
    steps += wish.steps
    if wish.wrong is not None:
        return wishes.decided(pod.subject, pod.uid, steps, wrong=(wish.wrong,), kind="pod")
    # Whoever says neither port nor container does not mean the sidecar's.
    named = wish.port is not None or bool(wish.container)
    ports, problems = asked.ports(
        wish.port, pod.containers if named else pod.ordinary, only=wish.container
    )
    remedy = "mend" if wish.port is not None else "name a port in"
    also = " or prometheus.io/container" if wish.container else ""
    wrong = [Step(text, "fail", f"{remedy} prometheus.io/port{also}") for text in problems]
    found: list[Target] = []
    for port in ports:
        reached = wishes.reach(wish, pod, port, rules)
        if isinstance(reached, Step):
            wrong.append(reached)
            continue
        target = wishes.target(
            wish,
            reached,
            rules,
            kind="pod",
            job=POD_JOB,
            subject=pod.subject,
            host=pod.address,
            port=port,
            attributes=pod.attributes(port.container, input_names.PROMETHEUS),
            hint=pod.hint(port.number),
        )
        steps.append(wishes.scraped(target, port))
        found.append(target)
    return wishes.decided(pod.subject, pod.uid, steps, tuple(found), tuple(wrong), kind="pod")
