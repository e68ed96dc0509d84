"""Which exposition formats a target is asked for, and which one an answer says it has.

Sources: RFC 9110, 8.3 and 12.5; Prometheus' ``scrape_protocols`` with their weights and escaping
schemes; the media types of OpenMetrics 1.0 and of ``io.prometheus.client``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from agent.exposition.model import Format

_PROTOBUF: Final = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)
_FIRST_WEIGHT: Final = 6  # tenths: one more than the protocols there are, as Prometheus counts
_OPEN_METRICS: Final = frozenset({"", "1.0.0", "0.0.1"})  # the versions that the parser reads


def accept(*, protobuf: bool, escaping: str = "allow-utf-8") -> str:
    """Return the Accept header, as a Prometheus with default settings sends it.

    With *protobuf*, the one format that carries native histograms comes first. *escaping* says what
    a target shall make of names that are not of letters, digits and underscores.
    """
    text = (
        f"application/openmetrics-text;version=1.0.0;escaping={escaping}",
        "application/openmetrics-text;version=0.0.1",
        f"text/plain;version=1.0.0;escaping={escaping}",
        "text/plain;version=0.0.4",
    )
    kinds = (_PROTOBUF, *text) if protobuf else text
    weighed = (f"{kind};q=0.{_FIRST_WEIGHT - i}" for i, kind in enumerate((*kinds, "*/*")))
    return ",".join(weighed)


def accept_encoding(*, compression: bool) -> str:
    """Return the Accept-Encoding header.

    zstd is the cheaper one for both sides, but few targets know it.
    """
    return "zstd,gzip;q=0.9" if compression else "identity"


@lru_cache(maxsize=256)  # a node's targets use a handful; what is hostile only evicts
def format_of(content_type: str) -> Format | None:
    """Return what the value of a Content-Type header promises, ``None`` if it is no exposition.

    Any version of text is text; OpenMetrics is 1.0.0, 0.0.1 or says no version; protobuf has to say
    that it is delimited MetricFamily messages.
    """
    kind, parameters = _parsed(content_type)
    match kind:
        case "text/plain":
            return Format.TEXT
        case "application/openmetrics-text" if parameters.get("version", "") in _OPEN_METRICS:
            return Format.OPEN_METRICS
        case "application/vnd.google.protobuf" if (
            parameters.get("proto") == "io.prometheus.client.MetricFamily"
            and parameters.get("encoding") == "delimited"
        ):
            return Format.PROTOBUF
        case _:
            return None


def _parsed(content_type: str) -> tuple[str, dict[str, str]]:
    """Return the media type in lower case and its parameters; of two alike the first counts."""
    kind, *rest = content_type.split(";")  # no parameter of interest has a semicolon in quotes
    parameters: dict[str, str] = {}
    for parameter in rest:
        name, _, value = parameter.partition("=")
        parameters.setdefault(name.strip().lower(), value.strip().strip('"'))
    return kind.strip().lower(), parameters
