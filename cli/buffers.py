"""What ``headgate buffer`` finds in logs on disk, and how it deletes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from common.buffer import folders, inspection
from common.buffer.disk import Disk, InUse


@contextmanager
def held(directory: Path) -> Iterator[Sequence[Path]]:
    """Give the folders of the logs below *directory*, and keep everybody else from them.

    Raises :class:`click.ClickException` if a running gateway has one of them.
    """
    disk = Disk()
    with ExitStack() as stack:
        found = folders.folders(directory)
        for folder in found:
            try:
                stack.enter_context(inspection.holding(folder, disk))
            except InUse as error:
                raise click.ClickException(f"{folder}: {error.strerror}") from error
            except OSError as error:
                raise click.ClickException(f"{folder}: {error.strerror or error}") from error
        yield found


def rows(directory: Path) -> list[dict[str, object]]:
    """Say what is in each log below *directory*, those in use included."""
    disk = Disk()
    return [_row(folder, disk) for folder in folders.folders(directory)]


def verified(directory: Path) -> tuple[int, int, list[dict[str, object]]]:
    """Check every record below *directory*: how many logs, records, and what is damaged."""
    disk = Disk()
    records = 0
    found: list[dict[str, object]] = []
    with held(directory) as those:
        for folder in those:
            contents = inspection.inspect(folder, disk, thorough=True)
            records += sum(len(file.walked.found) for file in contents.files)
            found += _damage(contents)
    return len(those), records, found


def undelivered(those: Iterable[Path]) -> int:
    """Return the points that are not settled."""
    disk = Disk()
    return sum(inspection.inspect(one, disk, thorough=False).index.points for one in those)


def empty(folder: Path) -> None:
    """Delete all of a log but its lock, which is held."""
    for first, salt in folders.segments(path.name for path in folder.iterdir()):
        (folder / folders.segment_name(first, salt)).unlink()
    # Last, so that what is left after half of it is still a log.
    for name in (folders.RESERVE, folders.PROBE, folders.CURSOR):
        (folder / name).unlink(missing_ok=True)


def _moment(stamp: int) -> str:
    """Return milliseconds since the Unix epoch as people and programs read them."""
    return datetime.fromtimestamp(stamp / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _row(folder: Path, disk: Disk) -> dict[str, object]:
    in_use = inspection.is_in_use(folder, disk)
    contents = inspection.inspect(folder, disk, thorough=False)
    reaches = contents.reaches()
    return {
        "folder": str(folder),
        "segments": len(contents.files),
        "bytes": sum(file.size for file in contents.files),
        "records": sum(len(file.segment) for file in contents.files),
        "points": contents.index.points,
        "oldest": _moment(reaches[0]) if reaches else None,
        "newest": _moment(reaches[1]) if reaches else None,
        "in_use": in_use,
    }


def _damage(contents: inspection.Contents) -> Iterable[dict[str, object]]:
    for why in contents.unreadable:
        yield {"file": str(contents.folder), "what": why}
    for file in contents.files:
        segment = file.segment
        for number in file.bad:
            index = number - segment.first
            offset, points = segment.offsets[index], segment.points[index]
            what = f"record {number} at byte {offset}, {points} points, is not what was written"
            yield {"file": str(file.path), "record": number, "offset": offset, "what": what}
        for begin, end in file.walked.junk:
            what = f"bytes {begin} to {end} are no record"
            yield {"file": str(file.path), "offset": begin, "what": what}
        if file.rubble:
            begin = file.walked.end
            what = f"bytes {begin} to {file.size} are no record"
            yield {"file": str(file.path), "offset": begin, "what": what}
