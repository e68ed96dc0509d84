"""What the kubelet writes into a Pod's status, from the states of its containers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from localcluster.kinds import Object
from localcluster.podspec import Addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Not started, or not started again yet."""

    reason: str = "ContainerCreating"
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Started at *since* (a timestamp as Kubernetes writes it)."""

    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminated:
    """Ended with an exit code; one above 128 tells the signal, as a shell has it."""

    code: int
    since: str
    until: str

    @property
    def reason(self) -> str:
        """The reason that kubectl shows."""
        return "Error" if self.code else "Completed"


State = Waiting | Running | Terminated


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container as it is now."""

    name: str
    image: str
    state: State
    id: str = ""
    ready: bool = False
    restarts: int = 0
    last: Terminated | None = None  # how it ended before it was started again

    def started(self, identity: str, since: str, *, ready: bool) -> Container:
        """Return the container after a start."""
        return replace(self, state=Running(since=since), id=identity, ready=ready)

    def ended(self, code: int, until: str) -> Container:
        """Return the container after its process has ended."""
        since = self.state.since if isinstance(self.state, Running) else until
        return replace(self, state=Terminated(code=code, since=since, until=until), ready=False)

    def backing_off(self, seconds: float) -> Container:
        """Return the container while it waits to be started again."""
        ended = self.state if isinstance(self.state, Terminated) else None
        message = f"back-off {seconds:g}s restarting failed container={self.name}"
        waiting = Waiting(reason="CrashLoopBackOff", message=message)
        return replace(self, state=waiting, last=ended, restarts=self.restarts + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait before a restart, in seconds: doubling, and forgotten after a good run."""

    first: float = 1.0
    longest: float = 30.0
    forgotten_after: float = 60.0

    def delay(self, previous: float, ran_for: float) -> float:
        """Return the wait after a run of *ran_for* seconds; *previous* is the wait before it."""
        if not previous or ran_for >= self.forgotten_after:
            return self.first
        return min(self.longest, previous * 2)


def restarts(policy: str, code: int) -> bool:
    """Tell whether a container that ended with *code* is started again."""
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def phase(policy: str, states: Sequence[State]) -> str:
    """Return the Pod's phase (Pod lifecycle: Pending, Running, Succeeded, Failed)."""
    ended = [s for s in states if isinstance(s, Terminated)]
    if len(ended) == len(states) and not any(restarts(policy, s.code) for s in ended):
        return "Failed" if any(s.code for s in ended) else "Succeeded"
    held_up = {"ContainerCreating", "CreateContainerConfigError", "RunContainerError"}
    if any(isinstance(s, Waiting) and s.reason in held_up for s in states):
        return "Pending"
    return "Running"


def status(
    pod: Object,
    containers: Sequence[Container],
    addresses: Addresses,
    *,
    started: str,
    now: str,
    over: bool = False,
) -> Object:
    """Return the whole status of *pod*; *over* says that nothing will be started again.

    Conditions keep their lastTransitionTime while they do not change.
    """
    policy = "Never" if over else pod["spec"].get("restartPolicy", "Always")
    current = phase(policy, [c.state for c in containers])
    done = current in {"Succeeded", "Failed"}
    ready = not done and all(c.ready for c in containers)
    unready = [c.name for c in containers if not c.ready]
    why = "PodCompleted" if done else "ContainersNotReady"
    message = f"containers with unready status: [{' '.join(unready)}]"
    problem = {} if ready else {"reason": why, "message": message}
    known = {c["type"]: c for c in (pod.get("status") or {}).get("conditions") or ()}
    conditions = [
        _condition("Initialized", True, known, now, {}),
        _condition("Ready", ready, known, now, problem),
        _condition("ContainersReady", ready, known, now, problem),
        _condition("PodScheduled", True, known, now, {}),
    ]
    return {
        "phase": current,
        "conditions": conditions,
        "hostIP": addresses.host,
        "hostIPs": [{"ip": addresses.host}],
        "podIP": addresses.pod,
        "podIPs": [{"ip": addresses.pod}],
        "startTime": started,
        "qosClass": "BestEffort",
        "containerStatuses": [_container(c) for c in containers],
    }


def _condition(
    name: str, value: bool, known: dict[str, Object], now: str, more: Object  # noqa: FBT001 - private
) -> Object:  # fmt: skip
    text = "True" if value else "False"
    before = known.get(name) or {}
    since = before.get("lastTransitionTime") if before.get("status") == text else None
    return {"type": name, "status": text, "lastTransitionTime": since or now, **more}


def _container(container: Container) -> Object:
    described: Object = {
        "name": container.name,
        "image": container.image,
        "imageID": container.image,
        "ready": container.ready,
        "started": isinstance(container.state, Running),
        "restartCount": container.restarts,
        "state": _state(container.state),
        "lastState": _state(container.last) if container.last else {},
    }
    return described | ({"containerID": container.id} if container.id else {})


def _state(state: State) -> Object:
    match state:
        case Waiting(reason=reason, message=message):
            return {"waiting": {"reason": reason} | ({"message": message} if message else {})}
        case Running(since=since):
            return {"running": {"startedAt": since}}
        case Terminated(code=code, since=since, until=until):
            signal = {"signal": code - 128} if code > 128 else {}
            ended = {"exitCode": code, "startedAt": since, "finishedAt": until}
            return {"terminated": ended | signal | {"reason": state.reason}}
        case _ as never:
            assert_never(never)
