"""OTLP in JSON says the same as OTLP in protobuf."""

import base64
import json

import pytest
from google.protobuf import json_format
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from common.wire import errors, otlp, otlp_json
from tests.fakes import otlp_wire

Request = metrics_service_pb2.ExportMetricsServiceRequest
Response = metrics_service_pb2.ExportMetricsServiceResponse


IDS = {"traceId", "spanId", "trace_id", "span_id"}


def read(document: object) -> Request:
    return Request.FromString(otlp_json.to_protobuf(json.dumps(document).encode()))


def gauge(**point: object) -> object:
    """A request of one point, as JSON."""
    metric = {"name": "g", "gauge": {"dataPoints": [point]}}
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}


def point(**fields: object) -> object:
    request = read(gauge(**fields))
    return request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]


def attribute(value: object) -> object:
    return point(attributes=[{"key": "k", "value": value}]).attributes[0].value


def otlp_rules(value: object) -> object:
    """Turn what json_format writes into what OTLP asks for: ids in hexadecimal."""
    if isinstance(value, list):
        return [otlp_rules(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64decode(item).hex() if key in IDS else otlp_rules(item)
        for key, item in value.items()
    }


def with_proper_ids(request: Request) -> Request:
    for frame in request.resource_metrics:
        for scope in frame.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                for found in getattr(metric, kind).data_points if kind else ():
                    for exemplar in getattr(found, "exemplars", ()):
                        exemplar.trace_id = exemplar.trace_id.ljust(16, b"t")[:16]
                        exemplar.span_id = (
                            exemplar.span_id[:8] if len(exemplar.span_id) > 7 else b""
                        )
    request.DiscardUnknownFields()
    return request


@settings(max_examples=60)
@given(
    otlp_wire.requests,
    st.sampled_from([{}, {"preserving_proto_field_name": True}, {"use_integers_for_enums": True}]),
)
def test_json_and_protobuf_of_a_request_are_the_same(body: bytes, style: dict[str, bool]) -> None:
    request = with_proper_ids(Request.FromString(body))
    document = otlp_rules(json_format.MessageToDict(request, **style))
    # json_format writes every NaN as "NaN", so compare what both read back from that.
    expected = Request()
    json_format.ParseDict(json_format.MessageToDict(request), expected)
    assert read(document).SerializeToString() == expected.SerializeToString()


@pytest.mark.parametrize("number", [7, "7", 7.0, "+7", "007"], ids=repr)
def test_integers_may_be_numbers_or_digits(number: object) -> None:
    assert point(asInt=number).as_int == 7
    assert point(timeUnixNano=number).time_unix_nano == 7
    assert point(flags=number).flags == 7


def test_integers_have_64_bits() -> None:
    assert point(timeUnixNano=str(2**64 - 1)).time_unix_nano == 2**64 - 1
    assert point(asInt=-(2**63)).as_int == -(2**63)
    assert attribute({"intValue": "-1"}).int_value == -1


@pytest.mark.parametrize(
    "fields",
    [
        {"asInt": str(2**63)}, {"asInt": "1e3"}, {"asInt": 1.5}, {"asInt": True}, {"asInt": ""},
        {"asInt": "٣"}, {"timeUnixNano": -1}, {"timeUnixNano": 2**64}, {"flags": 2**32},
        {"asDouble": "1_0"}, {"asDouble": "nan"}, {"asDouble": " 1"}, {"asDouble": "1e400"},
        {"asDouble": 10**400}, {"asDouble": True}, {"asDouble": []}, {"attributes": {}},
        {"attributes": [None]}, {"attributes": [{"key": 1}]}, {"attributes": "x"},
        {"exemplars": [{"traceId": "abcd"}]}, {"exemplars": [{"spanId": "x" * 16}]},
        {"exemplars": [{"traceId": 5}]}, {"attributes": [{"key": "k", "value": {"boolValue": 1}}]},
        {"attributes": [{"key": "k", "value": {"bytesValue": "!"}}]},
        {"attributes": [{"key": "k", "value": {"bytesValue": "ä"}}]},
        {"attributes": [{"key": "k", "value": {"stringValue": 1}}]},
    ],
    ids=repr,
)  # fmt: skip
def test_values_that_do_not_fit_are_malformed(fields: dict[str, object]) -> None:
    with pytest.raises(errors.Malformed, match=r"^resourceMetrics\[0\]\..*expected .*, got"):
        point(**fields)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf"), ("1.5e3", "1500.0"),
     (2, "2.0"), (-0.5, "-0.5")],
)  # fmt: skip
def test_doubles_may_be_numbers_or_strings(written: object, meant: str) -> None:
    assert repr(point(asDouble=written).as_double) == meant


def test_ids_are_hexadecimal_in_any_case_and_may_be_empty() -> None:
    exemplar = point(exemplars=[{"traceId": "0aFF" * 8, "spanId": ""}]).exemplars[0]
    assert exemplar.trace_id == bytes.fromhex("0aff" * 8)
    assert exemplar.span_id == b""


@pytest.mark.parametrize("text", ["-_8=", "-_8", "+/8=", "+/8"])
def test_bytes_are_base64_of_either_alphabet(text: str) -> None:
    assert attribute({"bytesValue": text}).bytes_value == b"\xfb\xff"


@pytest.mark.parametrize("value", [2, "AGGREGATION_TEMPORALITY_CUMULATIVE"], ids=repr)
def test_enums_may_be_numbers_or_names(value: object) -> None:
    metric = {"name": "s", "sum": {"aggregationTemporality": value}}
    request = read({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})
    found = request.resource_metrics[0].scope_metrics[0].metrics[0]
    assert found.sum.aggregation_temporality == 2


def test_an_unknown_name_of_an_enum_is_malformed() -> None:
    metric = {"sum": {"aggregationTemporality": "SOMETIMES"}}
    with pytest.raises(errors.Malformed, match="one of AGGREGATION_TEMPORALITY_UNSPECIFIED"):
        read({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})


def test_unknown_fields_are_ignored_whatever_they_hold() -> None:
    assert point(asInt=1, novelty={"deep": [1, {"er": None}]}).as_int == 1


def test_null_is_the_default() -> None:
    found = point(asInt=1, attributes=None, timeUnixNano=None, exemplars=None)
    assert found == point(asInt=1)
    assert read({"resourceMetrics": None}) == Request()


def test_names_may_be_in_snake_case() -> None:
    metric = {"name": "g", "gauge": {"data_points": [{"as_int": "4", "time_unix_nano": 9}]}}
    request = read({"resource_metrics": [{"scope_metrics": [{"metrics": [metric]}]}]})
    assert request == read(gauge(asInt=4, timeUnixNano=9))


def test_a_second_member_of_a_oneof_is_malformed_because_it_would_lose_points() -> None:
    metric = {"gauge": {"dataPoints": [{}]}, "sum": {"dataPoints": [{}]}}
    with pytest.raises(errors.Malformed, match="gauge alone, not sum beside it"):
        read({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})
    with pytest.raises(errors.Malformed, match="alone"):
        point(asInt=1, asDouble=1)


def test_a_value_that_is_set_to_its_default_is_still_set() -> None:
    assert point(asInt=0).HasField("as_int")
    assert attribute({"stringValue": ""}).HasField("string_value")


def nested(levels: int) -> dict[str, object]:
    value: dict[str, object] = {"stringValue": "core"}
    for _ in range(levels):
        value = {"arrayValue": {"values": [value]}}
    return {"resourceMetrics": [{"resource": {"attributes": [{"key": "k", "value": value}]}}]}


def test_nesting_is_bounded_as_it_is_in_protobuf() -> None:
    assert otlp.count(otlp_json.to_protobuf(json.dumps(nested(48)).encode())) == 0
    with pytest.raises(errors.Malformed, match="at most 100 nested messages"):
        read(nested(49))


@pytest.mark.parametrize(("open_", "close"), [("[", "]"), ('{"a":', "}")])
def test_nesting_in_unknown_fields_is_bounded_too(open_: str, close: str) -> None:
    body = '{"x":' + open_ * 100_000 + "1" + close * 100_000 + "}"
    with pytest.raises(errors.Malformed, match="nested too deep"):
        otlp_json.to_protobuf(body.encode())


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"1", b"null", b"NaN", b"\xff", b'"\xff"', b'{"a":"\\ud800"}',
     b'{"a":"\\ud800x"}', b"{}{}", b"\xef\xbb\xbf{}", b'{"x":1e999}', b"\x00"],
)  # fmt: skip
def test_what_is_not_a_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(errors.Malformed):
        otlp_json.to_protobuf(body)


def test_an_empty_object_is_an_empty_request() -> None:
    assert otlp_json.to_protobuf(b" {} ") == b""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["resourceMetrics", "scopeMetrics", "metrics", "sum", "dataPoints", "attributes",
                 "resource", "key", "value", "arrayValue", "values", "asDouble", "exemplars", "?"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=100)
@given(JSON)
def test_hostile_json_ends_in_a_request_or_malformed(document: object) -> None:
    try:
        body = otlp_json.to_protobuf(json.dumps(document).encode())
    except errors.Malformed:
        return
    otlp.frames(body)


@pytest.mark.parametrize(("rejected", "message"), [(0, ""), (3, "over quota"), (0, "careful")])
def test_responses_are_what_json_format_reads(rejected: int, message: str) -> None:
    expected = Response.FromString(otlp.response(rejected, message))
    assert json_format.Parse(otlp_json.response(rejected, message), Response()) == expected
