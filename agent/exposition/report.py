"""The series that a scrape adds about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Series: TypeAlias = tuple[tuple[bytes, bytes], ...]

SERIES: Final[Series] = (
    (b"up", b"1 if the last scrape succeeded, 0 if not"),
    (b"scrape_duration_seconds", b"How long the last scrape took"),
    (b"scrape_samples_scraped", b"Samples that the target exposed"),
    (b"scrape_samples_post_metric_relabeling", b"Samples that remained after relabelling"),
    (b"scrape_series_added", b"Series that the scrape before did not have"),
)
"""Name and description of each, in the order of `Report.values`."""

EXTRA: Final[Series] = (
    (b"scrape_timeout_seconds", b"How long a scrape may take"),
    (b"scrape_sample_limit", b"Samples that a scrape may bring, 0 for any number"),
    (b"scrape_body_size_bytes", b"Bytes of the body, -1 if there were too many"),
)
"""Further ones by choice, behind the others."""

TOO_LARGE: Final = -1
"""Stands for the size of a body that exceeded its limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a scrape may cost, for the series that tell so."""

    timeout: float  # seconds
    sample_limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one scrape says about itself."""

    up: bool
    duration: float  # seconds
    samples: int
    kept: int  # of the samples, those that no rule of the target leaves out
    series_added: int
    body_bytes: int = 0  # or `TOO_LARGE`

    def values(self, extra: Terms | None = None) -> npt.NDArray[np.float64]:
        """Return one value for each of `SERIES`, and with *extra* of `EXTRA`."""
        said = (self.up, self.duration, self.samples, self.kept, self.series_added)
        more = (extra.timeout, extra.sample_limit, self.body_bytes) if extra is not None else ()
        return np.array((*said, *more), np.float64)
