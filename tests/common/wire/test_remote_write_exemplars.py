"""Exemplars: which labels they get, and what is left of one that has too many."""

import math

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar

from bench.references import prompb
from common.wire import remote_write_exemplars, remote_write_shape
from common.wire.prometheus_names import Naming
from tests.common.wire.test_remote_write import attributes, number

MS = 1_700_000_000_123
TRACE, SPAN = bytes(range(16)), b"\x01" * 8
IDS = {"trace_id": TRACE.hex(), "span_id": SPAN.hex()}  # 8 + 32 + 7 + 16 = 63 code points


def spelt(pairs=(), naming=Naming.SUFFIXES, **fields):
    given = Exemplar(filtered_attributes=attributes(pairs), **fields)
    point = number(exemplars=[given]).SerializeToString()
    (shaped,) = remote_write_shape.read_number(point).exemplars
    found = remote_write_exemplars.spell(shaped, MS, naming)
    if found is None:
        return None
    (series,) = prompb.WriteRequest.FromString(
        b"\x0a" + bytes((len(found[1]),)) + found[1] if len(found[1]) < 128
        else b"\x0a" + bytes((len(found[1]) & 127 | 128, len(found[1]) >> 7)) + found[1]
    ).timeseries  # fmt: skip
    (exemplar,) = series.exemplars
    assert exemplar.timestamp == found[0]
    names = [label.name for label in exemplar.labels]
    assert names == sorted(set(names))
    return exemplar.value, {label.name: label.value for label in exemplar.labels}, found[0]


def test_an_exemplar_has_its_value_its_ids_in_hex_its_attributes_and_its_time():
    found = spelt([("http.path", "/x"), ("n", 3)], as_double=0.5, time_unix_nano=5 * 10**6,
                  trace_id=TRACE, span_id=SPAN)  # fmt: skip
    assert found == (0.5, IDS | {"http_path": "/x", "n": "3"}, 5)


@pytest.mark.parametrize("nanoseconds", [0, 999_999])
def test_without_a_usable_time_it_gets_its_points(nanoseconds):
    assert spelt(as_int=-7, time_unix_nano=nanoseconds) == (-7.0, {}, MS)


def test_one_without_a_value_cannot_be_sent():
    assert spelt(trace_id=TRACE) is None


def test_ids_that_are_none_are_left_out_and_true_ones_win_over_attributes():
    pairs = [("trace_id", "mine"), ("span_id", "mine")]
    assert spelt(pairs, as_int=1, trace_id=bytes(16), span_id=SPAN)[1] == {
        "trace_id": "mine",
        "span_id": SPAN.hex(),
    }
    assert spelt(as_int=1, trace_id=TRACE[:15], span_id=bytes(8))[1] == {}


@pytest.mark.parametrize(("characters", "fits"), [(64, True), (65, False)])
def test_attributes_are_added_all_or_not_at_all_up_to_128_code_points(characters, fits):
    # 63 of the ids and one of the name leave 64, of whatever number of bytes.
    pairs = [("k", "日" * characters)]
    found = spelt(pairs, as_int=1, trace_id=TRACE, span_id=SPAN)[1]
    assert found == (IDS | dict(pairs) if fits else IDS)
    assert spelt([("a", "b"), ("k", "x" * 125)], as_int=1)[1] == {"a": "b", "k": "x" * 125}
    assert spelt([("a", "b"), ("k", "x" * 126)], as_int=1)[1] == {}


def test_attributes_are_called_as_labels_are():
    pairs = [("a.b", "1"), ("a_b", "2")]
    assert spelt(pairs, as_int=1)[1] == {"a_b": "1;2"}
    assert spelt(pairs, Naming.UTF8, as_int=1)[1] == {"a.b": "1", "a_b": "2"}


@pytest.mark.parametrize(
    ("value", "at"),
    [(-math.inf, 0), (0.5, 0), (1, 0), (1.5, 1), (2, 1), (2.5, 2), (math.inf, 2), (math.nan, None)],
)
def test_the_bucket_is_the_first_whose_bound_is_no_less(value, at):
    assert remote_write_exemplars.bucket(value, [1, 2]) == at


def test_the_exemplars_of_a_series_are_told_once_in_the_order_of_time():
    assert remote_write_exemplars.joined([(2, b"b"), (1, b"z"), (2, b"b"), (2, b"a")]) == b"zab"
