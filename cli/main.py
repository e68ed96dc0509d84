"""The ``headgate`` command: one entry point, its programs imported only when asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib import import_module, metadata

import click
from typing_extensions import override


class Lazy(click.Group):
    """A group whose commands are imported on use: an agent pays for no demo."""

    lazy: Mapping[str, str] = {
        "agent": "cli.programs:agent",
        "buffer": "cli.buffer:buffer",
        "demo": "cli.demo.command:demo",
        "gateway": "cli.programs:gateway",
        "ledger": "cli.ledger:ledger",
        "reference": "cli.reference:reference",
        "validate": "cli.validate:validate",
    }

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.lazy})

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        where = self.lazy.get(cmd_name)
        if where is None:
            return super().get_command(ctx, cmd_name)
        module, _, name = where.partition(":")
        command = getattr(import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"BUG: {where} is no command")
        return command


@click.group(
    cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
def main() -> None:
    """A telemetry plane for Kubernetes: OTLP gateway, scraping agent, operator.

    \b
    Examples:
      headgate demo                            everything on this machine, in one command
      headgate gateway --config gateway.yaml   receive OTLP, enrich, filter, deliver
      headgate agent --config agent.yaml       scrape this node, push to the gateway
      headgate ledger http://127.0.0.1:8888    what became of every data point
      headgate buffer ls /var/lib/headgate     what is on disk, waiting to be delivered
      headgate validate gateway.yaml           say what is wrong with a configuration
      headgate reference gateway               every setting, its default and what it means
    """


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def version(*, as_json: bool) -> None:
    """Print the version of headgate and of Python."""
    said = {"headgate": metadata.version("headgate"), "python": sys.version.split()[0]}
    click.echo(
        json.dumps(said) if as_json else f"headgate {said['headgate']} (Python {said['python']})"
    )


if __name__ == "__main__":
    main()
