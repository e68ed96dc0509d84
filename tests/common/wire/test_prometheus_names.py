"""Names: the table of the specification, and what may never come out."""

import re

import pytest
from hypothesis import given, strategies as st

from common.wire import prometheus_names
from common.wire.prometheus_names import Kind, Naming

LEGACY_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LEGACY_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("http.server.duration", "s", Kind.HISTOGRAM, "http_server_duration_seconds"),
        ("system.disk.io", "By", Kind.COUNTER, "system_disk_io_bytes_total"),
        ("speed", "m/s", Kind.GAUGE, "speed_meters_per_second"),
        ("speed_meters_per_second", "m/s", Kind.GAUGE, "speed_meters_per_second"),
        ("cpu.utilization", "1", Kind.GAUGE, "cpu_utilization_ratio"),
        ("cpu.ratio.used", "1", Kind.GAUGE, "cpu_used_ratio"),
        ("cpu.utilization", "1", Kind.SUM, "cpu_utilization"),
        ("packets", "{packet}", Kind.COUNTER, "packets_total"),
        ("packets", "{packet}/s", Kind.GAUGE, "packets_per_second"),
        ("total.requests", "", Kind.COUNTER, "requests_total"),
        ("duration_seconds_max", "s", Kind.GAUGE, "duration_seconds_max"),
        ("a__b..c", "", Kind.GAUGE, "a_b_c"),
        ("2xx", "", Kind.COUNTER, "_2xx_total"),
        ("memory", "KBy", Kind.GAUGE, "memory_kilobytes"),
        ("memory", "kBy", Kind.GAUGE, "memory_kilobytes"),
        ("memory", "TiBy", Kind.GAUGE, "memory_tebibytes"),
        ("level", "°F/cm^2", Kind.GAUGE, "level_F_per_cm_2"),
        ("used", "%", Kind.GAUGE, "used_percent"),
        ("latency", " ms ", Kind.SUMMARY, "latency_milliseconds"),
        ("rule:rate", "", Kind.GAUGE, "rule:rate"),
        ("温度", "Cel", Kind.GAUGE, ""),
        ("", "s", Kind.COUNTER, ""),
        ("___", "s", Kind.COUNTER, ""),
    ],
)
def test_names_get_unit_and_type_as_suffixes(name, unit, kind, expected):
    assert prometheus_names.metric_name(name, unit, kind, Naming.SUFFIXES) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("http.server.duration", "http_server_duration"),
        ("node_cpu_seconds_total", "node_cpu_seconds_total"),
        ("a__b", "a__b"),
        ("a.._b.", "a__b"),
        ("_", "_"),
        ("9lives", "_9lives"),
        ("°._", ""),
        ("line\n", "line"),
        ("", ""),
    ],
)
def test_plain_names_are_only_escaped(name, expected):
    assert prometheus_names.metric_name(name, "s", Kind.COUNTER, Naming.PLAIN) == expected


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("http.server.duration", "s", Kind.HISTOGRAM, "http.server.duration_seconds"),
        ("http.server.duration", "s", Kind.EXPONENTIAL, "http.server.duration_seconds"),
        ("system.disk.io", "By", Kind.COUNTER, "system.disk.io_bytes_total"),
        ("speed", "m/s", Kind.GAUGE, "speed_meters_per_second"),
        ("speed.meters.per_second", "m/s", Kind.GAUGE, "speed_meters_per_second"),
        ("io_bytes_total", "By", Kind.COUNTER, "io_bytes_total"),
        ("io.total_bytes", "By", Kind.COUNTER, "io.total_bytes_total"),
        ("cpu.utilization", "1", Kind.GAUGE, "cpu.utilization_ratio"),
        ("cpu.utilization", "1", Kind.SUM, "cpu.utilization"),
        ("packets", "{packet}", Kind.COUNTER, "packets_total"),
        ("subtotal", "", Kind.COUNTER, "subtotal_total"),
        ("delay_milliseconds", "s", Kind.GAUGE, "delay_milliseconds_seconds"),
        ("total", "", Kind.COUNTER, "total_total"),
        ("温度", "Cel", Kind.GAUGE, "温度_celsius"),
        ("level", "°F", Kind.GAUGE, "level_°F"),
        ("2xx codes", "", Kind.COUNTER, "2xx codes_total"),
        ("", "s", Kind.COUNTER, ""),
    ],
)
def test_utf8_names_get_suffixes_in_their_order_and_keep_their_characters(
    name, unit, kind, expected
):
    assert prometheus_names.metric_name(name, unit, kind, Naming.UTF8_SUFFIXES) == expected


@given(st.text(), st.sampled_from(["", "s", "By/s", "1", "/d"]), st.sampled_from(Kind))
def test_utf8_names_are_what_came_or_begin_with_it(name, unit, kind):
    assert prometheus_names.metric_name(name, unit, kind, Naming.UTF8) == name
    once = prometheus_names.metric_name(name, unit, kind, Naming.UTF8_SUFFIXES)
    assert once.startswith(name) or once[: len(name)].count("_") > name.count("_") or once == ""
    again = prometheus_names.metric_name(once, unit, kind, Naming.UTF8_SUFFIXES)
    assert again == once or len(name) < 2


legacy = st.sampled_from([Naming.SUFFIXES, Naming.PLAIN])


@given(st.text(), st.text(), st.sampled_from(Kind), legacy)
def test_a_metric_name_is_valid_or_empty(name, unit, kind, naming):
    found = prometheus_names.metric_name(name, unit, kind, naming)
    assert not found or LEGACY_METRIC.fullmatch(found)
    assert bool(found) or not re.search(r"[a-zA-Z0-9:]", name)


@given(st.from_regex(LEGACY_METRIC, fullmatch=True), st.sampled_from(Kind))
def test_a_valid_metric_name_is_not_touched_when_naming_is_plain(name, kind):
    assert prometheus_names.metric_name(name, "By", kind, Naming.PLAIN) == name


@given(st.text(), st.sampled_from(["", "s", "By/s", "%"]), st.sampled_from(Kind))
def test_suffixes_are_not_added_twice(name, unit, kind):
    once = prometheus_names.metric_name(name, unit, kind, Naming.SUFFIXES)
    assert prometheus_names.metric_name(once, unit, kind, Naming.SUFFIXES) == once


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("http.status-code", "http_status_code"),
        ("a..b", "a__b"),
        ("valid__name", "valid__name"),
        ("_valid", "_valid"),
        ("__reserved__", "__reserved__"),
        (".x", "key_x"),
        ("1st", "key_1st"),
        ("日本", "key___"),
        ("", "key_"),
        ("a:b", "a_b"),
    ],
)
def test_labels_are_escaped(key, expected):
    assert prometheus_names.label_name(key, Naming.SUFFIXES) == expected
    assert prometheus_names.label_name(key, Naming.PLAIN) == expected


@pytest.mark.parametrize("naming", [Naming.UTF8, Naming.UTF8_SUFFIXES])
def test_labels_are_kept_as_they_came_where_names_are(naming):
    for key in ("http.status-code", ".x", "1st", "日本", "__reserved__"):
        assert prometheus_names.label_name(key, naming) == key
    assert prometheus_names.label_name("", naming) == "key_"


@given(st.text(), legacy)
def test_a_label_name_is_always_valid(key, naming):
    found = prometheus_names.label_name(key, naming)
    assert LEGACY_LABEL.fullmatch(found)
    assert found == key or not LEGACY_LABEL.fullmatch(key)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("s", "seconds"),
        ("1", ""),
        ("", ""),
        ("{x}", ""),
        ("By/s", "bytes_per_second"),
        ("/d", "per_day"),
    ],
)
def test_units_are_words(unit, expected):
    assert prometheus_names.unit_name(unit) == expected
