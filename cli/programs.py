"""The long-running programs: gateway and agent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import click

from cli import extras
from cli.lazy import Lazy
from common.service import lifecycle, logs
from common.service.settings import SettingsError

Serve = Callable[..., Coroutine[Any, Any, int]]

config_option = click.option(
    "--config",
    "config",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The configuration document (YAML or JSON).",
)
kubeconfig_option = click.option(
    "--kubeconfig",
    default="",
    envvar="HEADGATE_KUBECONFIG",
    help="Ask this kubeconfig's API server about pods; wins over the document.",
)
log_level_option = click.option(
    "--log-level",
    type=click.Choice(logs.LEVELS),
    default=None,
    envvar="HEADGATE_LOG_LEVEL",
    help="Wins over the document's log_level.",
)


@click.command()
@config_option
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=None,
    envvar="HEADGATE_WORKERS",
    help="Processes that share the ports; wins over the document's workers.",
)
@click.option("--as-worker", default="", hidden=True)  # a supervisor's word to its workers
@kubeconfig_option
@log_level_option
def gateway(
    config: Path, workers: int | None, as_worker: str, kubeconfig: str, log_level: str | None
) -> None:
    """Receive OTLP, enrich it with what Kubernetes knows, and deliver it by pipeline.

    \b
    Examples:
      headgate gateway --config gateway.yaml
      headgate gateway --config gateway.yaml --kubeconfig ~/.kube/config
      headgate gateway --config gateway.yaml --workers 4   one supervisor, four processes
    """
    with extras.needing("gateway"):
        from gateway import launch  # noqa: PLC0415 - an agent's image has no gateway dependencies

        seat = launch.seat(as_worker) if as_worker else None
        serve = partial(
            launch.serve,
            command=(sys.executable, *sys.orig_argv[1:]),
            workers=workers,
            seat=seat,
        )
        _run(serve, config, kubeconfig, log_level, {"worker": seat.number} if seat else {})


@click.group(
    cls=Lazy,
    lazy={"targets": "cli.agent_targets:targets"},
    invoke_without_command=True,
    subcommand_metavar="[COMMAND [ARGS]...]",
)
@click.option(
    "--config",
    "config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The configuration document (YAML or JSON); runs an agent.",
)
@kubeconfig_option
@log_level_option
@click.pass_context
def agent(
    context: click.Context, config: Path | None, kubeconfig: str, log_level: str | None
) -> None:
    """Scrape the annotated pods of this node and push what they say to the gateway.

    With --config this process is an agent; the commands ask one that runs.

    \b
    Examples:
      NODE_NAME=node-a headgate agent --config agent.yaml
      headgate agent --config agent.yaml --kubeconfig ~/.kube/config
      headgate agent targets --url http://127.0.0.1:8888
    """
    if context.invoked_subcommand is not None:
        if config is not None:
            words = f"--config runs an agent; {context.invoked_subcommand} asks one that runs"
            raise click.UsageError(words)
        return
    if config is None:
        raise click.MissingParameter(
            ctx=context, param=next(p for p in context.command.params if p.name == "config")
        )
    with extras.needing("agent"):
        from agent import app  # noqa: PLC0415 - a gateway's image has no agent dependencies

    _run(app.serve, config, kubeconfig, log_level)


def _run(
    serve: Serve,
    config: Path,
    kubeconfig: str,
    log_level: str | None,
    fields: Mapping[str, object] | None = None,
) -> None:
    """Run one program to its exit code; what the user can mend is said without a trace."""
    logs.configure(log_level or "info", now=monotonic, fields=fields)
    try:
        code = lifecycle.run(lambda: serve(config, kubeconfig=kubeconfig, log_level=log_level))
    except SettingsError as error:
        for problem in error.problems:
            click.echo(f"error: {config}: {problem}", err=True)
        code = 1
    except OSError as error:
        click.echo(f"error: {error}", err=True)
        code = 1
    sys.exit(code)
