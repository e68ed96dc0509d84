"""``headgate demo``: options in words, exit codes, and who may not be bothered with colours."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from time import monotonic
from typing import Final

import click

from cli import extras
from cli.demo import screen
from common.service import address, lifecycle, logs

# What only the demo's pods import, the agent's among them: they would die one by one, unseen.
WORKLOADS: Final = ("httptools", "opentelemetry-sdk", "opentelemetry-exporter-otlp")


@click.command()
@click.option(
    "--duration", type=click.FloatRange(min=1), help="End by itself after so many seconds."
)
@click.option(
    "--json", "as_json", is_flag=True, help="No screen; end with one JSON object on the last line."
)
@click.option(
    "--scrape",
    "guests",
    multiple=True,
    metavar="HOST:PORT",
    help="Add a running exporter as an annotated pod; repeatable.",
)
@click.option(
    "--grpc",
    default="127.0.0.1:4317",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the gateway takes OTLP over gRPC.",
)
@click.option(
    "--http",
    default="127.0.0.1:4318",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the gateway takes OTLP over HTTP.",
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep configurations and logs here; a temporary folder otherwise.",
)
def demo(
    *,
    duration: float | None,
    as_json: bool,
    guests: tuple[str, ...],
    grpc: str,
    http: str,
    directory: Path | None,
) -> None:
    """Show the whole product on this machine: no cluster, no containers, no root.

    A small Kubernetes on loopback addresses runs applications that push OTLP and applications that
    expose metrics, a gateway, and an agent per node, which asks its kubelet, too; a backend counts
    what arrives. Ctrl-C stops everything.

    \b
    Examples:
      headgate demo
      headgate demo --scrape 127.0.0.1:9100
      headgate demo --duration 20 --json
      OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 your-app     (beside it)
    """
    # Pods are forked while gRPC runs; its handlers for that only print that they are skipped.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    with extras.needing("demo"):
        for distribution in WORKLOADS:
            metadata.version(distribution)  # raises a ModuleNotFoundError, too
        from cli.demo import app  # noqa: PLC0415 - gRPC reads the environment when it is imported

    try:
        options = app.Options(
            duration=duration,
            grpc=address.parse(grpc),
            http=address.parse(http),
            guests=tuple(address.parse(guest) for guest in guests),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    interactive = sys.stdout.isatty() and not as_json
    logs.configure("warning", now=monotonic)
    show = _Screen() if interactive else _Progress()

    async def main() -> app.Summary:
        if directory is not None:
            return await app.run(options, directory, show.frame)
        with tempfile.TemporaryDirectory(prefix="headgate-demo-") as folder:
            return await app.run(options, Path(folder), show.frame)

    summary: list[app.Summary] = []

    async def keep() -> int:
        summary.append(await main())
        return 0

    with show:
        try:
            code = lifecycle.run(keep, (OSError, app.DemoError))
        except (OSError, app.DemoError) as error:
            code = 1
            click.echo(f"error: {error}", err=True)
    for result in summary:
        if as_json:
            click.echo(json.dumps(result.plain()))
        else:
            click.echo("\n".join(app.report(result)))
        code = code or result.code
    sys.exit(code)


class _Screen:
    """A terminal that is redrawn in place and left as it was found."""

    def __enter__(self) -> None:
        sys.stdout.write("\x1b[?25l\x1b[2J")

    def __exit__(self, *_: object) -> None:
        sys.stdout.write("\x1b[?25h\x1b[2J\x1b[H")
        sys.stdout.flush()

    def frame(self, scene: screen.Scene) -> None:
        """Draw *scene* over the one before."""
        size = shutil.get_terminal_size()
        colour = not os.environ.get("NO_COLOR")
        lines = screen.render(scene, size.columns, size.lines - 1, colour=colour)
        sys.stdout.write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J")
        sys.stdout.flush()


class _Progress:
    """Without a terminal: a line on standard error now and then."""

    EVERY = 5.0  # seconds

    def __init__(self) -> None:
        self._next = 0.0
        self._said: set[str] = set()

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, *_: object) -> None:
        """Nothing to restore."""

    def frame(self, scene: screen.Scene) -> None:
        """Say where things stand, if it is time to."""
        if scene.seconds < self._next and not scene.trouble:
            return
        for line in scene.headline[1:]:
            if line not in self._said:
                click.echo(line, err=True)
                self._said.add(line)
        self._next = scene.seconds + self.EVERY
        delivered = sum(p.get("delivered", 0) for p in scene.pipelines.values())
        up = sum(t.state == "up" for t in scene.targets)
        words = f"{scene.phase}, {up} targets up, {delivered} points delivered"
        click.echo(f"{scene.seconds:5.0f} s  {'; '.join((words, *scene.trouble))}", err=True)
