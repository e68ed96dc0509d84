"""The agent's configuration as it starts: the document, what overrides it, and the credentials."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec

from common.config import agent, shared
from common.kube import credentials
from common.service import settings
from common.service.settings import Problem, SettingsError


def load(
    path: Path, *, environ: Mapping[str, str], kubeconfig: str = "", log_level: str | None = None
) -> agent.Agent:
    """Read the document at *path*; *kubeconfig* and *log_level* win over it when given.

    Raises :class:`SettingsError` with everything that is wrong.
    """
    text = _read(str(path))
    document = settings.load(text, agent.Agent, environ=environ, read=_read)
    if kubeconfig:
        chosen = msgspec.structs.replace(
            document.kubernetes, source="kubeconfig", kubeconfig=kubeconfig
        )
        document = msgspec.structs.replace(document, kubernetes=chosen)
    if log_level is not None:
        document = msgspec.structs.replace(document, log_level=log_level)
    problems = [Problem(key, message) for key, message in document.problems()]
    problems += _unsupported(document)
    if document.gateway.token_file:
        try:
            _read(document.gateway.token_file)
        except SettingsError as error:
            problems += [Problem("gateway.token_file", p.message) for p in error.problems]
    if problems:
        raise SettingsError(problems)
    return document


def _unsupported(document: agent.Agent) -> list[Problem]:
    """Refuse what would silently do nothing."""
    asked = {"scraping.honor_labels": document.scraping.honor_labels}
    asked |= {
        f"static_targets[{i}].honor_labels": bool(target.honor_labels)
        for i, target in enumerate(document.static_targets)
    }
    words = "true is not supported yet; remove it, exposed job and instance become exported_*"
    return [Problem(key, words) for key, value in asked.items() if value]


def _read(name: str) -> str:
    try:
        with Path(name).open(encoding="utf-8") as file:
            return file.read(settings.MAX_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([Problem("", f"cannot read {name}: {error}")]) from error


async def access(
    kubernetes: shared.Kubernetes, environ: Mapping[str, str]
) -> credentials.Access | None:
    """Return how to reach the API server, or ``None`` when none is to be asked.

    Raises :class:`SettingsError` when the credentials that are asked for are of no use.
    """
    host, port = (environ.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
    token = credentials.SERVICE_ACCOUNT / "token"
    here = bool(host) and await asyncio.to_thread(token.is_file)
    match kubernetes.source:
        case "in-cluster":
            return credentials.in_cluster(host, port)
        case "auto" if here:
            return credentials.in_cluster(host, port)
        case "auto" | "kubeconfig" if kubernetes.kubeconfig:
            file = await asyncio.to_thread(Path(kubernetes.kubeconfig).expanduser)
            return await credentials.from_kubeconfig(file, context=kubernetes.context)
        case _:
            return None
