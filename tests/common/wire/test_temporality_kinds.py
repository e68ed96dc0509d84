"""What values are accounted with."""

from __future__ import annotations

import pytest

from common.wire import temporality_kinds as kinds
from common.wire.temporality_exponential import Exponential
from common.wire.temporality_values import Histogram


def test_numbers_cost_nothing_beside_their_series_and_are_no_messages() -> None:
    assert kinds.NUMBERS.cost(5) == kinds.NUMBERS.cost(2.5) == 0
    with pytest.raises(RuntimeError, match="BUG"):
        kinds.NUMBERS.read(None)


def test_histograms_cost_more_the_more_buckets_they_have() -> None:
    few, many = Histogram(bytes(8), (1, 2), 3, None), Histogram(bytes(80), (1,) * 11, 11, None)
    assert kinds.HISTOGRAMS.cost(many) - kinds.HISTOGRAMS.cost(few) == 72 + 9 * 40
    one = Exponential(0, 0.0, 0, 1, None, (0, (1,)), (0, ()))
    two = one._replace(negative=(0, (1, 1)))
    assert kinds.EXPONENTIALS.cost(two) - kinds.EXPONENTIALS.cost(one) == 80
