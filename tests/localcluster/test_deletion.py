import pytest

from localcluster import deletion, kinds
from localcluster.kinds import Object


def pod(node: str, phase: str, **spec: int) -> Object:
    return {"metadata": {}, "spec": {"nodeName": node, **spec}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("item", "wanted", "seconds"),
    [
        (pod("", "Pending"), None, 0),
        (pod("n", "Running"), None, 30),
        (pod("n", "Running", terminationGracePeriodSeconds=5), None, 5),
        (pod("n", "Running"), 7, 7),
        (pod("n", "Running"), -1, 0),
        (pod("n", "Succeeded"), None, 0),
        (pod("n", "Failed"), 7, 0),
    ],
)
def test_only_a_pod_that_may_run_gets_time(
    item: Object, wanted: float | None, seconds: float
) -> None:
    assert deletion.grace(kinds.PODS, item, wanted) == seconds
    assert deletion.grace(kinds.SECRETS, item, wanted) == 0


def test_finalizers_hold_and_so_does_the_content_of_a_namespace() -> None:
    assert deletion.is_held(kinds.PODS, {"metadata": {"finalizers": ["x"]}})
    assert deletion.is_held(kinds.NAMESPACES, {"metadata": {}, "spec": {"finalizers": ["x"]}})
    assert not deletion.is_held(kinds.PODS, {"metadata": {}, "spec": {"finalizers": ["x"]}})
    assert not deletion.is_held(kinds.NAMESPACES, {"metadata": {}})
