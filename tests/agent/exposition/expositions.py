"""Expositions as parsers of every format make them, said in a few words."""

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import strategies as st

from agent.exposition import model

Samples = Sequence[tuple[bytes, Mapping[bytes, bytes]]]


def of(
    samples: Samples,
    families: dict[bytes, model.Family],
    *,
    written: model.Format = model.Format.OPEN_METRICS,
    values: Sequence[float] = (),
    times: Sequence[int] = (),
    natives: dict[int, model.Native] | None = None,
    exemplars: dict[int, model.Exemplar] | None = None,
) -> model.Exposition:
    """Return names, labels and what is said of them; the values are 1 unless told."""
    count = len(samples)
    return model.Exposition(
        format=written,
        names=[name for name, _ in samples],
        labels=[tuple(labels.items()) for _, labels in samples],
        values=np.array(values or [1.0] * count, np.float64),
        times=np.array(times or [model.UNTIMED] * count, np.int64),
        value_at=np.empty(0, np.int64),
        families=families,
        natives=natives or {},
        exemplars=exemplars or {},
    )


SCOPE = ',otel_scope_name="lib",otel_scope_schema_url="u"'
_PIECES = (
    'a_total{{n="{n}"{scope}}} {n}{time}{exemplar}',
    'a_created{{n="{n}"{scope}}} 16{n}.25',
    'g{{n="{n}"{scope}}} -{n}.5{time}',
    's{{n="{n}",quantile="0.5"}} {n}',
    's_sum{{n="{n}"}} 2.5',
    's_count{{n="{n}"}} {n}',
    's_created{{n="{n}"}} 170000000{n}',
    'h_bucket{{n="{n}",le="0.1"{scope}}} {n}{exemplar}',
    'h_bucket{{n="{n}",le="+Inf"{scope}}} 9{exemplar}',
    'h_count{{n="{n}"{scope}}} 9{exemplar}',
    'h_sum{{n="{n}"{scope}}} 4.25',
    'h_created{{n="{n}"{scope}}} 1.6e9',
    'e_info{{n="{n}"}} 1',
    'free{{n="{n}"{scope}}} {n}e5',
    'target_info{{n="{n}"}} 1',
)
_TYPES = ("a counter", "g gauge", "s summary", "h histogram", "e info")


@st.composite
def open_metrics(draw: st.DrawFn) -> bytes:
    """Make a body of all that becomes points of any kind: scopes, starts, times and exemplars."""
    lines = [f"# TYPE {said}" for said in _TYPES]
    for piece in draw(st.lists(st.sampled_from(_PIECES), max_size=25)):
        may_have = "{exemplar}" in piece
        lines.append(
            piece.format(
                n=draw(st.integers(0, 3)),
                scope=draw(st.sampled_from(["", "", SCOPE, ',otel_scope_name="other"'])),
                time=draw(st.sampled_from(["", "", "", " 1700000000.5"])),
                exemplar=draw(st.sampled_from(["", "", ' # {trace_id="4bf92f35"} 0.5 1.5e9']))
                if may_have
                else "",
            )
        )
    return "\n".join((*lines, "# EOF", "")).encode()


def native(**changes) -> model.Native:
    """Return a native histogram of four observations, one of them about zero."""
    told = {
        "schema": 0,
        "zero_threshold": 1e-128,
        "zero_count": 1,
        "count": 4,
        "sum": 5.0,
        "positive_offset": 1,
        "positive": (1, 2),
        "negative_offset": 0,
        "negative": (),
    }
    return model.Native(**(told | changes))
