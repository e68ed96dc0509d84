"""A connection of the lean door, told what its client does frame by frame."""

import base64
import gzip

import cramjam
import pytest
from google.rpc import error_details_pb2, status_pb2

from common.config.doors import Http2
from common.config.gateway import Listen
from common.wire import compression, http2
from common.wire.http2 import Code, frames
from gateway.receivers import door, grpc_answers
from gateway.receivers.grpc_methods import HEALTH
from tests.fakes import http2_wire as wire
from tests.gateway import samples
from tests.gateway.receivers import grpc_wire
from tests.gateway.receivers.grpc_wire import (
    PEER,
    Caller,
    answer,
    code,
    framed,
    greeted,
    head,
    request,
)

NO_ERROR = bytes(4)


def details(found: dict[bytes, bytes]) -> status_pb2.Status:
    text = found[b"grpc-status-details-bin"]
    return status_pb2.Status.FromString(base64.b64decode(text + b"=" * (-len(text) % 4)))


async def test_many_requests_of_one_read_are_answered_in_one_write() -> None:
    intake, body = samples.Remembering(), samples.request()
    caller = greeted(samples.terms(intake))
    came = caller.say(*(request(number, body) for number in range(1, 9, 2)))
    for number in range(1, 9, 2):
        found = answer(came, number)
        assert found.pop(b"body") == framed(b"")
        assert found == {
            b":status": b"200", b"content-type": b"application/grpc", b"grpc-status": b"0"
        }  # fmt: skip
    assert intake.taken == [(body, PEER, False)] * 4
    assert caller.traffic.requests == {"ok": 4}


@pytest.mark.parametrize("step", [1, 7, 1000])
async def test_a_request_may_come_in_any_pieces(step: int) -> None:
    intake, body = samples.Remembering(), samples.request(points=200)
    terms = samples.terms(intake)
    caller = greeted(terms)
    sent = request(1, body)
    came = []
    for at in range(0, len(sent), step):
        came += caller.say(sent[at : at + step])
    assert code(came, 1) == 0
    assert intake.taken[0][0] == body
    assert terms.admission.in_flight == 0


async def test_a_large_request_gets_credit_for_exactly_its_message() -> None:
    intake, body = samples.Remembering(), samples.request(points=20_000)
    terms = samples.terms(intake)
    caller = greeted(terms)
    whole = framed(body)
    assert len(whole) > 300_000
    caller.say(head(1))
    assert terms.admission.in_flight == 65_536  # an estimate, until the prefix is here
    came = caller.say(wire.data(1, whole[:16384]))
    assert terms.admission.in_flight == len(body)
    credit = [f.payload for f in came if f.kind == frames.WINDOW_UPDATE and f.stream == 1]
    assert [int.from_bytes(c) for c in credit] == [len(whole) - 65_536]
    for at in range(16384, len(whole) - 16384, 16384):
        came = caller.say(wire.data(1, whole[at : at + 16384]))
        assert not [f for f in came if f.stream == 1]
    came = caller.say(wire.data(1, whole[at + 16384 :], ended=True))
    assert code(came, 1) == 0
    assert intake.taken[0][0] == body
    assert terms.admission.in_flight == 0


async def test_a_declared_length_is_the_estimate() -> None:
    terms = samples.terms(samples.Remembering())
    caller = greeted(terms)
    caller.say(head(1, (b"content-length", b"1234")))
    assert terms.admission.in_flight == 1234
    caller.lose()
    assert terms.admission.in_flight == 0
    assert caller.traffic.requests == {"cancelled": 1}


ENCODED = {
    b"gzip": gzip.compress,
    b"deflate": lambda body: compression.deflate(body, "deflate"),
    b"zstd": lambda body: compression.deflate(body, "zstd"),
    b"snappy": lambda body: bytes(cramjam.snappy.compress(body)),
    b"GZIP": gzip.compress,
    b"Snappy": lambda body: compression.deflate(body, "snappy"),  # a block, as over HTTP
}


@pytest.mark.parametrize(("name", "encode"), ENCODED.items(), ids=map(bytes.decode, ENCODED))
async def test_every_encoding_is_inflated(name: bytes, encode) -> None:
    intake, body = samples.Remembering(), samples.request(points=100)
    terms = samples.terms(intake)
    caller = greeted(terms)
    packed = framed(encode(body), 1)
    named = (b"grpc-encoding", name)
    assert code(caller.say(head(1, named), wire.data(1, packed, ended=True)), 1) == 0
    caller.say(head(3, named), wire.data(3, packed[:9]))
    assert code(caller.say(wire.data(3, packed[9:], ended=True)), 3) == 0
    assert [taken[0] for taken in intake.taken] == [body, body]
    assert terms.admission.in_flight == 0


PLAIN = framed(b"\x0a\x00")
MISTAKES = {
    "no message": (head(1, ended=True), 12),
    "no message, but an end": (head(1) + wire.data(1, b"", ended=True), 12),
    "a prefix cut short": (head(1) + wire.data(1, b"\0\0", ended=True), 13),
    "a message cut short": (head(1) + wire.data(1, PLAIN[:-1], ended=True), 13),
    "a message cut short later": (
        head(1) + wire.data(1, PLAIN[:-1]) + wire.data(1, b"", ended=True), 13,
    ),
    "two messages": (head(1) + wire.data(1, PLAIN * 2, ended=True), 12),
    "two messages in two frames": (head(1) + wire.data(1, PLAIN) + wire.data(1, PLAIN), 12),
    "an odd flag": (head(1) + wire.data(1, framed(b"", 2), ended=True), 13),
    "compressed without an encoding": (head(1) + wire.data(1, framed(b"", 1), ended=True), 13),
    "unknown encoding": (
        head(1, (b"grpc-encoding", b"br")) + wire.data(1, framed(b"x", 1), ended=True), 12,
    ),
    "unknown encoding, unfinished": (
        head(1, (b"grpc-encoding", b"br")) + wire.data(1, framed(b"xyz", 1)[:6]), 12,
    ),
    "broken compression": (
        head(1, (b"grpc-encoding", b"zstd")) + wire.data(1, framed(b"x", 1), ended=True), 3,
    ),
    "a bomb": (
        head(1, (b"grpc-encoding", b"gzip"))
        + wire.data(1, framed(gzip.compress(bytes(200_000)), 1), ended=True), 8,
    ),
    "too large by its prefix": (head(1) + wire.data(1, b"\0\0\2\0\0"), 8),
    "too large by its length": (head(1, (b"content-length", b"100010")), 8),
    "too late": (head(1, (b"grpc-timeout", b"0n")) + wire.data(1, PLAIN, ended=True), 4),
    "a timeout that is none": (head(1, (b"grpc-timeout", b"5")) + wire.data(1, PLAIN), 13),
    "another method": (head(1, path=b"/a.Service/Call") + wire.data(1, PLAIN, ended=True), 12),
    "another method of health": (head(1, path=HEALTH.replace(b"Check", b"Watch")), 12),
    "malformed": (head(1) + wire.data(1, framed(b"\x0a\xff"), ended=True), 3),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "expected"), MISTAKES.values(), ids=MISTAKES)
async def test_each_mistake_has_its_code_and_costs_nobody_else(sent: bytes, expected: int) -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake, max_request_bytes=100_000)
    caller = greeted(terms)
    came = caller.say(sent)
    assert code(came, 1) == expected
    found = answer(came, 1)
    assert b"body" not in found
    assert details(found).code == expected
    assert not any(d.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for d in details(found).details)
    assert terms.admission.in_flight == 0
    assert intake.taken == []
    assert code(caller.say(request(3, samples.request())), 3) == 0


async def test_unknown_encodings_are_told_which_there_are() -> None:
    caller = greeted(samples.terms(samples.Remembering()))
    came = caller.say(*MISTAKES["unknown encoding"][:1])
    assert answer(came, 1)[b"grpc-accept-encoding"] == b"identity,gzip,deflate,zstd,snappy"


async def test_an_unknown_encoding_that_is_not_used_is_nobodys_business() -> None:
    caller = greeted(samples.terms(samples.Remembering()))
    assert code(caller.say(request(1, b"", (b"grpc-encoding", b"br"))), 1) == 0


GET = wire.encode([(b":method", b"GET"), *wire.REQUEST[1:]])
HEAD = wire.encode([(b":method", b"HEAD"), *wire.REQUEST[1:]])
WEB = wire.encode([*wire.REQUEST[:4], (b"content-type", b"application/grpc-web")])
IN_WORDS = {
    b"content-type": b"text/plain",
    b"content-length": b"%d" % len(grpc_answers.NOT_FOR_HTTP),
    b"body": grpc_answers.NOT_FOR_HTTP,
}


async def test_what_is_not_grpc_is_answered_in_http() -> None:
    caller = greeted(samples.terms(samples.Remembering()))
    came = caller.say(wire.headers(1, GET, ended=True), wire.headers(3, WEB))
    assert answer(came, 1) == {b":status": b"405", b"allow": b"POST", **IN_WORDS}
    assert answer(came, 3) == {b":status": b"415", b"accept": b"application/grpc", **IN_WORDS}
    assert caller.traffic.requests == {"405": 1, "415": 1}


async def test_whoever_asks_for_the_head_gets_no_words() -> None:
    caller = greeted(samples.terms(samples.Remembering()))
    found = answer(caller.say(wire.headers(1, HEAD, ended=True)), 1)
    assert found[b":status"] == b"405"
    assert b"body" not in found


@pytest.mark.parametrize(
    "end", [wire.data(1, b"", ended=True), frames.reset(1, Code.CANCEL)], ids=["DATA", "RST_STREAM"]
)
async def test_the_rest_of_what_is_not_grpc_is_thrown_away(end: bytes) -> None:
    intake = samples.Remembering()
    terms = samples.terms(intake, read_timeout=5.0)
    caller = greeted(terms)
    came = caller.say(wire.headers(1, WEB), wire.data(1, bytes(16384)), wire.data(1, bytes(9000)))
    assert {f.kind for f in came if f.stream == 1} == {frames.HEADERS, frames.DATA}  # no window
    assert terms.admission.in_flight == 0
    caller.say(end)
    assert await caller.wait(6.0) == []
    assert caller.traffic.timeouts == {}
    assert code(caller.say(request(3, samples.request())), 3) == 0


async def test_the_rest_of_what_is_not_grpc_is_judged_like_any_other() -> None:
    caller = greeted(samples.terms(samples.Remembering()))
    announced = wire.encode([*wire.REQUEST[:4], (b"content-length", b"1")])
    caller.say(wire.headers(1, announced))
    came = caller.say(wire.data(1, b"more", ended=True))
    assert [f.payload for f in came if f.kind == frames.RST_STREAM] == [
        Code.PROTOCOL_ERROR.to_bytes(4)
    ]


async def test_the_rest_of_what_is_not_grpc_is_not_waited_for_without_end() -> None:
    caller = greeted(samples.terms(samples.Remembering(), read_timeout=5.0))
    caller.say(wire.headers(1, WEB))
    assert await caller.wait(4.0) == []
    came = await caller.wait(1.0)
    assert [(f.kind, f.stream, f.payload) for f in came] == [(frames.RST_STREAM, 1, NO_ERROR)]
    assert caller.traffic.timeouts == {"body": 1}
    assert code(caller.say(request(3, samples.request())), 3) == 0


@pytest.mark.parametrize("kind", [b"application/grpc", b"application/grpc+proto; a=b"])
async def test_content_types_that_are_grpc(kind: bytes) -> None:
    caller = greeted(samples.terms(samples.Remembering()))
    fields = [
        *wire.REQUEST[:2], (b":path", grpc_wire.EXPORT), (b":authority", b"x"),
        (b"content-type", kind),
    ]  # fmt: skip
    sent = wire.headers(1, wire.encode(fields)) + wire.data(1, PLAIN, ended=True)
    assert code(caller.say(sent), 1) == 0


async def test_whoever_is_refused_is_spared_the_rest_and_credited_for_it() -> None:
    intake = samples.Remembering()
    intake.busy = door.Overloaded(2.5)
    caller = greeted(samples.terms(intake))
    found = answer(caller.say(head(1)), 1)
    assert found[b"reset"] == NO_ERROR
    info = error_details_pb2.RetryInfo()
    assert details(found).details[0].Unpack(info)
    assert info.retry_delay.ToMilliseconds() == 2500
    credited = 0
    for _ in range(100):
        for sent in caller.say(wire.data(1, bytes(16384))):
            assert (sent.kind, sent.stream) == (frames.WINDOW_UPDATE, 0)
            credited += int.from_bytes(sent.payload)
    assert credited > 1_200_000


async def test_admission_comes_before_the_body_and_is_by_address() -> None:
    terms = samples.terms(samples.Remembering(), max_in_flight_bytes=200_000, peer_share=0.5)
    assert terms.admission.admit(50_000, PEER)
    caller = greeted(terms)
    assert code(caller.say(head(1)), 1) == 14
    assert terms.admission.refused["peer"] == 1
    terms.admission.release(50_000, PEER)
    caller.say(head(3))
    assert code(caller.say(wire.data(3, b"\0\0\2\0\0")), 3) == -1  # alone, anything is admitted
    assert code(caller.say(head(5)), 5) == 14
    caller.say(frames.reset(3, Code.CANCEL))
    assert terms.admission.in_flight == 0
    assert caller.traffic.requests == {"unavailable": 2, "cancelled": 1}


async def test_a_message_that_outgrows_what_is_free_is_turned_away() -> None:
    terms = samples.terms(samples.Remembering(), max_in_flight_bytes=100_000)
    assert terms.admission.admit(30_000, "another")
    caller = greeted(terms)
    packed = framed(gzip.compress(bytes(90_000)), 1)
    for number, last in ((1, len(packed)), (3, 7)):
        caller.say(
            head(number, (b"grpc-encoding", b"gzip"), (b"content-length", b"%d" % len(packed)))
        )
        came = caller.say(
            wire.data(number, packed[:last]), wire.data(number, packed[last:], ended=True)
        )
        assert code(came, number) == 14
    assert terms.admission.in_flight == 30_000


@pytest.mark.parametrize(
    ("shown", "expected"),
    [((b"authorization", b"Bearer one"), 0), ((b"authorization", b"Bearer x"), 16), (None, 16)],
)
async def test_tokens_of_clients_are_asked_for_before_anything_is_read(
    shown, expected: int
) -> None:
    intake = samples.Remembering()
    intake.busy = None if expected == 0 else door.Overloaded(1.0)
    caller = greeted(samples.terms(intake, client_tokens="one"))
    more = () if shown is None else (shown,)
    assert code(caller.say(request(1, samples.request(), *more)), 1) == expected
    came = caller.say(head(3, *more))
    assert code(came, 3) == (-1 if expected == 0 else 16)
    assert code(caller.say(head(5, path=HEALTH), wire.data(5, framed(b""), ended=True)), 5) == 0


async def test_an_agent_is_trusted_with_a_body_in_pieces_too() -> None:
    intake = samples.Remembering()
    caller = greeted(samples.terms(intake, tokens="secret"))
    shown = (b"authorization", b"Bearer secret")
    caller.say(head(1, shown))
    caller.say(wire.data(1, framed(samples.request()), ended=True))
    caller.say(request(3, samples.request(), shown))
    assert [trusted for _, _, trusted in intake.taken] == [True, True]


async def test_trailers_end_a_request_as_well() -> None:
    intake = samples.Remembering()
    caller = greeted(samples.terms(intake))
    trailers = wire.encode([(b"x", b"y")])
    sent = head(1) + wire.data(1, framed(samples.request())) + wire.headers(1, trailers, ended=True)
    assert code(caller.say(sent), 1) == 0
    assert len(intake.taken) == 1


async def test_health_checks_are_small_and_plain() -> None:
    caller = greeted(samples.terms(samples.Remembering()))
    for number, body, expected in (
        (1, framed(b""), 0),
        (3, framed(bytes(5000)), 8),
        (5, framed(b"", 1), 12),
        (7, framed(b"") * 2, 12),
        (9, b"", 12),
    ):
        sent = head(number, path=HEALTH) + wire.data(number, body, ended=True)
        assert code(caller.say(sent), number) == expected
        slow = greeted(samples.terms(samples.Remembering()))
        slow.say(head(1, path=HEALTH) + wire.data(1, body[:3]))
        assert code(slow.say(wire.data(1, body[3:], ended=True)), 1) == expected


async def test_a_slow_body_runs_out_of_time() -> None:
    terms = samples.terms(samples.Remembering(), read_timeout=5.0)
    caller = greeted(terms)
    caller.say(head(1), head(3, (b"grpc-timeout", b"2S")))
    assert await caller.wait(1.9) == []
    assert code(await caller.wait(0.2), 3) == 4
    came = await caller.wait(3.0)
    assert code(came, 1) == 4
    assert answer(came, 1)[b"reset"] == NO_ERROR
    assert terms.admission.in_flight == 0
    assert caller.traffic.timeouts == {"body": 2}
    assert caller.transport.ended == ""


async def test_a_shrinking_window_is_made_up_for() -> None:
    terms = samples.terms(
        samples.Remembering(), listen=Listen(http2=Http2(stream_window_bytes=100))
    )
    caller = grpc_wire.Caller(terms)
    caller.say(frames.PREFACE, wire.settings(), head(1), wire.data(1, framed(bytes(60_000))[:50]))
    caller.say(frames.SETTINGS_ACK)
    (update,) = await caller.wait(0.1)
    assert (update.kind, update.stream) == (frames.WINDOW_UPDATE, 1)
    assert int.from_bytes(update.payload) == 65_435 - (65_535 - 60_005)


async def test_what_costs_a_stream_only_is_counted_too() -> None:
    traffic = door.Traffic("grpc")
    few = Http2(max_concurrent_streams=1, max_header_bytes=600, stream_window_bytes=10)
    terms = samples.terms(samples.Remembering(), listen=Listen(http2=few))
    caller = greeted(terms, traffic)
    caller.say(wire.headers(1, b"\x82"))
    caller.say(head(3) + wire.data(3, bytes(11)))
    caller.say(wire.headers(5, http2.encode([*wire.REQUEST, (b"a", b"x" * 400)])))
    caller.say(head(7) + head(9))
    assert traffic.hostile == {"protocol": 1, "window": 1, "header_list": 1, "streams": 1}
    assert caller.transport.ended == ""
    caller.lose()
    assert terms.admission.in_flight == 0


async def test_answers_that_find_no_room_to_wait_in_are_counted() -> None:
    traffic, intake = door.Traffic("grpc"), samples.Remembering()
    terms = samples.terms(intake, listen=Listen(http2=Http2(max_queued_bytes=1)))
    caller = Caller(terms, traffic)
    caller.say(frames.PREFACE + wire.settings((4, 0)) + frames.SETTINGS_ACK)
    caller.say(request(1, samples.request()) + request(3, samples.request()))
    assert traffic.hostile == {"queue": 1}
    assert len(intake.taken) == 2
    caller.lose()


async def test_hostile_clients_are_told_counted_and_left() -> None:
    traffic = door.Traffic("grpc")
    for sent, cause in (
        (wire.frame(6, 0, 0, bytes(8)) * 200, "pings"),
        (b"".join(head(n) + frames.reset(n, 8) for n in range(1, 801, 2)), "resets"),
        (wire.headers(1, b"\x80"), "compression"),
        (wire.data(1, b"x"), "protocol"),
    ):
        terms = samples.terms(samples.Remembering())
        caller = greeted(terms, traffic)
        assert caller.say(sent)[-1].kind == frames.GOAWAY
        assert caller.transport.ended == "eof"
        assert traffic.hostile[cause] == 1
        caller.lose()
        assert terms.admission.in_flight == 0
