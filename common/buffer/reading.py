"""Read records back from their files, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from common.buffer import folders, records
from common.buffer.disk import Disk, read_all
from common.buffer.index import Run
from common.wire import otlp

_GONE: Final = "its file is gone"
_DAMAGED: Final = "its checksum does not hold"


@final
@dataclass(frozen=True, slots=True)
class Damage:
    """A record cannot be had."""

    why: str
    passing: bool  # the disk gave an error, and might think better of it


@final
@dataclass(frozen=True, slots=True)
class Payload:
    """What was appended."""

    spans: otlp.Spans
    body: otlp.Encoded


def read(folder: Path, disk: Disk, run: Run) -> Sequence[Payload | Damage]:
    """Return what each record of *run* holds; never raises."""
    segment = run.segment
    path = folder / folders.segment_name(segment.first, segment.salt)
    count = run.stop - run.start
    try:
        descriptor = disk.open(path)
    except FileNotFoundError:
        return [Damage(_GONE, passing=False)] * count
    except OSError as error:
        return [Damage(error.strerror or str(error), passing=True)] * count
    try:
        begin, end = segment.offsets[run.start], segment.behind(run.stop - 1)
        try:
            data = memoryview(read_all(disk, descriptor, end - begin, begin))
        except OSError:
            return [_alone(disk, descriptor, run, index) for index in range(run.start, run.stop)]
        return [
            _decode(data, segment.offsets[index] - begin, segment.first + index, segment.salt)
            for index in range(run.start, run.stop)
        ]
    finally:
        disk.close(descriptor)


def _alone(disk: Disk, descriptor: int, run: Run, index: int) -> Payload | Damage:
    """Read one record: among many that cannot be read at once, most can be by themselves."""
    offset = run.segment.offsets[index]
    try:
        data = read_all(disk, descriptor, run.segment.behind(index) - offset, offset)
    except OSError as error:
        return Damage(error.strerror or str(error), passing=True)
    return _decode(memoryview(data), 0, run.segment.first + index, run.segment.salt)


def _decode(data: memoryview, at: int, number: int, salt: int) -> Payload | Damage:
    head = records.decode_head(data, at, salt)
    if head is None or head.number != number:
        return Damage(_DAMAGED, passing=False)
    begin = at + records.HEAD_BYTES
    payload = records.decode_payload(head, data[begin : begin + head.length])
    return Damage(_DAMAGED, passing=False) if payload is None else Payload(*payload)
