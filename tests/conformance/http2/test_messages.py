"""RFC 9113 section 8: requests well formed and malformed, and push.

Section 8.1.2 of RFC 7540, by which h2spec counts, is spread over 8.1.1, 8.2 and 8.3 here.
"""

import pytest

from tests.conformance.http2 import wire
from tests.conformance.http2.client import MESSAGE
from tests.conformance.http2.wire import Code, Kind

pytestmark = pytest.mark.wallclock


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_8_1_a_request_of_any_method_is_answered(client, method) -> None:
    """With which status is the server's business; a client must not be left waiting."""
    await client.send(wire.headers(1, client.block(method=method), end=True))
    answer = await client.answer(1)
    assert answer.status.isdigit()
    assert method != "HEAD" or not b"".join(answer.data)
    await client.alive()


async def test_8_1_a_request_with_trailers_is_answered(client) -> None:
    trailers = wire.headers(1, wire.block([("x-trailer", "yes")]), end=True)
    await client.send(wire.headers(1, client.block()), wire.data(1, MESSAGE), trailers)
    await client.accepts(1)


async def test_8_1_trailers_that_do_not_end_the_stream_are_malformed(client) -> None:
    trailers = wire.headers(1, wire.block([("x-trailer", "yes")]))
    await client.send(wire.headers(1, client.block()), wire.data(1, b"\0"), trailers)
    await client.stream_error(1, Code.PROTOCOL_ERROR)


async def test_8_1_1_a_malformed_request_costs_its_own_stream_only(client) -> None:
    await client.send(wire.headers(1, client.block(("X-Upper", "yes")), end=True), client.call(3))
    await client.accepts(3)


@pytest.mark.parametrize("pieces", [[b"test"], [b"te", b"st"], [b""]], ids=["one", "two", "none"])
async def test_8_1_1_a_body_of_another_length_than_announced_is_malformed(client, pieces) -> None:
    await client.send(wire.headers(1, client.block(content_length="1")))
    await client.send(*(wire.data(1, piece) for piece in pieces[:-1]))
    await client.send(wire.data(1, pieces[-1], end=True))
    await client.stream_error(1, Code.PROTOCOL_ERROR)


async def test_8_1_1_a_body_of_the_announced_length_is_answered(client) -> None:
    await client.send(
        wire.headers(1, client.block(content_length="5")), wire.data(1, MESSAGE, end=True)
    )
    await client.accepts(1)


@pytest.mark.parametrize(
    "name", ["X-Upper", "x upper", "x\0upper", "x\x7fupper", "x:upper", "x\rupper", "x\nupper"]
)
async def test_8_2_1_a_field_name_of_wrong_characters_is_malformed(client, name) -> None:
    await client.send(wire.headers(1, client.block((name, "yes")), end=True))
    await client.stream_error(1, Code.PROTOCOL_ERROR)


@pytest.mark.parametrize("value", ["a\0b", "a\rb", "a\nb"], ids=["NUL", "CR", "LF"])
async def test_8_2_1_a_field_value_that_breaks_a_line_is_malformed(client, value) -> None:
    await client.send(wire.headers(1, client.block(("x-test", value)), end=True))
    await client.stream_error(1, Code.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "field",
    [
        ("connection", "keep-alive"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
    ],
    ids=lambda field: field[0],
)
async def test_8_2_2_fields_of_a_connection_are_malformed(client, field) -> None:
    await client.send(wire.headers(1, client.block(field), end=True))
    await client.stream_error(1, Code.PROTOCOL_ERROR)


async def test_8_2_2_te_says_trailers_or_nothing(client) -> None:
    await client.send(wire.headers(1, client.block(te="trailers, deflate;q=0.5"), end=True))
    await client.stream_error(1, Code.PROTOCOL_ERROR)


async def test_8_3_an_unknown_pseudo_field_is_malformed(client) -> None:
    block = wire.literal(":test", "ok") + client.block()
    await client.send(wire.headers(1, block, end=True))
    await client.stream_error(1, Code.PROTOCOL_ERROR)


async def test_8_3_a_pseudo_field_of_answers_is_malformed(client) -> None:
    block = wire.literal(":status", "200") + client.block()
    await client.send(wire.headers(1, block, end=True))
    await client.stream_error(1, Code.PROTOCOL_ERROR)


@pytest.mark.parametrize("name", [":method", ":path", ":status"])
async def test_8_3_a_pseudo_field_in_trailers_is_malformed(client, name) -> None:
    trailers = wire.headers(1, wire.block([(name, "200")]), end=True)
    await client.send(wire.headers(1, client.block()), wire.data(1, MESSAGE), trailers)
    await client.stream_error(1, Code.PROTOCOL_ERROR)


async def test_8_3_a_pseudo_field_after_others_is_malformed(client) -> None:
    fields = client.fields()
    fields.append(fields.pop(0))
    await client.send(wire.headers(1, wire.block(fields), end=True))
    await client.stream_error(1, Code.PROTOCOL_ERROR)


async def test_8_3_1_an_empty_path_is_malformed(client) -> None:
    await client.send(wire.headers(1, client.block(path=""), end=True))
    await client.stream_error(1, Code.PROTOCOL_ERROR)


@pytest.mark.parametrize("name", ["method", "scheme", "path"])
async def test_8_3_1_a_request_without_a_pseudo_field_is_malformed(client, name) -> None:
    await client.send(wire.headers(1, client.block(**{name: None}), end=True))
    await client.stream_error(1, Code.PROTOCOL_ERROR)


@pytest.mark.parametrize("name", [":method", ":scheme", ":path", ":authority"])
async def test_8_3_1_a_pseudo_field_twice_is_malformed(client, name) -> None:
    fields = client.fields()
    (field,) = (field for field in fields if field[0] == name)
    await client.send(wire.headers(1, wire.block([field, *fields]), end=True))
    await client.stream_error(1, Code.PROTOCOL_ERROR)


async def test_8_4_clients_do_not_push(client) -> None:
    payload = (2).to_bytes(4) + client.block()
    await client.send(
        wire.headers(1, client.block()), wire.frame(Kind.PUSH_PROMISE, 0x4, 1, payload)
    )
    await client.connection_error(Code.PROTOCOL_ERROR)
