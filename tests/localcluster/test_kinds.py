from localcluster import kinds
from localcluster.kinds import Catalogue


def test_a_kind_is_found_by_path_and_by_manifest() -> None:
    catalogue = Catalogue(kinds.BUILT_IN)
    assert catalogue.at("apps", "v1", "deployments") is kinds.DEPLOYMENTS
    assert catalogue.of({"apiVersion": "apps/v1", "kind": "Deployment"}) is kinds.DEPLOYMENTS
    assert catalogue.of({"apiVersion": "v1", "kind": "Deployment"}) is None
    assert catalogue.at("", "v1", "dragons") is None


def test_a_kind_may_be_added_while_serving() -> None:
    catalogue = Catalogue(())
    catalogue.add(kinds.PODS)
    assert list(catalogue) == [kinds.PODS]


def test_names_are_qualified_by_their_group() -> None:
    assert (kinds.PODS.qualified, kinds.LEASES.qualified) == ("pods", "leases.coordination.k8s.io")


def test_a_clone_shares_nothing() -> None:
    item = {"a": {"b": [1]}}
    copy = kinds.clone(item)
    copy["a"]["b"].append(2)
    assert item == {"a": {"b": [1]}}
