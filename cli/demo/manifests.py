"""What the demo applies to its cluster: plain Kubernetes objects. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.service.address import Address

Object = dict[str, Any]
SYSTEM = "headgate-system"
NAMESPACES = ("shop", "billing", "guests", SYSTEM)
DOWNWARD = {
    "POD_NAME": "metadata.name",
    "POD_UID": "metadata.uid",
    "POD_IP": "status.podIP",
    "NODE_NAME": "spec.nodeName",
    "HOST_IP": "status.hostIP",
}
LINGER, INTERVAL = 0.5, 2.0
_NO_LABELS: Mapping[str, str] = {}
KUBELET_PORT = 19255  # on each node's own address, in plain HTTP; none that others take


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Files that the programs read, written by the demo before they start."""

    gateway: str
    agent: str
    token: str
    kubeconfig: str


def namespaces() -> list[Object]:
    """Return the namespaces of the demo."""
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in NAMESPACES]


def applications(otlp: Mapping[str, str]) -> list[Object]:
    """Return the applications; *otlp* has the gateway's ``grpc`` and ``http`` URLs."""
    pusher, exposer = "localcluster.workloads.pusher", "localcluster.workloads.exposer"
    resource = {"OTEL_RESOURCE_ATTRIBUTES": "k8s.pod.uid=$(POD_UID),k8s.pod.ip=$(POD_IP)"}
    return [
        deployment("shop", "cart", module=pusher, environment={
            **resource,
            "OTEL_EXPORTER_OTLP_ENDPOINT": otlp["grpc"],
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        }, beside=[sidecar("shop", "cart", clients=["frontend", "telemetry-agent"])]),
        deployment("shop", "checkout", module=pusher, environment={
            **resource,
            "OTEL_EXPORTER_OTLP_ENDPOINT": otlp["http"],
            "OTEL_SERVICE_NAME": "checkout-api",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }),
        deployment("shop", "frontend", module=exposer, ports={"http": 8080}, replicas=2,
            annotations={"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}),
        deployment("shop", "catalog", module=exposer, ports={"http": 8080, "admin": 8081}),
        service("shop", "catalog", ports=("http", "admin")),
        deployment("billing", "invoices", module=exposer, ports={"http": 9102},
            arguments=["--path", "/stats/prometheus", "--need", "format=prometheus"],
            annotations={
                "prometheus.io/scrape": "true", "prometheus.io/port": "9102",
                "prometheus.io/path": "/stats/prometheus",
                "prometheus.io/param_format": "prometheus",
            }),
        deployment("billing", "legacy", module=exposer, ports={"http": 8080}, annotations={
            "prometheus.io/scrape": "true", "prometheus.io/port": "9999",
        }),
        deployment("billing", "archive", module="localcluster.workloads.idler"),
    ]  # fmt: skip


def gateway(paths: Paths) -> Object:
    """Return the gateway, as a Deployment of one."""
    return program("Deployment", "telemetry-gateway", "gateway", paths.gateway, paths)


def agents(paths: Paths) -> Object:
    """Return the agents, one on every node."""
    return program("DaemonSet", "telemetry-agent", "agent", paths.agent, paths)


def guest(name: str, at: Address, node: str) -> tuple[Object, Object]:
    """Return a pod for a process that runs already at *at*, and the status to give it.

    The annotation ``kubernetes.io/config.mirror`` says that no kubelet starts it, as for any pod
    that only mirrors what runs on its node.
    """
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "guests",
            "labels": {"app.kubernetes.io/name": name},
            "annotations": {
                "kubernetes.io/config.mirror": name,
                "prometheus.io/scrape": "true",
                "prometheus.io/port": str(at.port),
            },
        },
        "spec": {
            "nodeName": node,
            "hostNetwork": True,
            "containers": [
                {"name": "exporter", "image": "exporter", "ports": [{"containerPort": at.port}]}
            ],
        },
    }
    status: Object = {
        "phase": "Running",
        "podIP": at.host,
        "podIPs": [{"ip": at.host}],
        "hostIP": at.host,
    }
    return pod, status


def gateway_document(*, grpc: str, http: str, outputs: Mapping[str, str], token: str) -> Object:
    """Return gateway.yaml; *outputs* has the sink's URL for each of its doors, by name."""
    batch = {"linger": LINGER}
    return {
        "listen": {"grpc": grpc, "http": http},
        "admin": {"health": "${env:POD_IP}:13133", "metrics": "${env:POD_IP}:8888"},
        "enrichment": {
            "cluster_name": "demo",
            "pod_labels": [{"key_prefix": "app.kubernetes.io/"}],
        },
        "agents": {"token_file": token},
        "pipelines": [
            {
                "name": "everything",
                "batch": batch,
                "inputs": {
                    "istio": {"enabled": True, "envoy_metrics": True},
                    "runtime": {"enabled": True, "namespaces": {"exclude": [SYSTEM]}},
                },
                "output": {"otlp": {"endpoint": outputs["otlp_grpc"]}},
            },
            {
                "name": "shop",
                "batch": batch,
                "inputs": {
                    "otlp": {
                        "namespaces": {"include": ["shop"]},
                        "metrics": {"exclude": ["shop.queue.*"]},
                    },
                    "prometheus": {"namespaces": {"include": ["shop"]}},
                    "istio": {"enabled": True, "namespaces": {"include": ["shop"]}},
                },
                "output": {
                    "otlp": {
                        "endpoint": outputs["otlp_http"],
                        "protocol": "http",
                        "compression": "gzip",
                    }
                },
            },
            {
                "name": "scraped",
                "batch": batch,
                "inputs": {
                    "otlp": {"enabled": False},
                    "prometheus": {"diagnostic_metrics": True},
                    "runtime": {"enabled": True, "resources": {"apiserver": True}},
                },
                "output": {"remote_write": {"url": outputs["remote_write"]}},
            },
        ],
    }


def agent_document(*, gateway: str, token: str) -> Object:
    """Return agent.yaml; *gateway* is the gateway's gRPC endpoint as a URL."""
    return {
        "node": "${env:NODE_NAME}",
        "admin": {"health": "${env:POD_IP}:13133", "metrics": "${env:POD_IP}:8888"},
        "gateway": {"endpoint": gateway, "token_file": token, "batch": {"linger": LINGER}},
        "scraping": {"interval": INTERVAL, "timeout": 1.0},
        "inputs": {
            "istio": {"enabled": True, "envoy_metrics": True},
            "runtime": {
                "enabled": True,
                "kubelet": {"endpoint": f"http://${{env:HOST_IP}}:{KUBELET_PORT}"},
                "resources": {"apiserver": True},
            },
        },
    }


def program(kind: str, name: str, command: str, config: str, paths: Paths) -> Object:
    """Return one of our own programs, as a cluster would run it."""
    container = {
        "name": command,
        "image": f"headgate-{command}",
        "command": [sys.executable, "-m", "cli.main", command],
        "args": ["--config", config, "--kubeconfig", paths.kubeconfig],
        "env": _environment({}),
    }
    return _workload(
        kind, SYSTEM, name, [container],
        annotations={}, replicas=1, labels={"app.kubernetes.io/component": command},
    )  # fmt: skip


def deployment(
    namespace: str,
    name: str,
    *,
    module: str,
    ports: Mapping[str, int] | None = None,
    arguments: Sequence[str] = (),
    annotations: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    replicas: int = 1,
    beside: Sequence[Object] = (),
) -> Object:
    """Return an application: ``python -m module`` on the pod's own address.

    *ports* are those it listens on, by name; *beside* are further containers.
    """
    declared = [{"name": n, "containerPort": p} for n, p in (ports or {}).items()]
    listen = ["--address", "$(POD_IP)"] if declared else []
    listen += [f"--port={port['containerPort']}" for port in declared]
    container = {
        "name": "app",
        "image": f"{name}:1.0.0",
        "command": [sys.executable, "-m", module, *listen, *arguments],
        "env": _environment(environment or {}),
        "ports": declared,
    }
    return _workload(
        "Deployment", namespace, name, [container, *beside],
        annotations=annotations or {}, replicas=replicas,
    )  # fmt: skip


def sidecar(namespace: str, workload: str, *, clients: Sequence[str]) -> Object:
    """Return a container that tells what Istio's would, of requests of *clients* to *workload*."""
    whose = ["--workload", workload, "--namespace", namespace]
    return {
        "name": "istio-proxy",
        "image": "istio-proxy:1.0.0",
        "command": [
            sys.executable, "-m", "localcluster.workloads.sidecar", "--address", "$(POD_IP)",
            *whose, *(f"--client={client}" for client in clients),
        ],
        "env": _environment({}),
        "ports": [{"name": "http-envoy-prom", "containerPort": 15090}],
    }  # fmt: skip


def service(namespace: str, name: str, *, ports: Sequence[str]) -> Object:
    """Return a Service, all of whose *ports* (names of its pods') are to be scraped."""
    labels = {"app.kubernetes.io/name": name}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels,
            "annotations": {"prometheus.io/scrape": "true"},
        },
        "spec": {
            "selector": labels,
            "ports": [
                {"name": port, "port": 80 + i, "targetPort": port} for i, port in enumerate(ports)
            ],
        },
    }


def _workload(
    kind: str,
    namespace: str,
    name: str,
    containers: Sequence[Mapping[str, object]],
    *,
    annotations: Mapping[str, str],
    replicas: int,
    labels: Mapping[str, str] = _NO_LABELS,
) -> Object:
    chosen = {"app.kubernetes.io/name": name}
    labels = {**chosen, **labels}
    template = {
        "metadata": {"labels": labels, "annotations": dict(annotations)},
        "spec": {
            "containers": [dict(each) for each in containers],
            "terminationGracePeriodSeconds": 15,
        },
    }
    spec: Object = {"selector": {"matchLabels": chosen}, "template": template}
    if kind == "Deployment":
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": spec,
    }


def _environment(more: Mapping[str, str]) -> list[Object]:
    downward: list[Object] = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in DOWNWARD.items()
    ]
    return downward + [{"name": name, "value": value} for name, value in more.items()]
