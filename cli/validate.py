"""``headgate validate``: everything that is wrong with a configuration, with its key."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal

import click
import msgspec

from common.config.agent import Agent
from common.config.gateway import Gateway
from common.service import settings

Kind = Literal["gateway", "agent"]
KINDS: Mapping[Kind, type[msgspec.Struct]] = {"gateway": Gateway, "agent": Agent}


def kind_of(document: object) -> Kind:
    """Tell the two documents apart by the keys that only one knows; gateway when in doubt."""
    keys = set(document) if isinstance(document, dict) else set()
    known = {
        kind: {f.encode_name for f in msgspec.structs.fields(struct)}
        for kind, struct in KINDS.items()
    }
    pairs: tuple[tuple[Kind, Kind], ...] = (("gateway", "agent"), ("agent", "gateway"))
    own = {kind: len(keys & known[kind] - known[other]) for kind, other in pairs}
    return "agent" if own["agent"] > own["gateway"] else "gateway"


def check(
    body: bytes, kind: Kind | None, environ: Mapping[str, str]
) -> tuple[Kind, tuple[settings.Problem, ...]]:
    """Return which document *body* was taken for, and every problem with it."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        return kind or "gateway", (settings.Problem("", f"not UTF-8: {error}"),)
    if kind is None:
        kind = "gateway"
        if len(text) <= settings.MAX_BYTES:
            # What is wrong with the YAML itself is for load to say.
            with suppress(ValueError, RecursionError):
                kind = kind_of(settings.plain(text))
    try:
        settings.load(text, KINDS[kind], environ=environ, read=lambda path: Path(path).read_text())
    except settings.SettingsError as error:
        return kind, error.problems
    return kind, ()


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    help="Which document it is; found out by its keys otherwise.",
)
@click.option(
    "--env",
    "extra",
    multiple=True,
    metavar="NAME=VALUE",
    help="Answer ${env:NAME} with VALUE; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def validate(*, file: IO[bytes], kind: Kind | None, extra: tuple[str, ...], as_json: bool) -> None:
    """Say what is wrong with a configuration FILE ('-' is standard input).

    Exit code 0 when it is valid, 1 when it is not.

    \b
    Examples:
      headgate validate gateway.yaml
      headgate validate agent.yaml --env NODE_NAME=node-a
      kubectl get configmap gateway -o jsonpath='{.data.gateway\\.yaml}' | headgate validate -
    """
    given = dict(item.partition("=")[::2] for item in extra)
    kind, problems = check(file.read(settings.MAX_BYTES + 1), kind, {**os.environ, **given})
    name = getattr(file, "name", "<stdin>")  # a pipe in memory has none
    if as_json:
        listed = [{"key": p.key, "message": p.message} for p in problems]
        click.echo(json.dumps({"kind": kind, "valid": not problems, "problems": listed}))
    else:
        for problem in problems:
            click.echo(f"{name}: {problem}", err=True)
        found = f"{len(problems)} problem{'s' * (len(problems) != 1)}" if problems else "valid"
        click.echo(f"{name}: {kind} configuration, {found}")
    sys.exit(1 if problems else 0)
