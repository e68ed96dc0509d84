"""The ``headgate`` command: one entry point, its programs imported only when asked for."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from typing import Final

import click

from cli.lazy import Lazy

COMMANDS: Final = {
    "agent": "cli.programs:agent",
    "buffer": "cli.buffer:buffer",
    "demo": "cli.demo.command:demo",
    "explain": "cli.explain:explain",
    "gateway": "cli.programs:gateway",
    "ledger": "cli.ledger:ledger",
    "reference": "cli.reference:reference",
    "validate": "cli.validate:validate",
}


@click.group(
    cls=Lazy,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def main() -> None:
    """A telemetry plane for Kubernetes: OTLP gateway, scraping agent, operator.

    \b
    Examples:
      headgate demo                            everything on this machine, in one command
      headgate gateway --config gateway.yaml   receive OTLP, enrich, filter, deliver
      headgate agent --config agent.yaml       scrape this node, push to the gateway
      headgate agent targets                   what it scrapes, what it does not, and why
      headgate explain pod shop/cart-5d4b      why this pod is scraped, or not
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
