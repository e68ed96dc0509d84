"""What is asked for is what Prometheus asks for; what comes is taken for what it says it is."""

import pytest

from agent.exposition.model import Format
from agent.scraping import negotiation

PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)


def test_the_default_list_is_that_of_prometheus() -> None:
    assert negotiation.accept(protobuf=False) == (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
        "text/plain;version=0.0.4;q=0.3,"
        "*/*;q=0.2"
    )


def test_protobuf_comes_first_where_native_histograms_are_wanted() -> None:
    assert negotiation.accept(protobuf=True) == (
        f"{PROTOBUF};q=0.6,"
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
        "application/openmetrics-text;version=0.0.1;q=0.4,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
        "text/plain;version=0.0.4;q=0.2,"
        "*/*;q=0.1"
    )


@pytest.mark.parametrize("scheme", ["underscores", "dots", "values"])
def test_another_escaping_is_asked_of_the_formats_that_know_it(scheme: str) -> None:
    assert negotiation.accept(protobuf=False, escaping=scheme) == (
        f"application/openmetrics-text;version=1.0.0;escaping={scheme};q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,"
        f"text/plain;version=1.0.0;escaping={scheme};q=0.4,"
        "text/plain;version=0.0.4;q=0.3,"
        "*/*;q=0.2"
    )


def test_compression_is_asked_for_by_choice() -> None:
    assert negotiation.accept_encoding(compression=False) == "identity"
    assert negotiation.accept_encoding(compression=True) == "zstd,gzip;q=0.9"


@pytest.mark.parametrize(
    ("content_type", "found"),
    [
        ("text/plain", Format.TEXT),
        ("text/plain; version=0.0.4; charset=utf-8", Format.TEXT),
        ("Text/Plain;version=1.0.0;escaping=values", Format.TEXT),
        ("text/plain; version=9", Format.TEXT),
        ("application/openmetrics-text", Format.OPEN_METRICS),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", Format.OPEN_METRICS),
        ('application/openmetrics-text; VERSION="0.0.1"', Format.OPEN_METRICS),
        ("application/openmetrics-text; version=2.0.0", None),
        (PROTOBUF, Format.PROTOBUF),
        (PROTOBUF.replace(";", " ; "), Format.PROTOBUF),
        (PROTOBUF.replace("delimited", "text"), None),
        (PROTOBUF.replace("MetricFamily", "Metric"), None),
        ("application/vnd.google.protobuf", None),
        ("text/html", None),
        ("text/plainer", None),
        ("", None),
        (";;=;", None),
    ],
)
def test_a_type_says_a_format_or_none(content_type: str, found: Format | None) -> None:
    assert negotiation.format_of(content_type) is found
