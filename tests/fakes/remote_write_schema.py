"""The messages of remote write 1.0 and 2.0 as the specifications print them, made at run time.

Nothing of the product is used to read what it sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet

_HISTOGRAM = """
    count uint64 count_int 1, count double count_float 2, double sum 3, sint32 schema 4,
    double zero_threshold 5, zero_count uint64 zero_count_int 6,
    zero_count double zero_count_float 7, BucketSpan* negative_spans 8, sint64* negative_deltas 9,
    double* negative_counts 10, BucketSpan* positive_spans 11, sint64* positive_deltas 12,
    double* positive_counts 13, int32 reset_hint 14, int64 timestamp 15, double* custom_values 16
"""

V1 = {
    "Label": "string name 1, string value 2",
    "Sample": "double value 1, int64 timestamp 2",
    "Exemplar": "Label* labels 1, double value 2, int64 timestamp 3",
    "BucketSpan": "sint32 offset 1, uint32 length 2",
    "Histogram": _HISTOGRAM,
    "TimeSeries": (
        "Label* labels 1, Sample* samples 2, Exemplar* exemplars 3, Histogram* histograms 4"
    ),
    "MetricMetadata": "int32 type 1, string metric_family_name 2, string help 4, string unit 5",
    "WriteRequest": "TimeSeries* timeseries 1, MetricMetadata* metadata 3",
}

V2 = {
    "Sample": "double value 1, int64 timestamp 2, int64 start_timestamp 3",
    "Exemplar": "uint32* labels_refs 1, double value 2, int64 timestamp 3",
    "BucketSpan": "sint32 offset 1, uint32 length 2",
    "Histogram": f"{_HISTOGRAM}, int64 start_timestamp 17",
    "Metadata": "int32 type 1, uint32 help_ref 3, uint32 unit_ref 4",
    "TimeSeries": """
        uint32* labels_refs 1, Sample* samples 2, Histogram* histograms 3, Exemplar* exemplars 4,
        Metadata metadata 5
    """,
    "Request": "string* symbols 4, TimeSeries* timeseries 5",
}

# Remote read, from prometheus/prompb/remote.proto, beside the messages of 1.0.
READ = {
    "Matcher": "int32 type 1, string name 2, string value 3",
    "Query": "int64 start_timestamp_ms 1, int64 end_timestamp_ms 2, Matcher* matchers 3",
    "ReadRequest": "Query* queries 1",
    "QueryResult": "TimeSeries* timeseries 1",
    "ReadResponse": "QueryResult* results 1",
}

# Not of any specification: what is converted to 2.0 is a request of 1.0 with start times.
DRAFT = {
    **V1,
    "Sample": V2["Sample"],
    "Histogram": V2["Histogram"],
}


def messages(package: str, described: Mapping[str, str]) -> dict[str, Any]:
    """Build classes: ``type name number`` for each field, ``type*`` if it is repeated.

    Types in capitals are messages; a word in front of the type is the ``oneof`` that it is in.
    """
    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    for name, fields in described.items():
        of = file.message_type.add(name=name)
        for each in fields.split(","):
            *choice, word, called, number = each.split()
            typed = word.rstrip("*")
            label = kind.LABEL_REPEATED if word.endswith("*") else kind.LABEL_OPTIONAL
            field = of.field.add(name=called, number=int(number), label=label)
            if typed[0].isupper():
                field.type, field.type_name = kind.TYPE_MESSAGE, f".{package}.{typed}"
            else:
                field.type = kind.Type.Value(f"TYPE_{typed.upper()}")
            for one in choice:
                names = [declared.name for declared in of.oneof_decl]
                if one not in names:
                    of.oneof_decl.add(name=one)
                    names.append(one)
                field.oneof_index = names.index(one)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made = message_factory.GetMessageClassesForFiles([file.name], pool)
    return {name: made[f"{package}.{name}"] for name in described}


def strangers(of: message.Message) -> list[str]:
    """List the fields, at any depth, that the messages do not have."""
    found = [f"{type(of).__name__} has no field {u.field_number}" for u in UnknownFieldSet(of)]
    for described, value in of.ListFields():
        if described.message_type is not None:
            for each in value if described.is_repeated else [value]:
                found += strangers(each)
    return found
