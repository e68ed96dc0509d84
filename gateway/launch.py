"""Starts the gateway as the process or the processes that its configuration asks for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from common.service import memory
from gateway import settings
from gateway.workers import messages


async def serve(
    config: Path,
    *,
    command: Sequence[str],
    kubeconfig: str = "",
    log_level: str | None = None,
    workers: int | None = None,
    seat: messages.Seat | None = None,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Run the gateway until SIGTERM and return the exit code; raises like `gateway.app.serve`.

    *command* is how this process was started, so that workers can be started the same way; *seat*
    makes it one. Each kind of process imports what it needs: a supervisor is lean.
    """
    if seat is not None:
        from gateway.workers import seat as worker  # noqa: PLC0415

        memory.keep_buffers()
        return await worker.work(
            config, seat, kubeconfig=kubeconfig, log_level=log_level, workers=workers,
            environ=environ,
        )  # fmt: skip
    loaded = settings.load(
        config, environ=environ, kubeconfig=kubeconfig, log_level=log_level, workers=workers
    )
    if loaded.config.workers > 1:
        from gateway.workers import supervisor  # noqa: PLC0415

        return await supervisor.supervise(loaded, command, environ=environ)
    from gateway import app  # noqa: PLC0415

    memory.keep_buffers()
    return await app.serve(
        config, kubeconfig=kubeconfig, log_level=log_level, workers=workers, environ=environ
    )


def seat(text: str) -> messages.Seat:
    """Read what a supervisor gave a worker on its command line."""
    return msgspec.json.decode(text, type=messages.Seat)
