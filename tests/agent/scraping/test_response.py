"""A response is taken from bytes in any pieces, within limits, and never raises."""

import gzip
import itertools

import pytest
from hypothesis import example, given, settings, strategies as st

from agent.exposition.model import Format
from agent.scraping import response
from agent.scraping.response import Cause, Failed, Fetched, Moved
from agent.scraping.room import STEP

PROTOBUF = (
    b"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)
TEXT = b"Content-Type: text/plain; version=0.0.4\r\n"


def answer(
    *pieces: bytes, max_bytes: int = 1000, end: str | None = None
) -> Fetched | Failed | Moved:
    read = response.Response(max_bytes)
    for piece in pieces:
        read.feed(piece)
    if end is not None:
        read.closed(end)
    assert read.done
    return read.outcome()


def ok(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(h + b"\r\n" for h in headers)
    return b"HTTP/1.1 200 OK\r\n%s%sContent-Length: %d\r\n\r\n%s" % (TEXT, lines, len(body), body)


def failure(outcome: Fetched | Failed | Moved) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


@given(
    body=st.binary(max_size=300),
    cuts=st.lists(st.integers(0, 500), max_size=6),
    chunked=st.booleans(),
)
def test_the_body_arrives_whole_however_it_is_cut(
    *, body: bytes, cuts: list[int], chunked: bool
) -> None:
    whole = ok(body)
    if chunked:
        parts = [body[i : i + 7] for i in range(0, len(body), 7)]
        coded = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
        whole = b"HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n" % (
            TEXT,
            coded,
        )
    bounds = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
    pieces = [whole[a:b] for a, b in itertools.pairwise(bounds)]
    assert answer(*pieces) == Fetched(body=body, wire_bytes=len(body))


OK = b"HTTP/1.1 200 OK\r\n"


@given(
    begun=st.sampled_from([b"", OK]),
    first=st.binary(max_size=200),
    second=st.binary(max_size=200),
)
@settings(max_examples=200)
@example(begun=OK, first=b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", second=b"")
@example(begun=OK, first=b"Content-Length: -1\r\n\r\n", second=b"")
@example(
    begun=b"HTTP/1.1 101 Switching\r\n",
    first=b"Connection: upgrade\r\nUpgrade: x\r\n\r\n",
    second=b"xxxx",
)
def test_hostile_bytes_end_in_an_outcome(begun: bytes, first: bytes, second: bytes) -> None:
    read = response.Response(100)
    read.feed(begun + first)
    read.feed(second)
    read.closed("")
    assert read.done
    assert isinstance(read.outcome(), Fetched | Failed | Moved)


def test_an_empty_body_is_no_mistake_and_needs_no_type() -> None:
    outcome = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert outcome == Fetched(body=b"", wire_bytes=0)


def test_http_1_0_ends_a_body_by_closing() -> None:
    outcome = answer(b"HTTP/1.0 200 OK\r\n" + TEXT + b"\r\na 1\n", end="")
    assert outcome == Fetched(body=b"a 1\n", wire_bytes=4)


def test_a_reset_is_not_the_end_of_a_body() -> None:
    head = b"HTTP/1.0 200 OK\r\n" + TEXT + b"\r\na 1\n"
    assert failure(answer(head, end="connection reset by peer")) == Failed(
        cause=Cause.CLOSED_EARLY,
        why="closed early: connection reset by peer before the response was complete "
        "(4 bytes of the body came)",
    )


def test_a_content_length_that_promises_too_much_is_a_failure() -> None:
    outcome = answer(ok(b"a 1\n").replace(b"Length: 4", b"Length: 400"), end="")
    assert failure(outcome).cause is Cause.CLOSED_EARLY
    assert "4 bytes of the body came" in failure(outcome).why


def test_bytes_behind_the_end_spoil_the_connection_but_not_the_answer() -> None:
    read = response.Response(1000)
    read.feed(ok(b"a 1\n") + b"a 2\n")
    assert isinstance(read.outcome(), Fetched)
    assert not read.reusable
    read = response.Response(1000)
    read.feed(ok(b"a 1\n"))
    assert read.reusable
    read.feed(b"x")
    assert not read.reusable


@pytest.mark.parametrize("header", [b"Connection: close", b"connection: Close"])
def test_a_server_may_ask_for_the_end_of_the_connection(header: bytes) -> None:
    read = response.Response(1000)
    read.feed(ok(b"a 1\n", header))
    assert not read.reusable


def test_gzip_is_undone_within_the_limit() -> None:
    body = b"a 1\n" * 200
    packed = gzip.compress(body)
    fetched = answer(ok(packed, b"Content-Encoding: gzip"))
    assert fetched == Fetched(body=body, wire_bytes=len(packed))
    outcome = failure(answer(ok(packed, b"Content-Encoding: GZIP"), max_bytes=799))
    assert outcome.cause is Cause.TOO_LARGE
    assert outcome.why == (
        "too large: the body has more than 799 bytes; raise scraping.max_body_bytes or expose less"
    )


@pytest.mark.parametrize(
    ("encoding", "body"), [(b"br", b"x"), (b"gzip", b"not gzip"), (b"gzip", b"\x1f\x8b\x08")]
)
def test_what_cannot_be_inflated_is_a_failure(encoding: bytes, body: bytes) -> None:
    outcome = failure(answer(ok(body, b"Content-Encoding: " + encoding)))
    assert outcome.cause is Cause.NOT_HTTP
    assert outcome.why.startswith(f"content encoding {encoding.decode()}: ")


def test_a_declared_length_over_the_limit_fails_before_the_body_is_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"
    outcome = failure(answer(head))
    assert outcome.why.startswith("too large: the body has 1001 bytes, more than 1000 bytes")


def test_a_chunked_body_over_the_limit_fails_when_it_gets_there() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    outcome = failure(answer(head, b"3e8\r\n" + b"x" * 1000 + b"\r\n", b"1\r\nx"))
    assert outcome.cause is Cause.TOO_LARGE


def test_headers_have_a_limit_even_if_they_never_end() -> None:
    read = response.Response(1000)
    read.feed(b"HTTP/1.1 200 OK\r\nX: ")
    fed = 0
    while not read.done:
        read.feed(b"y" * 1000)
        fed += 1000
    assert fed <= response.MAX_OVERHEAD + 1000
    assert failure(read.outcome()).why == "headers exceed the limit of 65536 bytes"


def test_interim_responses_are_passed_over_but_not_for_ever() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nContent-Encoding: br\r\n\r\n"
    assert isinstance(answer(interim, interim + ok(b"a 1\n")), Fetched)
    read = response.Response(1000)
    for _ in range(5000):
        read.feed(interim)
    assert failure(read.outcome()).cause is Cause.TOO_LARGE


@pytest.mark.parametrize(
    ("status", "header", "why"),
    [
        (b"503 Service Unavailable", b"X: y", "status 503 Service Unavailable"),
        (b"204 No Content", b"X: y", "status 204 No Content"),
        (b"304 Not Modified", b"Location: /m", "status 304 Not Modified"),
        (b"301 Moved Permanently", b"X: y", "status 301 Moved Permanently"),
        (b"404 Not Found", b"X: y", "status 404 Not Found"),
        (b"401 Unauthorized", b"X: y", "status 401 Unauthorized"),
        (b"500 \xff\x1b[31m", b"X: y", "status 500"),
    ],
)
def test_only_200_is_an_answer(status: bytes, header: bytes, why: str) -> None:
    # The length would be too large, but that is not what is wrong here.
    head = b"HTTP/1.1 %s\r\n%s\r\nContent-Length: 99999\r\n\r\n" % (status, header)
    outcome = failure(answer(head, end=""))
    assert outcome.cause in {Cause.STATUS, Cause.NOT_HTTP}
    assert outcome.why.startswith(why) or outcome.cause is Cause.NOT_HTTP
    assert outcome.why.isprintable()
    assert outcome.cause is Cause.NOT_HTTP or outcome.status == int(status[:3])


@pytest.mark.parametrize("status", [b"301 Moved Permanently", b"308 Permanent Redirect"])
def test_a_redirect_says_where_to_and_leaves_the_connection_usable(status: bytes) -> None:
    read = response.Response(10)
    read.feed(ok(b"x" * 5000, b"Location: /metrics/").replace(b"200 OK", status))
    assert read.outcome() == response.Moved(
        location="/metrics/", status=f"status {status.decode()}"
    )
    assert read.reusable
    assert read.wanted == 0


def test_the_page_of_a_redirect_that_does_not_end_is_not_waited_for() -> None:
    read = response.Response(10)
    read.feed(b"HTTP/1.1 302 Found\r\nLocation: /m\r\n\r\n")
    while not read.done:
        read.feed(b"x" * 1000)
    assert read.outcome() == response.Moved(location="/m", status="status 302 Found")
    assert not read.reusable


def test_a_redirect_that_is_cut_off_still_says_where_to() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /m\r\nContent-Length: 9\r\n\r\nx"
    assert isinstance(answer(head, end=""), response.Moved)


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (b"application/openmetrics-text; version=1.0.0; charset=utf-8", Format.OPEN_METRICS),
        (PROTOBUF, Format.PROTOBUF),
        (b"TEXT/plain", Format.TEXT),
    ],
)
def test_the_type_says_the_format(kind: bytes, found: Format) -> None:
    whole = ok(b"# EOF\n").replace(b"text/plain; version=0.0.4", kind)
    assert answer(whole) == Fetched(body=b"# EOF\n", wire_bytes=6, format=found)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"", "no content type"),
        (b"Content-Type: \r\n", "no content type"),
        (b"Content-Type: text/html\r\n", "content type 'text/html'"),
        (b"Content-Type: application/vnd.google.protobuf\r\n", "content type 'application/vnd."),
    ],
)
def test_a_missing_or_odd_type_is_read_as_text_or_fails(line: bytes, what: str) -> None:
    whole = b"HTTP/1.1 200 OK\r\n%sContent-Length: 4\r\n\r\na 1\n" % line
    fetched = answer(whole)
    assert isinstance(fetched, Fetched)
    assert fetched.format is Format.TEXT
    assert fetched.fallback.startswith(what)
    assert fetched.fallback.endswith(" is no exposition format; read as text")
    strict = response.Response(1000, fallback=False)
    strict.feed(whole)
    refused = failure(strict.outcome())
    assert refused.cause is Cause.CONTENT_TYPE
    assert refused.why.startswith(what)
    assert "scraping.fallback_format" in refused.why


def test_room_is_wanted_for_what_is_to_come() -> None:
    read = response.Response(1_000_000)
    assert read.wanted == 0
    read.feed(ok(b"x" * 500_000)[:10_000])
    assert read.wanted == 500_000
    read = response.Response(300_000)
    read.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert read.wanted == 0
    read.feed(b"5\r\nxxxxx\r\n")
    assert read.wanted == STEP
    read.feed(b"%x\r\n%s\r\n" % (STEP, b"x" * STEP))
    assert read.wanted == 300_000  # more than that will not be taken
    read.feed(b"0\r\n\r\n")
    assert (read.done, read.wanted) == (True, 0)


def test_a_server_that_speaks_tls_is_told_apart() -> None:
    outcome = failure(answer(b"\x15\x03\x01\x00\x02\x02\x46"))
    assert outcome == Failed(cause=Cause.NOT_HTTP, why="not an HTTP/1.1 response: it speaks TLS")


def test_what_is_no_http_is_said_to_be_none() -> None:
    outcome = failure(answer(b"SSH-2.0-OpenSSH_9.2\r\n"))
    assert outcome.cause is Cause.NOT_HTTP
    assert outcome.why.startswith("not an HTTP/1.1 response: ")
