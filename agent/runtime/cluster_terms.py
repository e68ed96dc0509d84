"""What is collected of the cluster, by what right, and under which name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from agent import targets
from agent.runtime import apiserver
from common.config import agent as config, agent_inputs
from common.kube import credentials

HOME: Final = "headgate-system"  # the Lease's namespace where nothing else says so


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is collected, and by what right."""

    settings: agent_inputs.RuntimeInput
    interval: float
    """Seconds from one report to the next."""
    namespace: str
    """Of the Lease."""
    identity: str
    """Of this process, in the Lease."""
    version: str
    wall: Callable[[], int]
    """The wall clock, in Unix nanoseconds."""
    target: targets.Target | None = None
    """The API server, if its metrics are asked for."""


def terms(
    document: config.Agent,
    access: credentials.Access | None,
    *,
    host: str,
    suffix: str,
    version: str,
    wall: Callable[[], int],
    service_account: Path = credentials.SERVICE_ACCOUNT,
) -> Terms:
    """Return what *document* asks for.

    *host* (the name of the pod) and *suffix* (of chance) make the identity of this process.
    """
    settings = document.inputs.runtime
    target = None
    if access is not None and settings.enabled and settings.resources.apiserver:
        target = apiserver.apiserver_target(access, document)
    return Terms(
        settings=settings,
        interval=settings.interval or document.scraping.interval,
        namespace=lease_namespace(settings.lease, service_account),
        identity=f"{host or 'headgate-agent'}_{suffix}",
        version=version,
        wall=wall,
        target=target,
    )


def lease_namespace(settings: agent_inputs.Lease, service_account: Path) -> str:
    """Return the namespace of the Lease: as configured, else that of the pod we run in."""
    if settings.namespace:
        return settings.namespace
    try:
        found = (service_account / "namespace").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):  # not in a pod
        return HOME
    return found or HOME
