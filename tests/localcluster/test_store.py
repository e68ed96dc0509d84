from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings, strategies as st

from localcluster import errors, kinds, selectors, watching
from localcluster.kinds import Object
from localcluster.store import Bounds, Store


def fresh(*, bounds: Bounds | None = None) -> Store:
    ticks: Iterator[int] = count(1)
    store = Store(
        now=lambda: 1_700_000_000.0, entropy=lambda n: next(ticks).to_bytes(n, "big"), bounds=bounds
    )
    store.create(kinds.NAMESPACES, {"metadata": {"name": "default"}})
    store.create(kinds.NAMESPACES, {"metadata": {"name": "shop"}})
    return store


def pod(name: str, **labels: str) -> Object:
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }


def config(name: str, value: str = "") -> Object:
    return {"metadata": {"name": name}, "data": {"key": value}}


def test_a_new_object_gets_what_the_server_gives() -> None:
    store = fresh()
    metadata = store.create(kinds.PODS, pod("a"))["metadata"]
    assert metadata["namespace"] == "default"
    assert metadata["creationTimestamp"] == "2023-11-14T22:13:20Z"
    assert metadata["resourceVersion"] == str(store.revision)
    assert (len(metadata["uid"]), metadata["generation"]) == (36, 1)


def test_the_name_may_be_left_to_the_server() -> None:
    item = pod("")
    item["metadata"] = {"generateName": "web-"}
    name = fresh().create(kinds.PODS, item)["metadata"]["name"]
    assert name.startswith("web-")
    assert len(name) == len("web-") + 5


def test_what_is_passed_in_is_copied() -> None:
    store, item = fresh(), pod("a")
    store.create(kinds.PODS, item)
    item["spec"]["containers"].clear()
    assert store.get(kinds.PODS, "default", "a")["spec"]["containers"]


def test_clients_cannot_invent_the_status_of_a_pod() -> None:
    store = fresh()
    claimed = {**pod("a"), "status": {"phase": "Running"}}
    assert store.create(kinds.PODS, claimed)["status"] == {"phase": "Pending"}
    kept = store.create(
        kinds.PODS, {**pod("b"), **claimed, "metadata": {"name": "b"}}, with_status=True
    )
    assert kept["status"] == {"phase": "Running"}


@pytest.mark.parametrize(
    ("item", "namespace", "code"),
    [
        (pod("a"), "default", 409),
        (pod("b"), "nowhere", 404),
        (pod("B"), "default", 422),
        ({**pod("b"), "kind": "Node"}, "default", 400),
        ({**pod("b"), "spec": {}}, "default", 422),
        ({"metadata": {"name": "b", "namespace": "shop"}}, "default", 400),
        ({"metadata": []}, "default", 400),
    ],
)
def test_what_cannot_be_created_is_refused_with_a_code(
    item: Object, namespace: str, code: int
) -> None:
    store = fresh()
    store.create(kinds.PODS, pod("a"))
    with pytest.raises(errors.StatusError) as refused:
        store.create(kinds.PODS, item, namespace=namespace)
    assert refused.value.code == code


def test_an_update_of_an_old_revision_is_a_conflict() -> None:
    store = fresh()
    old = kinds.clone(store.create(kinds.CONFIGMAPS, config("a")))
    store.update(kinds.CONFIGMAPS, {**old, "data": {"key": "new"}})
    with pytest.raises(errors.StatusError, match="has been modified") as refused:
        store.update(kinds.CONFIGMAPS, {**old, "data": {"key": "mine"}})
    assert (refused.value.code, refused.value.reason) == (409, "Conflict")


def test_an_update_without_a_revision_wins() -> None:
    store = fresh()
    store.create(kinds.CONFIGMAPS, config("a"))
    assert store.update(kinds.CONFIGMAPS, config("a", "new"))["data"] == {"key": "new"}


def test_an_update_that_changes_nothing_is_no_write() -> None:
    store = fresh()
    store.create(kinds.CONFIGMAPS, config("a", "same"))
    before = store.revision
    store.update(kinds.CONFIGMAPS, config("a", "same"))
    assert store.revision == before


def test_the_generation_counts_changes_of_the_spec_only() -> None:
    store = fresh()
    store.create(kinds.PODS, pod("a"))

    def edit(item: Object) -> Object:
        item["metadata"]["labels"] = {"x": "y"}
        return item

    assert store.change(kinds.PODS, "default", "a", edit)["metadata"]["generation"] == 1
    bound = store.change(
        kinds.PODS, "default", "a", lambda p: p | {"spec": {**p["spec"], "nodeName": "n"}}
    )
    assert bound["metadata"]["generation"] == 2


def test_a_status_is_written_through_its_own_door_only() -> None:
    store = fresh()
    store.create(kinds.PODS, pod("a"))
    running = {"status": {"phase": "Running"}}
    through_main = store.change(kinds.PODS, "default", "a", lambda p: p | running)
    assert through_main["status"] == {"phase": "Pending"}
    labelled = running | {"metadata": {"name": "a", "labels": {"x": "y"}}}
    through_status = store.change(
        kinds.PODS, "default", "a", lambda p: p | labelled, subresource="status"
    )
    assert through_status["status"] == {"phase": "Running"}
    assert through_status["metadata"]["labels"] == {}


def test_a_pod_on_a_node_stays_until_its_kubelet_lets_go() -> None:
    store = fresh()
    item = pod("a")
    item["spec"]["nodeName"] = "node-a"
    uid = store.create(kinds.PODS, item)["metadata"]["uid"]
    marked = store.delete(kinds.PODS, "default", "a")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
    assert marked["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:50Z"
    assert store.delete(kinds.PODS, "default", "a") is store.get(kinds.PODS, "default", "a")
    store.delete(kinds.PODS, "default", "a", grace=0, uid=uid)
    assert store.find(kinds.PODS, "default", "a") is None


def test_a_finalizer_holds_an_object_until_it_is_struck() -> None:
    store = fresh()
    item = config("a")
    item["metadata"]["finalizers"] = ["example.com/wait"]
    store.create(kinds.CONFIGMAPS, item)
    assert store.delete(kinds.CONFIGMAPS, "default", "a")["metadata"]["deletionTimestamp"]

    def strike(held: Object) -> Object:
        del held["metadata"]["finalizers"]
        return held

    store.change(kinds.CONFIGMAPS, "default", "a", strike)
    assert store.find(kinds.CONFIGMAPS, "default", "a") is None
    assert store.changes(store.revision - 1)[0].event == "DELETED"


def test_a_delete_of_another_uid_is_a_conflict() -> None:
    store = fresh()
    store.create(kinds.CONFIGMAPS, config("a"))
    with pytest.raises(errors.StatusError, match="Precondition failed") as refused:
        store.delete(kinds.CONFIGMAPS, "default", "a", uid="other")
    assert refused.value.code == 409


def test_nothing_is_created_in_a_namespace_that_ends() -> None:
    store = fresh()
    store.delete(kinds.NAMESPACES, "", "shop")
    with pytest.raises(errors.StatusError) as refused:
        store.create(kinds.PODS, pod("a"), namespace="shop")
    assert refused.value.code == 403


def test_an_object_beyond_the_bound_is_refused_and_changes_nothing() -> None:
    store = fresh(bounds=Bounds(object_bytes=1000, total_bytes=2000))
    before = (store.revision, store.size)
    with pytest.raises(errors.StatusError) as refused:
        store.create(kinds.CONFIGMAPS, config("a", "x" * 1000))
    assert refused.value.code == 413
    assert (store.revision, store.size) == before
    for i in range(3):
        store.create(kinds.CONFIGMAPS, config(f"a{i}", "x" * 200))
    with pytest.raises(errors.StatusError, match="too large"):
        store.create(kinds.CONFIGMAPS, config("b", "x" * 700))
    assert store.size <= 2000


def test_the_size_falls_back_when_objects_go() -> None:
    store = fresh()
    before = store.size
    store.create(kinds.CONFIGMAPS, config("a", "x"))
    store.update(kinds.CONFIGMAPS, config("a", "y" * 500))
    store.delete(kinds.CONFIGMAPS, "default", "a")
    assert store.size == before


NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "delete", "other"]),
        NAMES,
        st.sampled_from(["red", "blue", "green"]),
    ),
    max_size=30,
)


def run(store: Store, step: tuple[str, str, str]) -> None:
    what, name, colour = step
    exists = store.find(kinds.CONFIGMAPS, "default", name)
    item = {"metadata": {"name": name, "labels": {"colour": colour}}}
    if what == "other":
        store.update(kinds.NAMESPACES, {"metadata": {"name": "shop", "labels": {"colour": colour}}})
    elif what == "put" and exists:
        store.update(kinds.CONFIGMAPS, item)
    elif what == "put":
        store.create(kinds.CONFIGMAPS, item)
    elif exists:
        store.delete(kinds.CONFIGMAPS, "default", name)


@given(
    steps=STEPS, start=st.integers(0, 30), labels=st.sampled_from(["", "colour=red", "colour!=red"])
)
@settings(max_examples=60, deadline=None)
def test_a_watch_from_any_revision_leads_to_what_a_list_shows(
    steps: list[tuple[str, str, str]], start: int, labels: str
) -> None:
    store, selection = fresh(), selectors.select(labels=labels)
    for step in steps[:start]:
        run(store, step)
    known = {i["metadata"]["name"]: i for i in store.objects(kinds.CONFIGMAPS, selection)}
    revision = store.revision
    for step in steps[start:]:
        run(store, step)
    for event, record in watching.visible(store.changes(revision), kinds.CONFIGMAPS, selection):
        name = record.value["metadata"]["name"]
        assert (event == "ADDED") == (name not in known)
        if event == "DELETED":
            del known[name]
        else:
            known[name] = record.value
    assert known == {i["metadata"]["name"]: i for i in store.objects(kinds.CONFIGMAPS, selection)}


@given(before=STEPS, after=STEPS, limit=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_all_pages_of_a_list_show_one_moment(
    before: list[tuple[str, str, str]], after: list[tuple[str, str, str]], limit: int
) -> None:
    store = fresh()
    for step in before:
        run(store, step)
    expected = store.objects(kinds.CONFIGMAPS)
    page = store.page(kinds.CONFIGMAPS, limit=limit)
    revision, found = page.revision, [r.value for r in page.records]
    for step in after:
        run(store, step)
    while page.token:
        page = store.page(kinds.CONFIGMAPS, limit=limit, token=page.token)
        assert (page.revision, len(page.records) <= limit) == (revision, True)
        found += [r.value for r in page.records]
    assert found == expected
    assert [r.value for r in store.page(kinds.CONFIGMAPS, at=revision).records] == expected
