"""``headgate agent targets``: asks a running agent what it scrapes, what it does not, and why."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any, Final

import click
import msgspec

from cli import asking, looking, targets_table
from cli.targets_table import STATES, Page

PATH: Final = "/targets"
URL: Final = "http://127.0.0.1:8888"


@click.command()
@click.option(
    "--url",
    default=URL,
    show_default=True,
    callback=lambda _, __, url: asking.address(url, PATH),
    help="The agent's admin address (admin.metrics or admin.health), with or without a path.",
)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES),
    help="Only what is in this state; repeatable.",
)
@click.option("--subject", default="", metavar="NAMESPACE/NAME", help="Only this pod.")
@looking.as_json
@click.option(
    "--watch",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Look again and again, until Ctrl-C.",
)
@click.option(
    "--fail-on",
    "fatal",
    multiple=True,
    type=click.Choice(STATES),
    help="Exit with 1 if anything is in this state; repeatable. Of what is skipped, only what "
    "somebody asked for counts.",
)
@looking.timeout
def targets(
    *,
    url: str,
    states: tuple[str, ...],
    subject: str,
    as_json: bool,
    watch: float | None,
    fatal: tuple[str, ...],
    timeout: float,
) -> None:
    """Show what an agent scrapes, what it does not, and why.

    Failing targets come first, with the last error in words. Exit code 0, or 1 when the agent
    cannot be asked or something is in a state of --fail-on. Colours are for terminals, and left
    out where NO_COLOR is set.

    \b
    Examples:
      headgate agent targets
      headgate agent targets --state failing --watch 2
      headgate agent targets --url http://10.1.2.3:8888 --json
      headgate agent targets --fail-on failing > /dev/null || echo "something fails"
      kubectl port-forward telemetry-agent-x2x4v 8888 & headgate agent targets
    """
    params = {"json": "1", **({"subject": subject} if subject else {})}
    bad = False
    with looking.until_interrupted(url, watch):
        for body in looking.looks(url, watch, timeout, params):
            page = read(body)
            bad = any(page.has(state) for state in fatal)
            if as_json:
                click.echo(json.dumps(_narrowed(json.loads(body), states)))
            else:
                everything = bool(subject) or "skipped" in states
                _say(page.having(states), everything=everything, clear=watch is not None)
    sys.exit(1 if bad else 0)


def read(body: bytes) -> Page:
    """Understand a page; raises `asking.NoPage` for what is none."""
    try:
        return msgspec.json.decode(body, type=Page)
    except msgspec.DecodeError as error:
        raise asking.NoPage(
            f"says something else than targets ({error}); has it started, is it an agent's address?"
        ) from error


def _narrowed(page: dict[str, Any], states: tuple[str, ...]) -> dict[str, Any]:
    """Do to a page as it came what `Page.having` does to one that was read."""
    if not states:
        return page
    return {
        **page,
        "active": [target for target in page["active"] if target["state"] in states],
        "skipped": page["skipped"] if "skipped" in states else [],
    }


def _say(page: Page, *, everything: bool, clear: bool) -> None:
    width = shutil.get_terminal_size(looking.UNBOUNDED).columns
    looking.say("\n".join(targets_table.lines(page, width, everything=everything)), clear=clear)
