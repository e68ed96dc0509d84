"""RFC 7541: header compression; what is in the table shows in what a second call may say."""

import itertools

import pytest

from tests.conformance.http2 import wire
from tests.conformance.http2.client import MESSAGE
from tests.conformance.http2.wire import Code, Literal, Setting

pytestmark = pytest.mark.wallclock

USER_AGENT = 58  # of the static table (appendix A)
NEWEST = 62  # the first entry of the dynamic table (section 2.3.3)
METHOD_POST, SCHEME_HTTP, PATH_ROOT = 3, 6, 4


async def accepts(client, stream: int, block: bytes) -> None:
    """Send a call with *block* and see it answered."""
    await client.send(wire.headers(stream, block), wire.data(stream, MESSAGE, end=True))
    await client.accepts(stream)


async def refuses(client, block: bytes, stream: int = 1) -> None:
    await client.send(wire.headers(stream, block, end=True))
    await client.connection_error(Code.COMPRESSION_ERROR)


@pytest.mark.parametrize(
    ("how", "name", "huffman"),
    [
        pytest.param(how, name, huffman, id=f"{how.name}-{named}-{'huffman' if huffman else 'raw'}")
        for how, (named, name), huffman in itertools.product(
            Literal, (("known name", USER_AGENT), ("new name", "x-test")), (False, True)
        )
    ],
)
async def test_6_2_literals_of_all_kinds_are_taken(client, how, name, huffman) -> None:
    await accepts(client, 1, client.block() + wire.literal(name, "h2", how, huffman=huffman))
    again = client.block() + wire.indexed(NEWEST)
    if how is Literal.INDEXED:  # 6.2.1: is in the table now
        await accepts(client, 3, again)
    else:  # 6.2.2, 6.2.3: leaves the table as it was, empty
        await refuses(client, again, stream=3)


async def test_6_1_fields_of_the_static_table_are_taken(client) -> None:
    block = wire.indexed(METHOD_POST) + wire.indexed(SCHEME_HTTP)
    named = ("method", "scheme")
    await accepts(client, 1, block + client.block(**dict.fromkeys(named)))


async def test_6_1_a_field_of_the_dynamic_table_means_what_it_meant(client) -> None:
    """The path of the second call comes from the table; were it another, the answer would be."""
    (path,) = (value for name, value in client.fields() if name == ":path")
    entry = wire.literal(PATH_ROOT, path, Literal.INDEXED)
    await accepts(client, 1, entry + client.block(path=None))
    await accepts(client, 3, wire.indexed(NEWEST) + client.block(path=None))


async def test_2_3_3_the_newest_entry_comes_first(client) -> None:
    (path,) = (value for name, value in client.fields() if name == ":path")
    entry = wire.literal(PATH_ROOT, path, Literal.INDEXED)
    later = [wire.literal(f"x-{n}", "later", Literal.INDEXED) for n in range(3)]
    await accepts(client, 1, entry + client.block(path=None) + b"".join(later))
    await accepts(client, 3, wire.indexed(NEWEST + 3) + client.block(path=None))


@pytest.mark.parametrize("index", [NEWEST, NEWEST + 8, 2**20, 2**32])
async def test_2_3_3_an_index_beyond_both_tables_is_an_error(client, index) -> None:
    await refuses(client, client.block() + wire.indexed(index))


async def test_2_3_3_a_name_beyond_both_tables_is_an_error(client) -> None:
    await refuses(client, client.block() + wire.literal(NEWEST + 8, "value"))


async def test_6_1_index_zero_is_an_error(client) -> None:
    await refuses(client, client.block() + wire.indexed(0))


async def test_5_1_an_integer_without_end_is_an_error(client) -> None:
    await refuses(client, client.block() + b"\xff" + b"\x80" * 32 + b"\x01")


async def test_5_2_a_string_longer_than_its_block_is_an_error(client) -> None:
    await refuses(client, client.block() + b"\x00" + wire.integer(100, 7) + b"x-short")


async def test_5_2_padding_of_a_huffman_string_is_shorter_than_a_byte(client) -> None:
    await refuses(client, _coded(client, wire.string("a", huffman=True)[1:] + b"\xff"))


async def test_5_2_padding_of_a_huffman_string_is_ones(client) -> None:
    await refuses(client, _coded(client, b"\x18"))  # 00011 is an "a", and then zeros


async def test_5_2_a_huffman_string_does_not_hold_its_end(client) -> None:
    await refuses(client, _coded(client, b"\xff\xff\xff\xff"))  # EOS is thirty ones


def _coded(client, value: bytes) -> bytes:
    """Return a block with a field whose value is coded as *value*."""
    return (
        client.block() + b"\x00" + wire.string("x-test") + wire.integer(len(value), 7, 128) + value
    )


@pytest.mark.parametrize("sizes", [[0], [4096], [128, 4096], [0, 64]], ids=str)
async def test_6_3_a_new_size_of_the_table_is_taken(client, sizes) -> None:
    await accepts(client, 1, b"".join(map(wire.table_size, sizes)) + client.block())


async def test_4_3_a_smaller_table_forgets_what_does_not_fit(client) -> None:
    entry = wire.literal("x-test", "kept", Literal.INDEXED)
    await accepts(client, 1, client.block() + entry)
    await accepts(client, 3, client.block() + wire.indexed(NEWEST))
    smaller = wire.table_size(0) + wire.table_size(4096)
    await refuses(client, smaller + client.block() + wire.indexed(NEWEST), stream=5)


async def test_4_4_an_entry_larger_than_the_table_empties_it(client) -> None:
    small = wire.literal("x-test", "kept", Literal.INDEXED)
    large = wire.literal("x-large", "v" * 100, Literal.INDEXED)
    await accepts(client, 1, wire.table_size(64) + client.block() + small + large)
    await refuses(client, client.block() + wire.indexed(NEWEST), stream=3)


async def test_4_2_a_new_size_comes_before_the_fields(client) -> None:
    await refuses(client, client.block() + wire.table_size(1))


@pytest.mark.parametrize("above", [1, 2**20])
async def test_6_3_a_table_larger_than_the_server_allows_is_an_error(client, above) -> None:
    limit = client.settings.get(Setting.HEADER_TABLE_SIZE, 4096)
    await refuses(client, wire.table_size(limit + above) + client.block())
