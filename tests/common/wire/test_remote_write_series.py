"""A series in pieces is the series that its schema says."""

from hypothesis import given, strategies as st

from bench.references import prompb
from common.wire import remote_write_series as series

LABELS = series.label("__name__", "load")
VALUE = b"\x00\x00\x00\x00\x00\x00\xf8\x3f"  # 1.5
usual = st.integers(2**35, 2**42 - 1)


@given(usual, st.one_of(st.just(0), st.integers(0, 2**42 - 1)))
def test_head_value_stamp_and_start_are_a_series_of_one_length(at, began):
    behind = VALUE + series.stamp(at) + series.start(began)
    assert len(behind) == series.behind_head(started=True)
    head = series.started_head(LABELS)
    (found,) = prompb.WriteRequest.FromString(head + behind).timeseries
    (sample,) = found.samples
    assert (sample.value, sample.timestamp, sample.start_timestamp) == (1.5, at, began)
    assert series.labels_of(head) == LABELS
    assert series.read_sample(behind) == (at, VALUE + series.start(began))


@given(st.integers(0, 2**45), st.integers(0, 2**45))
def test_any_time_and_any_start_can_be_told(at, began):
    encoded = series.time_series(LABELS, ((at, VALUE + series.start(began)),))
    (found,) = prompb.WriteRequest.FromString(encoded).timeseries
    assert [(s.timestamp, s.start_timestamp) for s in found.samples] == [(at, began)]
