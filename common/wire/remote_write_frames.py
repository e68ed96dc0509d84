"""The frames of one body: what is known of each, and whether that goes apart from the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

from common.wire import remote_write_points, remote_write_weave
from common.wire.remote_write_known import Found
from common.wire.remote_write_origins import Origin


@final
@dataclass(slots=True, eq=False)
class Frame:
    """A ResourceMetrics of a body: where it is, and what is known of it.

    Its Resource is one and comes first, if there is any, as `otlp.splice` sees to.
    """

    start: int
    end: int
    resource: bytes
    found: Found | None
    part: int = -1  # its place among the parts, if it has one and that is used
    origin: Origin | None = None  # of what took the plain path
    newest: int = -1  # milliseconds of its newest point


def in_order(members: Sequence[Frame], weaver: remote_write_weave.Weaver) -> bool:
    """Say whether frames are known through and through, each younger than the one before."""
    if any(frame.part < 0 or (frame.found and frame.found.rest) for frame in members):
        return False
    parts = sorted([frame.part for frame in members])
    return all(weaver.newest[a] < weaver.oldest[b] for a, b in pairwise(parts))


def entangled(
    conversion: remote_write_points.Conversion,
    frames: Sequence[Frame],
    weaver: remote_write_weave.Weaver,
) -> bool:
    """Say whether the rest of a frame has series that its known part has too."""
    rests = [frame.part for frame in frames if frame.found and frame.found.rest]
    if not rests:
        return False
    heads = conversion.heads()
    return any(not heads.isdisjoint(weaver.parts[part].heads()) for part in rests)
