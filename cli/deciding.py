"""Decides about a pod as an agent with default settings would, where none can be asked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from agent.discovery import explaining, policy, roster, services as serving, workloads
from agent.pages import explanation
from cli.explanation import Page, Target
from common.config import agent
from common.kube import objects


def decide(
    pod: objects.Pod,
    services: Iterable[objects.Service],
    slices: Iterable[objects.EndpointSlice],
    notes: Sequence[str],
) -> Page:
    """Explain *pod* by itself, and by the Services of its namespace; *notes* are passed on.

    Whether a target's URL belongs to another pod, and how its scrapes fare, only an agent knows.
    """
    node = pod.spec.node_name
    document = agent.Agent(node=node)
    known = roster.Roster((), document.scraping.max_targets, policy.policy(document))
    known.replace_pods([workloads.seen(pod)])
    known.replace_services(map(serving.shrink_service, services))
    known.replace_slices(map(serving.shrinking(node), slices))
    subject = f"{pod.metadata.namespace}/{pod.metadata.name}"
    found = explaining.explain(subject, known)
    page = msgspec.convert(explanation.plain(found, node, ()), Page)
    would = page.summary.replace(
        f"scraped by the agent on {node}:", f"would be scraped by an agent on {node}:"
    )
    candidates = tuple(
        msgspec.structs.replace(candidate, targets=tuple(map(_supposed, candidate.targets)))
        for candidate in page.candidates
    )
    return msgspec.structs.replace(
        page, summary=would, candidates=candidates, notes=(*page.notes, *notes)
    )


def _supposed(target: Target) -> Target:
    if target.why:
        return target
    live = f"would be scraped; note {target.hint}" if target.hint else "would be scraped"
    return msgspec.structs.replace(target, live=live)
