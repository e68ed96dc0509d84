"""Pods, Services and slices as values, for the tests of what is decided about them."""

from agent.discovery import policy, services, workloads
from agent.discovery.policy import Policy, Scope
from common.kube import objects

SCOPE = Scope(setting="inputs.prometheus", interval=30.0, timeout=10.0)
ISTIO = Scope(setting="inputs.istio", interval=20.0, timeout=10.0)
RULES = Policy(node="n1", workloads=SCOPE, services=True)
PROXY = objects.Container(
    name="istio-proxy",
    ports=(objects.ContainerPort(name="http-envoy-prom", container_port=15090),),
)


def asking(**notes: str) -> dict[str, str]:
    return {"prometheus.io/scrape": "true"} | {f"prometheus.io/{k}": v for k, v in notes.items()}


def pod(
    notes: dict[str, str] | None = None,
    *,
    name: str = "p",
    ip: str = "10.0.0.1",
    phase: str = "Running",
    node: str = "n1",
    ports: tuple[int, ...] = (8080,),
    namespace: str = "shop",
    labels: dict[str, str] | None = None,
    more: tuple[objects.Container, ...] = (),
    initial: tuple[objects.Container, ...] = (),
    host_network: bool = False,
) -> objects.Pod:
    declared = tuple(objects.ContainerPort(container_port=port) for port in ports)
    once = objects.Container(name="init", ports=(objects.ContainerPort(container_port=1234),))
    return objects.Pod(
        metadata=objects.Metadata(
            name=name, namespace=namespace, uid=f"uid-{name}", annotations=notes, labels=labels
        ),
        spec=objects.PodSpec(
            node_name=node,
            host_network=host_network,
            containers=(objects.Container(name="app", ports=declared), *more),
            init_containers=(once, *initial),
        ),
        status=objects.PodStatus(phase=phase, pod_ip=ip),
    )


def workload(notes: dict[str, str] | None = None, **what: object) -> workloads.Workload:
    return workloads.seen(pod(notes, **what))  # type: ignore[arg-type]


MESH = {"security.istio.io/tlsMode": "istio"}


def service(
    notes: dict[str, str] | None = None,
    *,
    name: str = "web",
    namespace: str = "shop",
    ports: tuple[tuple[str, int], ...] = (("", 80),),
) -> services.Service:
    return services.shrink_service(
        objects.Service(
            metadata=objects.Metadata(name=name, namespace=namespace, annotations=notes),
            spec=objects.ServiceSpec(
                ports=tuple(objects.ServicePort(name=n, port=number) for n, number in ports)
            ),
        )
    )


def endpoint(
    *addresses: str, pod: str = "p", uid: str | None = None, node: str | None = "n1"
) -> objects.Endpoint:
    reference = objects.ObjectReference(
        kind="Pod", name=pod, uid=f"uid-{pod}" if uid is None else uid
    )
    return objects.Endpoint(
        addresses=addresses or ("10.0.0.1",), node_name=node, target_ref=reference if pod else None
    )


def slice_of(
    *endpoints: objects.Endpoint,
    service: str = "web",
    name: str = "",
    namespace: str = "shop",
    ports: tuple[tuple[str, int | None], ...] = (("", 8080),),
    protocol: str = "TCP",
    kind: str = "IPv4",
) -> services.Slice:
    shrink = services.shrinking("n1")
    return shrink(
        objects.EndpointSlice(
            metadata=objects.Metadata(
                name=name or f"{service}-x",
                namespace=namespace,
                labels={services.SERVICE_LABEL: service},
            ),
            address_type=kind,
            endpoints=endpoints or (endpoint(),),
            ports=tuple(
                objects.EndpointPort(name=n, port=number, protocol=protocol) for n, number in ports
            ),
        )
    )


def istio(**changes: object) -> Policy:
    choice = policy.Choice(prefixes=("istio_",))
    return Policy(node="n1", workloads=SCOPE, sidecars=ISTIO, choice=choice, **changes)  # type: ignore[arg-type]
