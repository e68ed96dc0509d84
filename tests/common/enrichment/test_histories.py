"""A world of pods that are born, change, end and leave their addresses to others, told in part.

What a resource gets is that of the pod which, as far as was told, rightly has the uid, the name or
the address at this moment, or nothing; never of another.
"""

from dataclasses import dataclass

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from common.enrichment import association, attributes, enricher, pods
from common.kube import objects, reflector
from common.wire import otlp

RULES = attributes.Rules(label_keys=frozenset({"revision"}))
ADDRESSES = ("10.0.0.1", "fd00::3")
NODE = "192.168.0.1"
NAMES = ("web-0", "job")


@dataclass
class Truth:
    """A pod, and what the API server shows of it."""

    uid: str
    name: str
    born: int  # seconds
    host_network: bool
    order: int = 0  # of the assignment of its address, over all addresses
    address: str = ""  # as the API server shows it
    running: bool = True  # in truth: then it has the address
    phase: str = "Pending"
    revision: int = 0
    told: objects.Pod | None = None  # the revision that the index was told last
    left: float | None = None  # when the index was told that it is gone

    def shown(self) -> objects.Pod:
        return objects.Pod(
            metadata=objects.Metadata(
                name=self.name,
                namespace="ns",
                uid=self.uid,
                labels={"revision": f"{self.uid}-{self.revision}"},
                creation_timestamp=second(self.born),
            ),
            spec=objects.PodSpec(
                node_name=f"node-of-{self.uid}",
                host_network=self.host_network,
                containers=(objects.Container(name=f"c-{self.uid}", image=f"i:{self.uid}"),),
            ),
            status=objects.PodStatus(
                phase=self.phase,
                pod_ip=self.address,
                host_ip=NODE,
                start_time=second(self.born) if self.address else None,
            ),
        )


def second(n: int) -> str:
    return f"2024-01-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z"


@dataclass
class Event:
    verb: str
    pod: Truth
    shown: objects.Pod


class World(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now, self.count, self.orders = 0, 0, 0
        self.stored: dict[str, Truth] = {}  # by name, as the API server has them
        self.everybody: list[Truth] = []
        self.events: list[Event] = []
        self.index = pods.PodIndex()
        self.enricher = enricher.Enricher(RULES, self.index, 1 << 20)
        self.seen: dict[str, int] = {}  # by address: the last assignment that was seen to happen
        self.index.apply(reflector.Replaced(()), 0.0)

    # What happens

    def _write(self, pod: Truth, verb: str = "MODIFIED") -> None:
        self.events.append(Event(verb, pod, pod.shown()))

    @rule(name=st.sampled_from(NAMES), host=st.sampled_from([False, False, False, True]))
    def is_born(self, name: str, *, host: bool) -> None:
        if name in self.stored:
            return
        self.count += 1
        pod = Truth(uid=f"u{self.count}", name=name, born=self.now, host_network=host)
        self.stored[name] = pod
        self.everybody.append(pod)
        self._write(pod, "ADDED")

    @rule(name=st.sampled_from(NAMES), address=st.sampled_from(ADDRESSES))
    def gets_an_address(self, name: str, address: str) -> None:
        pod = self.stored.get(name)
        if pod is None or pod.address or not pod.running or pod.phase != "Pending":
            return
        if pod.host_network:
            address = NODE
        elif any(p.running and p.address == address for p in self.everybody):
            return  # in truth it is somebody's
        self.orders += 1
        pod.address, pod.order, pod.phase = address, self.orders, "Running"
        pod.born = max(pod.born, self.now)  # it starts now
        self._write(pod)

    @rule(name=st.sampled_from(NAMES), address=st.sampled_from(ADDRESSES))
    def starts(self, name: str, address: str) -> None:
        self.is_born(name, host=False)
        self.gets_an_address(name, address)

    @rule(name=st.sampled_from(NAMES))
    def is_relabelled(self, name: str) -> None:
        if name in self.stored:
            self.stored[name].revision += 1
            self._write(self.stored[name])

    @rule(name=st.sampled_from(NAMES), at_once=st.booleans())
    def ends(self, name: str, *, at_once: bool) -> None:
        """Its address is free at once; the API server may learn of it later."""
        pod = self.stored.get(name)
        if pod is not None:
            pod.running = False
            if at_once:
                pod.phase = "Succeeded"
                self._write(pod)

    @rule(old=st.sampled_from(NAMES), new=st.sampled_from(NAMES), told=st.booleans())
    def leaves_its_address_to(self, old: str, new: str, *, told: bool) -> None:
        """Often the API server goes on showing the old pod as if nothing had happened."""
        if old in self.stored and new not in self.stored and self.stored[old].address in ADDRESSES:
            self.ends(old, at_once=False)
            self.is_born(new, host=False)
            self.gets_an_address(new, self.stored[old].address)
            if told and self.events:
                self.the_watch_tells(len(self.events))

    @rule(name=st.sampled_from(NAMES))
    def is_deleted(self, name: str) -> None:
        pod = self.stored.pop(name, None)
        if pod is not None:
            pod.running = False
            self._write(pod, "DELETED")

    @rule(seconds=st.sampled_from([0, 1, 1, 60, 119]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self.index.sweep(float(self.now))
        self._forget()

    # What is told

    @precondition(lambda self: self.events)
    @rule(most=st.sampled_from([1, 2, 9, 9]))
    def the_watch_tells(self, most: int) -> None:
        told, self.events = self.events[:most], self.events[most:]
        for event in told:
            known, pod = pods.facts(event.shown, RULES), event.pod
            self._forget()
            if event.verb == "DELETED":
                self.index.apply(reflector.Deleted(known), float(self.now))
                pod.left = float(self.now)
            else:
                change = reflector.Added if event.verb == "ADDED" else reflector.Modified
                self.index.apply(change(known), float(self.now))
                for address in known.addresses:
                    if pod.told is None or pod.told.status.pod_ip != address:
                        self.seen[address] = pod.order
            pod.told = event.shown

    @rule()
    def a_list_tells(self) -> None:
        """The watch broke: what it did not tell is never told as it happened."""
        self.events = []
        shown = {pod.uid: pod.shown() for pod in self.stored.values()}
        self._forget()
        self.index.apply(
            reflector.Replaced(tuple(pods.facts(p, RULES) for p in shown.values())), float(self.now)
        )
        for pod in self.everybody:
            if pod.uid in shown:
                pod.told = shown[pod.uid]
            elif pod.told is not None and pod.left is None:
                pod.left = float(self.now)

    def _forget(self) -> None:
        for pod in self.everybody:
            if pod.left is not None and self.now - pod.left >= pods.GRACE:
                pod.told = None

    # What must hold

    def _right(self, address: str) -> Truth | None:
        """The pod that has *address*, as far as was told; several may be told to live with it."""
        claiming = [
            p
            for p in self.everybody
            if p.told is not None
            and p.told.status.pod_ip == address
            and not p.host_network
            and p.told.status.phase == "Running"
            and p.order >= self.seen.get(address, 0)
        ]
        living = [p for p in claiming if p.left is None]
        return max(living or claiming, key=lambda p: p.order, default=None)

    def _alone(self, address: str) -> bool:
        showing = [
            p
            for p in self.everybody
            if p.told is not None and p.left is None and p.told.status.pod_ip == address
        ]
        return len(showing) == 1

    def _check(
        self, said: dict[str, str], peer: str | None, right: Truth | None, *, surely: bool
    ) -> None:
        resource = b"".join(otlp.attribute(key, value) for key, value in said.items())
        enriched = self.enricher.enrich(resource, peer, trusted=False)
        got = otlp.string_attributes(enriched.resource)
        if enriched.hit in association.CAUSES:
            assert got == said
            assert not surely, f"{right} is not found by {said} from {peer}"
            return
        assert right is not None, f"{got} for {said} from {peer}, which nobody has"
        assert right.told is not None
        container = f"c-{right.uid}"
        assert got == {
            **dict(attributes.of_pod(right.told, RULES)),
            "k8s.container.name": container,
            "service.instance.id": f"ns.{right.name}.{container}",
            "service.version": right.uid,
            **said,
        }

    @invariant()
    def addresses_are_of_those_who_have_them(self) -> None:
        for address in ADDRESSES:
            right = self._right(address)
            surely = right is not None and right.left is None and self._alone(address)
            self._check({"k8s.pod.ip": address}, None, right, surely=surely)
            self._check({}, address, right, surely=surely)
        self._check({"k8s.pod.ip": NODE}, NODE, None, surely=False)

    @invariant()
    def a_uid_is_of_its_pod_whoever_has_the_address(self) -> None:
        for pod in self.everybody:
            right = pod if pod.told is not None else None
            said = {"k8s.pod.uid": pod.uid, "k8s.pod.ip": ADDRESSES[0]}
            self._check(said, ADDRESSES[1], right, surely=right is not None)

    @invariant()
    def a_name_is_of_the_last_pod_that_was_called_so(self) -> None:
        for name in NAMES:
            called = [p for p in self.everybody if p.name == name and p.told is not None]
            right = called[-1] if called else None
            said = {"k8s.namespace.name": "ns", "k8s.pod.name": name}
            for address in ADDRESSES if right is not None else ():
                self._check({**said, "k8s.pod.ip": address}, address, right, surely=True)
            self._check(said, None, right, surely=right is not None)


World.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestWorld = World.TestCase
