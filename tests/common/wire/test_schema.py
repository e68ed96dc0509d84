"""Messages described in a few words are those that protobuf would make of a file."""

import pytest
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.metrics.v1 import metrics_pb2

from common.wire import schema

# Parts of opentelemetry/proto/metrics/v1/metrics.proto, whose classes are the judges.
MESSAGES = {
    "Metric": "1 name string, 5 gauge data|Gauge, 7 sum data|Blank, 12 metadata *bytes",
    "Gauge": "1 data_points *Number",
    "Number": "3 time_unix_nano fixed64, 4 as_double value|double, 6 as_int value|sfixed64",
    "Histogram": "5 sum ?double, 6 bucket_counts *fixed64, 11 min ?double",
    "Blank": "",
}
MADE = schema.classes("tests", MESSAGES)


def test_there_is_a_class_for_every_message() -> None:
    assert {name: made.DESCRIPTOR.full_name for name, made in MADE.items()} == {
        name: f"tests.{name}" for name in MESSAGES
    }


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("Metric", metrics_pb2.Metric),
        ("Gauge", metrics_pb2.Gauge),
        ("Number", metrics_pb2.NumberDataPoint),
        ("Histogram", metrics_pb2.HistogramDataPoint),
    ],
)
def test_fields_are_what_the_published_schema_says_of_them(name: str, full) -> None:
    for field in MADE[name].DESCRIPTOR.fields:
        theirs = full.DESCRIPTOR.fields_by_name[field.name]
        assert (field.number, field.is_repeated) == (theirs.number, theirs.is_repeated)
        assert field.has_presence == theirs.has_presence
        # What is bytes here is a message there, and travels in the same way.
        assert field.type in (theirs.type, field.TYPE_BYTES)
        ours, of = field.containing_oneof, theirs.containing_oneof
        assert (ours and ours.name) == (of and of.name)


def test_what_is_not_described_is_kept() -> None:
    whole = metrics_pb2.Metric(
        name="m",
        unit="s",
        gauge={"data_points": [{"as_int": 0, "start_time_unix_nano": 7}, {"as_double": 0.5}]},
    ).SerializeToString()
    metric = MADE["Metric"].FromString(whole)
    assert [unknown.field_number for unknown in UnknownFieldSet(metric)] == [3]
    assert metrics_pb2.Metric.FromString(metric.SerializeToString()) == (
        metrics_pb2.Metric.FromString(whole)
    )


def test_a_oneof_holds_one_field_and_tells_which() -> None:
    number = MADE["Number"](as_int=0)
    assert number.WhichOneof("value") == "as_int"
    assert MADE["Metric"](sum={}).WhichOneof("data") == "sum"
    assert MADE["Number"](as_int=1, as_double=0.0).WhichOneof("value") == "as_double"


def test_presence_is_told_of_optional_fields_alone() -> None:
    histogram = MADE["Histogram"](sum=0.0)
    assert (histogram.HasField("sum"), histogram.HasField("min")) == (True, False)
    with pytest.raises(ValueError, match="time_unix_nano"):
        MADE["Number"]().HasField("time_unix_nano")


def test_the_same_names_may_be_used_again() -> None:
    again = schema.classes("tests", {"Blank": "1 now string"})
    assert again["Blank"](now="here") != MADE["Blank"]()


def test_a_type_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ValueError, match="TYPE_NUMBER"):
        schema.classes("tests", {"A": "1 a Number"})
