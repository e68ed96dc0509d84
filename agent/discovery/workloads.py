"""What is kept of a pod of this node: enough to decide about it, by whosever annotations. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from agent.discovery import annotations as asked
from agent.targets import Step
from common.config import input_names
from common.kube import objects

PROXY: Final = "istio-proxy"  # the container of Istio's sidecar
_MESH: Final = ("security.istio.io/tlsMode", "istio")  # label of pods that take mutual TLS


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A pod: who it is, where it is, what it declares and what it asks for."""

    namespace: str
    name: str
    uid: str
    node: str
    phase: str
    address: str
    """Its primary IP, or ""."""
    containers: tuple[objects.Container, ...]
    """Those that run as long as the pod does, with their TCP ports."""
    notes: asked.Notes = asked.NOTHING
    mesh: bool = False
    """Whether it takes Istio's mutual TLS."""
    host_network: bool = False

    @property
    def subject(self) -> str:
        """Return "namespace/name"."""
        return f"{self.namespace}/{self.name}"

    def standing(self, node: str) -> tuple[list[Step], Step | None]:
        """Return which checks it passes on *node*, ours, and the first that it does not."""
        passed: list[Step] = []
        if self.node != node:
            wrong = f"another node: it is on {self.node or 'none yet'}, this agent scrapes {node}"
            remedy = f"ask the agent on {self.node}" if self.node else "wait until it is scheduled"
            return passed, Step(wrong, "fail", remedy)
        passed.append(Step(f"on this node, {node}"))
        if self.phase != "Running":
            wrong = f"phase {self.phase or 'Unknown'}, only Running pods are scraped"
            over = self.phase in objects.TERMINAL
            return passed, Step(wrong, "fail", "" if over else "see why it does not run")
        passed.append(Step("phase Running"))
        if not self.address:
            return passed, Step("no IP yet", "fail", "wait; the kubelet has not told it")
        passed.append(Step(f"IP {self.address}"))
        if self.host_network:
            passed.append(Step("on the host's network: its ports are the node's", "note"))
        return passed, None

    def attributes(self, container: str, name: str) -> tuple[tuple[str, str], ...]:
        """Return who it is: enough for a gateway to find the pod without the sender's address.

        *name* is that of the input.
        """
        known = (
            ("k8s.pod.uid", self.uid),
            ("k8s.pod.name", self.name),
            ("k8s.pod.ip", self.address),
            ("k8s.namespace.name", self.namespace),
            ("k8s.node.name", self.node),
            ("k8s.container.name", container),
            (input_names.ATTRIBUTE, name),
        )
        return tuple((key, value) for key, value in known if value)

    @property
    def ordinary(self) -> tuple[objects.Container, ...]:
        """Return its containers but for Istio's sidecar, which is another input's."""
        return tuple(container for container in self.containers if container.name != PROXY)

    def hint(self, port: int, whose: str = "") -> str:
        """Return what to say when nothing listens on *port*: an annotation may name a wrong one."""
        declared = sorted(
            {each.container_port for found in self.ordinary for each in found.ports or ()}
        )
        if port in declared or not declared:
            return ""
        numbers = ", ".join(map(str, declared))
        return f"prometheus.io/port={port}{whose} but the container listens on {numbers}"


def seen(pod: objects.Pod) -> Workload:
    """Keep of *pod* what decisions need.

    Init containers are over before the pod serves; those with restartPolicy Always are sidecars and
    run beside the others (Kubernetes, "Sidecar containers").
    """
    meta, spec, status = pod.metadata, pod.spec, pod.status
    lasting = [c for c in spec.init_containers or () if c.restart_policy == "Always"]
    return Workload(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        node=spec.node_name,
        phase=status.phase,
        address=status.pod_ip,
        containers=tuple(
            objects.Container(
                name=container.name,
                ports=tuple(p for p in container.ports or () if p.protocol in {"TCP", ""}),
            )
            for container in (*(spec.containers or ()), *lasting)
        ),
        notes=asked.kept(meta.annotations),
        mesh=(meta.labels or {}).get(_MESH[0]) == _MESH[1],
        host_network=spec.host_network,
    )
