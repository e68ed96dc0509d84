import gc
import tracemalloc

import msgspec
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from common.enrichment import attributes, pods
from common.kube import objects, reflector

RULES = attributes.Rules()


def pod(
    uid: str,
    *addresses: str,
    name: str = "",
    phase: str = "Running",
    host_network: bool = False,
    since: str = "2024-05-01T10:00:00Z",
    node: str = "n1",
) -> objects.Pod:
    return objects.Pod(
        metadata=objects.Metadata(
            name=name or f"pod-{uid}",
            namespace="ns",
            uid=uid,
            creation_timestamp="2024-05-01T09:00:00Z",
        ),
        spec=objects.PodSpec(
            node_name=node,
            host_network=host_network,
            containers=(objects.Container(name="app", image="registry/team/app:1.0"),),
        ),
        status=objects.PodStatus(
            phase=phase,
            pod_ip=addresses[0] if addresses else "",
            pod_ips=tuple(objects.PodAddress(ip=a) for a in addresses),
            start_time=since,
        ),
    )


def facts(uid: str, *addresses: str, **more: object) -> pods.PodFacts:
    return pods.facts(pod(uid, *addresses, **more), RULES)


def holding(*found: pods.PodFacts) -> pods.PodIndex:
    index = pods.PodIndex()
    index.apply(reflector.Replaced(found), now=0.0)
    return index


def test_a_pod_is_found_by_uid_by_name_and_by_all_of_its_addresses() -> None:
    one = facts("a", "10.0.0.1", "fd00::1")
    index = holding(one)
    assert index.by_uid["a"] is index.by_name["ns", "pod-a"] is one
    assert index.by_address["10.0.0.1"] is index.by_address["fd00::1"] is one
    assert (len(index), index.synced) == (1, True)


def test_it_is_not_synced_before_the_first_list() -> None:
    index = pods.PodIndex()
    index.apply(reflector.Added(facts("a")), now=0.0)
    assert not index.synced


@pytest.mark.parametrize(
    "options", [{"phase": "Succeeded"}, {"phase": "Failed"}, {"host_network": True}]
)
def test_ended_pods_and_those_on_the_host_network_have_no_address(
    options: dict[str, object],
) -> None:
    index = holding(facts("a", "10.0.0.1", **options))
    assert not index.by_address
    assert index.by_uid["a"] is index.by_name["ns", "pod-a"]


def test_a_pod_that_ends_gives_its_address_up() -> None:
    index = holding(facts("a", "10.0.0.1"))
    index.apply(reflector.Modified(facts("a", "10.0.0.1", phase="Succeeded")), now=1.0)
    assert "10.0.0.1" not in index.by_address
    index.apply(reflector.Added(facts("b", "10.0.0.1", since="2020")), now=1.0)
    assert index.by_address["10.0.0.1"].uid == "b"


@pytest.mark.parametrize("order", [0, 1])
def test_of_two_claims_the_later_start_wins_in_any_order(order: int) -> None:
    both = [facts("a", "10.0.0.1", since="2024-02"), facts("b", "10.0.0.1", since="2024-01")]
    index = holding(*both[::-1] if order else both)
    assert index.by_address["10.0.0.1"].uid == "a"


def test_the_loser_gets_the_address_back() -> None:
    index = holding(
        facts("a", "10.0.0.1", since="2024-02"), facts("b", "10.0.0.1", since="2024-01")
    )
    index.apply(reflector.Modified(facts("a", "10.0.0.9", since="2024-02")), now=1.0)
    assert index.by_address["10.0.0.1"].uid == "b"
    assert index.by_address["10.0.0.9"].uid == "a"


def test_the_deleted_are_found_for_two_minutes() -> None:
    index = holding(facts("a", "10.0.0.1"))
    index.apply(reflector.Deleted(facts("a", "10.0.0.1")), now=100.0)
    index.sweep(219.9)
    assert index.by_uid["a"] is index.by_address["10.0.0.1"] is index.by_name["ns", "pod-a"]
    assert index.departed == 1
    index.sweep(220.0)
    assert not (index.by_uid or index.by_address or index.by_name or index.departed)


def test_the_living_take_address_and_name_from_the_deleted_at_once() -> None:
    index = holding(facts("a", "10.0.0.1", name="web-0", since="2024-02"))
    index.apply(reflector.Deleted(facts("a", "10.0.0.1", name="web-0", since="2024-02")), now=1.0)
    index.apply(reflector.Added(facts("b", "10.0.0.1", name="web-0", since="2024-01")), now=2.0)
    assert index.by_address["10.0.0.1"].uid == index.by_name["ns", "web-0"].uid == "b"
    assert index.by_uid["a"].uid == "a"
    index.sweep(500.0)
    assert index.by_address["10.0.0.1"].uid == index.by_name["ns", "web-0"].uid == "b"


def test_what_a_new_list_lacks_was_deleted_unseen() -> None:
    index = holding(facts("a", "10.0.0.1"), facts("b", "10.0.0.2"))
    index.apply(reflector.Replaced((facts("b", "10.0.0.2"),)), now=10.0)
    assert index.departed == 1
    index.apply(reflector.Replaced((facts("b", "10.0.0.2"),)), now=100.0)
    index.sweep(130.0)
    assert set(index.by_uid) == {"b"}


def test_a_deleted_pod_that_is_listed_again_lives() -> None:
    index = holding(facts("a", "10.0.0.1"))
    index.apply(reflector.Replaced(()), now=10.0)
    index.apply(reflector.Replaced((facts("a", "10.0.0.1"),)), now=20.0)
    index.sweep(1000.0)
    assert index.by_address["10.0.0.1"].uid == "a"


def test_a_revision_without_news_keeps_the_object() -> None:
    one = facts("a", "10.0.0.1")
    index = holding(one)
    index.apply(reflector.Modified(facts("a", "10.0.0.1")), now=1.0)
    assert index.by_uid["a"] is one
    index.apply(reflector.Modified(facts("a", "10.0.0.1", node="n2")), now=1.0)
    assert index.by_uid["a"] is index.by_address["10.0.0.1"] is not one


def test_the_deleted_are_bounded_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "MAX_DEPARTED", 2)
    index = holding(*[facts(u) for u in "abcd"])
    for at, uid in enumerate("dbca"):
        index.apply(reflector.Deleted(facts(uid)), now=float(at))
    assert set(index.by_uid) == {"c", "a"}


def test_deleting_the_unknown_is_harmless() -> None:
    index = holding()
    index.apply(reflector.Deleted(facts("")), now=1.0)
    index.apply(reflector.Deleted(facts("z")), now=1.0)
    index.sweep(200.0)
    assert len(index) == 0


def test_a_pod_without_a_uid_never_matches_what_says_nothing() -> None:
    index = holding(facts("", "", name="x"))
    assert "" not in index.by_uid
    assert "" not in index.by_address


@pytest.mark.parametrize(
    ("address", "spelling"),
    [
        ("10.0.0.1", "10.0.0.1"), ("FD00:0:0::0001", "fd00::1"), ("::ffff:10.0.0.1", "10.0.0.1"),
        ("not:an:address", "not:an:address"), ("", ""),
    ],
)  # fmt: skip
def test_addresses_have_one_spelling(address: str, spelling: str) -> None:
    assert pods.canonical(address) == spelling


def test_a_pod_costs_less_than_two_kilobytes() -> None:
    decoder = objects.decoder(objects.Pod, lambda p: pods.facts(p, RULES))
    listed = [
        pod(f"{i:08d}-1111-2222-3333-444444444444", f"10.0.{i // 256}.{i % 256}",
            name=f"checkout-api-7d4b9c8f5d-{i:05d}", node=f"node-{i % 50}")
        for i in range(1000)
    ]  # fmt: skip
    body = msgspec.json.encode({"metadata": {}, "items": listed})
    gc.collect()
    tracemalloc.start()
    try:
        index = holding(*decoder.page(body).items)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] / len(index) < 2048
    finally:
        tracemalloc.stop()


def test_who_is_seen_to_take_an_address_has_it_for_good() -> None:
    """The one before is stale: it gets nothing back when the new one ends, or by a new label."""
    index = holding(facts("a", "10.0.0.1", since="2024-02"))
    index.apply(reflector.Added(facts("b", "10.0.0.1", since="2024-02")), now=1.0)
    assert index.by_address["10.0.0.1"].uid == "b"
    index.apply(reflector.Modified(facts("a", "10.0.0.1", since="2024-02", node="n9")), now=2.0)
    assert index.by_address["10.0.0.1"].uid == "b"
    index.apply(reflector.Modified(facts("b", "10.0.0.1", phase="Failed")), now=3.0)
    assert "10.0.0.1" not in index.by_address
    assert not index.rivals("10.0.0.1")


def test_nobody_has_an_address_that_an_older_pod_is_seen_to_take_until_one_lets_go() -> None:
    index = holding(facts("a", "10.0.0.1", since="2024-02"))
    index.apply(reflector.Modified(facts("b", "10.0.0.1", since="2024-01")), now=1.0)
    assert "10.0.0.1" not in index.by_address
    assert {pod.uid for pod in index.rivals("10.0.0.1")} == {"a", "b"}
    index.apply(reflector.Modified(facts("a", "10.0.0.7", since="2024-02")), now=2.0)
    assert index.by_address["10.0.0.1"].uid == "b"
    assert index.by_address["10.0.0.7"].uid == "a"


def test_of_two_in_one_list_that_started_together_neither_has_the_address() -> None:
    index = holding(facts("a", "10.0.0.1"), facts("b", "10.0.0.1"))
    assert "10.0.0.1" not in index.by_address
    index.apply(reflector.Deleted(facts("a", "10.0.0.1")), now=1.0)
    assert index.by_address["10.0.0.1"].uid == "b"


def test_addresses_that_changed_hands_unseen_are_told_by_the_next_list() -> None:
    index = holding(facts("a", "10.0.0.1", since="3"), facts("b", "10.0.0.2", since="1"))
    index.apply(
        reflector.Replaced((facts("a", "10.0.0.2", since="3"), facts("b", "10.0.0.1", since="1"))),
        now=1.0,
    )
    assert {a: p.uid for a, p in index.by_address.items()} == {"10.0.0.2": "a", "10.0.0.1": "b"}


def test_a_deletion_told_late_takes_nothing_from_the_living() -> None:
    index = holding(facts("b", "10.0.0.1", name="web-0"))
    index.apply(reflector.Deleted(facts("a", "10.0.0.1", name="web-0", since="2025")), now=1.0)
    assert index.by_address["10.0.0.1"].uid == index.by_name["ns", "web-0"].uid == "b"
    assert index.departed_at("a") == 1.0
    assert index.departed_at("b") is None


def test_addresses_of_nodes_are_known_as_long_as_a_pod_speaks_of_them() -> None:
    shared = pod("h", "192.168.0.1", "fd00::1", host_network=True)
    guest = msgspec.structs.replace(
        pod("g", "10.0.0.1"),
        status=objects.PodStatus(phase="Running", pod_ip="10.0.0.1", host_ip="192.168.0.1"),
    )
    index = holding(pods.facts(shared, RULES), pods.facts(guest, RULES))
    assert index.is_host("192.168.0.1")
    assert index.is_host("fd00::1")
    assert not index.is_host("10.0.0.1")
    index.apply(reflector.Deleted(pods.facts(shared, RULES)), now=0.0)
    index.sweep(1000.0)
    assert (index.is_host("192.168.0.1"), index.is_host("fd00::1")) == (True, False)
    index.apply(reflector.Replaced(()), now=1000.0)
    index.sweep(2000.0)
    assert not index.is_host("192.168.0.1")
    assert not index.is_host("")


def test_addresses_are_told_from_text() -> None:
    assert [pods.is_address(a) for a in ("10.0.0.1", "FD00::1", "10.0.0", "", "x:y")] == [
        True, True, False, False, False
    ]  # fmt: skip


class RemembersPods(RuleBasedStateMachine):
    """Whatever the history, the index answers as a look through all pods and all that was seen."""

    def __init__(self) -> None:
        super().__init__()
        self.index = pods.PodIndex()
        self.now = 0.0
        self.alive: dict[str, pods.PodFacts] = {}
        self.dead: dict[str, tuple[pods.PodFacts, float]] = {}
        self.lost: set[tuple[object, str]] = set()  # key and uid: another was seen to take it
        self.doubted: set[object] = set()  # keys that an older pod was seen to take

    PODS = st.builds(
        facts,
        st.sampled_from("abcd"),
        st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
        st.sampled_from(["fd00::1", "fd00::2", "10.0.0.1"]),
        name=st.sampled_from(["web-0", "web-1"]),
        phase=st.sampled_from(["Pending", "Running", "Running", "Failed"]),
        host_network=st.sampled_from([False, False, False, True]),
        since=st.sampled_from(["2024-01", "2024-02", "2024-03"]),
    )

    @staticmethod
    def keys(found: pods.PodFacts | None) -> list[object]:
        return [*found.addresses, (found.namespace, found.name)] if found else []

    def claimants(self, key: object) -> list[pods.PodFacts]:
        everybody = [*self.alive.values(), *[pod for pod, _ in self.dead.values()]]
        return [p for p in everybody if key in self.keys(p) and (key, p.uid) not in self.lost]

    def _let_go(self, found: pods.PodFacts, key: object) -> None:
        if (key, found.uid) not in self.lost:
            self.doubted.discard(key)
        self.lost.discard((key, found.uid))

    def _expire(self) -> None:
        for uid, (gone, since) in list(self.dead.items()):
            if self.now - since >= pods.GRACE:
                for key in self.keys(gone):
                    self._let_go(gone, key)
                del self.dead[uid]

    def _claim(self, found: pods.PodFacts, key: object, *, seen: bool) -> None:
        others = [p for p in self.claimants(key) if p.uid != found.uid]
        if found.uid in self.dead and others:
            self.lost.add((key, found.uid))
            return
        self.lost.discard((key, found.uid))
        for other in others:
            if other.uid in self.dead or (seen and found.since >= other.since):
                self.lost.add((key, other.uid))
        self.doubted.discard(key)
        if seen and len(self.claimants(key)) > 1:
            self.doubted.add(key)

    def _put(self, found: pods.PodFacts, *, seen: bool) -> None:
        old = self.alive.get(found.uid)
        if found.uid in self.dead:
            revived, _ = self.dead.pop(found.uid)
            for key in self.keys(revived):
                self._let_go(revived, key)
        self._follow(old, found)
        self.alive[found.uid] = found
        for key in self.keys(found):
            if key not in self.keys(old):
                self._claim(found, key, seen=seen)

    def _follow(self, old: pods.PodFacts | None, found: pods.PodFacts) -> None:
        for key in self.keys(old):
            if key not in self.keys(found):
                self._let_go(old, key)
            elif old.since != found.since and (key, found.uid) not in self.lost:
                self.doubted.discard(key)

    def _die(self, found: pods.PodFacts) -> None:
        self.alive.pop(found.uid, None)
        self.dead[found.uid] = (found, self.now)
        for key in self.keys(found):
            if (key, found.uid) not in self.lost:
                self.doubted.discard(key)

    @rule(found=PODS, seen=st.booleans())
    def put(self, found: pods.PodFacts, *, seen: bool) -> None:
        self._expire()
        self._put(found, seen=True)
        change = reflector.Modified(found) if seen else reflector.Added(found)
        self.index.apply(change, self.now)

    @rule(found=PODS)
    def delete(self, found: pods.PodFacts) -> None:
        self._expire()
        before = self.dead.pop(found.uid, (None, 0.0))[0]
        old = self.alive.pop(found.uid, None) or before
        self._follow(old, found)
        self.dead[found.uid] = (found, self.now)
        for key in self.keys(found):
            if key not in self.keys(old):
                self._claim(found, key, seen=True)
        self._die(found)
        self.index.apply(reflector.Deleted(found), self.now)

    @rule(found=st.lists(PODS, max_size=4, unique_by=lambda p: p.uid))
    def replace(self, found: list[pods.PodFacts]) -> None:
        self._expire()
        listed = {p.uid: p for p in found}
        for uid, old in list(self.alive.items()):
            if uid not in listed:
                self._die(old)
        for one in found:
            self._follow(self.alive.get(one.uid), one)
        for one in found:
            self._put(one, seen=False)
        self.index.apply(reflector.Replaced(tuple(found)), self.now)

    @rule(seconds=st.sampled_from([1.0, 50.0, 119.0, 120.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._expire()
        self.index.sweep(self.now)

    def _owner(self, key: object) -> pods.PodFacts | None:
        claimants = self.claimants(key)
        living = [p for p in claimants if p.uid in self.alive]
        if key in self.doubted and len(living) > 1:
            return None
        rank = max(((p.uid in self.alive, p.since) for p in claimants), default=None)
        best = [p for p in claimants if (p.uid in self.alive, p.since) == rank]
        return best[0] if len(best) == 1 else None

    @invariant()
    def answers_like_a_look_through_everything(self) -> None:
        everything = {**{u: d[0] for u, d in self.dead.items()}, **self.alive}
        assert dict(self.index.by_uid) == everything
        keys = {key for p in everything.values() for key in self.keys(p)}
        owners = {key: owner for key in keys if (owner := self._owner(key))}
        assert {**self.index.by_address, **self.index.by_name} == owners
        assert len(self.index) == len(everything)
        assert self.index.departed == len(self.dead)
        hosts = {a for p in everything.values() if p.state == pods.HOST_NETWORK for a in p.withheld}
        assert all(self.index.is_host(a) == (a in hosts) for a in ("10.0.0.1", "fd00::1"))


RemembersPods.TestCase.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
TestRemembersPods = RemembersPods.TestCase
