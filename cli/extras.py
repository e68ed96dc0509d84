"""Says which extra an installation lacks, instead of showing where an import failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

OURS: Final = frozenset({"agent", "cli", "common", "gateway", "localcluster", "pipeline_operator"})


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Turn an import of the block that finds nothing into words that name *extra*.

    Raises :class:`click.ClickException`; a module of our own that is missing is a bug, not that.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = error.name or str(error)
        if missing.partition(".")[0] in OURS:
            raise
        words = f"{missing} is not installed here; install headgate[{extra}]"
        raise click.ClickException(words) from error
