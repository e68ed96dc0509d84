"""Decides which of Istio's sidecars are scraped: kyma.input.name is "istio". Pure."""

from __future__ import annotations

from typing import Final

from agent import urls
from agent.discovery.policy import Policy, Scope
from agent.discovery.wishes import decided
from agent.discovery.workloads import PROXY, Workload
from agent.targets import Decision, Step, Target
from common.config import input_names

JOB: Final = "istio-proxy"
PORT: Final = "http-envoy-prom"  # by name, as Istio's injection declares it: 15090
PATH: Final = "/stats/prometheus"


def decide(pod: Workload, rules: Policy, scope: Scope) -> Decision | None:
    """Decide whether the sidecar of *pod* is scraped; ``None`` for a pod that has none."""
    proxy = next((container for container in pod.containers if container.name == PROXY), None)
    if proxy is None:
        return None
    steps = [Step(f"container {PROXY} is there")]
    refusal: Step | None = scope.judge(pod.namespace)
    if refusal is not None and refusal.verdict == "pass":
        steps.append(refusal)
        standing, refusal = pod.standing(rules.node)
        steps += standing
    if refusal is not None:
        # Nobody asked for this very sidecar: it is left out as the configuration says.
        return decided(pod.subject, pod.uid, steps, wrong=(refusal,), kind="sidecar", wanted=False)
    number = next((p.container_port for p in proxy.ports or () if p.name == PORT), 0)
    if not number:
        known = ", ".join(sorted(p.name for p in proxy.ports or () if p.name)) or "none"
        wrong = Step(
            f"container {PROXY} declares no port {PORT} (named ports: {known})",
            "fail",
            "inject the sidecar again, with Istio's own template",
        )
        return decided(pod.subject, pod.uid, steps, wrong=(wrong,), kind="sidecar")
    instance = urls.host_port(pod.address, number)
    target = Target(
        url=f"http://{instance}{PATH}",
        job=JOB,
        instance=instance,
        subject=pod.subject,
        attributes=pod.attributes(PROXY, input_names.ISTIO),
        interval=scope.interval,
        timeout=min(scope.timeout, scope.interval),
        kind="sidecar",
        choice=rules.choice,
        honor_labels=rules.honor_labels,
        honor_timestamps=rules.honor_timestamps,
    )
    kept = ", ".join(f"{prefix}*" for prefix in rules.choice.prefixes)
    steps.append(
        Step(f"port {number} is {PORT}: scrape {target.url} every {target.interval:g} s for {kept}")
    )
    return decided(pod.subject, pod.uid, steps, (target,), kind="sidecar")
