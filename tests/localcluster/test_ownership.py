from localcluster import kinds, ownership
from localcluster.kinds import Object

OWNER: Object = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
    "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}},
}


def test_a_pod_from_a_template_belongs_to_its_owner() -> None:
    pod = ownership.pod(kinds.DAEMONSETS, OWNER, labels={"c": "d"}, node="node-a")
    assert pod["metadata"]["generateName"] == "web-"
    assert pod["metadata"]["labels"] == {"a": "b", "c": "d"}
    assert pod["spec"]["nodeName"] == "node-a"
    assert ownership.controlled([pod], OWNER) == [pod]


def test_an_owner_that_is_no_controller_controls_nothing() -> None:
    pod = {"metadata": {"ownerReferences": [{"uid": "u"}]}}
    assert ownership.controlled([pod, {"metadata": {}}], OWNER) == []


def test_the_hash_of_a_template_does_not_depend_on_the_order_of_its_keys() -> None:
    assert ownership.template_hash({"a": 1, "b": 2}) == ownership.template_hash({"b": 2, "a": 1})
    assert ownership.template_hash({"a": 1}) != ownership.template_hash({"a": 2})


def test_pods_that_ended_or_are_ending_do_not_count() -> None:
    assert ownership.is_active({"metadata": {}})
    assert not ownership.is_active({"metadata": {"deletionTimestamp": "t"}})
    assert not ownership.is_active({"metadata": {}, "status": {"phase": "Failed"}})


def test_a_condition_keeps_its_time_while_it_stays_the_same() -> None:
    def at(item: Object, now: str, *, true: bool) -> Object:
        return ownership.condition(item, "Available", true=true, reason="r", message="m", now=now)

    item = {"status": {"conditions": [at({}, "then", true=True)]}}
    assert at(item, "now", true=True)["lastTransitionTime"] == "then"
    assert at(item, "now", true=False)["lastTransitionTime"] == "now"


def test_a_status_that_says_nothing_new_is_no_change() -> None:
    item = {"status": {"a": 1, "b": 2}}
    assert not ownership.changed(item, {"a": 1})
    assert ownership.changed(item, {"a": 2})
