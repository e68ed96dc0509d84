"""The agent's configuration as it starts: the document, and what overrides it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from common.config import agent
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
    if document.gateway.token_file:
        try:
            _read(document.gateway.token_file)
        except SettingsError as error:
            problems += [Problem("gateway.token_file", p.message) for p in error.problems]
    if problems:
        raise SettingsError(problems)
    return document


def _read(name: str) -> str:
    try:
        with Path(name).open(encoding="utf-8") as file:
            return file.read(settings.MAX_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([Problem("", f"cannot read {name}: {error}")]) from error
