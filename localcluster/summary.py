"""What a node's kubelet tells in ``/stats/summary``, made of what its processes use. Pure.

Source: k8s.io/kubelet/pkg/apis/stats/v1alpha1, Summary. Processes have neither a file system nor a
network of their own, so pods have none here.
"""

from __future__ import annotations

from collections.abc import Iterable

from localcluster.kinds import Object
from localcluster.procfs import Sample, Usage

_ID = "process://"


def build(
    node: str, pods: Iterable[Object], now: Sample, before: Sample, *, started: str, time: str
) -> Object:
    """Return the summary of *node* as of *now*; rates are since *before*.

    *started* and *time* are RFC 3339: when the node began, and what it is now.
    """
    elapsed = now.at - before.at
    own: Object = {"nodeName": node, "startTime": started}
    if now.memory:
        total, available = (now.memory.get(key, 0) for key in ("MemTotal", "MemAvailable"))
        own["cpu"] = _cpu(now.busy, before.busy, elapsed, time)
        own["memory"] = {
            "time": time,
            "availableBytes": available,
            "usageBytes": total - now.memory.get("MemFree", 0),
            "workingSetBytes": total - available,
            "rssBytes": now.memory.get("AnonPages", 0),
        }
        found = [
            {"name": name, "rxBytes": rx, "rxErrors": rx_errors, "txBytes": tx,
             "txErrors": tx_errors}
            for name, (rx, rx_errors, tx, tx_errors) in now.interfaces.items()
        ]  # fmt: skip
        own["network"] = {"time": time, "interfaces": found}
    return {"node": own, "pods": [_pod(pod, now, before, time) for pod in pods]}


def _pod(pod: Object, now: Sample, before: Sample, time: str) -> Object:
    metadata, status = pod["metadata"], pod.get("status") or {}
    found: Object = {
        "podRef": {key: metadata[key] for key in ("name", "namespace", "uid")},
        "startTime": status.get("startTime"),
    }
    containers = []
    whole, earlier = Usage(), Usage()
    for described in status.get("containerStatuses") or ():
        running = described["state"].get("running")
        session = _session(described.get("containerID", ""))
        used = now.sessions.get(session)
        if not running or used is None:
            continue
        past = before.sessions.get(session, used)
        whole, earlier = whole + used, earlier + past
        named = {"name": described["name"], "startTime": running["startedAt"]}
        containers.append(named | _used(used, past, now.at - before.at, time))
    found["containers"] = containers
    return found | (_used(whole, earlier, now.at - before.at, time) if containers else {})


def _session(container: str) -> int:
    number = container.removeprefix(_ID)
    return int(number) if number.isdigit() else -1


def _used(used: Usage, before: Usage, elapsed: float, time: str) -> Object:
    return {
        "cpu": _cpu(used.cpu, before.cpu, elapsed, time),
        "memory": {
            "time": time,
            "usageBytes": used.memory,
            "workingSetBytes": used.memory,
            "rssBytes": used.memory,
            "pageFaults": used.faults,
            "majorPageFaults": used.major_faults,
        },
    }


def _cpu(seconds: float, before: float, elapsed: float, time: str) -> Object:
    found: Object = {"time": time, "usageCoreNanoSeconds": round(seconds * 1e9)}
    if elapsed > 0:
        found["usageNanoCores"] = max(0, round((seconds - before) / elapsed * 1e9))
    return found
