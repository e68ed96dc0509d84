"""The points of one scrape that are longer than their template has them, or altogether different.

Exemplars come and go, and the buckets of a native histogram have no fixed width: such points are
written anew each time.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from agent.exposition import model, plan, points, template, translate
from common.wire import protobuf

_FIELD = {translate.Kind.SUM: 5, translate.Kind.HISTOGRAM: 8}
"""Of exemplars in NumberDataPoint and HistogramDataPoint."""


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
        field = _FIELD[wrappings[int(metric_of[point])].kind]
        framed = [protobuf.framed(field, message) for message in messages]
        whole[point] = b"".join((view[int(starts[point]) : int(ends[point])], *framed))
    return whole


def natives(
    filled: template.Template,
    found: Mapping[int, model.Native],
    values: npt.NDArray[np.float64],
    times: npt.NDArray[np.int64],
    time_ns: int,
) -> tuple[dict[int, bytes | None], int]:
    """Return the points of *filled* that are native histograms, *found* by sample, as they are now.

    ``None`` stands for one that OTLP has no form for; how many are such is returned, too.
    """
    whole: dict[int, bytes | None] = {}
    planned, view = filled.plan, filled.view()
    starts, ends = filled.spans()
    odd = 0
    for point in np.flatnonzero(~planned.lone).tolist():
        sample, begun = int(planned.leaders[point]), int(planned.started[point])
        native = found.get(sample)
        if native is None:
            continue
        since = 0
        if begun != plan.NONE:
            since = int(template.since(values[begun : begun + 1], time_ns)[0])
        told = int(times[sample])
        payload = bytes(view[int(starts[point]) : int(ends[point])])
        written = points.native(
            points.attributes_of(payload),
            native,
            time_ns=time_ns if told == model.UNTIMED else told * template.MILLISECOND,
            start_ns=since,
        )
        whole[point] = written
        odd += written is None
    return whole, odd
