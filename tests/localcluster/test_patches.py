import pytest
from hypothesis import given, strategies as st

from localcluster import errors, kinds, patches
from localcluster.kinds import Object

# The examples of RFC 7386, appendix A.
RFC_7386 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7386)
def test_a_merge_patch_does_what_its_specification_shows(target, patch, result) -> None:
    assert patches.merge_patch(target, patch) == result


# After RFC 6902, appendix A.
RFC_6902 = [
    ({"a": 1}, {"op": "add", "path": "/b", "value": 2}, {"a": 1, "b": 2}),
    ({"a": [1, 3]}, {"op": "add", "path": "/a/1", "value": 2}, {"a": [1, 2, 3]}),
    ({"a": [1]}, {"op": "add", "path": "/a/-", "value": 2}, {"a": [1, 2]}),
    ({"a": [1]}, {"op": "add", "path": "/a/1", "value": 2}, {"a": [1, 2]}),
    ({"a": 1, "b": 2}, {"op": "remove", "path": "/a"}, {"b": 2}),
    ({"a": [1, 2, 3]}, {"op": "remove", "path": "/a/1"}, {"a": [1, 3]}),
    ({"a": 1}, {"op": "replace", "path": "/a", "value": None}, {"a": None}),
    ({"a": [1, 2]}, {"op": "replace", "path": "/a/0", "value": 0}, {"a": [0, 2]}),
    (
        {"a": {"b": 1}, "c": {}},
        {"op": "move", "from": "/a/b", "path": "/c/d"},
        {"a": {}, "c": {"d": 1}},
    ),
    ({"a": [1, 2, 3]}, {"op": "move", "from": "/a/0", "path": "/a/2"}, {"a": [2, 3, 1]}),
    ({"a": {"b": 1}}, {"op": "copy", "from": "/a", "path": "/c"}, {"a": {"b": 1}, "c": {"b": 1}}),
    ({"a": 1}, {"op": "test", "path": "/a", "value": 1}, {"a": 1}),
    ({"a/b": 1, "~": 2}, {"op": "remove", "path": "/a~1b"}, {"~": 2}),
    ({"~1": 1}, {"op": "remove", "path": "/~01"}, {}),
    ({"a": 1}, {"op": "replace", "path": "", "value": {"b": 2}}, {"b": 2}),
]


@pytest.mark.parametrize(("target", "operation", "result"), RFC_6902)
def test_a_json_patch_does_what_its_specification_shows(target, operation, result) -> None:
    assert patches.json_patch(target, [operation]) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/missing"},
        {"op": "replace", "path": "/missing", "value": 1},
        {"op": "add", "path": "/list/9", "value": 1},
        {"op": "add", "path": "/list/x", "value": 1},
        {"op": "add", "path": "/text/x", "value": 1},
        {"op": "add", "path": "text", "value": 1},
        {"op": "add", "path": "/a"},
        {"op": "test", "path": "/text", "value": "other"},
        {"op": "remove", "path": ""},
        {"op": "fly", "path": "/text"},
        {"path": "/text"},
        "no operation",
    ],
)
def test_a_json_patch_that_does_not_fit_is_unprocessable_and_changes_nothing(operation) -> None:
    item = {"metadata": {"name": "a"}, "list": [1], "text": "t"}
    with pytest.raises(errors.StatusError) as refused:
        patches.patched(kinds.CONFIGMAPS, item, [operation], patches.JSON)
    assert refused.value.code == 422
    assert item == {"metadata": {"name": "a"}, "list": [1], "text": "t"}


@pytest.mark.parametrize(
    ("patch", "content_type", "code"),
    [
        ({}, patches.JSON, 400),
        ([], patches.MERGE, 400),
        ([], patches.STRATEGIC, 400),
        ({}, "text/plain", 415),
    ],
)
def test_a_patch_of_the_wrong_form_is_refused(patch, content_type: str, code: int) -> None:
    with pytest.raises(errors.StatusError) as refused:
        patches.patched(kinds.CONFIGMAPS, {"metadata": {"name": "a"}}, patch, content_type)
    assert refused.value.code == code


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text("ab", max_size=2), JSON, max_size=3)


@given(OBJECTS, JSON)
def test_applying_a_merge_patch_twice_is_applying_it_once(target, patch) -> None:
    once = patches.merge_patch(target, patch)
    assert patches.merge_patch(once, patch) == once


OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"])},
    optional={
        "path": st.text("/ab0-~", max_size=4),
        "from": st.text("/ab0", max_size=3),
        "value": JSON,
    },
)


@given(OBJECTS, st.lists(OPERATIONS, max_size=3))
def test_hostile_json_patches_end_in_an_object_or_a_refusal(target, operations) -> None:
    item = {"metadata": {"name": "a"}, **target}
    assert outcome(item, operations) in {"an object", 422}


def outcome(item: Object, operations: list[Object]) -> str | int:
    try:
        result = patches.patched(kinds.CONFIGMAPS, item, operations, patches.JSON)
    except errors.StatusError as refused:
        return refused.code
    return "an object" if isinstance(result, dict) else "something else"
