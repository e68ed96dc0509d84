"""What the commands that show a running program's page share: when they look, how they say it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import click

from cli import asking

UNBOUNDED: Final = (1000, 24)  # where there is no terminal, lines are not cut
CLEAR: Final = "\x1b[H\x1b[2J"  # of a terminal: go to the first line, and empty all

as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object for each look."
)
timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0.1, max=3600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long one look may take.",
)


def looks(
    url: str, watch: float | None, timeout: float, params: Mapping[str, str] | None = None
) -> Iterator[bytes]:
    """Yield the page at *url*, and with *watch* again so many seconds after each look was shown.

    Raises :class:`cli.asking.NoPage`.
    """
    while True:
        yield asyncio.run(asking.fetch(url, timeout, params))
        if watch is None:
            return
        time.sleep(watch)


@contextmanager
def until_interrupted(url: str, watch: float | None) -> Iterator[None]:
    """End a watch with Ctrl-C, and the program with 1 where there is no page at *url*."""
    try:
        yield
    except asking.NoPage as error:
        click.echo(f"error: {asking.named(url)} {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        if watch is None:
            raise


def say(text: str, *, clear: bool = False) -> None:
    """Print *text* in colours where they are wanted; with *clear* instead of what was said."""
    terminal = is_terminal()
    if not terminal or os.environ.get("NO_COLOR"):
        text = click.unstyle(text)
    if clear:
        text = f"{CLEAR}{text}" if terminal else f"{text}\n"
    click.echo(text, color=terminal)


def is_terminal() -> bool:
    """Return whether somebody looks at what is printed."""
    return sys.stdout.isatty()
