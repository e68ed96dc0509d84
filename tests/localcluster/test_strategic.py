from localcluster import strategic

POD = {
    "containers": [
        {"name": "a", "image": "x", "env": [{"name": "A", "value": "1"}]},
        {"name": "b", "image": "y"},
    ]
}


def test_lists_of_named_things_are_merged_by_name() -> None:
    patch = {"containers": [{"name": "a", "env": [{"name": "B", "value": "2"}]}]}
    merged = strategic.merge(POD, patch)["containers"]
    assert [c["name"] for c in merged] == ["a", "b"]
    assert merged[0]["image"] == "x"
    assert [e["name"] for e in merged[0]["env"]] == ["A", "B"]


def test_an_element_is_deleted_by_its_name() -> None:
    merged = strategic.merge(POD, {"containers": [{"name": "a", "$patch": "delete"}]})
    assert [c["name"] for c in merged["containers"]] == ["b"]


def test_the_order_is_what_the_patch_says() -> None:
    order = [{"name": "c"}, {"name": "b"}, {"name": "a"}]
    patch = {"containers": [{"name": "c"}], "$setElementOrder/containers": order}
    assert [c["name"] for c in strategic.merge(POD, patch)["containers"]] == ["c", "b", "a"]


def test_a_list_may_be_replaced_on_demand() -> None:
    patch = {"containers": [{"$patch": "replace"}, {"name": "z"}]}
    assert strategic.merge(POD, patch) == {"containers": [{"name": "z"}]}


def test_other_lists_are_replaced() -> None:
    assert strategic.merge({"args": ["a", "b"]}, {"args": ["c"]}) == {"args": ["c"]}


def test_ports_are_known_by_what_they_have() -> None:
    service = {"ports": [{"port": 80, "name": "http"}]}
    assert len(strategic.merge(service, {"ports": [{"port": 443}]})["ports"]) == 2
    container = {"ports": [{"containerPort": 80, "name": "http"}]}
    merged = strategic.merge(container, {"ports": [{"containerPort": 80, "protocol": "TCP"}]})
    assert merged["ports"] == [{"containerPort": 80, "name": "http", "protocol": "TCP"}]


def test_null_and_directives_remove() -> None:
    old = {"a": 1, "b": {"x": 1}, "c": {"y": 1}, "finalizers": ["f", "g"]}
    patch = {
        "a": None, "b": {"$patch": "delete"}, "c": {"$patch": "replace", "z": 2},
        "$deleteFromPrimitiveList/finalizers": ["f"],
    }  # fmt: skip
    assert strategic.merge(old, patch) == {"c": {"z": 2}, "finalizers": ["g"]}


def test_finalizers_are_a_set() -> None:
    assert strategic.merge({"finalizers": ["a"]}, {"finalizers": ["b", "a"]}) == {
        "finalizers": ["a", "b"]
    }


def test_retained_keys_drop_the_others() -> None:
    old = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}
    patch = {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}
    assert strategic.merge(old, patch) == {"strategy": {"type": "Recreate"}}


def test_the_target_is_left_as_it_was() -> None:
    before = repr(POD)
    strategic.merge(POD, {"containers": [{"name": "a", "image": "new"}], "x": {"y": 1}})
    assert repr(POD) == before
