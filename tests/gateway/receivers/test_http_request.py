"""What a head asks for is decided from the head alone."""

import pytest
from google.rpc import status_pb2

from common.config.doors import Cors
from gateway.receivers import cors, http_request, refusals

RULES = http_request.Rules(max_headers=20, pages=cors.Policy(Cors()))
PAGES = http_request.Rules(
    max_headers=20,
    pages=cors.Policy(Cors(allowed_origins=("https://a",), max_age=60.0)),
)
PROTOBUF = "Content-Type: application/x-protobuf"


def read(
    *headers: str, line: str = "POST /v1/metrics HTTP/1.1", rules: http_request.Rules = RULES
) -> http_request.Request:
    host = () if line.endswith("1.0") else ("Host: x",)
    text = "\r\n".join((line, *host, *headers, "", ""))
    return http_request.read(text.encode("latin-1"), rules)


def refused(*headers: str, **how) -> refusals.Refusal:
    with pytest.raises(refusals.Refusal) as caught:
        read(*headers, **how)
    assert caught.value.closes, "nobody knows where the request ends"
    return caught.value


def test_a_request_of_an_sdk_is_taken() -> None:
    request = read(
        PROTOBUF, "Content-Encoding: GZip", "Content-Length: 12", "Authorization: Bearer x"
    )
    assert request.answer is None
    assert (request.kind, request.encoding, request.length) == (refusals.PROTOBUF, "gzip", 12)
    assert request.authorization == "Bearer x"
    assert request.persists
    assert request.plain


@pytest.mark.parametrize(
    "target",
    [
        "/v1/metrics?a=b&c",
        "http://gateway:4318/v1/metrics",
        "HTTPS://gateway/v1/metrics?x",
        "/v1/%6detrics",
    ],
)
def test_our_path_has_several_spellings(target: str) -> None:
    assert read(PROTOBUF, line=f"POST {target} HTTP/1.1").answer is None


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/", "nothing at '/'; metrics are taken at /v1/metrics"),
        ("/v1/metrics/", "nothing at"),
        ("http://gateway", "nothing at '/'"),
        ("/v1/traces", "only metrics are served here"),
        ("/v1/logs?x", "only metrics are served here"),
        ("/v1development/profiles", "only metrics are served here"),
        ("/%ff", "xff"),
    ],
)
def test_other_paths_are_404(target: str, words: str) -> None:
    answer = read(PROTOBUF, line=f"POST {target} HTTP/1.1").answer
    assert answer.status == 404
    assert words in status_pb2.Status.FromString(answer.body).message


def test_other_methods_are_405_and_told_which() -> None:
    for method in ("GET", "HEAD", "PUT", "OPTIONS", "PATCH"):
        request = read(line=f"{method} /v1/metrics HTTP/1.1")
        assert (request.answer.status, request.length) == (405, 0)
        assert dict(request.answer.headers) == {"Allow": "POST"}
        assert request.with_body is (method != "HEAD")


def test_a_tunnel_ends_the_connection() -> None:
    request = read(line="CONNECT a:443 HTTP/1.1")
    assert request.answer.status == 404
    assert not request.persists


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        (["Content-Type: text/html"], "'text/html' is not known here"),
        ([], "content type '' is not known here"),
        ([PROTOBUF, "Content-Encoding: br"], "unknown encoding 'br'; use one of gzip,"),
        ([PROTOBUF, "Content-Encoding: gzip, zstd"], "several encodings"),
        ([PROTOBUF, "Content-Encoding: gzip", "Content-Encoding: identity"], "several encodings"),
    ],
)
def test_other_types_and_encodings_are_415(headers: list[str], words: str) -> None:
    answer = read(*headers).answer
    assert answer.status == 415
    assert words.encode() in answer.body
    assert ("Accept-Encoding" in dict(answer.headers)) is ("encoding" in words)


def test_parameters_of_the_type_say_nothing() -> None:
    assert read("Content-Type: Application/JSON ; charset=utf-8").kind == refusals.JSON


def test_a_chunked_body_has_no_length() -> None:
    assert read(PROTOBUF, "Transfer-Encoding: Chunked").length is None
    assert read(PROTOBUF).length == 0


def test_what_leaves_in_doubt_where_the_request_ends_is_refused() -> None:
    assert refused("Content-Length: 1", "Transfer-Encoding: chunked").http == 400
    assert refused("Transfer-Encoding: gzip, chunked").http == 501
    assert refused("Transfer-Encoding: chunked", line="POST /v1/metrics HTTP/1.0").http == 400
    assert refused("Host: y").http == 400
    assert refused(PROTOBUF, PROTOBUF).http == 400
    assert refused("Authorization: a", "Authorization: b").http == 400
    with pytest.raises(refusals.Refusal, match="needs a Host header"):
        http_request.read(b"POST /v1/metrics HTTP/1.1\r\n\r\n", RULES)


def test_other_versions_are_refused_in_words() -> None:
    for line in ("POST /v1/metrics HTTP/2.0", "POST /v1/metrics HTTP/0.9", "GET /v1/metrics"):
        refusal = refused(line=line)
        assert refusal.http == 505
        assert "use HTTP/1.1" in refusal.message


def test_too_many_headers_are_431() -> None:
    assert read(*(f"X-{n}: y" for n in range(19))).kind == ""
    refusal = refused(*(f"X-{n}: y" for n in range(20)))
    assert refusal.http == 431
    assert "21 headers, the limit is 20" in refusal.message


@pytest.mark.parametrize(
    ("version", "connection", "persists", "told"),
    [
        ("1.1", "", True, ""),
        ("1.1", "keep-alive", True, ""),
        ("1.1", "Keep-Alive, CLOSE", False, ""),
        ("1.0", "", False, ""),
        ("1.0", "Keep-Alive", True, "keep-alive"),
    ],
)
def test_connections_persist_by_the_rules(
    version: str,
    connection: str,
    persists: bool,  # noqa: FBT001
    told: str,
) -> None:
    headers = [f"Connection: {connection}"] if connection else []
    request = read(PROTOBUF, *headers, line=f"POST /v1/metrics HTTP/{version}")
    assert (request.persists, request.connection) == (persists, told)
    assert request.plain is (persists and version == "1.1")


def test_an_offer_to_upgrade_is_no_reason_to_refuse() -> None:
    request = read(
        PROTOBUF, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "Content-Length: 3"
    )
    assert (request.answer, request.length, request.persists) == (None, 3, True)


def test_who_waits_for_a_word_is_noticed_in_http_1_1_only() -> None:
    assert read(PROTOBUF, "Expect: 100-Continue").expects
    assert not read(PROTOBUF, "Expect: x").expects
    assert not read(PROTOBUF, "Expect: 100-continue", line="POST /v1/metrics HTTP/1.0").expects


def test_a_page_that_asks_first_is_told_what_it_may() -> None:
    asking = ["Origin: https://a", "Access-Control-Request-Method: POST"]
    wanted = "Access-Control-Request-Headers: Content-Type, X-Evil"
    request = read(*asking, wanted, line="OPTIONS /v1/metrics HTTP/1.1", rules=PAGES)
    assert request.answer.status == 204
    told = dict(request.answer.headers + request.headers)
    assert told["Access-Control-Allow-Origin"] == "https://a"
    assert told["Access-Control-Allow-Headers"] == "content-type"
    assert told["Access-Control-Max-Age"] == "60"
    names = [name for name, _ in request.answer.headers + request.headers]
    assert len(names) == len(set(names))
    plain = read(line="OPTIONS /v1/metrics HTTP/1.1", rules=PAGES)
    assert (plain.answer.status, dict(plain.answer.headers)) == (204, {"Allow": "POST, OPTIONS"})
    assert read(line="GET /v1/metrics HTTP/1.1", rules=PAGES).answer.status == 405


def test_every_answer_to_a_page_lets_it_see_it() -> None:
    request = read(PROTOBUF, "Origin: https://a", rules=PAGES)
    assert ("Access-Control-Allow-Origin", "https://a") in request.headers
    assert not request.plain
    assert read(PROTOBUF, "Origin: https://b", rules=PAGES).headers == (("Vary", "Origin"),)
    assert read(PROTOBUF, "Origin: https://a").headers == ()
