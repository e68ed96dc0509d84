"""Which API server a program asks, if any: a kubeconfig, the cluster it runs in, or none."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from common.kube import credentials


class Wanted(Protocol):
    """What the configuration says, see :class:`common.config.shared.Kubernetes`."""

    @property
    def source(self) -> str: ...  # noqa: D102 - the protocol's names say it
    @property
    def kubeconfig(self) -> str: ...  # noqa: D102
    @property
    def context(self) -> str: ...  # noqa: D102


async def choose(wanted: Wanted, environ: Mapping[str, str]) -> credentials.Access | None:
    """Return how to reach the API server, or ``None`` when none is to be asked.

    ``auto`` prefers a kubeconfig that is named, then the service account of the pod it runs in.
    Raises :class:`~common.service.settings.SettingsError` when what is asked for is of no use.
    """
    named = wanted.kubeconfig and wanted.source in {"auto", "kubeconfig"}
    if named:
        file = await asyncio.to_thread(Path(wanted.kubeconfig).expanduser)
        return await credentials.from_kubeconfig(file, context=wanted.context)
    host, port = (environ.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
    token = credentials.SERVICE_ACCOUNT / "token"
    here = bool(host) and await asyncio.to_thread(token.is_file)
    if wanted.source == "in-cluster" or (wanted.source == "auto" and here):
        return credentials.in_cluster(host, port)
    return None
