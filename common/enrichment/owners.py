"""Which workload a pod belongs to, told from the pod alone.

ReplicaSets and Jobs are never watched: on a large cluster they outnumber the pods, and what they
would add can be read off names that their controllers make by rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from common.kube import objects

HASH_LABEL: Final = "pod-template-hash"
DAY: Final = timedelta(days=1)

# Resource attributes, in the order in which workloads lend their names to services.
DEPLOYMENT: Final = "k8s.deployment.name"
REPLICASET: Final = "k8s.replicaset.name"
STATEFULSET: Final = "k8s.statefulset.name"
DAEMONSET: Final = "k8s.daemonset.name"
CRONJOB: Final = "k8s.cronjob.name"
JOB: Final = "k8s.job.name"
_DIRECT: Final = {
    "ReplicaSet": REPLICASET,
    "StatefulSet": STATEFULSET,
    "DaemonSet": DAEMONSET,
    "Job": JOB,
}


def workloads(metadata: objects.Metadata) -> dict[str, str]:
    """Return resource attributes for the owners of a pod: key to name, the outermost owner first.

    A ReplicaSet whose name ends in the pod's ``pod-template-hash`` is a Deployment's, a Job whose
    name ends in minutes near the pod's creation is a CronJob's; both are then named, as upstream.
    """
    owner = _controller(metadata.owner_references or ())
    key = _DIRECT.get(owner.kind) if owner is not None else None
    if owner is None or key is None:
        return {}
    found = {key: owner.name}
    if key == REPLICASET:
        template = (metadata.labels or {}).get(HASH_LABEL, "")
        deployment = owner.name.removesuffix(f"-{template}")
        if template and deployment not in {"", owner.name}:
            return {DEPLOYMENT: deployment, **found}
    elif key == JOB and (cronjob := _cronjob(owner.name, metadata.creation_timestamp or "")):
        return {CRONJOB: cronjob, **found}
    return found


def _controller(owners: Sequence[objects.OwnerReference]) -> objects.OwnerReference | None:
    """Choose the reference that controls the pod; objects made by hand may have none that does."""
    return next((o for o in owners if o.controller), owners[0] if owners else None)


def _cronjob(job: str, created: str) -> str:
    """Return the CronJob of *job* or "".

    The CronJob controller names Jobs ``<cron>-<minutes since 1970>``. A Job called ``run-20240101``
    by its author must not become CronJob ``run``, so the minutes have to be near the creation.
    """
    name, _, digits = job.rpartition("-")
    if not (name and 8 <= len(digits) <= 10 and digits.isascii() and digits.isdigit()):
        return ""
    try:
        at = datetime.fromisoformat(created).timestamp()
    except ValueError:
        return ""
    return name if abs(int(digits) * 60 - at) <= DAY.total_seconds() else ""
