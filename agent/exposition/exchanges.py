"""The points of one scrape that are longer than their template has them, or altogether different.

Exemplars come and go, and the buckets of a native histogram have no fixed width: such points are
written anew each time.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agent.exposition import (
    model,
    native,
    native_points,
    plan,
    points,
    series,
    template,
    translate,
)
from common.wire import protobuf


def exemplified(
    filled: template.Template, exemplars: Mapping[int, model.Exemplar]
) -> dict[int, bytes]:
    """Return the points of *filled* that have *exemplars*, by sample, with these appended.

    Only counters and the buckets of histograms have any; elsewhere they are left out, as the
    specification of OpenMetrics has it.
    """
    places = filled.exemplar_points()
    found: dict[int, list[bytes]] = {}
    for sample, exemplar in exemplars.items():
        point = places.get(sample)
        if point is not None:
            found.setdefault(point, []).append(points.exemplar(exemplar))
    if not found:
        return {}
    starts, ends = filled.spans()
    view, metric_of, wrappings = filled.view(), filled.plan.metric_of, filled.plan.wrappings
    whole = {}
    for point, messages in found.items():
        field = points.EXEMPLARS[wrappings[int(metric_of[point])].kind]
        framed = [protobuf.framed(field, message) for message in messages]
        whole[point] = b"".join((view[int(starts[point]) : int(ends[point])], *framed))
    return whole


def natives(
    filled: template.Template, readings: series.Readings, time_ns: int
) -> tuple[dict[int, bytes | None], dict[translate.Drop, int]]:
    """Return the points of *filled* that are native histograms as *readings* have them.

    ``None`` stands for one that makes no sense in OTLP; how many are such is returned by reason.
    """
    whole: dict[int, bytes | None] = {}
    unsent: dict[translate.Drop, int] = {}
    planned, view = filled.plan, filled.view()
    starts, ends = filled.spans()
    for point in np.flatnonzero(~planned.lone).tolist():
        sample, begun = int(planned.leaders[point]), int(planned.started[point])
        histogram = readings.natives.get(sample)
        if histogram is None:
            continue
        told = int(readings.times[sample])
        at = time_ns if told == model.UNTIMED else told * model.MILLISECOND
        since = 0
        if begun != plan.NONE:
            seconds = readings.values[begun : begun + 1]
            since = int(points.starts(seconds, np.array([at], np.uint64))[0])
        behind = points.COUNT_AT + 8 + (points.START_SIZE if begun != plan.NONE else 0)
        written = native_points.write(
            bytes(view[int(starts[point]) + behind : int(ends[point])]),
            histogram,
            time_ns=at,
            start_ns=since,
            exemplars=histogram.exemplars,
        )
        if isinstance(written, native.Unsent):
            reason = translate.Drop(written)
            unsent[reason] = unsent.get(reason, 0) + 1
            whole[point] = None
        else:
            whole[point] = written
    return whole, unsent
