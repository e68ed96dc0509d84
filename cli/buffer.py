"""``headgate buffer``: look at what pipelines keep on disk, check it, send it, delete it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import click
import msgspec

from cli import extras
from common.config import outputs
from common.service import clock, lifecycle, settings
from common.service.settings import SettingsError

Protocol = Literal["grpc", "http", "remote-write"]

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_AGE: Final = re.compile(r"-(\d+)([smhd])")
_RIGHT: Final = range(1, 5)  # columns of numbers

directory = click.argument(
    "directory", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR"
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def buffer() -> None:
    """Look at what pipelines keep on disk: list it, check it, send it, delete it.

    DIR is the dir of a pipeline's buffer, or any directory above or below it; all logs in it are
    meant.

    \b
    Examples:
      headgate buffer ls /var/lib/headgate
      headgate buffer verify /var/lib/headgate/shop
      headgate buffer replay /var/lib/headgate/shop --to http://backend:4317
      headgate buffer purge /var/lib/headgate/old-pipeline
    """


@buffer.command()
@directory
@json_option
def ls(*, directory: Path, as_json: bool) -> None:
    """List the logs below DIR, with what is in them.

    POINTS are those that are not delivered yet. A log that is in use is listed as it is at the
    moment.

    \b
    Examples:
      headgate buffer ls /var/lib/headgate
      headgate buffer ls /var/lib/headgate --json
    """
    with extras.needing("gateway"):
        from cli import buffers  # noqa: PLC0415 - not everybody has its dependencies

    rows = buffers.rows(directory)
    if as_json:
        click.echo(json.dumps({"logs": rows}))
        return
    if not rows:
        click.echo(f"{directory}: no logs")
        return
    _show(rows)


@buffer.command()
@directory
@json_option
def verify(*, directory: Path, as_json: bool) -> None:
    """Read every record below DIR and check it.

    Exit code 0 when all are what was written, 1 when not. A record that was never written whole,
    as the last one after a crash, is no damage: it is cut off when the log is opened.

    \b
    Examples:
      headgate buffer verify /var/lib/headgate
    """
    with extras.needing("gateway"):
        from cli import buffers  # noqa: PLC0415 - not everybody has its dependencies

    logs, records, found = buffers.verified(directory)
    if as_json:
        said = {"logs": logs, "records": records, "valid": not found, "damage": found}
        click.echo(json.dumps(said))
    else:
        for one in found:
            click.echo(f"{one['file']}: {one['what']}", err=True)
        words = f"{len(found)} damaged" if found else "all valid"
        click.echo(f"{directory}: {_count(logs, 'log')}, {_count(records, 'record')}, {words}")
    sys.exit(1 if found else 0)


@buffer.command()
@directory
@click.option("--to", "url", required=True, metavar="URL", help="Where to send it.")
@click.option(
    "--protocol",
    type=click.Choice(["grpc", "http", "remote-write"]),
    default="grpc",
    show_default=True,
    help="OTLP over gRPC or HTTP, or Prometheus remote write.",
)
@click.option(
    "--header", "headers", multiple=True, metavar="NAME=VALUE", help="Sent along; repeatable."
)
@click.option("--ca-file", default="", help="PEM file of the authorities to trust.")
@click.option("--from", "since", metavar="-AGE", help="Only what is younger, as -90s, -1h, -2d.")
@click.option("--all", "everything", is_flag=True, help="Also what was delivered already.")
@click.option("--settle", is_flag=True, help="Note in the log what was delivered.")
@click.option(
    "--patience",
    type=click.FloatRange(0, 86400),
    default=60.0,
    show_default=True,
    help="Seconds to try again while the backend does not take a request.",
)
@json_option
def replay(
    *,
    directory: Path,
    url: str,
    protocol: Protocol,
    headers: tuple[str, ...],
    ca_file: str,
    since: str | None,
    everything: bool,
    settle: bool,
    patience: float,
    as_json: bool,
) -> None:
    """Send what is in the logs below DIR and not delivered yet, oldest first.

    The logs stay as they are unless --settle is given: then what was delivered is not sent again.
    Exit code 0 when all of it was delivered, 1 when not.

    \b
    Examples:
      headgate buffer replay /var/lib/headgate/shop --to http://backend:4317
      headgate buffer replay /backup/shop --to https://backend --protocol http --from -1h --all
      headgate buffer replay /var/lib/headgate/shop \\
        --to http://prometheus:9090/api/v1/write --protocol remote-write
    """
    with extras.needing("gateway"):
        from cli import buffers, replaying  # noqa: PLC0415 - not everybody has its dependencies

    oldest = int((clock.unix_seconds() - _seconds(since)) * 1000) if since else 0
    sent = replaying.Sent()
    try:
        output = _output(url, protocol, headers, ca_file)
        with buffers.held(directory) as folders:
            jobs = [
                replaying.Job(folder, oldest=oldest, everything=everything, settle=settle)
                for folder in folders
            ]
            points = sum(job.points for job in jobs)
            with click.progressbar(length=points, label="replaying", file=sys.stderr) as bar:
                replay = partial(
                    replaying.replay, jobs, output, patience=patience, sent=sent, told=bar.update
                )
                try:
                    lifecycle.run(replay)
                finally:  # also when the user has enough
                    said = {"to": url, **msgspec.to_builtins(sent)}
                    click.echo(json.dumps(said) if as_json else f"{url}: {sent.words()}")
    except SettingsError as error:
        raise click.ClickException("; ".join(map(str, error.problems))) from error
    sys.exit(0 if sent.is_complete else 1)


@buffer.command()
@directory
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(*, directory: Path, yes: bool) -> None:
    """Delete the logs below DIR, and all that is in them.

    \b
    Examples:
      headgate buffer purge /var/lib/headgate/old-pipeline
    """
    with extras.needing("gateway"):
        from cli import buffers  # noqa: PLC0415 - not everybody has its dependencies

    with buffers.held(directory) as folders:
        if not folders:
            click.echo(f"{directory}: no logs")
            return
        points = buffers.undelivered(folders)
        what = f"{_count(len(folders), 'log')} with {_count(points, 'undelivered point')}"
        if not yes:
            click.confirm(f"Delete {what} below {directory}?", abort=True)
        for folder in folders:
            buffers.empty(folder)
        click.echo(f"deleted {what}")


def _show(rows: Sequence[Mapping[str, object]]) -> None:
    head = ("FOLDER", "SEGMENTS", "BYTES", "RECORDS", "POINTS", "OLDEST", "NEWEST", "")
    numbers = ("segments", "bytes", "records", "points")
    table = [
        (
            str(row["folder"]),
            *(f"{row[key]:,}" for key in numbers),
            str(row["oldest"] or "-"),
            str(row["newest"] or "-"),
            "in use" if row["in_use"] else "",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *table, strict=True)]
    for line in (head, *table):
        cells = [
            cell.rjust(width) if column in _RIGHT else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _seconds(age: str) -> float:
    found = _AGE.fullmatch(age)
    if found is None:
        raise click.BadParameter(f"{age!r} is no age; write -90s, -30m, -1h or -2d")
    return int(found[1]) * _UNITS[found[2]]


def _output(url: str, protocol: Protocol, headers: Sequence[str], ca_file: str) -> outputs.Output:
    """Return the destination as a configuration document would describe it, checked as there."""
    section: dict[str, object] = {
        "headers": dict(header.partition("=")[::2] for header in headers),
        "tls": {"ca_file": ca_file},
    }
    if protocol == "remote-write":
        document: dict[str, object] = {"remote_write": {**section, "url": url}}
    elif protocol == "grpc":
        document = {"otlp": {**section, "endpoint": url}}
    else:
        parts = urlsplit(url)
        endpoint = f"{parts.scheme}://{parts.netloc}"
        document = {
            "otlp": {**section, "endpoint": endpoint, "path": parts.path, "protocol": "http"}
        }
    return settings.load(json.dumps(document), outputs.Output, environ={}, read=_no_files)


def _no_files(path: str) -> str:
    raise OSError(f"{path}: give the value itself")
