"""What waits goes on when its pod is known or its time is over: in order, in bounds, accounted."""

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from common.enrichment import association, attributes, pods
from common.kube import objects, reflector
from common.wire import otlp
from gateway import holding

RULES = attributes.Rules()


def facts(uid: str, address: str = "", **more: object) -> pods.PodFacts:
    pod = objects.Pod(
        metadata=objects.Metadata(name=f"pod-{uid}", namespace="ns", uid=uid),
        status=objects.PodStatus(phase="Running", pod_ip=address, **more),
    )
    return pods.facts(pod, RULES)


def missing(
    index: pods.PodIndex, peer: str | None = None, **said: str
) -> association.Missing | None:
    named = {key.replace("__", "."): value for key, value in said.items()}
    return association.missing(association.evidence(named, peer, use_peer=True), index)


def parcel(points: int = 1, size: int = 100, peer: str | None = None) -> holding.Parcel:
    return holding.Parcel(body=otlp.Encoded(bytes(size)), points=points, peer=peer, trusted=False)


def made(**limits: int) -> tuple[holding.Holding, pods.PodIndex]:
    index = pods.PodIndex()
    index.apply(reflector.Replaced(()), 0.0)
    chosen = {"max_bytes": 1 << 20, "memo_bytes": 1 << 16, **limits}
    return holding.Holding(index, seconds=2.0, **chosen), index


def told(
    subject: holding.Holding, index: pods.PodIndex, change: reflector.Change[pods.PodFacts]
) -> list[holding.Parcel]:
    index.apply(change, 1.0)
    return subject.changed(change)


@pytest.mark.parametrize(
    ("said", "peer"),
    [
        ({"k8s__pod__uid": "u"}, None),
        ({"k8s__pod__ip": "10.0.0.1"}, None),
        ({"k8s__namespace__name": "ns", "k8s__pod__name": "pod-u"}, None),
        ({}, "10.0.0.1"),
        ({"k8s__pod__ip": "10.9.9.9"}, "10.0.0.1"),
    ],
)
def test_data_goes_on_the_moment_its_pod_becomes_known(
    said: dict[str, str], peer: str | None
) -> None:
    subject, index = made()
    gone = missing(index, peer, **said)
    assert gone is not None
    assert subject.waits(gone, informed=True)
    first, second = parcel(3), parcel(4)
    assert subject.hold(gone, first, 10.0) == subject.hold(gone, second, 11.0) == []
    assert (subject.points, subject.due) == (7, 12.0)
    assert told(subject, index, reflector.Added(facts("other", "10.0.0.2"))) == []
    assert told(subject, index, reflector.Added(facts("u", "10.0.0.1"))) == [first, second]
    assert subject.released == {"known": 7, "expired": 0, "no_room": 0, "shutdown": 0}
    assert (subject.points, subject.size, subject.due, subject.balance()) == (0, 0, None, 0)


def test_a_pod_that_gets_its_address_later_releases_its_data_then() -> None:
    subject, index = made()
    gone = missing(index, "10.0.0.1")
    assert gone is not None
    subject.hold(gone, parcel(), 0.0)
    assert told(subject, index, reflector.Added(facts("u"))) == []
    assert len(told(subject, index, reflector.Modified(facts("u", "10.0.0.1")))) == 1


def test_an_address_that_one_of_two_lets_go_of_releases_the_data_of_the_other() -> None:
    subject, index = made()
    told(subject, index, reflector.Added(facts("a", "10.0.0.1", start_time="2")))
    told(subject, index, reflector.Added(facts("b", "10.0.0.1", start_time="1")))
    gone = missing(index, "10.0.0.1")
    assert gone is not None
    subject.hold(gone, parcel(), 0.0)
    moved = reflector.Modified(facts("a", "10.0.0.9", start_time="2"))
    assert len(told(subject, index, moved)) == 1


def test_the_first_list_releases_what_it_tells_and_no_more() -> None:
    index = pods.PodIndex()
    subject = holding.Holding(index, seconds=2.0, max_bytes=1 << 20, memo_bytes=1 << 16)
    here, there = missing(index, "10.0.0.1"), missing(index, "10.0.0.2")
    assert here is not None
    assert there is not None
    one, two = parcel(1), parcel(2)
    subject.hold(here, one, 0.0)
    subject.hold(there, two, 0.0)
    assert told(subject, index, reflector.Replaced((facts("u", "10.0.0.1"),))) == [one]
    assert subject.expire(2.0) == [two]


def test_what_was_waited_for_in_vain_is_not_waited_for_again_until_it_is_known() -> None:
    subject, index = made()
    gone = missing(index, "10.0.0.1")
    assert gone is not None
    subject.hold(gone, parcel(5), 0.0)
    assert subject.expire(1.9) == []
    assert len(subject.expire(2.0)) == 1
    assert subject.released["expired"] == 5
    assert subject.in_vain(("address", "10.0.0.1"))
    assert not subject.waits(gone, informed=True)
    pod = facts("u", "10.0.0.1")
    told(subject, index, reflector.Added(pod))
    assert not subject.in_vain(("address", "10.0.0.1"))
    told(subject, index, reflector.Deleted(pod))
    index.sweep(1000.0)
    assert subject.waits(gone, informed=True), "another pod may have the address by now"


def test_the_same_identity_from_elsewhere_has_its_own_time() -> None:
    subject, index = made()
    here = missing(index, "10.0.0.1", k8s__pod__ip="10.9.9.9")
    there = missing(index, "10.0.0.2", k8s__pod__ip="10.9.9.9")
    assert here is not None
    assert there is not None
    one, two, three = parcel(1), parcel(2), parcel(3)
    subject.hold(here, one, 0.0)
    subject.hold(there, two, 1.0)
    assert subject.expire(2.0) == [one]
    assert subject.waits(there, informed=True), "what waits already is joined: order is kept"
    subject.hold(there, three, 2.5)
    assert subject.expire(3.0) == [two, three]


def test_without_news_of_pods_nothing_begins_to_wait() -> None:
    subject, index = made()
    gone = missing(index, "10.0.0.1")
    assert gone is not None
    assert not subject.waits(gone, informed=False)
    subject.hold(gone, parcel(), 0.0)
    assert subject.waits(gone, informed=False), "but nothing overtakes what waits"


def test_beyond_the_bound_data_goes_on_as_it_is_behind_what_came_before() -> None:
    limit = holding.QUEUE_BYTES + 2 * (holding.PARCEL_BYTES + 100)
    subject, index = made(max_bytes=limit)
    gone, other = missing(index, "10.0.0.1"), missing(index, "10.0.0.2")
    assert gone is not None
    assert other is not None
    one, two, three, four = parcel(1), parcel(2), parcel(3), parcel(4)
    assert subject.hold(gone, one, 0.0) == subject.hold(gone, two, 0.0) == []
    assert subject.size == limit
    assert subject.hold(other, four, 0.0) == [four]
    assert subject.hold(gone, three, 0.0) == [one, two, three]
    assert subject.released["no_room"] == 10
    assert (subject.size, subject.points, subject.balance()) == (0, 0, 0)


def test_at_the_end_all_goes_on_in_order() -> None:
    subject, index = made()
    given = []
    for n in range(6):
        gone = missing(index, f"10.0.0.{n % 2}")
        assert gone is not None
        given.append(parcel(n + 1))
        subject.hold(gone, given[-1], float(n))
    released = subject.empty()
    assert [p for p in released if p in given[::2]] == given[::2]
    assert [p for p in released if p in given[1::2]] == given[1::2]
    assert subject.released["shutdown"] == 21
    assert subject.empty() == []


def test_people_see_what_waits_for_whom() -> None:
    subject, index = made()
    gone = missing(index, "10.0.0.1")
    assert gone is not None
    subject.hold(gone, parcel(5), 0.0)
    waiting = subject.waiting(("address", "10.0.0.1"), 0.5)
    assert waiting is not None
    assert (waiting.points, waiting.size, waiting.seconds) == (5, subject.size, 1.5)
    assert subject.waiting(("address", "10.0.0.2"), 0.5) is None


def test_identities_waited_for_in_vain_are_bounded() -> None:
    subject, index = made(memo_bytes=5 * holding.VAIN_BYTES)
    for n in range(20):
        gone = missing(index, f"10.0.0.{n}")
        assert gone is not None
        subject.hold(gone, parcel(), 0.0)
    subject.expire(2.0)
    assert subject.vain.size <= subject.vain.max_bytes
    assert subject.vain.evictions > 10
    assert subject.in_vain(("address", "10.0.0.19"))


def test_the_overhead_is_what_it_is_said_to_be() -> None:
    import gc
    import tracemalloc

    subject, index = made(max_bytes=1 << 30)
    given = [
        (missing(index, f"10.{n >> 8}.{n & 255}.1", k8s__namespace__name="ns",
                 k8s__pod__name=f"pod-{n}"), parcel(size=0))
        for n in range(2000)
    ]  # fmt: skip
    gc.collect()
    tracemalloc.start()
    try:
        for gone, one in given:
            assert gone is not None
            subject.hold(gone, one, 0.0)
        measured = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert measured < subject.size


class HoldsData(RuleBasedStateMachine):
    """Nothing is lost, doubled or overtaken, and the account and the bounds hold."""

    PEERS = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    UIDS = st.sampled_from(["", "", "a", "b"])

    def __init__(self) -> None:
        super().__init__()
        self.subject, self.index = made(max_bytes=3 * holding.QUEUE_BYTES + 2500)
        self.now, self.number = 0.0, 0
        self.came: dict[association.Evidence, list[int]] = {}
        self.went: dict[association.Evidence, list[int]] = {}
        self.since: dict[int, float] = {}
        self.of: dict[int, association.Evidence] = {}

    def _gone(self, parcels: list[holding.Parcel]) -> None:
        for one in parcels:
            number = int(one.peer or "")
            self.went.setdefault(self.of[number], []).append(number)
            assert self.now <= self.since[number] + 2.0  # rounded as the deadline is

    @rule(peer=PEERS, uid=UIDS, informed=st.booleans(), size=st.integers(0, 900))
    def data_comes(self, peer: str, uid: str, size: int, *, informed: bool) -> None:
        known = association.evidence({attributes.POD_UID: uid}, peer, use_peer=True)
        self.number += 1
        self.of[self.number], self.since[self.number] = known, self.now
        self.came.setdefault(known, []).append(self.number)
        one = parcel(2, size, peer=str(self.number))
        gone = association.missing(known, self.index)
        found = association.locate(known, self.index) is not None
        if found or gone is None or not self.subject.waits(gone, informed=informed):
            self._gone([one])
        else:
            self._gone(self.subject.hold(gone, one, self.now))

    @rule(uid=st.sampled_from("abc"), address=st.one_of(st.just(""), PEERS), kind=st.integers(0, 3))
    def a_pod_changes(self, uid: str, address: str, kind: int) -> None:
        pod = facts(uid, address)
        change = [reflector.Added(pod), reflector.Modified(pod), reflector.Deleted(pod),
                  reflector.Replaced((pod,))][kind]  # fmt: skip
        self.index.apply(change, self.now)
        self._gone(self.subject.changed(change))

    @rule(seconds=st.sampled_from([0.1, 1.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        while (due := self.subject.due) is not None and due <= self.now + seconds:
            self.now, seconds = due, seconds - (due - self.now)
            self._gone(self.subject.expire(self.now))
        self.now += seconds
        self.index.sweep(self.now)

    @rule()
    def it_stops(self) -> None:
        self._gone(self.subject.empty())
        assert self.went == self.came

    @invariant()
    def everybody_goes_in_order_and_nobody_twice(self) -> None:
        for known, numbers in self.came.items():
            gone = self.went.get(known, [])
            assert gone == numbers[: len(gone)]
        held = self.number - sum(map(len, self.went.values()))
        assert self.subject.points == 2 * held
        assert self.subject.balance() == 0
        assert 0 <= self.subject.size <= self.subject.max_bytes
        assert (self.subject.size == 0) == (held == 0) == (self.subject.due is None)


HoldsData.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestHoldsData = HoldsData.TestCase
