"""Decides which pods are scraped and where, and says in words why all else is not. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from agent.discovery import annotations as asked
from agent.targets import INPUT, Decision, Skipped, Target, host_port
from common.config import agent as config
from common.kube import objects

POD_JOB: Final = "app-pods"  # job of discovered pods; their service.name is left to enrichment
MIN_INTERVAL: Final = 0.1  # seconds
MAX_INTERVAL: Final = 86_400.0  # seconds


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the configuration says about pods."""

    node: str
    interval: float
    timeout: float
    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()


def policy(document: config.Agent) -> Policy:
    """Take from the configuration what decisions about pods need."""
    chosen = document.inputs.prometheus
    return Policy(
        node=document.node,
        interval=chosen.interval or document.scraping.interval,
        timeout=document.scraping.timeout,
        include=frozenset(chosen.namespaces.include),
        exclude=frozenset(chosen.namespaces.exclude),
    )


def decide(pod: objects.Pod, rules: Policy) -> Decision:
    """Decide whether and where *pod* is scraped; never raises, whatever the annotations say."""
    meta, notes = pod.metadata, meta_annotations(pod)
    subject = f"{meta.namespace}/{meta.name}"
    steps: list[str] = []
    why = _refusal(pod, rules, steps)
    if why:
        wanted = notes.get(asked.PREFIX + "scrape") == "true"
        skipped = Skipped(subject=subject, why=why, asked=wanted)
        return Decision(
            subject=subject, uid=meta.uid, steps=(*steps, f"skipped: {why}"), skipped=(skipped,)
        )
    scheme = asked.scheme(asked.present(notes, "scheme"))
    ports, wrong = asked.ports(asked.present(notes, "port"), pod.spec.containers or ())
    where = asked.request_target(asked.present(notes, "path"), notes)
    if scheme is None:
        given = asked.show(asked.present(notes, "scheme") or "")
        ports, wrong = [], [f"scheme annotation {given} is neither http nor https"]
    elif len(where) > asked.MAX_URL_BYTES:
        ports = []
        wrong = [f"path and parameters have {len(where)} bytes, the limit is {asked.MAX_URL_BYTES}"]
    interval, timeout = _pace(notes, rules, steps)
    targets = []
    for port in ports:
        instance = host_port(pod.status.pod_ip, port.number)
        url = f"{scheme}://{instance}{where}"
        owner = f" of container {port.container}" if port.container else ""
        steps.append(f"port {port.number}{owner}: scrape {url} every {interval:g} s")
        targets.append(
            Target(
                url=url,
                job=POD_JOB,
                instance=instance,
                subject=subject,
                attributes=_attributes(pod, port),
                interval=interval,
                timeout=timeout,
                hint=_hint(pod, port),
            )
        )
    steps += [f"skipped: {reason}" for reason in wrong]
    return Decision(
        subject=subject,
        uid=meta.uid,
        steps=tuple(steps),
        targets=tuple(targets),
        skipped=tuple(Skipped(subject=subject, why=reason) for reason in wrong),
    )


def meta_annotations(pod: objects.Pod) -> dict[str, str]:
    """Return the pod's annotations, empty where Kubernetes says null."""
    return pod.metadata.annotations or {}


def _refusal(pod: objects.Pod, rules: Policy, steps: list[str]) -> str:
    """Return why *pod* is not scraped at all, or "" with the steps that let it pass."""
    scrape = meta_annotations(pod).get(asked.PREFIX + "scrape")
    namespace, node, status = pod.metadata.namespace, pod.spec.node_name, pod.status
    checks = (
        (scrape is not None, "", "annotation prometheus.io/scrape is absent"),
        (
            scrape == "true",
            'annotation prometheus.io/scrape is "true"',
            f"annotation prometheus.io/scrape is {asked.show(scrape or '')}, expected true",
        ),
        (
            not rules.node or node == rules.node,
            "",
            f"another node: it is on {node or 'none yet'}, this agent scrapes {rules.node}",
        ),
        (
            not rules.include or namespace in rules.include,
            "",
            f"namespace {namespace} is not among namespaces.include",
        ),
        (
            namespace not in rules.exclude,
            f"namespace {namespace} is scraped",
            f"namespace {namespace} is in namespaces.exclude",
        ),
        (
            status.phase == "Running",
            "phase Running",
            f"phase {status.phase or 'Unknown'}, only Running pods are scraped",
        ),
        (bool(status.pod_ip), f"IP {status.pod_ip}", "no IP yet"),
    )
    for passes, step, why in checks:
        if not passes:
            return why
        if step:
            steps.append(step)
    return ""


def _pace(notes: dict[str, str], rules: Policy, steps: list[str]) -> tuple[float, float]:
    """Return interval and timeout in seconds; for what cannot be read the default holds."""
    chosen = {"interval": rules.interval, "timeout": rules.timeout}
    for name, default in tuple(chosen.items()):
        text = asked.present(notes, name)
        if text is None:
            continue
        value = asked.seconds(text)
        if value is None or not MIN_INTERVAL <= value <= MAX_INTERVAL:
            steps.append(
                f"{name} annotation {asked.show(text)} is not a duration from {MIN_INTERVAL:g} s "
                f"to 1 day like 30s or 1m30s; the default {default:g} s is used"
            )
        else:
            chosen[name] = value
            steps.append(f"{name} {value:g} s by annotation")
    return chosen["interval"], min(chosen["timeout"], chosen["interval"])


def _attributes(pod: objects.Pod, port: asked.Port) -> tuple[tuple[str, str], ...]:
    """Return who it is: enough for the gateway to find the pod without the connection's address."""
    known = (
        ("k8s.pod.uid", pod.metadata.uid),
        ("k8s.pod.name", pod.metadata.name),
        ("k8s.pod.ip", pod.status.pod_ip),
        ("k8s.namespace.name", pod.metadata.namespace),
        ("k8s.node.name", pod.spec.node_name),
        ("k8s.container.name", port.container),
        ("kyma.input.name", INPUT),
    )
    return tuple((key, value) for key, value in known if value)


def _hint(pod: objects.Pod, port: asked.Port) -> str:
    """Return what to say when nothing listens: the annotation may name the wrong port."""
    declared = sorted(
        {
            declared.container_port
            for container in pod.spec.containers or ()
            for declared in container.ports or ()
            if declared.protocol in {"TCP", ""}
        }
    )
    if port.number in declared or not declared:
        return ""
    numbers = ", ".join(map(str, declared))
    return f"prometheus.io/port={port.number} but the container listens on {numbers}"
