"""The messages of remote write 1.0, from the schema of Prometheus; with the start times of 2.0."""

from __future__ import annotations

from typing import Final

from tests.fakes import remote_write_schema as schema

_found: Final = schema.messages("prompb", schema.DRAFT)
WriteRequest: Final = _found["WriteRequest"]
Histogram: Final = _found["Histogram"]
Exemplar: Final = _found["Exemplar"]
