"""Scopes: labels that say who made a series make a scope, and no labels."""

import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.common.v1 import common_pb2

from agent.exposition import scopes


def split(labels: dict[str, str]) -> tuple[common_pb2.InstrumentationScope, bytes, list[bytes]]:
    pairs = tuple(sorted((name.encode(), value.encode()) for name, value in labels.items()))
    message, schema_url, rest = scopes.split(pairs)
    assert all(pair in pairs for pair in rest)
    names = [name for name, _ in rest]
    return common_pb2.InstrumentationScope.FromString(message), schema_url, names


def test_labels_of_the_scope_become_its_name_version_schema_and_attributes() -> None:
    scope, schema_url, rest = split(
        {
            "a": "1",
            "otel_scope_name": "shop",
            "otel_scope_version": "2",
            "otel_scope_schema_url": "https://x",
            "otel_scope_team": "blue",
            "otel_scope_long": "x" * 300,
            "z": "9",
        }
    )
    assert (scope.name, scope.version, schema_url) == ("shop", "2", b"https://x")
    found = {pair.key: pair.value.string_value for pair in scope.attributes}
    assert found == {"team": "blue", "long": "x" * 300}
    assert rest == [b"a", b"z"]


def test_one_label_is_enough_for_a_scope() -> None:
    scope, _, _ = split({"otel_scope_version": "1"})
    assert (scope.name, scope.version) == ("", "1")


@pytest.mark.parametrize("name", ["otel_scope_", "otel_scope", "xotel_scope_name", "name"])
def test_other_labels_stay(name: str) -> None:
    assert scopes.split(((name.encode(), b"1"),)) == (b"", b"", ((name.encode(), b"1"),))


NAMES = [scopes.PREFIX + name for name in (b"name", b"version", b"schema_url", b"x", b"y")]
LABELS = st.dictionaries(st.sampled_from([*NAMES, b"a"]), st.sampled_from([b"1", b"2"])).map(
    lambda labels: tuple(sorted(labels.items()))
)


@settings(max_examples=200)
@given(LABELS, LABELS)
def test_scopes_are_the_same_if_and_only_if_their_labels_are(one, other) -> None:
    of_scope = [{p for p in labels if p[0] in NAMES} for labels in (one, other)]
    same = scopes.split(one)[:2] == scopes.split(other)[:2]
    assert same == (of_scope[0] == of_scope[1])
