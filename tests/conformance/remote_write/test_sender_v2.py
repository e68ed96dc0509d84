"""Rules for senders of remote write 2.0: what a request says. Each test is a rule.

The rules are those of the 2.0 specification as the public compliance suites list them; MUST,
SHOULD, MAY and RECOMMENDED are theirs. `strict.receiving` checks most of them with every request:
what is said here is that the sender says the right thing, not only something legal.
"""

import math

import pytest

from common.wire import remote_write_series
from tests.conformance.remote_write import sender
from tests.conformance.remote_write.sender import (
    MS,
    NOW,
    counter,
    gauge,
    histogram,
    request,
    series_told,
    summary,
    told,
)
from tests.fakes import remote_write_rules as rules, remote_write_schema as schema

pytestmark = pytest.mark.wallclock

DRAFT = schema.messages("draft", schema.DRAFT)
FLOATS = {
    "float": 123.456,
    "integer": 42.0,
    "zero": 0.0,
    "negative zero": -0.0,
    "negative": -123.456,
    "+Inf": math.inf,
    "-Inf": -math.inf,
    "NaN": math.nan,
    "large": 1.7976931348623157e308,
    "small": 5e-324,
    "scientific": 1.23e-10,
    "precise": 0.1 + 0.2,
}


async def test_must_post_a_snappy_block_with_the_headers_of_2_0() -> None:
    (write,) = await told(request(gauge("g", 1)))
    assert write.headers["content-type"] == (
        "application/x-protobuf;proto=io.prometheus.write.v2.Request"
    )
    assert write.headers["content-encoding"] == "snappy"
    assert write.headers["x-prometheus-remote-write-version"] == "2.0.0"
    assert write.headers["user-agent"].startswith("headgate/")


async def test_must_begin_the_symbols_with_the_empty_text_and_should_repeat_none() -> None:
    metrics = [gauge("g", n, pod=f"pod {n % 3}", g="pod", n=str(n)) for n in range(30)]
    (write,) = await told(request(*metrics))
    assert write.symbols[0] == ""
    assert len(set(write.symbols)) == len(write.symbols)


async def test_recommended_few_symbols_for_what_repeats() -> None:
    metrics = [
        counter("requests", n, method=("GET", "PUT")[n % 2], code=str(200 + n // 2))
        for n in range(8)
    ]
    (write,) = await told(request(*metrics))
    assert len(write.named("requests_total")) == 8
    assert len(write.symbols) <= 30


async def test_symbols_of_one_request_are_not_those_of_another() -> None:
    first, second = await told(request(gauge("a", 1, x="y")), request(gauge("b", 2, z="y")))
    assert "a" in first.symbols and "a" not in second.symbols
    assert second.named("b")[0].get("z") == "y"


@pytest.mark.parametrize("kind", FLOATS)
async def test_must_encode_every_float_to_the_bit(kind) -> None:
    (series,) = await series_told(gauge("g", FLOATS[kind]), name="g")
    (sample,) = series.samples
    assert sample.bits == rules.bits(FLOATS[kind])


async def test_must_encode_timestamps_in_milliseconds() -> None:
    (series,) = await series_told(gauge("g", 1, at=1_234_567), name="g")
    assert [sample.ms for sample in series.samples] == [1_234_567_000]


async def test_should_keep_the_precision_of_milliseconds() -> None:
    metric = gauge("g", 1)
    metric.gauge.data_points[0].time_unix_nano = NOW * 10**9 + 123_999_999
    (series,) = await series_told(metric, name="g")
    assert series.samples[0].ms == MS + 123


async def test_should_have_a_recent_timestamp_where_there_was_none() -> None:
    (series,) = await series_told(gauge("g", 1, at=0), name="g")
    assert series.samples[0].ms == MS


async def test_should_take_a_time_in_the_future_as_it_is() -> None:
    (series,) = await series_told(gauge("g", 1, at=NOW + 60), name="g")
    assert series.samples[0].ms == MS + 60_000


async def test_may_send_several_samples_of_a_series_in_order_of_time() -> None:
    metrics = [gauge("g", n, at=NOW + n) for n in (2, 0, 1)]
    (series,) = await series_told(*metrics, name="g")
    assert [(sample.value, sample.ms) for sample in series.samples] == [
        (0.0, MS),
        (1.0, MS + 1000),
        (2.0, MS + 2000),
    ]


async def test_must_not_go_back_in_time_over_requests() -> None:
    writes = await told(*[request(counter("c", n, at=NOW + n)) for n in range(5)])
    found = [s.ms for write in writes for series in write.named("c_total") for s in series.samples]
    assert found == sorted(found) and len(found) == 5


async def test_should_have_job_and_instance() -> None:
    (series,) = await series_told(gauge("g", 1), name="g")
    assert (series.get("job"), series.get("instance")) == ("shop", "1")


async def test_must_sort_labels_without_repeating_one() -> None:
    attributes = {"zone": "z", "A": "upper", "a.b": "1", "a_b": "2", "_x": "3"}
    (series,) = await series_told(gauge("g", 1, **attributes), name="g")
    names = [name for name, _ in series.labels]
    assert names == sorted(names, key=str.encode)
    assert len(set(names)) == len(names)
    assert (series.get("A"), series.get("a_b")) == ("upper", "1;2")


async def test_must_have_names_that_are_legal_whatever_came_in() -> None:
    writes = await told(request(gauge("9 lives/µs", 1, **{"1st label!": "v"})))
    assert any(series.get("key_1st_label_") == "v" for series in writes[0].series)


async def test_must_leave_out_empty_names_and_values() -> None:
    (series,) = await series_told(gauge("g", 1, empty="", full="x"), name="g")
    assert "empty" not in dict(series.labels)
    assert series.get("full") == "x"


async def test_should_let_nobody_say_what_the_series_is_called() -> None:
    (write,) = await told(request(gauge("g", 1, __name__="forged"), gauge("h", 1)))
    reserved = {name for series in write.series for name, _ in series.labels if name[:2] == "__"}
    assert reserved == {"__name__"}
    assert not write.named("forged")


async def test_must_carry_values_of_any_letter() -> None:
    text = "héllo 世界 🚀\n\t\"\\\0'"
    (series,) = await series_told(gauge("g", 1, text=text), name="g")
    assert series.get("text") == text


async def test_should_carry_long_names_and_values() -> None:
    name, label, value = "n" * 500, "l" * 500, "v" * 10_000
    (series,) = await series_told(gauge(name, 1, **{label: value}), name=name)
    assert series.get(label) == value


async def test_should_carry_many_labels() -> None:
    attributes = {f"label_{n:03}": f"value {n}" for n in range(200)}
    (series,) = await series_told(gauge("g", 1, **attributes), name="g")
    assert attributes.items() <= dict(series.labels).items()


async def test_must_carry_colons_in_names() -> None:
    (series,) = await series_told(gauge("job:requests:rate5m", 1), name="job:requests:rate5m")
    assert series.samples


async def test_should_send_type_help_and_unit_with_the_samples() -> None:
    made = {
        "c_seconds_total": (1, counter("c", 1)),
        "g_seconds": (2, gauge("g", 1)),
        "h_seconds_count": (3, histogram("h", [1], [1, 1], 2)),
        "h_seconds_bucket": (3, None),
        "s_seconds": (5, summary("s", {0.5: 1}, 1, 1)),
        "s_seconds_sum": (5, None),
    }
    metrics = [metric for _, metric in made.values() if metric]
    for metric in metrics:
        metric.unit, metric.description = "s", f"Help of {metric.name}."
    (write,) = await told(request(*metrics))
    for name, (kind, _) in made.items():
        for series in write.named(name):
            wanted = rules.Metadata(kind=kind, help=f"Help of {name[0]}.", unit="seconds")
            assert series.metadata == wanted, name
        assert write.named(name), name


async def test_should_keep_every_letter_of_the_help() -> None:
    metric = gauge("g", 1)
    metric.description = 'Two\nlines, a \\, a " and a 世.'
    (series,) = await series_told(metric, name="g")
    assert series.metadata is not None
    assert series.metadata.help == metric.description


async def test_may_have_no_help() -> None:
    (series,) = await series_told(gauge("g", 1), name="g")
    assert series.metadata == rules.Metadata(kind=2, help="", unit="")


async def test_should_say_the_same_of_all_series_of_a_family() -> None:
    metrics = [counter("c", n, n=str(n)) for n in range(5)]
    for metric in metrics:
        metric.description = "Helps."
    found = await series_told(*metrics, name="c_total")
    assert {series.metadata for series in found} == {rules.Metadata(kind=1, help="Helps.", unit="")}
    assert len(found) == 5


async def test_must_send_a_classic_histogram_whole_and_should_order_its_buckets() -> None:
    (write,) = await told(request(histogram("h", [0.1, 1, 2.5], [5, 0, 3, 2], 250.5)))
    buckets = {series.get("le"): series.samples[0].value for series in write.named("h_bucket")}
    assert buckets == {"0.1": 5, "1": 5, "2.5": 8, "+Inf": 10}
    assert [*buckets] == ["0.1", "1", "2.5", "+Inf"]
    assert [write.named(f"h_{part}")[0].samples[0].value for part in ("count", "sum")] == [
        10.0,
        250.5,
    ]


async def test_must_send_a_summary_whole() -> None:
    (write,) = await told(request(summary("s", {0.5: 1.5, 0.99: math.nan}, 7, 9.5)))
    found = {series.get("quantile"): series.samples[0].bits for series in write.named("s")}
    assert found == {"0.5": rules.bits(1.5), "0.99": rules.bits(math.nan)}
    assert write.named("s_count")[0].samples[0].value == 7


async def test_must_send_stale_markers_bit_by_bit() -> None:
    metric = gauge("g", 0)
    metric.gauge.data_points[0].flags = 1
    metric.gauge.data_points[0].ClearField("as_double")
    (series,) = await series_told(metric, name="g")
    assert series.samples[0].bits == rules.STALE


async def test_must_send_native_histograms_as_they_are_and_never_with_samples() -> None:
    message = DRAFT["TimeSeries"]()
    message.labels.add(name="__name__", value="h")
    given = message.histograms.add(
        count_int=100, sum=250.5, schema=-4, zero_threshold=1e-128, zero_count_int=3,
        timestamp=MS, start_timestamp=MS - 1, reset_hint=2,
    )  # fmt: skip
    given.positive_spans.add(offset=-5, length=2)
    given.positive_spans.add(offset=7, length=1)
    given.positive_deltas.extend([10, 20, 7])
    given.negative_spans.add(offset=0, length=1)
    given.negative_deltas.append(20)
    about = remote_write_series.metadata(3, "h", "Helps.", "seconds")
    write = await sender.drafted(sender.draft(message), metadata=about)
    (series,) = write.named("h")
    (found,) = series.histograms
    assert series.samples == ()
    assert found.SerializeToString() == given.SerializeToString()
    assert series.metadata == rules.Metadata(kind=3, help="Helps.", unit="seconds")
    assert write.histograms == 1


async def test_must_send_large_counts_of_histograms() -> None:
    (write,) = await told(request(histogram("h", [1], [10**9, 1], 1e18)))
    assert write.named("h_count")[0].samples[0].value == 10**9 + 1


async def test_may_send_exemplars_with_all_their_labels_and_must_date_them() -> None:
    message = DRAFT["TimeSeries"]()
    message.labels.add(name="__name__", value="c_total")
    message.samples.add(value=1, timestamp=MS, start_timestamp=MS - 5)
    for n in range(2):
        exemplar = message.exemplars.add(value=0.5 + n, timestamp=MS + n)
        for name, value in (("trace_id", "ab" * 16), ("span_id", "cd" * 8), ("shop", f"{n}")):
            exemplar.labels.add(name=name, value=value)
    write = await sender.drafted(sender.draft(message))
    (series,) = write.named("c_total")
    assert [(found.bits, found.ms) for found in series.exemplars] == [
        (rules.bits(0.5), MS),
        (rules.bits(1.5), MS + 1),
    ]
    assert dict(series.exemplars[1].labels) == {
        "trace_id": "ab" * 16, "span_id": "cd" * 8, "shop": "1",
    }  # fmt: skip
    assert write.exemplars == 2


async def test_may_send_start_timestamps_and_should_send_none_where_there_is_none() -> None:
    write = await sender.drafted(sender.started("a_total", MS - 5), sender.started("g", 0))
    assert [sample.start for sample in write.named("a_total")[0].samples] == [MS - 5]
    assert [sample.start for sample in write.named("g")[0].samples] == [0]


async def test_should_send_nothing_for_nothing() -> None:
    assert await told(request()) == []


async def test_must_send_mixed_families_of_one_request() -> None:
    metrics = [
        counter("c", 1), gauge("g", 2), histogram("h", [1], [1, 1], 3), summary("s", {}, 4, 5),
    ]  # fmt: skip
    (write,) = await told(request(*metrics))
    names = {series.name for series in write.series}
    assert names == {"c_total", "g", "h_bucket", "h_sum", "h_count", "s_sum", "s_count"}


@pytest.mark.slow
async def test_recommended_many_series_and_high_cardinality() -> None:
    metrics = [gauge("g", n, user=f"user-{n}", shard=str(n % 7)) for n in range(12_000)]
    writes = await told(request(*metrics))
    found = {series.get("user"): series.samples[0].value for w in writes for series in w.series}
    assert found == {f"user-{n}": float(n) for n in range(12_000)}
