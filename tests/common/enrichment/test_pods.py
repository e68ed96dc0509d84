import gc
import tracemalloc

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
    import msgspec

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


class RemembersPods(RuleBasedStateMachine):
    """Whatever the history, the index answers as a look through all pods would."""

    def __init__(self) -> None:
        super().__init__()
        self.index = pods.PodIndex()
        self.now = 0.0
        self.alive: dict[str, pods.PodFacts] = {}
        self.dead: dict[str, tuple[pods.PodFacts, float]] = {}

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

    def _expire(self) -> None:
        self.dead = {u: d for u, d in self.dead.items() if self.now - d[1] < pods.GRACE}

    @rule(found=PODS, seen=st.booleans())
    def put(self, found: pods.PodFacts, *, seen: bool) -> None:
        self._expire()
        self.alive[found.uid] = found
        self.dead.pop(found.uid, None)
        change = reflector.Modified(found) if seen else reflector.Added(found)
        self.index.apply(change, self.now)

    @rule(found=PODS)
    def delete(self, found: pods.PodFacts) -> None:
        self._expire()
        self.alive.pop(found.uid, None)
        self.dead[found.uid] = (found, self.now)
        self.index.apply(reflector.Deleted(found), self.now)

    @rule(found=st.lists(PODS, max_size=4, unique_by=lambda p: p.uid))
    def replace(self, found: list[pods.PodFacts]) -> None:
        self._expire()
        for uid, old in self.alive.items():
            self.dead[uid] = (old, self.now)
        self.alive = {p.uid: p for p in found}
        for uid in self.alive:
            self.dead.pop(uid, None)
        self.index.apply(reflector.Replaced(tuple(found)), self.now)

    @rule(seconds=st.sampled_from([1.0, 50.0, 119.0, 120.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._expire()
        self.index.sweep(self.now)

    @invariant()
    def answers_like_a_look_through_everything(self) -> None:
        everything = {**{u: d[0] for u, d in self.dead.items()}, **self.alive}
        assert dict(self.index.by_uid) == everything
        best = sorted(everything.values(), key=lambda p: (p.uid in self.alive, p.since, p.uid))
        assert dict(self.index.by_address) == {a: p for p in best for a in p.addresses}
        assert dict(self.index.by_name) == {(p.namespace, p.name): p for p in best}
        assert len(self.index) == len(everything)
        assert self.index.departed == len(self.dead)


RemembersPods.TestCase.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
TestRemembersPods = RemembersPods.TestCase
