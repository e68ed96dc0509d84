"""The client's side: requests, responses, and which requests may be sent again."""

import pytest

from common.wire.http2 import (
    Client,
    Code,
    DataCame,
    GoingAway,
    HeadCame,
    Limits,
    StreamReset,
    TrailersCame,
    encode,
    frames,
)
from tests.fakes import http2_wire as wire
from tests.fakes.http2_wire import GET, OK, TRAILERS, connection_error, stream_error


def test_requests_may_go_out_with_the_preface() -> None:
    client = Client(Limits())
    assert client.request(GET) == 1
    assert client.data(1, b"body", ended=True)
    sent = client.outgoing()
    assert sent.startswith(frames.PREFACE)
    assert wire.kinds(sent) == [4, 8, 1, 0]


def test_a_response_with_everything() -> None:
    client = wire.client()
    client.request(GET, ended=True)
    interim = encode([(b":status", b"103"), (b"link", b"x")])
    events = client.receive(
        wire.headers(1, interim)
        + wire.headers(1, OK)
        + wire.data(1, b"ab")
        + wire.headers(1, TRAILERS, ended=True),
        0.0,
    )
    assert [type(e) for e in events] == [HeadCame, HeadCame, DataCame, TrailersCame]
    assert [e.head.status for e in events[:2]] == [103, 200]
    assert events[3].head.get(b"grpc-status") == b"0"
    assert client.streams == {}


def test_headers_alone_may_be_the_response() -> None:
    client = wire.client()
    client.request(GET, ended=True)
    (event,) = client.receive(wire.headers(1, OK, ended=True), 0.0)
    assert event.ended
    assert client.streams == {}


BAD = {
    "data first": wire.data(1, b"x"),
    "interim that ends": wire.headers(1, encode([(b":status", b"100")]), ended=True),
    "no status": wire.headers(1, TRAILERS),
    "two responses": wire.headers(1, OK) + wire.headers(1, OK),
    "length": wire.headers(
        1, encode([(b":status", b"200"), (b"content-length", b"3")]), ended=True
    ),
}


@pytest.mark.parametrize("sent", BAD.values(), ids=BAD)
def test_malformed_responses_cost_the_stream(sent: bytes) -> None:
    client = wire.client()
    client.request(GET, ended=True)
    assert stream_error(client, sent) == {1: Code.PROTOCOL_ERROR}


def test_a_length_without_a_body_is_fine_where_there_never_is_one() -> None:
    client = wire.client()
    client.request(GET, ended=True)
    block = encode([(b":status", b"304"), (b"content-length", b"3")])
    assert stream_error(client, wire.headers(1, block, ended=True)) == {}


FATAL = {
    "push": wire.frame(frames.PUSH_PROMISE, 4, 1, b"\0\0\0\2" + GET),
    "a stream of its own": wire.headers(2, OK),
    "a stream nobody opened": wire.headers(3, OK),
    "enable push": wire.settings((2, 1)),
}


@pytest.mark.parametrize("sent", FATAL.values(), ids=FATAL)
def test_what_servers_may_not_do(sent: bytes) -> None:
    client = wire.client()
    client.request(GET, ended=True)
    client.outgoing()
    assert connection_error(client, sent)[0] == Code.PROTOCOL_ERROR


def test_the_server_says_how_many_requests_it_takes() -> None:
    client = wire.client(None, (frames.MAX_CONCURRENT_STREAMS, 2))
    assert [client.request(GET, ended=True) for _ in range(3)] == [1, 3, None]
    client.receive(wire.headers(1, OK, ended=True), 0.0)
    assert client.room == 1
    client.receive(wire.settings((frames.MAX_CONCURRENT_STREAMS, 0)), 0.0)
    assert client.room == 0
    assert client.request(GET) is None


def test_what_a_leaving_server_did_not_look_at_may_be_sent_again() -> None:
    client = wire.client()
    for _ in range(3):
        client.request(GET, ended=True)
    events = client.receive(frames.goaway(1, 0, b"deploy"), 0.0)
    assert events == [GoingAway(1, 0, b"deploy", (3, 5))]
    assert client.request(GET) is None
    (answer,) = client.receive(wire.headers(1, OK, ended=True), 0.0)
    assert answer.stream == 1
    assert client.receive(wire.headers(3, OK, ended=True), 0.0) == []


def test_a_refused_stream_is_told_by_its_code() -> None:
    client = wire.client()
    client.request(GET)
    assert client.receive(frames.reset(1, 7), 0.0) == [StreamReset(1, Code.REFUSED_STREAM)]
    assert not client.data(1, b"x")


def test_a_server_may_reset_as_often_as_it_likes() -> None:
    client = wire.client(Limits(max_resets=2))
    for _ in range(10):
        number = client.request(GET)
        (event,) = client.receive(frames.reset(number, 7), 0.0)
        assert event.stream == number


def test_a_client_says_good_bye() -> None:
    client = wire.client()
    client.stop()
    assert wire.kinds(client.outgoing()) == [frames.GOAWAY]
    assert client.room == 0
