import pytest

from localcluster import discovery, kinds
from localcluster.kinds import Catalogue

CATALOGUE = Catalogue(kinds.BUILT_IN)


def test_the_core_group_lists_its_resources_and_subresources() -> None:
    found = discovery.document(CATALOGUE, "/api/v1")
    assert found is not None
    by_name = {r["name"]: r for r in found["resources"]}
    assert by_name["pods"]["shortNames"] == ["po"]
    assert by_name["nodes"]["namespaced"] is False
    assert by_name["pods/log"]["verbs"] == ["get"]


def test_every_group_has_a_preferred_version() -> None:
    found = discovery.document(CATALOGUE, "/apis")
    assert found is not None
    versions = {g["name"]: g["preferredVersion"]["groupVersion"] for g in found["groups"]}
    assert versions == {
        "apps": "apps/v1",
        "batch": "batch/v1",
        "discovery.k8s.io": "discovery.k8s.io/v1",
        "coordination.k8s.io": "coordination.k8s.io/v1",
    }


@pytest.mark.parametrize("path", ["/version", "/api", "/apis/apps", "/apis/apps/v1"])
def test_the_other_documents_exist(path: str) -> None:
    assert discovery.document(CATALOGUE, path)


@pytest.mark.parametrize("path", ["/", "/apis/dragons", "/apis/apps/v2", "/api/v1/pods"])
def test_elsewhere_is_no_document(path: str) -> None:
    assert discovery.document(CATALOGUE, path) is None
