"""The messages of remote write 1.0, from the schema of Prometheus; with the start times of 2.0."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Per message: field number, name, type; * means repeated, | means in a oneof of its own name.
_MESSAGES: Final = {
    "WriteRequest": "1 timeseries *TimeSeries, 3 metadata *MetricMetadata",
    "TimeSeries": "1 labels *Label, 2 samples *Sample, 3 exemplars *Exemplar, "
    "4 histograms *Histogram",
    "Label": "1 name string, 2 value string",
    "Sample": "1 value double, 2 timestamp int64, 3 start_timestamp int64",
    "Exemplar": "1 labels *Label, 2 value double, 3 timestamp int64",
    "MetricMetadata": "1 type int32, 2 metric_family_name string, 4 help string, 5 unit string",
    "Histogram": "1 count_int |uint64, 2 count_float |double, 3 sum double, 4 schema sint32, "
    "5 zero_threshold double, 6 zero_count_int |uint64, 7 zero_count_float |double, "
    "8 negative_spans *BucketSpan, 9 negative_deltas *sint64, 10 negative_counts *double, "
    "11 positive_spans *BucketSpan, 12 positive_deltas *sint64, 13 positive_counts *double, "
    "14 reset_hint int32, 15 timestamp int64, 16 custom_values *double, 17 start_timestamp int64",
    "BucketSpan": "1 offset sint32, 2 length uint32",
}


def _classes() -> dict[str, Any]:
    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="prompb.proto", package="p", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for each in fields.split(", "):
            number, field, of = each.split(" ")
            label = kind.LABEL_REPEATED if of[0] == "*" else kind.LABEL_OPTIONAL
            added = message.field.add(name=field, number=int(number), label=label)
            if of[0] == "|":
                choice = field.rpartition("_")[0]
                names = [oneof.name for oneof in message.oneof_decl]
                if choice not in names:
                    message.oneof_decl.add(name=choice)
                    names.append(choice)
                added.oneof_index = names.index(choice)
            of = of.lstrip("*|")
            if of in _MESSAGES:
                added.type, added.type_name = kind.TYPE_MESSAGE, f".p.{of}"
            else:
                added.type = kind.Type.Value(f"TYPE_{of.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles([file.name], pool)


_found: Final = _classes()
WriteRequest: Final = _found["p.WriteRequest"]
Histogram: Final = _found["p.Histogram"]
Exemplar: Final = _found["p.Exemplar"]
