from itertools import count

import pytest

from localcluster import actions, errors, kinds
from localcluster.actions import Create, Delete, Edit
from localcluster.store import Store


def fresh() -> Store:
    ticks = count(1)
    store = Store(now=lambda: 0.0, entropy=lambda n: next(ticks).to_bytes(n, "big"))
    store.create(kinds.NAMESPACES, {"metadata": {"name": "default"}})
    return store


def config(name: str) -> dict[str, object]:
    return {"metadata": {"name": name}, "data": {"k": "v"}}


def test_actions_are_carried_out_in_order() -> None:
    store = fresh()
    actions.carry_out(store, [Create(kind=kinds.CONFIGMAPS, item=config(n)) for n in "ab"])
    a, b = store.objects(kinds.CONFIGMAPS)
    edit = Edit(kind=kinds.CONFIGMAPS, item=a, patch={"data": {"k": None, "l": "w"}})
    assert actions.carry_out(store, [edit, Delete(kind=kinds.CONFIGMAPS, item=b)]) == []
    (left,) = store.objects(kinds.CONFIGMAPS)
    assert left["data"] == {"l": "w"}


def test_an_action_on_an_object_that_was_replaced_is_overtaken() -> None:
    store = fresh()
    old = store.create(kinds.CONFIGMAPS, config("a"))
    store.delete(kinds.CONFIGMAPS, "default", "a")
    new = store.create(kinds.CONFIGMAPS, config("a"))
    refused = actions.carry_out(
        store,
        [
            Edit(kind=kinds.CONFIGMAPS, item=old, patch={"data": {}}),
            Delete(kind=kinds.CONFIGMAPS, item=old),
            Create(kind=kinds.CONFIGMAPS, item=config("a")),
        ],
    )
    assert [error.reason for error in refused] == ["Conflict", "Conflict", "AlreadyExists"]
    assert store.get(kinds.CONFIGMAPS, "default", "a") is new


def test_an_action_that_is_wrong_in_itself_is_our_mistake() -> None:
    with pytest.raises(errors.StatusError, match="must be lower case"):
        actions.carry_out(fresh(), [Create(kind=kinds.CONFIGMAPS, item=config("NO"))])
