from localcluster import kinds, openapi
from localcluster.kinds import Catalogue

CATALOGUE = Catalogue(kinds.BUILT_IN)


def test_every_group_version_has_a_document_that_takes_field_validation() -> None:
    root = openapi.document(CATALOGUE, "/openapi/v3")
    assert root is not None
    for place in root["paths"].values():
        found = openapi.document(CATALOGUE, place["serverRelativeURL"])
        assert found is not None
        for item in found["paths"].values():
            assert item["patch"]["parameters"][0]["name"] == "fieldValidation"


def test_the_path_of_an_object_tells_whether_it_has_a_namespace() -> None:
    found = openapi.document(CATALOGUE, "/openapi/v3/api/v1")
    assert found is not None
    assert {"/api/v1/nodes/{name}", "/api/v1/namespaces/{namespace}/pods/{name}"} <= found[
        "paths"
    ].keys()


def test_elsewhere_is_no_document() -> None:
    assert openapi.document(CATALOGUE, "/openapi/v3/apis/dragons/v1") is None
    assert openapi.document(CATALOGUE, "/api/v1") is None
