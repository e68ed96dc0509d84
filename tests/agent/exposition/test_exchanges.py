"""Points written anew: exemplars where OpenMetrics has them, native histograms as they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from agent.exposition import (
    exchanges,
    metrics,
    model,
    openmetrics,
    series,
    template,
    translate,
)
from agent.exposition.translate import Drop
from tests.agent.exposition import expositions, rendering
from tests.fakes import scrape_histories as histories

NOW = 1_700_000_000_000_000_000
ORIGIN = metrics.Origin.of(job="j", instance="i", scope=("agent", "1"), attributes={}, labels={})
RULES = translate.Rules()
REPORT = [1.0, 0.5, 3.0, 3.0, 2.0]
Request = metrics_service_pb2.ExportMetricsServiceRequest


def filled(exposition: model.Exposition) -> template.Template:
    translation = translate.translate(exposition, RULES)
    origin = ORIGIN.with_info(translation.info)
    written = template.Template.of(translation, origin, exposition.times, ())
    written.fill(np.concatenate((exposition.values, REPORT)), exposition.times, NOW)
    return written


def readings(exposition: model.Exposition) -> series.Readings:
    return series.Readings(
        values=exposition.values,
        times=exposition.times,
        exemplars=exposition.exemplars,
        natives=exposition.natives,
    )


def exemplified(body: bytes) -> dict[str, list]:
    """Return the exemplars of each point that was written anew, by the name of its metric."""
    exposition = openmetrics.parse(body, model.Limits())
    written = filled(exposition)
    others = exchanges.exemplified(written, exposition.exemplars)
    request = Request.FromString(written.filled(others))
    found = {}
    for metric in request.resource_metrics[0].scope_metrics[0].metrics:
        kind = metric.WhichOneof("data")
        for point in getattr(metric, kind).data_points:
            if kind != "summary" and point.exemplars:
                found.setdefault(metric.name, []).append(list(point.exemplars))
    assert sum(map(len, found.values())) == len(others)
    return found


def test_a_counter_has_its_exemplar_and_keeps_its_numbers() -> None:
    found = exemplified(
        b"# TYPE a counter\n"
        b'a_total{n="1"} 3\n'
        b'a_total{n="2"} 4 # {trace_id="0123456789abcdef0123456789abcdef",k="v"} 0.25 1.5e9\n'
        b"# EOF\n"
    )
    ((exemplar,),) = found["a_total"]
    assert exemplar.as_double == 0.25
    assert exemplar.time_unix_nano == 1_500_000_000_000_000_000
    assert exemplar.trace_id.hex() == "0123456789abcdef0123456789abcdef"
    assert [(a.key, a.value.string_value) for a in exemplar.filtered_attributes] == [("k", "v")]


def test_a_histogram_has_those_of_all_its_buckets() -> None:
    found = exemplified(
        b"# TYPE h histogram\n"
        b'h_bucket{le="1"} 1 # {b="1"} 0.5\nh_bucket{le="2"} 2\nh_bucket{le="+Inf"} 3 # {} 7\n'
        b"h_count 3\nh_sum 9\n# EOF\n"
    )
    (exemplars,) = found["h"]
    assert [exemplar.as_double for exemplar in exemplars] == [0.5, 7]


@pytest.mark.parametrize(
    "line",
    [
        b"# TYPE g gauge\ng 1 # {} 2",
        b"free 1 # {} 2",
        b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_count 3 # {} 2',
        b"# TYPE h histogram\nh_count 3\nh_sum 3 # {} 2",
        b"# TYPE s summary\ns_count 3 # {} 2",
        b'# TYPE s summary\ns{quantile="0.5"} 3 # {} 2\ns_count 3',
        b"# TYPE e info\ne_info 1 # {} 2",
        b"# TYPE a counter\na_total 1\na_created 5 # {} 2",
    ],
)
def test_elsewhere_exemplars_are_left_out(line: bytes) -> None:
    assert exemplified(line + b"\n# EOF\n") == {}


@settings(max_examples=200)
@given(expositions.open_metrics())
def test_whatever_has_exemplars_it_is_as_if_it_were_written_at_once(body: bytes) -> None:
    exposition = openmetrics.parse(body, model.Limits())
    written = filled(exposition)
    others = exchanges.exemplified(written, exposition.exemplars)
    translation = translate.translate(exposition, RULES)
    owed = rendering.request(translation, exposition, ORIGIN, REPORT, NOW)
    assert histories.points(written.filled(others)) == histories.points(owed)
    assert len(others) <= len(exposition.exemplars)


def exposed(*natives: model.Native, created: float = 0.0, time: int = model.UNTIMED):
    """Return native histograms called h, each since *created* and at *time*."""
    samples = [(b"h", {b"n": str(n).encode()}) for n in range(len(natives))]
    samples += [(b"h_created", labels) for _, labels in samples] if created else []
    return expositions.of(
        samples,
        {b"h": model.Family(type=b"histogram")},
        written=model.Format.PROTOBUF,
        natives=dict(enumerate(natives)),
        values=[4.0] * len(natives) + [created] * len(natives) * bool(created),
        times=[time] * len(natives) + [model.UNTIMED] * len(natives) * bool(created),
    )


def sent(exposition: model.Exposition):
    """Return the histograms of the request, and what is not in it."""
    written = filled(exposition)
    others, unsent = exchanges.natives(written, readings(exposition), NOW)
    request = Request.FromString(written.filled(others))
    found = []
    for metric in request.resource_metrics[0].scope_metrics[0].metrics:
        if metric.name == "h":
            found += metric.exponential_histogram.data_points or metric.histogram.data_points
    assert len(found) == len(exposition.natives) - sum(unsent.values())
    return found, unsent


def test_a_native_histogram_is_as_the_scrape_has_it() -> None:
    example = model.Exemplar(((b"k", b"v"),), 0.75, 1_500_000_000_000)
    (point,), unsent = sent(exposed(expositions.native(exemplars=(example,))))
    assert unsent == {}
    assert (point.count, point.sum, point.scale, point.zero_count) == (4, 5.0, 0, 1)
    assert (point.positive.offset, list(point.positive.bucket_counts)) == (0, [1, 2])
    assert (point.time_unix_nano, point.start_time_unix_nano) == (NOW, 0)
    assert [(a.key, a.value.string_value) for a in point.attributes] == [("n", "0")]
    assert [e.as_double for e in point.exemplars] == [0.75]


def test_a_native_histogram_has_its_start_and_its_own_time() -> None:
    (point,), _ = sent(
        exposed(expositions.native(), created=1_600_000_000.5, time=1_699_999_999_250)
    )
    assert point.start_time_unix_nano == 1_600_000_000_500_000_000
    assert point.time_unix_nano == 1_699_999_999_250_000_000
    assert (point.count, [a.value.string_value for a in point.attributes]) == (4, ["0"])


def test_a_start_behind_the_time_says_nothing() -> None:
    (point,), _ = sent(
        exposed(expositions.native(), created=1_650_000_000.0, time=1_649_999_999_999)
    )
    assert point.start_time_unix_nano == 0
    assert point.time_unix_nano == 1_649_999_999_999_000_000
    assert [(a.key, a.value.string_value) for a in point.attributes] == [("n", "0")]


def test_one_with_bounds_of_its_own_is_a_histogram_of_these() -> None:
    native = expositions.native(
        schema=-53, custom=(1.0, 2.0), positive=(1, 2, 1), positive_offset=0, zero_count=0
    )
    (point,), _ = sent(exposed(native, created=1_600_000_000.5))
    assert list(point.explicit_bounds) == [1.0, 2.0]
    assert list(point.bucket_counts) == [1, 2, 1]
    assert point.start_time_unix_nano == 1_600_000_000_500_000_000


def test_what_makes_no_sense_is_left_out_and_counted() -> None:
    good, wrong = expositions.native(), expositions.native(count=3)
    threshold = expositions.native(zero_threshold=-1.0)
    points, unsent = sent(exposed(wrong, good, wrong, threshold))
    assert [point.attributes[0].value.string_value for point in points] == ["1"]
    assert unsent == {Drop.NATIVE_BUCKETS: 2, Drop.NATIVE_THRESHOLD: 1}
    assert sent(exposed(wrong)) == ([], {Drop.NATIVE_BUCKETS: 1})
