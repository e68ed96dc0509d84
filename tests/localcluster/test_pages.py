import pytest

from localcluster import errors, kinds, selectors
from localcluster.store import Bounds, Store


def filled(history_bytes: int = 1 << 20) -> Store:
    store = Store(now=lambda: 0.0, entropy=bytes, bounds=Bounds(history_bytes=history_bytes))
    for name in ("a", "b", "c", "d"):
        store.create(kinds.NAMESPACES, {"metadata": {"name": name}})
    return store


def test_a_page_says_how_many_are_left() -> None:
    page = filled().page(kinds.NAMESPACES, limit=1)
    assert (len(page.records), page.remaining) == (1, 3)


def test_with_a_selector_nobody_knows_how_many_are_left() -> None:
    chosen = selectors.select(fields="metadata.name!=d")
    page = filled().page(kinds.NAMESPACES, chosen, limit=1)
    assert page.token
    assert page.remaining is None


def test_the_last_page_has_no_token() -> None:
    assert not filled().page(kinds.NAMESPACES, limit=4).token


@pytest.mark.parametrize("token", ["?", "e30=", "bm90IGpzb24="])
def test_a_token_that_we_did_not_write_is_a_bad_request(token: str) -> None:
    with pytest.raises(errors.StatusError, match="continue key") as refused:
        filled().page(kinds.NAMESPACES, limit=1, token=token)
    assert refused.value.code == 400


def test_a_token_older_than_the_history_asks_to_begin_again() -> None:
    store = filled(history_bytes=1000)
    token = store.page(kinds.NAMESPACES, limit=1).token
    for i in range(20):
        store.update(kinds.NAMESPACES, {"metadata": {"name": "a", "labels": {"i": str(i)}}})
    with pytest.raises(errors.StatusError, match="start a new list") as refused:
        store.page(kinds.NAMESPACES, limit=1, token=token)
    assert (refused.value.code, refused.value.reason) == (410, "Expired")
