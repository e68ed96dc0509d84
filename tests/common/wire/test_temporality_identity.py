"""What makes a series another one, and what does not."""

from __future__ import annotations

from itertools import permutations

import pytest
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

from common.wire import errors, protobuf, temporality_identity
from common.wire.temporality_identity import Identities


def attribute(key: str, value: str = "v") -> bytes:
    return common_pb2.KeyValue(key=key, value={"string_value": value}).SerializeToString()


def identities(max_bytes: int = 10_000) -> Identities:
    return Identities(7, max_bytes)


def test_attributes_say_the_same_in_any_order() -> None:
    attributes = [attribute("a"), attribute("b"), attribute("c")]
    assert len({temporality_identity.run(order) for order in permutations(attributes)}) == 1
    assert len({temporality_identity.spell(order) for order in permutations(attributes)}) == 6


@pytest.mark.parametrize(
    "other", [[], [attribute("a")] * 2, [attribute("a", "w")], [attribute("a"), attribute("b")]]
)
def test_other_attributes_are_others(other: list[bytes]) -> None:
    assert temporality_identity.run(other) != temporality_identity.run([attribute("a")])


def test_an_attribute_may_be_written_in_many_ways() -> None:
    value = protobuf.framed(2, protobuf.framed(1, b"v"))
    odd = value + protobuf.framed(1, b"wrong") + b"\x8a\x00\x81\x00a"
    assert temporality_identity.run([odd]) == temporality_identity.run([attribute("a")])


def test_what_is_no_attribute_is_malformed() -> None:
    with pytest.raises(errors.Malformed, match="not a KeyValue"):
        temporality_identity.run([b"\x0a\x05"])


def test_a_resource_is_its_attributes() -> None:
    known = identities()
    one, other = resource_pb2.Resource(), resource_pb2.Resource(dropped_attributes_count=3)
    for resource, keys in ((one, "ab"), (other, "ba")):
        for key in keys:
            resource.attributes.add(key=key).value.string_value = "v"
    digest = known.resource(one.SerializeToString())
    assert digest == known.resource(other.SerializeToString())
    assert digest == known.resource(one.SerializeToString())
    assert digest != known.resource(b"")


def test_a_scope_is_its_name_its_version_and_its_attributes() -> None:
    known = identities()
    scopes = [
        {}, {"name": "a"}, {"version": "a"}, {"name": "a", "version": "a"},
        {"name": "a", "attributes": [common_pb2.KeyValue(key="k")]},
    ]  # fmt: skip
    encoded = [common_pb2.InstrumentationScope(**scope).SerializeToString() for scope in scopes]
    assert len({known.scope(scope) for scope in encoded}) == len(scopes)


def test_a_metric_is_where_it_is_from_and_its_kind_name_and_unit() -> None:
    known = identities()
    terms = [b"resource", b"scope---", b"kind", b"name", b"unit"]
    digests = {known.metric(*terms)}
    for n in range(5):
        digests.add(known.metric(*terms[:n], terms[n] + b"x", *terms[n + 1 :]))
    digests.add(known.metric(b"resource", b"scope---", b"kind", b"nameu", b"nit"))
    assert len(digests) == 7


def test_digests_depend_on_the_seed() -> None:
    assert Identities(1, 100).digest(b"x") != Identities(2, 100).digest(b"x")


def test_what_is_remembered_is_bounded() -> None:
    known = identities(2_000)
    for n in range(100):
        known.resource(protobuf.framed(1, attribute(str(n))))
        known.scope(protobuf.framed(1, str(n).encode()))
        assert known.size <= 2_000
    assert known.size > 1_000
