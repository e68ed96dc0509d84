import pytest

from localcluster import applying, errors, kinds
from localcluster.kinds import Object


def config(**data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}


def apply(
    live: Object | None, wanted: Object, manager: str, *, force: bool = False, now: str = "t"
) -> Object:
    return applying.applied(kinds.CONFIGMAPS, live, wanted, manager=manager, force=force, now=now)


def test_the_fields_and_their_owner_are_recorded() -> None:
    (entry,) = apply(None, config(x="1"), "me")["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["fieldsType"]) == (
        "me",
        "Apply",
        "FieldsV1",
    )
    assert entry["fieldsV1"] == {"f:data": {"f:x": {}}}


def test_what_a_manager_leaves_out_disappears() -> None:
    live = apply(None, config(x="1", y="2"), "me")
    assert apply(live, config(x="1"), "me")["data"] == {"x": "1"}


def test_what_others_put_there_stays() -> None:
    live = apply(apply(None, config(x="1"), "me"), config(y="2"), "you")
    live["data"]["z"] = "by update"
    assert apply(live, config(), "me")["data"] == {"y": "2", "z": "by update"}


def test_two_managers_may_agree() -> None:
    live = apply(apply(None, config(x="1"), "me"), config(x="1"), "you")
    assert len(live["metadata"]["managedFields"]) == 2
    assert apply(live, config(), "me")["data"] == {"x": "1"}, "the other one still wants it"


def test_two_managers_that_disagree_are_in_conflict() -> None:
    live = apply(None, config(x="1"), "me")
    with pytest.raises(errors.StatusError, match=r'with "me": \.data\.x') as refused:
        apply(live, config(x="2"), "you")
    assert (refused.value.code, refused.value.reason) == (409, "Conflict")
    assert refused.value.details["causes"][0]["field"] == ".data.x"


def test_force_takes_a_field_over() -> None:
    live = apply(apply(None, config(x="1", y="1"), "me"), config(x="2"), "you", force=True)
    assert live["data"] == {"x": "2", "y": "1"}
    owners = {e["manager"]: e["fieldsV1"]["f:data"] for e in live["metadata"]["managedFields"]}
    assert owners == {"me": {"f:y": {}}, "you": {"f:x": {}}}


def test_applying_the_same_again_changes_nothing() -> None:
    live = apply(None, config(x="1"), "me", now="then")
    assert apply(live, config(x="1"), "me", now="later") == live


def test_elements_of_lists_are_owned_one_by_one() -> None:
    def pod(*containers: Object) -> Object:
        return {"metadata": {"name": "a"}, "spec": {"containers": list(containers)}}

    mine = pod({"name": "a", "image": "x", "args": ["1"]})
    live = apply(apply(None, mine, "me"), pod({"name": "b", "image": "y"}), "you")
    assert [c["name"] for c in live["spec"]["containers"]] == ["a", "b"]
    less = apply(live, pod({"name": "a", "image": "x"}), "me")
    assert less["spec"]["containers"][0] == {"name": "a", "image": "x"}
    gone = apply(less, pod({"name": "c", "image": "z"}), "me")
    assert [c["name"] for c in gone["spec"]["containers"]] == ["b", "c"]


def test_an_applier_must_have_a_name() -> None:
    with pytest.raises(errors.StatusError, match="fieldManager is required"):
        apply(None, config(), "")


def test_managed_fields_are_not_for_the_applier_to_write() -> None:
    wanted = config()
    wanted["metadata"]["managedFields"] = [{}]
    with pytest.raises(errors.StatusError, match="must be nil"):
        apply(None, wanted, "me")
