"""``headgate ledger``: asks a running gateway or agent whether every point is accounted for."""

from __future__ import annotations

import json
import shutil
import sys
import time
from typing import Final

import click
import msgspec

from cli import asking, ledger_table, looking
from cli.ledger_table import Page

PATH: Final = "/debug/ledger"


def read(body: bytes) -> Page:
    """Understand a page; raises `asking.NoPage` for what is none."""
    try:
        return msgspec.json.decode(body, type=Page)
    except msgspec.DecodeError as error:
        raise asking.NoPage(
            f"says something else than a ledger ({error}); has it started, is it the admin address?"
        ) from error


@click.command()
@click.argument("url", callback=lambda _, __, url: asking.address(url, PATH))
@looking.as_json
@click.option(
    "--watch",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Look again and again, with points per second between two looks, until Ctrl-C.",
)
@looking.timeout
def ledger(*, url: str, as_json: bool, watch: float | None, timeout: float) -> None:
    """Show what became of every data point, as the gateway or agent at URL accounts for it.

    URL is its admin address (admin.metrics or admin.health). Per pipeline: received = delivered +
    filtered + dropped + held, and the balance is what is missing in that.

    Exit code 0 when every account balances, 1 when one does not, or the page cannot be had. Colours
    are for terminals, and left out where NO_COLOR is set.

    \b
    Examples:
      headgate ledger http://127.0.0.1:8888
      headgate ledger http://127.0.0.1:8888 --watch 5
      headgate ledger http://10.1.2.3:8888/debug/ledger --json
      kubectl port-forward deploy/headgate-gateway 8888 & headgate ledger http://127.0.0.1:8888
    """
    balanced = True
    before: tuple[float, Page] | None = None
    with looking.until_interrupted(url, watch):
        for body in looking.looks(url, watch, timeout):
            now, page = time.monotonic(), read(body)
            balanced = page.balanced
            speeds = ledger_table.rates(before[1], page, now - before[0]) if before else None
            if as_json:
                _say_json(body, page, speeds)
            else:
                _say(page, speeds, clear=watch is not None)
            before = now, page
    sys.exit(0 if balanced else 1)


def _say_json(body: bytes, page: Page, speeds: dict[str, dict[str, float]] | None) -> None:
    said = {**json.loads(body), "balanced": page.balanced}
    if speeds is not None:
        said["per_second"] = speeds
    click.echo(json.dumps(said))


def _say(page: Page, speeds: dict[str, dict[str, float]] | None, *, clear: bool) -> None:
    width = shutil.get_terminal_size().columns
    looking.say("\n".join(ledger_table.lines(page, width, speeds)), clear=clear)
