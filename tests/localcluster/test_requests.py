import pytest
from hypothesis import given, strategies as st

from localcluster import errors, kinds, requests
from localcluster.kinds import Catalogue
from localcluster.requests import Request

CATALOGUE = Catalogue(kinds.BUILT_IN)


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/api/v1/pods", {}, Request(verb="list", kind=kinds.PODS)),
        ("GET", "/api/v1/pods", {"watch": "1"}, Request(verb="watch", kind=kinds.PODS)),
        (
            "GET", "/api/v1/namespaces/shop/pods", {},
            Request(verb="list", kind=kinds.PODS, namespace="shop"),
        ),
        (
            "GET", "/api/v1/namespaces/shop/pods/web/log", {},
            Request(verb="get", kind=kinds.PODS, namespace="shop", name="web", subresource="log"),
        ),
        (
            "GET", "/api/v1/namespaces/shop", {},
            Request(verb="get", kind=kinds.NAMESPACES, name="shop"),
        ),
        (
            "PUT", "/api/v1/namespaces/shop/finalize", {},
            Request(verb="update", kind=kinds.NAMESPACES, name="shop", subresource="finalize"),
        ),
        (
            "PATCH", "/apis/apps/v1/namespaces/shop/deployments/web/status", {},
            Request(
                verb="patch", kind=kinds.DEPLOYMENTS, namespace="shop", name="web",
                subresource="status",
            ),
        ),
        ("POST", "/api/v1/namespaces", {}, Request(verb="create", kind=kinds.NAMESPACES)),
        (
            "DELETE", "/api/v1/namespaces/shop/pods", {},
            Request(verb="deletecollection", kind=kinds.PODS, namespace="shop"),
        ),
    ],
)  # fmt: skip
def test_a_path_says_what_is_asked(
    method: str, path: str, query: dict[str, str], expected: Request
) -> None:
    assert requests.parse(CATALOGUE, method, path, query) == expected


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/", 404),
        ("GET", "/api/v1/dragons", 404),
        ("GET", "/api/v1/pods/web", 404),
        ("GET", "/api/v1/namespaces/shop/nodes", 404),
        ("GET", "/api/v1/namespaces/shop/pods/web/fly", 404),
        ("GET", "/apis/apps/v2/deployments", 404),
        ("PUT", "/api/v1/namespaces/shop/pods", 405),
        ("POST", "/api/v1/namespaces/shop/pods/web", 405),
    ],
)
def test_what_is_not_served_is_refused(method: str, path: str, code: int) -> None:
    with pytest.raises(errors.StatusError) as refused:
        requests.parse(CATALOGUE, method, path, {})
    assert refused.value.code == code


def test_the_query_of_a_watch_is_read() -> None:
    query = {
        "labelSelector": "a=b", "timeoutSeconds": "5", "allowWatchBookmarks": "true",
        "resourceVersion": "7", "sendInitialEvents": "true",
    }  # fmt: skip
    options = requests.list_options(Request(verb="watch", kind=kinds.PODS), query)
    assert (options.timeout, options.bookmarks, options.revision) == (5, True, "7")
    assert options.initial_events is True
    assert options.selection.narrow


@pytest.mark.parametrize(
    "query", [{"limit": "x"}, {"timeoutSeconds": "-1"}, {"fieldSelector": "x"}]
)
def test_a_query_that_makes_no_sense_is_a_bad_request(query: dict[str, str]) -> None:
    with pytest.raises(errors.StatusError) as refused:
        requests.list_options(Request(verb="list", kind=kinds.PODS), query)
    assert refused.value.code == 400


def test_dates_in_yaml_stay_text() -> None:
    assert requests.body(b"a: 2026-01-01T00:00:00Z", "application/yaml") == {
        "a": "2026-01-01T00:00:00Z"
    }


@pytest.mark.parametrize(
    ("data", "content_type", "code"),
    [
        (b"{", "application/json", 400),
        (b"a: [", "application/yaml", 400),
        (b"k8s\0", "application/vnd.kubernetes.protobuf", 415),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(data: bytes, content_type: str, code: int) -> None:
    with pytest.raises(errors.StatusError) as refused:
        requests.body(data, content_type)
    assert refused.value.code == code


@given(st.text("/apis1.vnamespcod", max_size=40), st.sampled_from(["GET", "PUT", "BREW"]))
def test_hostile_paths_end_in_a_request_or_a_refusal(path: str, method: str) -> None:
    assert outcome(method, path) in {"a request", 404, 405}


def outcome(method: str, path: str) -> str | int:
    try:
        asked = requests.parse(CATALOGUE, method, path, {})
    except errors.StatusError as refused:
        return refused.code
    return "a request" if asked.kind in CATALOGUE else "something else"
