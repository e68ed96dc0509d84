"""The doorstep at work: the clock, the news of pods, and a gateway that stops."""

import asyncio
import logging

import pytest

from common.config import gateway
from common.config.gateway import Inputs
from common.enrichment import attributes, enricher, pods
from common.kube import objects, reflector
from common.service.ledger import DropReason
from common.service.telemetry import Telemetry
from gateway import filters, fresh_pods, intake, kubernetes, routing
from gateway.receivers import door
from tests.gateway import samples
from tests.gateway.test_intake import Queue

RULES = attributes.Rules()


class Answering:
    """An informer that is synced, and well as long as nobody says otherwise."""

    def __init__(self) -> None:
        self.healthy = self.synced = True


class Home:
    """A gateway without doors: an index, an intake with one pipeline, and the doorstep."""

    def __init__(self, room: int = 1 << 20, **config: float) -> None:
        self.informer = Answering()
        index = pods.PodIndex()
        index.apply(reflector.Replaced(()), 0.0)
        self.known = kubernetes.Knowledge(index=index, informer=self.informer)  # type: ignore[arg-type]
        self.doorstep = fresh_pods.Doorstep(gateway.Enrichment(**config), self.known)
        completing = enricher.Enricher(RULES, index, 1 << 20)
        self.intake = intake.Intake(completing, doorstep=self.doorstep)
        self.queue = Queue(room)
        self.configure(self.queue)

    def configure(self, *queues: Queue) -> None:
        everything = filters.selections(Inputs())
        self.intake.routes = routing.Routes(
            generation=1,
            pipelines=tuple(
                routing.Route(
                    name=f"p{n}", selections=everything, outlet=queue, required=queue.required
                )
                for n, queue in enumerate(queues)
            ),
            required=any(queue.required for queue in queues),
        )

    def keeping(self):
        return fresh_pods.keeping(self.doorstep, self.known, self.intake.pass_on)

    def tell(self, uid: str, address: str) -> None:
        pod = objects.Pod(
            metadata=objects.Metadata(name=f"pod-{uid}", namespace="ns", uid=uid),
            status=objects.PodStatus(phase="Running", pod_ip=address),
        )
        change = reflector.Added(pods.facts(pod, RULES))
        self.known.index.apply(change, 0.0)
        for listener in self.known.listeners:
            listener(change)

    def send(self, points: int = 1, peer: str = "10.0.0.1", **said: str) -> door.Answer:
        named = {key.replace("_", "."): value for key, value in said.items()}
        return self.intake.take(
            samples.request(points=points, attributes=named), peer, trusted=False
        )

    @property
    def names(self) -> list[bytes]:
        return [body for body in self.queue.held if b"k8s.pod.name" in body]


async def test_data_of_a_fresh_pod_is_taken_at_once_and_goes_on_with_its_whole_identity() -> None:
    home = Home()
    async with home.keeping():
        assert home.send(3) == door.Taken(points=3)
        assert (home.queue.held, home.queue.ledger.received, home.intake.points) == ([], 0, 3)
        assert home.doorstep.page() == {
            "taken": 3, "held": 3, "released": 0, "balance": 0, "released_by": {}
        }  # fmt: skip
        home.tell("u", "10.0.0.1")
        assert home.queue.ledger.received == 3
        assert len(home.names) == 1
        assert home.send(2) == door.Taken(points=2)
        assert len(home.names) == 2
        assert home.intake.points == home.queue.ledger.received == 5
    assert home.known.listeners == []


async def test_the_rest_of_a_request_does_not_wait_with_it() -> None:
    home = Home()
    built = samples.Request()
    samples.add_frame(built, ["late"], attributes={"k8s.pod.uid": "u"})
    samples.add_frame(built, ["now"], attributes={"service.name": "outside"})
    async with home.keeping():
        home.intake.take(built.SerializeToString(), "127.0.0.1", trusted=False)
        assert [samples.names(body) for body in home.queue.held] == [["now"]]
        home.tell("u", "10.0.0.1")
        assert [samples.names(body) for body in home.queue.held] == [["now"], ["late"]]


async def test_after_two_seconds_it_goes_on_as_it_is_and_is_never_delayed_again(clock) -> None:
    home = Home()
    came = asyncio.Event()
    async with home.keeping():
        offer = home.queue.offer

        def arrived(*args):
            came.set()
            return offer(*args)

        home.queue.offer = arrived
        started = clock()
        home.send(1)
        await came.wait()
        assert clock() - started == pytest.approx(2.0)
        home.send(1)
        assert len(home.queue.held) == 2
        came.clear()
        home.send(1, peer="10.0.0.2")
        await came.wait()
        assert clock() - started == pytest.approx(4.0)
    assert home.doorstep.page()["released_by"] == {"expired": 2}


async def test_a_gateway_that_stops_sends_on_what_waits() -> None:
    home = Home()
    async with home.keeping():
        home.send(7)
    assert home.queue.ledger.received == 7
    assert home.doorstep.page()["released_by"] == {"shutdown": 7}
    home.send(1)
    assert home.queue.ledger.received == 8, "before and after, nothing waits"


async def test_one_that_fails_does_as_well() -> None:
    home = Home()

    async def failing() -> None:
        async with home.keeping():
            home.send(7)
            raise OSError("a door failed")

    with pytest.raises(ExceptionGroup, match="unhandled"):
        await failing()
    assert home.queue.ledger.received == 7


async def test_nothing_waits_for_an_api_server_that_is_away_or_when_told_not_to() -> None:
    home = Home()
    home.informer.healthy = False
    never = Home(fresh_pod_hold=0.0)
    alone = Home()
    nobody = kubernetes.Knowledge(index=alone.known.index, informer=None)
    alone.doorstep = fresh_pods.Doorstep(gateway.Enrichment(), nobody)
    alone.intake._doorstep = alone.doorstep
    for each in (home, never, alone):
        async with each.keeping():
            each.send(2)
            assert each.queue.ledger.received == 2


async def test_what_waits_is_bounded() -> None:
    home = Home(fresh_pod_bytes=3000)
    async with home.keeping():
        for n in range(20):
            home.send(1, peer=f"10.0.0.{n}")
        assert home.queue.ledger.received == 19
        assert home.doorstep.page()["released_by"] == {"no_room": 19}


async def test_a_destination_that_is_full_by_then_books_the_loss() -> None:
    home = Home()
    async with home.keeping():
        home.send(5)
        home.queue.room = 0
        home.tell("u", "10.0.0.1")
    assert home.queue.ledger.dropped[DropReason.INBOX_FULL] == 5
    assert (home.queue.ledger.received, home.queue.ledger.balance()) == (5, 0)


async def test_when_one_that_is_required_is_full_already_the_sender_keeps_its_data() -> None:
    home = Home(room=0)
    home.queue.required = True
    home.configure(home.queue)
    async with home.keeping():
        assert home.send(5) == door.Overloaded(intake.COME_AGAIN, 5)
        assert home.doorstep.page()["taken"] == 0


async def test_pipelines_that_are_gone_by_then_are_an_error(caplog) -> None:
    home = Home()
    with caplog.at_level(logging.ERROR):
        async with home.keeping():
            home.send(5)
            home.configure()
            home.tell("u", "10.0.0.1")
    assert home.intake.rejected == 5
    assert [r.getMessage() for r in caplog.records] == [
        "held points lost: no pipeline is configured"
    ]


async def test_its_own_metrics() -> None:
    home = Home()
    telemetry = Telemetry(process=False)
    telemetry.add(home.doorstep.readings)
    async with home.keeping():
        home.send(5)
        shown = telemetry.render().decode()
        assert "headgate_gateway_fresh_pod_held_points 5.0" in shown
        assert "headgate_gateway_fresh_pod_held_limit_bytes 1.6777216e+07" in shown
        home.tell("u", "10.0.0.1")
    shown = telemetry.render().decode()
    assert 'headgate_gateway_fresh_pod_released_points_total{why="known"} 5.0' in shown
    assert 'headgate_gateway_fresh_pod_released_points_total{why="no_room"} 0.0' in shown
    assert "headgate_gateway_fresh_pod_held_bytes 0.0" in shown
