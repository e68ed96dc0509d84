"""What the annotations of one Pod or Service wish for, and how a port is then asked. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast, final

from agent import urls
from agent.discovery import annotations as asked, workloads
from agent.discovery.policy import Policy, Scope
from agent.targets import Decision, Kind, Skipped, Step, Target
from common.config import input_names

MIN_INTERVAL: Final = 0.1  # seconds
MAX_INTERVAL: Final = 86_400.0  # seconds
# Ports of Istio's sidecar: metrics of the workload merged with its own, and its own alone. Its
# injection annotates every pod of the mesh with the first one unless enablePrometheusMerge is off.
SIDECAR_PORTS: Final = frozenset({15020, 15090})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wished for; ``wrong`` is why none of it can be, or ``None``."""

    scheme: asked.Scheme | None
    where: str
    interval: float
    timeout: float
    drop_lines: bool
    container: str
    port: str | None
    steps: tuple[Step, ...]
    wrong: Step | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How a port is asked: see `Target.credentials`."""

    scheme: asked.Scheme
    credentials: str


def admitted(
    notes: asked.Notes, namespace: str, scope: Scope, whose: str
) -> tuple[list[Step], Step | None]:
    """Return which checks *notes* pass, and the first that they do not.

    *whose* they are is said where they have to be mended: "the pod", "the Service".
    """
    scrape = notes.values.get("scrape")
    remedy = f'annotate {whose} with prometheus.io/scrape: "true"'
    if scrape is None:
        return [], Step("annotation prometheus.io/scrape is absent", "fail", remedy)
    if scrape != "true":
        wrong = f"annotation prometheus.io/scrape is {asked.show(scrape)}, expected true"
        return [], Step(wrong, "fail", remedy)
    passed = [Step('annotation prometheus.io/scrape is "true"')]
    if notes.excess:
        wrong = (
            f"prometheus.io annotations have {notes.excess} characters, "
            f"the limit is {asked.MAX_NOTES_BYTES}"
        )
        return passed, Step(wrong, "fail", "shorten them")
    judged = scope.judge(namespace)
    if judged.verdict == "fail":
        return passed, judged
    return [*passed, judged], None


def read(notes: asked.Notes, scope: Scope) -> Wish:
    """Read *notes*; never raises, whatever they say."""
    steps: list[Step] = []
    scheme, where = notes.get("scheme") or "", asked.request_target(notes.get("path"), notes.values)
    wrong: Step | None = None
    if scheme not in {"", "http", "https"}:
        words = f"scheme annotation {asked.show(scheme)} is neither http nor https"
        wrong = Step(words, "fail", "write one of them, or leave it out")
    elif len(where) > asked.MAX_URL_BYTES:
        words = f"path and parameters have {len(where)} bytes, the limit is {asked.MAX_URL_BYTES}"
        wrong = Step(words, "fail", "shorten them")
    interval, timeout = _pace(notes, scope, steps)
    on_error = notes.get("on_error") or "fail"
    if on_error == "drop_line":
        steps.append(Step("on_error drop_line by annotation: bad lines cost themselves only"))
    elif on_error != "fail":
        words = f"on_error annotation {asked.show(on_error)} is neither fail nor drop_line"
        steps.append(Step(f"{words}; fail is used", "note", "write one of them"))
    return Wish(
        scheme=cast("asked.Scheme", scheme) if scheme in {"http", "https"} else None,
        where=where,
        interval=interval,
        timeout=timeout,
        drop_lines=on_error == "drop_line",
        container=notes.get("container") or "",
        port=notes.get("port"),
        steps=tuple(steps),
        wrong=wrong,
    )


def _pace(notes: asked.Notes, scope: Scope, steps: list[Step]) -> tuple[float, float]:
    """Return interval and timeout in seconds; for what cannot be read the default holds."""
    chosen = {"interval": scope.interval, "timeout": scope.timeout}
    for name, default in tuple(chosen.items()):
        text = notes.get(name)
        if text is None:
            continue
        value = asked.seconds(text)
        if value is None or not MIN_INTERVAL <= value <= MAX_INTERVAL:
            words = (
                f"{name} annotation {asked.show(text)} is not a duration from {MIN_INTERVAL:g} s "
                f"to 1 day like 30s or 1m30s; the default {default:g} s is used"
            )
            steps.append(Step(words, "note", "write a duration, or leave it out"))
        else:
            chosen[name] = value
            steps.append(Step(f"{name} {value:g} s by annotation"))
    return chosen["interval"], min(chosen["timeout"], chosen["interval"])


def reach(
    wish: Wish, workload: workloads.Workload | None, port: asked.Port, rules: Policy
) -> Reach | Step:
    """Return how *port* is asked, or why it cannot be.

    Pods of the mesh take mutual TLS, so that is how they are asked unless an annotation says http.
    Ports of the sidecar are asked only then, too: what it measures is another input's, with a
    choice of its own, and would come a second time, whole, from every pod of the mesh.
    """
    mesh = workload is not None and workload.mesh
    if mesh and wish.scheme is None and port.number in SIDECAR_PORTS:
        return Step(
            f"port {port.number} is of Istio's sidecar, whose metrics inputs.istio takes; its "
            "injection may have written that annotation (enablePrometheusMerge)",
            "fail",
            'annotate the pod with prometheus.istio.io/merge-metrics: "false" and with the port of '
            "the workload, or with prometheus.io/scheme: http to scrape the sidecar's all the same",
        )
    if mesh and wish.scheme != "http":
        if rules.mesh:
            return Reach(scheme="https", credentials="mesh")
        return Step(
            "the pod is in the mesh (label security.istio.io/tlsMode=istio), which takes mutual "
            "TLS, and inputs.prometheus.mesh_certificates is not set",
            "fail",
            "set it, or annotate prometheus.io/scheme: http where the port takes plain HTTP",
        )
    scheme = wish.scheme or "http"
    proven = scheme == "https" or rules.proves
    return Reach(scheme=scheme, credentials="prometheus" if proven else "")


def target(
    wish: Wish,
    reached: Reach,
    rules: Policy,
    *,
    kind: Kind,
    job: str,
    subject: str,
    host: str,
    port: asked.Port,
    attributes: tuple[tuple[str, str], ...],
    hint: str = "",
    labels: tuple[tuple[str, str], ...] = (),
) -> Target:
    """Make the target that *wish* asks for at *port* of *host*."""
    instance = urls.host_port(host, port.number)
    return Target(
        url=f"{reached.scheme}://{instance}{wish.where}",
        job=job,
        instance=instance,
        subject=subject,
        attributes=attributes,
        interval=wish.interval,
        timeout=wish.timeout,
        hint=hint,
        kind=kind,
        labels=labels,
        drop_lines=wish.drop_lines,
        honor_labels=rules.honor_labels,
        honor_timestamps=rules.honor_timestamps,
        credentials=reached.credentials,
    )


def scraped(found: Target, port: asked.Port) -> Step:
    """Say that *port* is scraped, how and how often."""
    owner = f" of container {port.container}" if port.container else ""
    secured = " with the certificates of the mesh" if found.credentials == "mesh" else ""
    return Step(
        f"port {port.number}{owner}: scrape {found.url} every {found.interval:g} s{secured}"
    )


def decided(
    subject: str,
    uid: str,
    steps: list[Step],
    found: tuple[Target, ...] = (),
    wrong: tuple[Step, ...] = (),
    *,
    kind: Kind,
    service: str = "",
    wanted: bool = True,
) -> Decision:
    """Put a decision together: each of *wrong* is a step, and an entry among what is skipped."""
    wrong = tuple(dict.fromkeys(wrong))
    named = f"Service {service}: " if service and subject != f"Service {service}" else ""
    return Decision(
        subject=subject,
        uid=uid,
        steps=(*steps, *wrong),
        targets=found,
        skipped=tuple(
            Skipped(
                subject=subject,
                why=f"{named}{w.text}",
                asked=wanted,
                remedy=w.remedy,
                service=service,
            )
            for w in wrong
        ),
        kind=kind,
        service=service,
    )


def podless(node: str, namespace: str, service: str) -> tuple[tuple[str, str], ...]:
    """Return the resource attributes of an endpoint that no pod stands behind: its Service's."""
    return (
        ("service.name", service),
        ("k8s.namespace.name", namespace),
        ("k8s.node.name", node),
        (input_names.ATTRIBUTE, input_names.PROMETHEUS),
    )
