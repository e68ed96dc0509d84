"""Expositions as parsers of every format make them, said in a few words."""

from collections.abc import Mapping, Sequence

import numpy as np

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
