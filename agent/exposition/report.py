"""The series that a scrape adds about itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SERIES = (
    (b"up", b"1 if the last scrape succeeded, 0 if not"),
    (b"scrape_duration_seconds", b"How long the last scrape took"),
    (b"scrape_samples_scraped", b"Samples that the target exposed"),
    (b"scrape_samples_post_metric_relabeling", b"Samples that remained after relabelling"),
    (b"scrape_series_added", b"Series that the scrape before did not have"),
)
"""Name and description of each, in the order of `Report.values`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one scrape says about itself."""

    up: bool
    duration: float  # seconds
    samples: int  # none are relabelled away here, so before and after are the same
    series_added: int

    def values(self) -> npt.NDArray[np.float64]:
        """Return one value for each of `SERIES`."""
        samples = float(self.samples)
        return np.array(
            (float(self.up), self.duration, samples, samples, float(self.series_added)), np.float64
        )
