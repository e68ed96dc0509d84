"""The series that a scrape adds about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from common.config import input_names

Series: TypeAlias = tuple[tuple[bytes, bytes], ...]


def _encoded(named: Mapping[str, str]) -> Series:
    return tuple((name.encode(), words.encode()) for name, words in named.items())


SERIES: Final = _encoded(input_names.SCRAPE)
"""Name and description of each, in the order of `Report.values`."""

EXTRA: Final = _encoded(input_names.SCRAPE_EXTRA)
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
