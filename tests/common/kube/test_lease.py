"""One of many leads, by a real Lease; what it does ends when it does, and another goes on."""

import asyncio
import copy
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.config.agent_inputs import Lease
from common.kube import client, credentials, lease
from common.service import clock
from localcluster import apiserver, kinds
from localcluster.store import Store
from tests.fakes import kubernetes
from tests.fakes.kubernetes import Answer, refusal

QUICK = Lease(duration=2.0, renew_deadline=1.0, retry_period=0.1)
PATH = "/apis/coordination.k8s.io/v1/namespaces/home/leases"


def store() -> Store:
    made = Store(now=clock.unix_seconds, entropy=os.urandom)
    made.create(kinds.NAMESPACES, {"metadata": {"name": "home"}})
    return made


def record(made: Store) -> dict[str, Any]:
    return made.get(kinds.LEASES, "home", "the-lease")["spec"]


@asynccontextmanager
async def taking_part(
    url: str, identity: str, terms: Lease = QUICK
) -> AsyncIterator[lease.Election]:
    async with (
        client.connecting(credentials.anonymous(url)) as asking,
        lease.electing(asking, "home", "the-lease", identity, terms) as election,
    ):
        yield election


async def until(met: Any, *, within: float = 10.0) -> None:
    """Look often: what is waited for has no event of its own in another process."""
    async with asyncio.timeout(within):
        while not met():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


class Work:
    """Notes when it runs."""

    def __init__(self) -> None:
        self.running, self.begun = False, 0

    async def __call__(self) -> None:
        self.running, self.begun = True, self.begun + 1
        try:
            await asyncio.Event().wait()
        finally:
            self.running = False


@pytest.mark.wallclock
async def test_one_leads_and_hands_over_at_once_when_it_stops() -> None:
    made = store()
    async with apiserver.serving(made) as url, taking_part(url, "b") as second:
        async with taking_part(url, "a") as first:
            await until(lambda: first.leading or second.leading)
            leader, other = (first, second) if first.leading else (second, first)
            assert not other.leading
            assert leader.status == "leads"
            await until(lambda: other.holder == leader.holder)
            assert other.status == f"{leader.holder} leads"
            before = record(made)
            await until(lambda: record(made)["renewTime"] > before["renewTime"])
            assert record(made)["acquireTime"] == before["acquireTime"]
            assert record(made)["leaseDurationSeconds"] == 2
        started = asyncio.get_running_loop().time()
        assert not first.leading
        assert first.holder != "a"
        await until(lambda: second.leading)
        # Far less than the lease lasts: it was given back.
        assert asyncio.get_running_loop().time() - started < 1.0
        assert record(made)["holderIdentity"] == "b"


@pytest.mark.wallclock
async def test_work_runs_while_one_leads_and_is_cancelled_the_moment_it_does_not() -> None:
    made, work = store(), Work()
    async with (
        apiserver.serving(made) as url,
        taking_part(url, "a") as election,
        asyncio.TaskGroup() as tasks,
    ):
        leading = tasks.create_task(election.lead(work))
        await until(lambda: work.running)
        usurped = copy.deepcopy(made.get(kinds.LEASES, "home", "the-lease"))
        usurped["spec"] |= {"holderIdentity": "usurper", "leaseDurationSeconds": 1}
        made.update(kinds.LEASES, usurped)
        await until(lambda: not work.running, within=1.0)
        assert election.holder == "usurper"
        await until(lambda: work.running)  # it expires
        assert (work.begun, election.counts.terms) == (2, 2)
        assert election.counts.conflicts >= 1
        assert record(made)["leaseTransitions"] == 1
        leading.cancel()


@pytest.mark.wallclock
async def test_what_others_wrote_into_the_lease_stays() -> None:
    made = store()
    made.create(
        kinds.LEASES,
        {
            "metadata": {"name": "the-lease", "namespace": "home", "labels": {"a": "b"}},
            "spec": {"strategy": "OldestEmulationVersion"},
        },
    )
    async with apiserver.serving(made) as url, taking_part(url, "a") as election:
        await until(lambda: election.leading)
        found = made.get(kinds.LEASES, "home", "the-lease")
        assert found["metadata"]["labels"] == {"a": "b"}
        assert found["spec"]["strategy"] == "OldestEmulationVersion"
    assert record(made)["holderIdentity"] == ""


@pytest.mark.wallclock
async def test_an_api_server_that_goes_away_ends_it_in_time_and_it_keeps_trying() -> None:
    made, work = store(), Work()
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        async with apiserver.serving(made) as url:
            part = taking_part(url, "a")
            election = await part.__aenter__()
            leading = tasks.create_task(election.lead(work))
            await until(lambda: work.running)
            await until(lambda: election.counts.renewals >= 3)
        gone = loop.time()
        await until(lambda: not work.running)
        assert loop.time() - gone < 1.5
        assert not election.healthy
        assert "cannot reach the API server: connection refused" in election.status
        port = int(url.rpartition(":")[2])
        settings = apiserver.Settings(port=port)
        async with apiserver.serving(made, settings=settings):
            await until(lambda: work.running)
            assert election.healthy
            leading.cancel()
            await part.__aexit__(None, None, None)


CANDIDATE = """
import asyncio, sys
from common.config.agent_inputs import Lease
from common.kube import client, credentials, lease
from common.service import lifecycle

async def main():
    url, identity, duration, deadline, period = sys.argv[1:]
    terms = Lease(
        duration=float(duration), renew_deadline=float(deadline), retry_period=float(period)
    )
    async def work():
        print("leads", flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            print("ends", flush=True)
    async with (
        lifecycle.stopping(5.0) as stop,
        client.connecting(credentials.anonymous(url)) as asking,
        lease.electing(asking, "home", "the-lease", identity, terms) as election,
        asyncio.TaskGroup() as tasks,
    ):
        leading = tasks.create_task(election.lead(work))
        print("ready", flush=True)
        await stop.wait()
        leading.cancel()
    return 0

sys.exit(lifecycle.run(main))
"""


@asynccontextmanager
async def process(
    url: str, identity: str, terms: Lease
) -> AsyncIterator[asyncio.subprocess.Process]:
    times = (terms.duration, terms.renew_deadline, terms.retry_period)
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CANDIDATE, url, identity, *map(str, times),
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


async def line(of: asyncio.subprocess.Process, within: float = 15.0) -> str:
    assert of.stdout is not None
    async with asyncio.timeout(within):
        return (await of.stdout.readline()).decode().strip()


async def killed(terms: Lease, within: float) -> None:
    made = store()
    async with apiserver.serving(made) as url, process(url, "a", terms) as first:
        assert await line(first) == "ready"
        assert await line(first) == "leads"
        async with process(url, "b", terms) as second, process(url, "c", terms) as third:
            assert await line(second) == "ready"
            assert await line(third) == "ready"
            first.kill()
            await first.wait()
            died = asyncio.get_running_loop().time()
            await until(lambda: record(made)["holderIdentity"] in {"b", "c"}, within=within)
            new, other = (
                (second, third) if record(made)["holderIdentity"] == "b" else (third, second)
            )
            assert await line(new) == "leads"
            assert asyncio.get_running_loop().time() - died < within
            new.terminate()
            assert await line(new) == "ends"
            assert await line(other, within=terms.retry_period * 2 + 2) == "leads"
            assert await new.wait() == 0


@pytest.mark.wallclock
@pytest.mark.slow
async def test_when_the_leader_is_killed_another_leads_and_when_it_is_stopped_at_once() -> None:
    await killed(Lease(duration=2.0, renew_deadline=1.5, retry_period=0.2), within=4.0)


@pytest.mark.wallclock
@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_with_the_defaults_a_killed_leader_is_followed_within_twenty_seconds() -> None:
    await killed(Lease(), within=20.0)


@asynccontextmanager
async def faked(
    *answers: Answer,
) -> AsyncIterator[tuple[kubernetes.FakeKubernetes, lease.Election]]:
    async with kubernetes.serving() as fake:
        fake.script(*answers)
        async with (
            client.connecting(credentials.anonymous(fake.url)) as asking,
            lease.electing(
                asking, "home", "the-lease", "a", Lease(), jitter=lambda: 0.5
            ) as election,
        ):
            yield fake, election


def stored(holder: str = "a", version: str = "1") -> Answer:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15}
    return Answer(
        body=msgspec.json.encode({"metadata": {"resourceVersion": version}, "spec": spec})
    )


async def asked(fake: kubernetes.FakeKubernetes, count: int) -> list[tuple[str, str]]:
    async with asyncio.timeout(600):
        while len(fake.requests) < count:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0.05)
    return [(r.method, r.path) for r in fake.requests]


async def test_what_is_asked_for_is_get_create_and_update() -> None:
    answers = refusal(404, "NotFound", "no lease"), stored(), stored(version="2"), stored()
    async with faked(*answers) as (fake, election):
        assert await asked(fake, 3) == [
            ("GET", f"{PATH}/the-lease"), ("POST", PATH), ("PUT", f"{PATH}/the-lease"),
        ]  # fmt: skip
        body = msgspec.json.decode(fake.bodies[2])
        assert body["metadata"]["resourceVersion"] == "1"
        assert election.leading
    assert fake.requests[-1].method == "PUT"
    assert msgspec.json.decode(fake.bodies[-1])["spec"]["holderIdentity"] == ""


async def test_a_missing_right_is_named_with_the_rule_that_would_give_it(caplog) -> None:
    caplog.set_level("INFO", logger="headgate.lease")
    forbidden = refusal(403, "Forbidden", "leases is forbidden")
    async with faked(*[forbidden] * 4, stored("b")) as (fake, election):
        await asked(fake, 3)
        assert election.status == (
            "nobody is known to lead; refused: 403 Forbidden: leases is forbidden; a Role in "
            "namespace home must allow get, create and update of leases in the group "
            "coordination.k8s.io"
        )
        await asked(fake, 6)
        assert election.status == "b leads"
        assert election.counts.errors == 4
    said = [record.getMessage() for record in caplog.records]
    assert len([words for words in said if words.startswith("trouble with the Lease")]) == 1
    assert said[-1] == "no trouble with the Lease any more"


@pytest.mark.parametrize("answer", [
    Answer(body=b"<html>"), Answer(body=b'{"spec": 5}'), Answer(body=b"[]"),
    Answer(body=b'{"metadata": {"name": "\xff"}}'),
    Answer(body=b'{"metadata": {"resourceVersion": 1}}'),
])  # fmt: skip
async def test_an_answer_that_is_no_lease_is_an_error_and_tried_again(answer: Answer) -> None:
    async with faked(answer, stored("b")) as (fake, election):
        await asked(fake, 3)
        assert election.counts.errors == 1
        assert election.holder == "b"


async def test_a_server_that_is_silent_does_not_keep_a_leader_beyond_its_deadline() -> None:
    work, loop = Work(), asyncio.get_running_loop()
    answers = refusal(404, "NotFound", ""), stored(), Answer(hang=True)
    async with faked(*answers) as (_, election), asyncio.TaskGroup() as tasks:
        leading = tasks.create_task(election.lead(work))
        await until(lambda: work.running)
        began = loop.time()
        await until(lambda: not work.running, within=60.0)
        assert 9.5 <= loop.time() - began <= 10.1
        assert "did not answer within 5 s" in election.status
        leading.cancel()


async def test_work_that_ends_by_itself_waits_for_the_next_term() -> None:
    begun = []

    async def brief() -> None:
        begun.append(1)

    answers = refusal(404, "NotFound", ""), *[stored()] * 9
    async with faked(*answers) as (fake, election), asyncio.TaskGroup() as tasks:
        leading = tasks.create_task(election.lead(brief))
        await asked(fake, 6)
        leading.cancel()
    assert begun == [1]


async def test_what_work_raises_ends_the_block() -> None:
    async def broken() -> None:
        raise RuntimeError("BUG: mine")

    async with faked(refusal(404, "NotFound", ""), *[stored()] * 9) as (_, election):
        with pytest.raises(ExceptionGroup) as caught:
            await election.lead(broken)
    assert caught.group_contains(RuntimeError, match="BUG: mine")


def writes(fake: kubernetes.FakeKubernetes) -> list[tuple[str, str, str]]:
    """Method, holder and version of every request, "" where there is no body."""
    found = []
    for request, body in zip(fake.requests, fake.bodies, strict=True):
        sent = msgspec.json.decode(body) if body else {"spec": {}, "metadata": {}}
        holder, version = sent["spec"].get("holderIdentity", ""), sent["metadata"]
        found.append((request.method, holder, version.get("resourceVersion", "")))
    return found


async def test_a_renewal_cut_short_by_leaving_does_not_keep_the_lease_from_being_given_back() -> (
    None
):
    answers = (
        refusal(404, "NotFound", ""), stored(), Answer(hang=True),  # the renewal under way
        stored(version="2"), stored("", "3"),
    )  # fmt: skip
    async with faked(*answers) as (fake, _):
        await asked(fake, 3)
    assert writes(fake)[3:] == [("GET", "", ""), ("PUT", "", "2")]


async def test_an_acquisition_cut_short_by_leaving_is_given_back_if_it_was_carried_out() -> None:
    answers = refusal(404, "NotFound", ""), Answer(hang=True), stored(), stored("", "2")
    async with faked(*answers) as (fake, election):
        await asked(fake, 2)
        assert not election.leading
    assert writes(fake)[2:] == [("GET", "", ""), ("PUT", "", "1")]


async def test_giving_back_is_tried_again_once_where_somebody_touched_the_lease() -> None:
    conflict = refusal(409, "Conflict", "")
    answers = refusal(404, "NotFound", ""), stored(), conflict, stored(version="5"), stored("")
    async with faked(*answers) as (fake, election):
        await asked(fake, 2)
        await until(lambda: election.leading)
    assert writes(fake)[2:] == [("PUT", "", "1"), ("GET", "", ""), ("PUT", "", "5")]


async def test_what_somebody_else_holds_by_then_is_left_alone() -> None:
    conflict = refusal(409, "Conflict", "")
    answers = refusal(404, "NotFound", ""), stored(), conflict, stored("b", "5")
    async with faked(*answers) as (fake, election):
        await asked(fake, 2)
        await until(lambda: election.leading)
    assert [method for method, _, _ in writes(fake)[2:]] == ["PUT", "GET"]


async def test_a_lease_that_cannot_be_given_back_is_said_to_expire(caplog) -> None:
    answers = refusal(404, "NotFound", ""), stored(), refusal(500, "InternalError", "")
    async with faked(*answers) as (fake, election):
        await asked(fake, 2)
        await until(lambda: election.leading)
    assert "the Lease was not given back, it will expire: Refused: 500" in caplog.text
