"""Heads of requests: what is in order is read, and nothing that two readers could read two ways."""

import pytest
from hypothesis import given, strategies as st

from common.wire import errors, http1

POST = b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\n"


def test_a_head_is_its_first_line_and_its_headers_with_small_names() -> None:
    head = http1.parse_head(POST + b"Content-LENGTH: 3\r\nX-Empty:\r\nx-a:  b  c \r\n\r\n")
    assert (head.method, head.target, head.version) == (b"POST", b"/v1/metrics", "1.1")
    fields = {name: value.strip() for name, value in head.fields}
    assert fields == {b"host": b"x", b"content-length": b"3", b"x-empty": b"", b"x-a": b"b  c"}


def test_an_upgrade_is_read_as_any_other_request() -> None:
    text = (
        POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\n"
    )
    assert http1.parse_head(text).method == b"POST"
    assert http1.parse_head(b"CONNECT a:443 HTTP/1.1\r\nHost: x\r\n\r\n").method == b"CONNECT"


MALFORMED = {
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\n",
    "length and coding": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "coding and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    "chunked but not last": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n",
    "another coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a signed length": POST + b"Content-Length: +1\r\n\r\n",
    "an empty length": POST + b"Content-Length:\r\n\r\n",
    "a huge length": POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 3\r\n\r\n",
    "a folded line": POST + b"X: a\r\n b\r\n\r\n",
    "NUL": POST + b"X: a\x00b\r\n\r\n",
    "a control byte": POST + b"X: a\x01b\r\n\r\n",
    "a lone CR": POST + b"X: a\rb\r\n\r\n",
    "a lone LF": POST + b"X: a\nY: b\r\n\r\n",
    "no name": POST + b": a\r\n\r\n",
    "no colon": POST + b"abc\r\n\r\n",
    "an odd target": b"GET /a\x00b HTTP/1.1\r\n\r\n",
    "two spaces": b"GET /a b HTTP/1.1\r\n\r\n",
    "an odd version": b"GET / HTTP/1.2\r\n\r\n",
    "an odd method": b"FOO / HTTP/1.1\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
    "nothing": b"\r\n\r\n",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_what_is_ambiguous_or_no_http_at_all_is_malformed(text: bytes) -> None:
    with pytest.raises(errors.Malformed):
        http1.parse_head(text)


def test_a_beginning_is_checked_as_far_as_it_goes() -> None:
    for size in range(len(POST)):
        http1.check_beginning(POST[:size])
    with pytest.raises(errors.Malformed, match=r"not a request of HTTP/1\.1: "):
        http1.check_beginning(b"\x16\x03\x01")
    with pytest.raises(errors.Malformed):
        http1.check_beginning(POST.replace(b"\r\n", b"\n"))


@given(st.binary(max_size=40), st.integers(0, len(POST) + 2))
def test_hostile_heads_are_read_or_malformed(noise: bytes, at: int) -> None:
    text = POST + b"\r\n"
    text = text[:at] + noise + text[at:]
    try:
        head = http1.parse_head(text)
    except errors.Malformed:
        return
    assert head.method
    http1.check_beginning(text[: len(text) // 2])
