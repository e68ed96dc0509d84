"""Header lists that RFC 9113 forbids have a problem, others are taken apart."""

import pytest

from common.wire.http2 import heads

GOOD = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a"), (b":authority", b"x")]


def test_a_request_is_taken_apart() -> None:
    head = heads.request([*GOOD, (b"a", b"1"), (b"content-length", b"12"), (b"a", b"2")])
    assert head.problem == ""
    assert (head.method, head.scheme, head.path, head.authority) == (b"POST", b"http", b"/a", b"x")
    assert head.content_length == 12
    assert (head.get(b"a"), head.get(b"b")) == (b"1, 2", None)
    assert head.size == sum(len(n) + len(v) + 32 for n, v in head.fields)


def test_cookies_are_joined_their_own_way() -> None:
    assert heads.request([*GOOD, (b"cookie", b"a"), (b"cookie", b"b")]).get(b"cookie") == b"a; b"


BAD = {
    "upper case": [*GOOD, (b"Accept", b"x")],
    "empty name": [*GOOD, (b"", b"x")],
    "space in a name": [*GOOD, (b"a b", b"x")],
    "colon in a name": [*GOOD, (b"a:b", b"x")],
    "line feed": [*GOOD, (b"a", b"x\ny")],
    "carriage return": [*GOOD, (b"a", b"x\ry")],
    "zero": [*GOOD, (b"a", b"x\0y")],
    "space in front": [*GOOD, (b"a", b" x")],
    "tab behind": [*GOOD, (b"a", b"x\t")],
    "line feed in a path": [*GOOD[:2], (b":path", b"/a\n")],
    "unknown pseudo-header": [*GOOD, (b":test", b"x")],
    "pseudo-header of responses": [*GOOD, (b":status", b"200")],
    "pseudo-header last": [*GOOD[:3], (b"a", b"x"), GOOD[3]],
    "twice": [*GOOD, GOOD[0]],
    "no method": GOOD[1:],
    "no scheme": [GOOD[0], *GOOD[2:]],
    "no path": [*GOOD[:2], GOOD[3]],
    "empty path": [*GOOD[:2], (b":path", b"")],
    "path without slash": [*GOOD[:2], (b":path", b"a")],
    "connection": [*GOOD, (b"connection", b"close")],
    "keep-alive": [*GOOD, (b"keep-alive", b"1")],
    "proxy-connection": [*GOOD, (b"proxy-connection", b"1")],
    "transfer-encoding": [*GOOD, (b"transfer-encoding", b"chunked")],
    "upgrade": [*GOOD, (b"upgrade", b"h2c")],
    "te": [*GOOD, (b"te", b"trailers, deflate")],  # codespell:ignore te
    "two lengths": [*GOOD, (b"content-length", b"1"), (b"content-length", b"2")],
    "odd length": [*GOOD, (b"content-length", b"+1")],
    "endless length": [*GOOD, (b"content-length", b"1" * 5000)],
    "another host": [*GOOD, (b"host", b"y")],
    "connect with a path": [(b":method", b"CONNECT"), *GOOD[1:]],
}


@pytest.mark.parametrize("fields", BAD.values(), ids=BAD)
def test_malformed_requests(fields: list[tuple[bytes, bytes]]) -> None:
    assert heads.request(fields).problem


FINE = {
    "te": [*GOOD, (b"te", b"trailers")],  # codespell:ignore te
    "same length twice": [*GOOD, (b"content-length", b"1"), (b"content-length", b"1")],
    "same host": [*GOOD, (b"host", b"x")],
    "options": [(b":method", b"OPTIONS"), GOOD[1], (b":path", b"*")],
    "connect": [(b":method", b"CONNECT"), (b":authority", b"x:1")],
    "bytes beyond ASCII in a value": [*GOOD, (b"a", b"\xff")],
}


@pytest.mark.parametrize("fields", FINE.values(), ids=FINE)
def test_requests_on_the_edge(fields: list[tuple[bytes, bytes]]) -> None:
    assert heads.request(fields).problem == ""


@pytest.mark.parametrize("status", [b"", b"20", b"2000", b"abc", b"101", b"099"])
def test_malformed_responses(status: bytes) -> None:
    assert heads.response([(b":status", status)]).problem
    assert heads.response([]).problem


def test_responses_and_trailers() -> None:
    assert heads.response([(b":status", b"204"), (b"a", b"b")]).status == 204
    assert heads.response([(b":method", b"GET")]).problem
    assert heads.trailers([(b"grpc-status", b"0")]).get(b"grpc-status") == b"0"
    assert heads.trailers([(b":status", b"200")]).problem
