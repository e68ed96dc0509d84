"""Labels that say which instrumentation made a series: they become the scope of its metric.

From opentelemetry/proto/common/v1/common.proto:

    InstrumentationScope { string name = 1; string version = 2; repeated KeyValue attributes = 3; }

The rules are those of "Prometheus Metric points to OTLP" in the OpenTelemetry specification. The
metric ``otel_scope_info`` of older exporters, which the specification has given up, is a metric
like any other here.
"""

from __future__ import annotations

from typing import Final

from agent.exposition import grammar
from common.wire import protobuf

PREFIX: Final = b"otel_scope_"
"""How the names of such labels begin."""

_NAME, _VERSION, _SCHEMA = PREFIX + b"name", PREFIX + b"version", PREFIX + b"schema_url"


def split(labels: grammar.Labels) -> tuple[bytes, bytes, grammar.Labels]:
    """Split *labels*, sorted by name, into those of the scope and those of the point.

    Return the encoded scope, the URL of its schema, and what is left. Equal labels make equal
    bytes, different ones different bytes.
    """
    scope: dict[bytes, bytes] = {}
    kept = []
    for name, value in labels:
        if name.startswith(PREFIX) and name != PREFIX:
            scope[name] = value
        else:
            kept.append((name, value))
    schema_url = scope.pop(_SCHEMA, b"")
    out = [
        protobuf.framed(field, scope.pop(name))
        for field, name in ((1, _NAME), (2, _VERSION))
        if name in scope
    ]
    # KeyValue { string key = 1; AnyValue value = 2; }, AnyValue { string string_value = 1; }
    for name, value in scope.items():
        text = protobuf.framed(2, protobuf.framed(1, value))
        out.append(protobuf.framed(3, protobuf.framed(1, name.removeprefix(PREFIX)) + text))
    return b"".join(out), schema_url, tuple(kept)
