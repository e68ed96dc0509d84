"""A recipe leaves out what decoding everything would leave out, and nothing else."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from bench.references import otlp as reference
from common.wire import errors, memo, otlp, otlp_recipes, protobuf
from tests.fakes import otlp_wire

Request = metrics_service_pb2.ExportMetricsServiceRequest
KEEPS: list[Callable[[str], bool]] = [
    lambda _: True,
    lambda _: False,
    lambda name: name == "",
    lambda name: name not in {"a", ""},
    lambda name: name.startswith("http"),
]


def rest(*scopes: str, points: int = 2) -> bytes:
    """Encode what is behind a Resource: a scope for each of *scopes*, a sum for each letter."""
    frame = Request().resource_metrics.add(schema_url="https://schema")
    for names in scopes:
        scope = frame.scope_metrics.add(scope={"name": "scope", "version": "1"}, schema_url="s")
        for name in names:
            metric = scope.metrics.add(name=name, unit="s")
            for n in range(points):
                metric.sum.data_points.add(as_int=n, time_unix_nano=1 + n)
    return frame.SerializeToString()


def judging(keep: Callable[[str], bool]) -> otlp_recipes.Judge:
    return lambda name: None if keep(name) else f"no {name[:1]}"


def test_keeping_everything_returns_the_same_object() -> None:
    body = rest("abc")
    recipe = otlp_recipes.recipe(body, lambda _: None)
    assert recipe.cut(body) is body
    assert (recipe.removed, recipe.total) == ({}, 0)


def test_keeping_nothing_leaves_nothing() -> None:
    recipe = otlp_recipes.recipe(rest("ab", "c"), judging(lambda _: False))
    assert recipe.cut(rest("ab", "c")) == b""
    assert (recipe.removed, recipe.total) == ({"no a": 2, "no b": 2, "no c": 2}, 6)


def test_what_is_left_keeps_its_headers_and_scopes_without_metrics_vanish() -> None:
    recipe = otlp_recipes.recipe(rest("abc", "b", "d"), judging(lambda name: name != "b"))
    kept = reference.canonical(protobuf.framed(1, recipe.cut(rest("abc", "b", "d"))))
    assert kept == protobuf.framed(1, rest("ac", "d"))
    assert (recipe.removed, recipe.total) == ({"no b": 4}, 4)


def test_a_recipe_holds_for_every_frame_of_its_layout() -> None:
    one, other = rest("abc", "bd"), rest("abc", "bd").replace(b"\x19\x01", b"\x19\x77")
    assert one != other
    keep = judging(lambda name: name in "ad")
    assert otlp_recipes.recipe(one, keep).cut(other) == otlp_recipes.recipe(other, keep).cut(other)


def test_a_layout_remembers_a_recipe_by_choice() -> None:
    asked: list[str] = []
    recipes: otlp_recipes.Recipes = memo.Memo(10_000)
    layout = otlp_recipes.Layout(6, 0, None, recipes)
    for choice in ("one", "one", "two", "one"):
        layout.recipe(rest("abc"), choice, asked.append)
    assert asked == ["a", "b", "c"] * 2
    assert (recipes.hits, recipes.misses) == (2, 2)
    another = otlp_recipes.Layout(6, 0, None, recipes)
    another.recipe(rest("abz"), "one", asked.append)
    assert asked[-1] == "z"


def test_recipes_are_accounted_for() -> None:
    recipes: otlp_recipes.Recipes = memo.Memo(4_000)
    layout = otlp_recipes.Layout(6, 0, None, recipes)
    for choice in range(20):
        layout.recipe(rest("abcdefg"), choice, judging(lambda name: name in "ag"))
        assert recipes.size <= 4_000
    assert recipes.evictions > 10


@settings(max_examples=200, deadline=None)
@given(otlp_wire.requests, st.sampled_from(KEEPS))
def test_it_agrees_with_decoding_everything(body: bytes, keep: Callable[[str], bool]) -> None:
    for number, wire_type, _, at, end in protobuf.fields(body):
        if (number, wire_type) != (1, protobuf.BYTES):
            continue
        whole = body[at:end]
        recipe = otlp_recipes.recipe(whole, judging(keep))
        expected = reference.select(protobuf.framed(1, whole), keep)
        kept = recipe.cut(whole)
        if expected or kept:
            assert reference.canonical(protobuf.framed(1, kept)) == reference.canonical(expected)
        removed = reference.count(protobuf.framed(1, whole)) - reference.count(expected)
        assert recipe.total == sum(recipe.removed.values()) == removed
        assert 0 not in recipe.removed.values()


def test_broken_framing_is_malformed() -> None:
    with pytest.raises(errors.Malformed, match="not a ResourceMetrics"):
        otlp_recipes.recipe(b"\x12\x05", lambda _: None)


def test_metrics_without_a_name_are_judged_so() -> None:
    assert otlp_recipes.unnamed("") == "unnamed"
    assert otlp_recipes.unnamed("a") is None


def test_a_frame_with_a_recipe_is_still_a_request() -> None:
    recipe = otlp.recipe(rest("ab"), judging(lambda name: name == "a"))
    spliced = otlp.splice(otlp.Frame(b"", recipe.cut(rest("ab")), 2), otlp.attribute("k", "v"))
    (frame,) = otlp.frames(spliced)
    assert (frame.points, frame.resource) == (2, otlp.attribute("k", "v"))
