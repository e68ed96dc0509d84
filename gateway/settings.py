"""The gateway's configuration as it is now: the document, and the files that it refers to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import msgspec

from common.config import gateway, secrets
from common.enrichment import attributes
from common.service import settings
from common.service.settings import Problem, SettingsError


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration, and all it was read from."""

    config: gateway.Gateway
    tokens: str  # the text of agents.token_file
    client_tokens: str  # the text of listen.auth.bearer_tokens_file
    files: tuple[Path, ...]  # a change of any of them may change the configuration


def load(
    path: Path,
    *,
    environ: Mapping[str, str],
    kubeconfig: str = "",
    log_level: str | None = None,
    workers: int | None = None,
) -> Loaded:
    """Read the document at *path*; *kubeconfig*, *log_level* and *workers* win over it when given.

    Raises :class:`SettingsError` with everything that is wrong, missing files included.
    """
    text = _read(path, "")
    if not text.strip():
        # An editor may have emptied it a moment ago; that must not mean "no pipelines".
        raise SettingsError([Problem("", f"{path} is empty; write at least: pipelines: []")])
    files = [path]

    def read(name: str) -> str:
        files.append(Path(name))
        return Path(name).read_text(encoding="utf-8")

    config = settings.load(text, gateway.Gateway, environ=environ, read=read)
    if kubeconfig:
        chosen = msgspec.structs.replace(
            config.kubernetes, source="kubeconfig", kubeconfig=kubeconfig
        )
        config = msgspec.structs.replace(config, kubernetes=chosen)
    if workers is not None:
        config = msgspec.structs.replace(config, workers=workers)
    if log_level is not None:
        config = msgspec.structs.replace(config, log_level=log_level)

    def tokens(name: str, key: str) -> str:
        if not name:
            return ""
        files.append(Path(name))
        text = _read(files[-1], key)
        if not text.strip():
            # Emptied a moment ago, or by mistake: nobody, or everybody, would be let in.
            raise SettingsError([Problem(key, f"{name} has no token; write one a line")])
        return text

    return Loaded(
        config=config,
        tokens=tokens(config.agents.token_file, "agents.token_file"),
        client_tokens=tokens(
            config.listen.auth.bearer_tokens_file, "listen.auth.bearer_tokens_file"
        ),
        files=tuple(dict.fromkeys(files)),
    )


def rules(config: gateway.Enrichment) -> attributes.Rules:
    """Return the rules of enrichment that *config* asks for."""
    constants = {
        "k8s.cluster.name": config.cluster_name,
        "k8s.cluster.uid": config.cluster_uid,
        **config.attributes,
    }
    return attributes.Rules(
        strategy=config.strategy,
        constants=tuple((key, value) for key, value in constants.items() if value),
        label_keys=frozenset(label.key for label in config.pod_labels if label.key),
        label_prefixes=tuple(label.key_prefix for label in config.pod_labels if label.key_prefix),
    )


def needs_restart(old: gateway.Gateway, new: gateway.Gateway) -> tuple[str, ...]:
    """Return the sections that differ and are read at the start only."""
    sections = ("listen", "admin", "limits", "kubernetes", "enrichment", "workers", "grace")
    return tuple(name for name in sections if getattr(old, name) != getattr(new, name))


def redacted(config: gateway.Gateway) -> object:
    """Return *config* as plain values without what `common.config.secrets` names."""
    return _redact(msgspec.to_builtins(config))


def _redact(value: object, key: str = "") -> object:
    if isinstance(value, dict):
        if key in secrets.SECTIONS:
            return dict.fromkeys(value, secrets.MASK)
        return {name: _redact(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact(item) for item in value]
    if isinstance(value, str) and value:
        if key in secrets.TEXTS:
            return secrets.MASK
        if key in secrets.URLS:
            return secrets.shown(value)
    return value


def _read(path: Path, key: str) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(settings.MAX_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([Problem(key, f"cannot read {path}: {error}")]) from error
    return text
