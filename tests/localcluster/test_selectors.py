import pytest

from localcluster import errors, selectors

POD = {
    "metadata": {"name": "web-0", "namespace": "shop", "labels": {"app": "web", "tier": "front"}},
    "spec": {"nodeName": "node-a"},
    "status": {"phase": "Running"},
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier=front", True),
        ("app=web,tier=back", False),
        ("app!=web", False),
        ("missing!=web", True),
        ("app in (web, api)", True),
        ("app in (api),tier=front", False),
        ("app notin (api,job)", True),  # codespell:ignore notin
        ("missing notin (a)", True),  # codespell:ignore notin
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("!app", False),
        ("app=", False),
        (" app = web , tier in (front) ", True),
    ],
)
def test_label_selectors_mean_what_kubernetes_says(text: str, *, matches: bool) -> None:
    assert selectors.select(labels=text).matches(POD) is matches


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("metadata.name=web-0", True),
        ("metadata.name==web-1", False),
        ("metadata.namespace=shop,spec.nodeName=node-a", True),
        ("status.phase!=Running", False),
        ("status.podIP=", True),
    ],
)
def test_field_selectors_mean_what_kubernetes_says(text: str, *, matches: bool) -> None:
    assert selectors.select(fields=text).matches(POD) is matches


@pytest.mark.parametrize("labels", ["a=b=c", "in (a)", "a in b", "=x", "a,,b"])
def test_what_is_no_label_selector_is_a_bad_request(labels: str) -> None:
    with pytest.raises(errors.StatusError, match="unable to parse") as refused:
        selectors.select(labels=labels)
    assert refused.value.code == 400


@pytest.mark.parametrize(
    ("fields", "why"), [("spec.x=1", "not supported"), ("metadata.name", "no =")]
)
def test_what_is_no_field_selector_is_a_bad_request(fields: str, why: str) -> None:
    with pytest.raises(errors.StatusError, match=why):
        selectors.select(fields=fields)


def test_a_namespace_narrows() -> None:
    assert selectors.select("shop").matches(POD)
    assert not selectors.select("other").matches(POD)


def test_a_selector_object_is_read_whole() -> None:
    chosen = selectors.from_object(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["front"]},
                {"key": "tier", "operator": "NotIn", "values": ["back"]},  # codespell:ignore notin
                {"key": "app", "operator": "Exists"},
                {"key": "no", "operator": "DoesNotExist"},
            ],
        }
    )
    assert len(chosen.labels) == 5
    assert chosen.matches(POD)
    assert not chosen.matches({"metadata": {"labels": {"app": "web"}}})


def test_an_unknown_operator_of_a_selector_object_is_a_bad_request() -> None:
    with pytest.raises(errors.StatusError, match="Near"):
        selectors.from_object({"matchExpressions": [{"key": "a", "operator": "Near"}]})
