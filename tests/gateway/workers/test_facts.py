"""Workers know the pods that the supervisor knows, whatever happens and whenever they start."""

import string

from hypothesis import given, settings, strategies as st

from common.enrichment.pods import GRACE, PodIndex
from common.kube import reflector
from gateway.workers import facts, messages
from tests.gateway.workers.pods import pod


def encoded(change):
    """The change as the supervisor's informer tells it: pods encoded."""
    if isinstance(change, reflector.Replaced):
        return reflector.Replaced(tuple(map(facts.encoded, change.items)))
    return type(change)(facts.encoded(change.item))


def applied(store: facts.Store, change, now: float) -> list[messages.ToWorker]:
    """What those are told who were told everything before."""
    told = store.apply(encoded(change), now)
    if told is None:
        return (
            list(store.snapshot(departed=False)) if isinstance(change, reflector.Replaced) else []
        )
    return [told]


def tell(listener: facts.Listener, index: PodIndex, told, now: float) -> None:
    for message in told:
        sent = messages.to_worker(messages.framed(message)[messages.HEAD :])
        assert isinstance(sent, messages.Pods | messages.Changed)
        change = listener.heard(sent)
        if change is not None:
            index.apply(change, now)


def test_a_pod_arrives_as_it_was_and_shares_its_texts() -> None:
    one, two = (
        facts.decoded(facts.encoded(pod("1")).raw),
        facts.decoded(facts.encoded(pod("2")).raw),
    )
    assert (one, two) == (pod("1"), pod("2"))
    assert one.namespace is two.namespace
    assert one.keys is two.keys
    assert one.containers is two.containers
    assert one.values[1] is one.namespace
    assert one.values[0] is one.uid


def test_before_the_first_list_there_is_nothing_to_tell() -> None:
    store = facts.Store()
    assert (store.synced, list(store.snapshot(departed=True))) == (False, [])


def test_an_empty_list_is_a_list() -> None:
    store, listener, index = facts.Store(), facts.Listener(), PodIndex()
    tell(listener, index, applied(store, reflector.Replaced(()), 0.0), 0.0)
    assert (index.synced, len(index)) == (True, 0)


def test_a_long_list_is_told_in_parts_and_known_at_once() -> None:
    store, listener, index = facts.Store(), facts.Listener(), PodIndex()
    many = tuple(pod(str(n)) for n in range(2 * facts.CHUNK + 1))
    told = applied(store, reflector.Replaced(many), 0.0)
    assert len(told) == 3
    tell(listener, index, told[:2], 0.0)
    assert not index.synced
    tell(listener, index, told[2:], 0.0)
    assert (index.synced, len(index)) == (True, len(many))


def test_a_change_that_changes_nothing_is_told_to_nobody() -> None:
    store = facts.Store()
    applied(store, reflector.Replaced((pod("1"),)), 0.0)
    assert applied(store, reflector.Modified(pod("1")), 1.0) == []
    assert len(applied(store, reflector.Modified(pod("1", "10.0.0.2")), 1.0)) == 1


def test_a_worker_that_starts_late_knows_those_deleted_a_moment_ago_and_no_older_ones() -> None:
    store = facts.Store()
    applied(store, reflector.Replaced((pod("1"), pod("2"), pod("3"))), 0.0)
    applied(store, reflector.Deleted(pod("1")), 0.0)
    applied(store, reflector.Deleted(pod("2")), GRACE - 1)
    applied(store, reflector.Modified(pod("3", "10.0.0.3")), GRACE + 1)
    index = PodIndex()
    tell(facts.Listener(), index, store.snapshot(departed=True), GRACE + 1)
    assert set(index.by_uid) == {"2", "3"}
    assert index.departed == 1


uids = st.sampled_from(string.digits[:6])
pods_ = st.builds(pod, uids, st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"]))
changes = st.one_of(
    st.lists(pods_, max_size=6, unique_by=lambda p: p.uid).map(
        lambda pods: reflector.Replaced(tuple(pods))
    ),
    pods_.map(reflector.Added),
    pods_.map(reflector.Modified),
    pods_.map(reflector.Deleted),
)
steps = st.lists(st.tuples(changes, st.floats(0, 50)), max_size=30)


@settings(deadline=None)
@given(steps, st.integers(0, 30))
def test_a_worker_knows_what_an_informer_of_its_own_would_tell(steps, late: int) -> None:
    """Late starters included; when they forget the deleted may differ, whom they find does not."""
    store, now = facts.Store(), 0.0
    direct, early, fresh = PodIndex(), PodIndex(), PodIndex()
    ears = facts.Listener(), facts.Listener()
    applied(store, reflector.Replaced(()), now)
    for index in (direct, early):
        index.apply(reflector.Replaced(()), now)
    for n, (change, pause) in enumerate(steps):
        now += pause
        if n == late:
            tell(ears[1], fresh, store.snapshot(departed=True), now)
        told = applied(store, change, now)
        direct.apply(change, now)
        tell(ears[0], early, told, now)
        if n >= late:
            tell(ears[1], fresh, told, now)
        for index in (direct, early, fresh):
            index.apply(reflector.Modified(pod("", "")), now)  # sweeps, and is no pod
        assert dict(early.by_uid) == dict(direct.by_uid)
        assert dict(early.by_address) == dict(direct.by_address)
        assert early.departed == direct.departed
        if n >= late:
            living = {p.uid for p in direct.by_uid.values()} - set(direct._departed)
            assert {p.uid for p in fresh.by_uid.values()} - set(fresh._departed) == living
            for uid in living:
                assert fresh.by_uid[uid] == direct.by_uid[uid]


def test_a_worker_that_knows_nothing_or_falls_behind_is_told_everything() -> None:
    outbox = facts.Outbox(10)
    outbox.offer(b"before")
    assert list(outbox.take(lambda: [b"all"])) == [b"all"]
    outbox.offer(b"12345")
    outbox.offer(b"67")
    assert list(outbox.take(lambda: [b"all"])) == [b"12345", b"67"]
    outbox.offer(b"12345")
    outbox.offer(b"678901")
    outbox.offer(b"later")
    assert list(outbox.take(lambda: [b"all"])) == [b"all"]
    assert (list(outbox.take(lambda: [b"all"])), outbox.behind) == ([], 1)


def test_a_pod_costs_the_supervisor_half_a_kilobyte() -> None:
    assert len(facts.encoded(pod("1")).raw) < 512
