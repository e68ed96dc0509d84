"""Numbers find their holes: times as varints, values as doubles, buckets added up."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from common.wire import protobuf, remote_write_weave as weave


@given(st.lists(st.integers(1 << 35, (1 << 42) - 1), min_size=1, max_size=20))
def test_times_of_six_bytes_are_spelt_as_varints(times):
    words = weave._stamps(np.array(times, np.uint64))
    for word, ms in zip(words.tolist(), times, strict=True):
        assert word.to_bytes(8, "little") == b"\x10" + protobuf.varint(ms) + b"\x0a"


@given(st.lists(st.lists(st.integers(0, 2**40 - 1), min_size=1, max_size=6), min_size=1))
def test_buckets_are_added_up_within_their_histogram(histograms):
    numbers = np.array([count for each in histograms for count in each], np.uint64)
    firsts, at = [], 0
    for each in histograms:
        firsts += [at] * len(each)
        at += len(each)
    made = weave._made(numbers, 3, [np.array(firsts, np.int32)]).view(np.float64)
    expected = [float(sum(each[: n + 1])) for each in histograms for n in range(len(each))]
    assert made.tolist() == expected


@pytest.mark.parametrize(
    ("kind", "number", "expected"),
    [(1, -5, -5.0), (1, 2**53 + 1, float(2**53 + 1)), (2, 2**64 - 1, float(2**64 - 1))],
)
def test_whole_numbers_become_the_nearest_doubles(kind, number, expected):
    word = np.array([number & (2**64 - 1)], np.uint64)
    assert weave._made(word, kind, []).view(np.float64).tolist() == [expected]
