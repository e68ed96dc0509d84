"""Reading remote write requests, against upb."""

import pytest
from hypothesis import given, settings, strategies as st

from bench.references import prompb
from common.wire import errors, protobuf, remote_write_view

texts = st.text(max_size=5)
labels = st.lists(st.tuples(st.text(min_size=1, max_size=5), texts), min_size=1, max_size=3)
samples = st.lists(st.tuples(st.floats(allow_nan=False), st.integers(-(2**63), 2**63 - 1)))
metadata = st.lists(st.tuples(st.integers(0, 9), texts, texts, texts), max_size=2)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(labels, samples), max_size=3), metadata)
def test_what_prometheus_writes_is_read_back(series, described):
    request = prompb.WriteRequest()
    for pairs, points in series:
        added = request.timeseries.add()
        for name, value in pairs:
            added.labels.add(name=name, value=value)
        for value, at in points:
            added.samples.add(value=value, timestamp=at)
    for kind, family, description, unit in described:
        request.metadata.add(type=kind, metric_family_name=family, help=description, unit=unit)
    view = remote_write_view.read(request.SerializeToString())
    assert [(list(s.labels), list(s.samples)) for s in view.series] == series
    assert [(m.kind, m.family, m.help, m.unit) for m in view.metadata] == [
        (remote_write_view.KINDS[kind] if kind < 8 else "unknown", *rest)
        for kind, *rest in described
    ]


@settings(max_examples=50, deadline=None)
@given(labels, st.floats(allow_nan=False), st.integers(-(2**63), 2**63 - 1), st.integers(-5, 9))
def test_exemplars_and_native_histograms_are_read_back(pairs, value, at, schema):
    request = prompb.WriteRequest()
    series = request.timeseries.add()
    exemplar = series.exemplars.add(value=value, timestamp=at)
    for name, text in pairs:
        series.labels.add(name=name, value=text)
        exemplar.labels.add(name=name, value=text)
    series.histograms.add(count_int=2**64 - 1, sum=value, schema=schema, timestamp=at)
    (found,) = remote_write_view.read(request.SerializeToString()).series
    assert found == remote_write_view.Series(
        labels=tuple(pairs),
        samples=(),
        exemplars=(remote_write_view.Exemplar(labels=tuple(pairs), value=value, milliseconds=at),),
        histograms=(
            remote_write_view.Histogram(count=2**64 - 1, sum=value, schema=schema, milliseconds=at),
        ),
    )


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_a_request_or_malformed(body):
    try:
        remote_write_view.read(body)
    except errors.Malformed:
        return
    assert prompb.WriteRequest.FromString(body) is not None


@pytest.mark.parametrize(
    ("series", "why"),
    [
        (b"", "without labels"),
        (protobuf.framed(1, protobuf.framed(2, b"v")), "without a name"),
        (protobuf.framed(1, protobuf.framed(1, b"\xff")), "not UTF-8"),
    ],
)
def test_a_series_that_no_receiver_would_take_is_malformed(series, why):
    with pytest.raises(errors.Malformed, match=why):
        remote_write_view.read(protobuf.framed(1, series))


def test_unknown_fields_are_skipped():
    label = protobuf.framed(1, protobuf.framed(1, b"a") + protobuf.framed(2, b"b"))
    other = protobuf.framed(7, b"x")
    view = remote_write_view.read(protobuf.framed(1, label + other) + protobuf.framed(9, b"y"))
    assert view.series == (remote_write_view.Series(labels=(("a", "b"),), samples=()),)
