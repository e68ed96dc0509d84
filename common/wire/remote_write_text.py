"""Numbers and attribute values as the text that a Prometheus label holds.

Sources: OpenTelemetry, "Mapping to non-OTLP formats" (attribute values as strings) and
opentelemetry/proto/common/v1/common.proto (AnyValue); the Prometheus data model for ``le`` and
``quantile``.
"""

from __future__ import annotations

import base64
import json
import math
from decimal import Decimal

from opentelemetry.proto.common.v1 import common_pb2


def value(of: common_pb2.AnyValue) -> str:
    """Spell an attribute's value: strings as they are, everything else as JSON, bytes in base64.

    A value that is not set is ``""``, and ``null`` inside of an array or a map. Doubles are the
    shortest text that reads back as the same number, NaN and the infinities by name.
    """
    match of.WhichOneof("value"):
        case "string_value":
            return of.string_value
        case "bytes_value":
            return base64.b64encode(of.bytes_value).decode()
        case None:
            return ""
        case "double_value":
            return _double(of.double_value)
        case _:
            return _json(of)


def decimal(number: float) -> str:
    """Spell a bound or a quantile: the shortest decimal without an exponent, ``+Inf``, ``-Inf``."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "+Inf" if number > 0 else "-Inf"
    text = repr(number)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def _json(of: common_pb2.AnyValue) -> str:  # noqa: PLR0911 - one per kind of value
    match of.WhichOneof("value"):
        case "bool_value":
            return "true" if of.bool_value else "false"
        case "int_value":
            return str(of.int_value)
        case "double_value":
            text = _double(of.double_value)
            return text if math.isfinite(of.double_value) else f'"{text}"'
        case "array_value":
            return f"[{','.join(map(_json, of.array_value.values))}]"
        case "kvlist_value":
            # Sorted, so that a sender which shuffles its map does not make new series; of a
            # repeated key the last value counts, as for every JSON reader.
            entries = {pair.key: pair.value for pair in of.kvlist_value.values}
            texts = [f"{_quoted(key)}:{_json(entries[key])}" for key in sorted(entries)]
            return f"{{{','.join(texts)}}}"
        case "string_value" | "bytes_value":
            return _quoted(value(of))
        case _:
            return "null"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _double(number: float) -> str:
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    if (
        number == 0 or 1e-6 <= abs(number) < 1e21
    ):  # where JSON as JavaScript writes it has no exponent
        return decimal(number)
    mantissa, _, exponent = repr(number).partition("e")
    return f"{mantissa}e{int(exponent):+d}"
