"""Attributes of a Resource are written, read and left out as upb would."""

import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.resource.v1 import resource_pb2

from bench.references import otlp as reference
from common.wire import errors, otlp_attributes as attributes, protobuf
from tests.fakes import otlp_wire

TEXT = st.text(max_size=200)


def encoded(*pairs: object) -> bytes:
    return resource_pb2.Resource(attributes=pairs).SerializeToString()


@settings(max_examples=50)
@given(TEXT, TEXT)
def test_an_attribute_is_what_upb_reads(key: str, value: str) -> None:
    (pair,) = resource_pb2.Resource.FromString(attributes.attribute(key, value)).attributes
    assert (pair.key, pair.value.string_value) == (key, value)
    assert pair.value.HasField("string_value")


@given(st.dictionaries(TEXT, TEXT, max_size=5))
def test_strings_go_there_and_back(pairs: dict[str, str]) -> None:
    resource = b"".join([attributes.attribute(key, value) for key, value in pairs.items()])
    assert list(attributes.string_attributes(resource).items()) == list(pairs.items())
    assert attributes.attribute_keys(resource) == pairs.keys()


def test_values_that_are_not_strings_are_left_out_but_empty_strings_are_not() -> None:
    resource = encoded(
        {"key": "n", "value": {"int_value": 1}},
        {"key": "none"},
        {"key": "empty", "value": {"string_value": ""}},
    )
    assert attributes.string_attributes(resource) == {"empty": ""}
    assert attributes.attribute_keys(resource) == {"n", "none", "empty"}


def test_the_first_string_of_a_repeated_key_counts() -> None:
    resource = attributes.attribute("a", "first") + attributes.attribute("a", "second")
    assert attributes.string_attributes(resource) == {"a": "first"}


@settings(max_examples=100)
@given(otlp_wire.resources)
def test_string_attributes_agree_with_upb_on_anything(resource: bytes) -> None:
    assert attributes.string_attributes(resource) == reference.string_attributes(resource)


@settings(max_examples=100)
@given(otlp_wire.resources, st.sampled_from([*otlp_wire.TEXTS, "?"]))
def test_without_attributes_removes_those_and_nothing_else(resource: bytes, key: str) -> None:
    expected = resource_pb2.Resource.FromString(resource)
    kept = [pair for pair in expected.attributes if pair.key != key]
    untouched = len(kept) == len(expected.attributes)
    expected.ClearField("attributes")
    expected.attributes.extend(kept)
    smaller = attributes.without_attributes(resource, lambda name: name == key)
    found = resource_pb2.Resource.FromString(smaller)
    assert found.SerializeToString() == expected.SerializeToString()
    assert (smaller is resource) == untouched


@pytest.mark.parametrize("broken", [b"\x0a", b"\x0a\x03\x0a\x01\xff", b"\x07"])
def test_what_is_not_a_resource_is_malformed(broken: bytes) -> None:
    with pytest.raises(errors.Malformed, match="not a Resource"):
        attributes.string_attributes(broken)
    with pytest.raises(errors.Malformed, match="not a Resource"):
        attributes.attribute_keys(broken)
    with pytest.raises(errors.Malformed, match="not a Resource"):
        attributes.without_attributes(broken, lambda _: True)


def test_appending_an_attribute_merges_it_into_a_resource() -> None:
    resource = encoded({"key": "a", "value": {"string_value": "b"}}) + protobuf.framed(100, b"?")
    more = resource + attributes.attribute("c", "d")
    assert attributes.string_attributes(more) == {"a": "b", "c": "d"}
