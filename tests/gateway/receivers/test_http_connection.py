"""One connection, without a socket: every answer in its order, every end in its time."""

import asyncio
import re

import pytest
from hypothesis import given, settings, strategies as st

from common.config.doors import Cors, Listen
from common.wire import compression
from gateway.receivers import door, http_export
from gateway.receivers.http_line import LINGER, LINGER_BYTES
from tests.gateway.receivers.scenes import BODY, GET, TYPE, chunked, ended, post, scene


async def test_requests_are_answered_in_order_and_the_connection_goes_on() -> None:
    at = scene()
    at.wire.receive(post() + GET + post(b"") + chunked(BODY[:5], BODY[5:]) + post(b"\xff"))
    assert at.statuses() == [200, 405, 200, 200, 400]
    assert [body for body, _, _ in at.intake.taken] == [BODY, b"", BODY]
    assert {peer for _, peer, _ in at.intake.taken} == {"10.0.0.1"}
    assert at.traffic.requests == {"200": 3, "405": 1, "400": 1}
    assert not at.wire.closing
    await ended(at)


async def test_the_common_answer_is_one_line_and_three_headers() -> None:
    at = scene()
    at.wire.receive(post())
    assert at.wire.written == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n"
        b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
    )


async def test_admission_comes_before_the_body_and_ends_with_the_answer() -> None:
    at = scene()
    request = post()
    at.wire.receive(request[: -len(BODY)])
    assert at.terms.admission.in_flight == len(BODY)
    at.wire.receive(BODY[:-1])
    assert at.statuses() == []
    at.wire.receive(BODY[-1:])
    assert at.statuses() == [200]
    await ended(at)


async def test_a_body_of_unknown_length_is_reserved_by_estimate() -> None:
    at = scene()
    at.wire.receive(chunked(BODY)[: -len(BODY)])
    assert at.terms.admission.in_flight == http_export.ESTIMATE
    at.wire.hang_up()
    await ended(at)


async def test_a_refused_body_that_is_short_is_passed_over() -> None:
    at = scene()
    at.intake.busy = door.Overloaded(2.0)
    request = post()
    at.wire.receive(request[:-5])
    assert at.statuses() == [503], "before the body has come"
    at.intake.busy = None
    at.wire.receive(request[-5:] + post())
    assert at.statuses() == [503, 200]
    assert len(at.intake.taken) == 1
    await ended(at)


async def test_a_refused_body_that_does_not_end_is_not_waited_for(clock) -> None:
    at = scene()
    at.intake.busy = door.Overloaded(2.0)
    at.wire.receive(post()[:-5])
    await at.wire.closed.wait()
    assert LINGER <= clock() < LINGER + 0.2
    await ended(at)


@pytest.mark.parametrize("half_closes", [True, False], ids=["tcp", "tls"])
@pytest.mark.parametrize(
    "request_",
    [
        post(b"", length=LINGER_BYTES + 1),
        chunked(BODY),
        post(b"", b"Expect: 100-continue", length=9),
    ],
    ids=["long", "chunked", "asked"],
)
async def test_a_refused_body_of_any_length_gets_its_answer_and_some_time(
    clock,
    request_: bytes,
    half_closes: bool,  # noqa: FBT001
) -> None:
    at = scene(half_closes=half_closes)
    at.intake.busy = door.Overloaded(2.0)
    at.wire.receive(request_)
    assert at.statuses() == [503]
    assert b"Connection: close\r\n" in at.wire.written
    assert (at.wire.ended, at.wire.closing) == (half_closes, False)
    at.wire.receive(post())
    assert at.statuses() == [503], "what follows is thrown away"
    await at.wire.closed.wait()
    assert LINGER <= clock() < LINGER + 0.2
    await ended(at)


async def test_only_so_much_of_a_refused_body_is_read() -> None:
    at = scene()
    at.intake.busy = door.Overloaded(2.0)
    at.wire.receive(post(b"", length=1 << 25))
    at.wire.receive(bytes(LINGER_BYTES - 1))
    assert not at.wire.closing
    at.wire.receive(bytes(2))
    assert at.wire.closing
    await ended(at)


async def test_a_client_that_waits_for_a_word_gets_it_when_it_is_admitted() -> None:
    at = scene()
    at.wire.receive(post(b"", b"Expect: 100-continue", length=len(BODY)))
    assert at.wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert at.terms.admission.in_flight == len(BODY)
    at.wire.receive(BODY)
    assert at.statuses() == [100, 200]


async def test_http_1_0_is_answered_and_closed_unless_it_asks_otherwise() -> None:
    at = scene()
    old = b"POST /v1/metrics HTTP/1.0\r\n" + TYPE + b"Content-Length: %d\r\n" % len(BODY)
    at.wire.receive(old + b"Connection: keep-alive\r\n\r\n" + BODY)
    assert at.wire.written.count(b"Connection: keep-alive") == 1
    assert not at.wire.closing
    at.wire.receive(old + b"\r\n" + BODY)
    assert at.wire.written.count(b"Connection: close") == 1
    assert at.wire.closing
    assert at.statuses() == [200, 200]
    await ended(at)


async def test_who_closes_is_answered_once_more_and_not_read_further() -> None:
    at = scene()
    at.wire.receive(post(BODY, b"Connection: close") + post())
    assert at.statuses() == [200]
    assert b"Connection: close" in at.wire.written
    assert at.wire.closing
    await ended(at)


async def test_an_offer_to_upgrade_is_passed_over_politely() -> None:
    at = scene()
    offer = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAA")
    at.wire.receive(post(BODY, *offer) + post())
    assert at.statuses() == [200, 200]


async def test_head_is_answered_without_a_body() -> None:
    at = scene()
    at.wire.receive(b"HEAD /v1/metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert at.wire.written.endswith(b"\r\n\r\n")
    assert at.wire.written.count(b"\r\n\r\n") == 1
    assert b"Content-Length: 0" not in at.wire.written


async def test_pages_see_answers_and_refusals() -> None:
    at = scene(listen=Listen(cors=Cors(allowed_origins=("https://*.a",))))
    at.wire.receive(
        b"OPTIONS /v1/metrics HTTP/1.1\r\nHost: x\r\nOrigin: https://b.a\r\n"
        b"Access-Control-Request-Method: POST\r\n\r\n"
        + post(BODY, b"Origin: https://b.a")
        + post(b"\xff", b"Origin: https://b.a")
        + post(BODY, b"Origin: https://c")
    )
    assert at.statuses() == [204, 200, 400, 200]
    assert at.wire.written.count(b"Access-Control-Allow-Origin: https://b.a\r\n") == 3
    assert at.wire.written.count(b"Access-Control-Allow-Credentials: true\r\n") == 3
    assert at.wire.written.count(b"Vary: Origin\r\n") == 4


async def test_a_token_is_asked_for_before_anything_is_read() -> None:
    at = scene(client_tokens="secret")
    at.wire.receive(post()[: -len(BODY)])
    assert at.statuses() == [401]
    assert b"WWW-Authenticate: Bearer\r\n" in at.wire.written
    assert at.terms.admission.in_flight == 0
    at.wire.receive(BODY + post(BODY, b"Authorization: Bearer secret"))
    assert at.statuses() == [401, 200]


HOSTILE = {
    "binary": (b"\x00\x01\x02", 400, "malformed_head"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00", 400, "malformed_head"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed_head"),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: x\n\n", 400, "malformed_head"),
    "two framings": (
        post(b"", b"Transfer-Encoding: chunked"),
        400,
        "malformed_head",
    ),
    "another coding": (
        GET[:-2] + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        501,
        "malformed_head",
    ),
    "another version": (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, "malformed_head"),
    "an endless header": (GET[:-2] + b"X: " + b"y" * 20_000, 431, "large_head"),
    "a long header": (GET[:-2] + b"X: " + b"y" * 20_000 + b"\r\n\r\n", 431, "large_head"),
    "many headers": (GET[:-2] + b"X: y\r\n" * 200 + b"\r\n", 431, "large_head"),
    "a bad chunk": (chunked()[:-5] + b"zz\r\n", 400, "malformed_chunks"),
    "an endless chunk line": (chunked()[:-5] + b"3;" + b"x" * 5000, 400, "malformed_chunks"),
    "endless trailers": (chunked()[:-2] + b"X: y\r\n" * 5000, 400, "malformed_chunks"),
}


@pytest.mark.parametrize(("text", "status", "cause"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("step", [1 << 20, 7], ids=["at once", "in pieces"])
async def test_hostile_bytes_are_answered_closed_and_counted(
    text: bytes, status: int, cause: str, step: int
) -> None:
    at = scene()
    at.wire.receive(post())
    for n in range(0, len(text), step):
        at.wire.receive(text[n : n + step])
    at.wire.receive(post())
    assert at.statuses() == [200, status]
    assert at.traffic.hostile == {cause: 1}
    assert b"Connection: close" in at.wire.written
    at.wire.hang_up()
    await ended(at)


async def test_empty_lines_before_a_request_are_passed_over() -> None:
    at = scene()
    for data in (b"\r\n", b"\r", b"\n\r\n" + post(), b"\r\n" * 1000, post()):
        at.wire.receive(data)
    assert at.statuses() == [200, 200]


async def test_a_chunked_body_beyond_the_limit_is_given_up() -> None:
    at = scene(max_request_bytes=100)
    at.wire.receive(chunked(bytes(60), bytes(60)))
    assert at.statuses() == [413]
    await asyncio.sleep(LINGER + 0.1)
    assert at.wire.closing
    await ended(at)


async def test_a_body_that_breaks_off_is_not_taken() -> None:
    at = scene()
    at.wire.receive(post()[:-1])
    at.wire.hang_up()
    assert at.statuses() == [400]
    assert at.traffic.hostile == {"cut_body": 1}
    await ended(at)
    reset = at.another()
    reset.receive(post()[:-1])
    reset.abort()
    await ended(at)
    assert at.traffic.hostile == {"cut_body": 2}
    assert not at.intake.taken


async def test_a_head_that_breaks_off_is_told_so() -> None:
    at = scene()
    at.wire.receive(GET[:9])
    at.wire.hang_up()
    assert at.statuses() == [400]
    assert at.traffic.hostile == {"cut_head": 1}
    await ended(at)


async def test_a_bomb_ends_the_connection_and_what_was_piled_up_behind_it() -> None:
    at = scene(max_request_bytes=100_000)
    bomb = compression.deflate(bytes(1_000_000), "zstd")
    at.wire.receive(post(bomb, b"Content-Encoding: zstd") * 50)
    assert at.statuses() == [413]
    assert at.wire.closing
    await ended(at)


async def test_a_bug_is_told_as_500_and_releases_what_was_held(
    caplog: pytest.LogCaptureFixture,
) -> None:
    at = scene()
    at.intake.answer = RuntimeError("BUG: nobody knows")
    at.wire.receive(post() + post())
    assert at.statuses() == [500]
    assert "BUG: nobody knows" in caplog.text
    assert b"BUG" not in at.wire.written
    at.wire.hang_up()
    await ended(at)


def run(reads: list[bytes], **how) -> tuple[bytes, list[bytes], bool, dict[str, int]]:
    """What a door says to *reads*, what it takes, and whether it closes."""

    async def played() -> tuple[bytes, list[bytes], bool, dict[str, int]]:
        at = scene(**how)
        for read in reads:
            at.wire.receive(read)
        said, closing = at.wire.written, at.wire.closing or at.wire.ended
        at.wire.hang_up()
        await ended(at)
        assert at.wire.lost
        return said, [body for body, _, _ in at.intake.taken], closing, at.traffic.hostile

    return asyncio.run(played())


def split(text: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    return [text[a:b] for a, b in zip([0, *ends], ends, strict=False) if a < b]


MESSAGES = [
    post(), GET, post(b""), chunked(BODY[:3], BODY[3:]), post(b"\xff"), b"\r\n",
    chunked(BODY, headers=b"Content-Encoding: identity\r\n"), post(BODY, b"Content-Encoding: br"),
    post(BODY, b"Connection: close"), post(BODY, b"Connection: Upgrade", b"Upgrade: h2c"),
    post(BODY, b"Expect: 100-continue"), b"POST /v1/logs HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00",
    b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", chunked()[:-5] + b"zz\r\n",
    post(BODY, b"X: " + b"y" * 900), post(bytes(600)), chunked(bytes(300), bytes(300)),
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=5).map(b"".join),
    st.lists(st.integers(0, 2000), max_size=12),
)
def test_however_bytes_are_cut_the_answers_are_the_same(text: bytes, cuts: list[int]) -> None:
    limits = {"max_request_bytes": 500, "max_header_bytes": 800}
    assert run(split(text, cuts), **limits) == run([text], **limits)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(MESSAGES),
    st.binary(min_size=1, max_size=6),
    st.integers(0, 300),
    st.lists(st.integers(0, 500), max_size=4),
)
def test_hostile_bytes_end_in_an_answer_or_a_close(
    text: bytes, noise: bytes, where: int, cuts: list[int]
) -> None:
    spoiled = text[:where] + noise + text[where + len(noise) :]
    said, _, _, _ = run(split(spoiled, cuts))
    codes = {int(code) for code in re.findall(rb"HTTP/1.1 ([0-9]{3}) ", said)}
    assert codes <= {100, 200, 400, 404, 405, 408, 413, 415, 431, 501, 505}


async def test_points_that_are_to_come_again_are_counted_as_far_as_they_are_known() -> None:
    at = scene(max_request_bytes=len(BODY))
    at.intake.answer = door.Overloaded(1.0, 40)
    at.wire.receive(post())
    assert at.traffic.refused_points == 40
    at.intake.busy = door.Overloaded(1.0)
    at.wire.receive(post())
    assert at.traffic.refused_points == 41, "nobody has read it"
    at.intake.busy = None
    at.wire.receive(post(BODY + BODY) + post(b"\xff"))
    assert at.traffic.refused_points == 41, "these shall not come again"
    at.intake.wait_for_disk().done(written=False)
    at.wire.receive(post())
    assert at.traffic.refused_points == 42
    assert at.statuses() == [503, 503, 413, 400, 503]
    await ended(at)
