"""Rules for senders of remote write 2.0: how they take answers. Each test is a rule.

Most run the whole gateway as a process, which must end with code 0, and check its ledger. MUST,
SHOULD, MAY and RECOMMENDED are those of the public compliance suites.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from bench import processes
from common.config import outputs
from common.exporters.outcomes import Delivered, Refused, Retry
from tests.conformance.remote_write import sender
from tests.conformance.remote_write.sender import gauge, histogram, pipeline, push, request, settled
from tests.fakes import backends, remote_write_v2 as strict
from tests.fakes.backends import Break, BreakBody, Hang, Http
from tests.flow import programs

pytestmark = [pytest.mark.wallclock, pytest.mark.timeout(60)]

FINAL = (400, 401, 403, 404, 409, 410, 413, 422)
TRANSIENT = (429, 500, 502, 503, 504, 999)
LARGE = b"an error that has no end " * 42_000  # more than a megabyte


async def sent(*answers: backends.Answer | None, points: int = 1, attempts: int = 1):
    """Send a request of *points* to who gives *answers*; return the last verdict and the writes."""
    metrics = [gauge("g", n, n=str(n)) for n in range(points)]
    async with (
        strict.receiving(answers) as receiver,
        sender.exporting(receiver.url, target_info=False, timeout=0.3) as exporter,
    ):
        (made,) = sender.encoded(exporter, request(*metrics)).requests
        verdicts = [await exporter.send(made) for _ in range(attempts)]
    assert receiver.problems == []
    return verdicts[-1], receiver.writes


def values(writes: Sequence[strict.Write]) -> list[float]:
    return [series.samples[0].value for write in writes for series in write.named("g")]


async def one_each(tmp_path, statuses, answers, check) -> None:
    """Run a gateway with a pipeline for each of *statuses*, whose receiver gives *answers*.

    Push 1.0 and, when its fate is known, 2.0; then *check* each receiver and ledger.
    """
    async with AsyncExitStack() as stack:
        receivers = {
            f"p{status}": await stack.enter_async_context(strict.receiving(answers(status)))
            for status in statuses
        }
        pipelines = [pipeline(name, receiver.url) for name, receiver in receivers.items()]
        async with programs.gateway(tmp_path, {"pipelines": pipelines}) as gateway:
            for value in (1, 2):
                await push(gateway, request(gauge("g", value, at=sender.NOW + value)))
                ledgers = await settled(gateway, *receivers)
        for name, receiver in receivers.items():
            assert receiver.problems == []
            check(receiver, ledgers[name])


async def test_must_not_retry_client_errors_and_should_go_on_afterwards(tmp_path) -> None:
    def check(receiver: strict.Receiver, ledger) -> None:
        assert values(receiver.writes) == [1, 2]  # once each, and the second is taken
        assert (ledger["delivered"], ledger["dropped"]) == (1, 1)

    await one_each(tmp_path, FINAL, lambda status: [Http(status=status)], check)
    assert all(f"HTTP {status}" in sender.log(tmp_path) for status in FINAL)


async def test_must_retry_server_errors_and_may_retry_429(tmp_path) -> None:
    def check(receiver: strict.Receiver, ledger) -> None:
        assert values(receiver.writes) == [1, 1, 1, 2]
        first, *others = [write.body for write in receiver.writes[:3]]
        assert others == [first, first]
        assert (ledger["delivered"], ledger["dropped"]) == (2, 0)

    await one_each(tmp_path, TRANSIENT, lambda status: [Http(status=status)] * 2, check)


async def test_should_retry_when_there_is_no_answer(tmp_path) -> None:
    kinds = {1: Break(), 2: Hang()}

    def check(receiver: strict.Receiver, ledger) -> None:
        assert values(receiver.writes) == [1, 1, 2]
        assert (ledger["delivered"], ledger["dropped"]) == (2, 0)

    await one_each(tmp_path, kinds, lambda kind: [kinds[kind]], check)


async def test_must_back_off_longer_each_time_and_not_beyond_a_limit(tmp_path) -> None:
    async with strict.receiving([Http(status=503)] * 7) as receiver:
        document = {"pipelines": [pipeline("p", receiver.url)]}  # 50 ms at first, 400 ms at most
        async with programs.gateway(tmp_path, document) as gateway:
            await push(gateway, request(gauge("g", 1)))
            ledger = (await settled(gateway, "p"))["p"]
    gaps = [b.arrived - a.answered for a, b in pairwise(receiver.writes)]
    assert len(gaps) == 7
    assert all(gap >= 0.025 * 2**n for n, gap in enumerate(gaps[:3]))  # half of it is jitter
    assert min(gaps[:2]) < max(gaps[3:])
    assert all(gap < 1.5 for gap in gaps)  # 0.4, and a busy machine; the last would be 1.6 at least
    assert ledger["delivered"] == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_may_wait_as_long_as_the_receiver_asks(tmp_path, status) -> None:
    answers = [Http(status=status, headers={"Retry-After": "1"})]
    async with strict.receiving(answers) as receiver:
        document = {"pipelines": [pipeline("p", receiver.url)]}
        async with programs.gateway(tmp_path, document) as gateway:
            await push(gateway, request(gauge("g", 1)))
            await settled(gateway, "p")
    first, second = receiver.writes
    assert second.arrived - first.answered >= 0.99


async def test_should_find_a_receiver_that_comes_up_late(tmp_path) -> None:
    (port,) = processes.free_ports(1)
    document = {"pipelines": [pipeline("p", f"http://127.0.0.1:{port}/api/v1/write")]}
    async with programs.gateway(tmp_path, document) as gateway:
        await push(gateway, request(gauge("g", 1)))

        async def refused() -> bool:
            return "ClientConnectorError" in sender.log(tmp_path)

        await programs.until(refused, "a connection is refused")
        async with strict.receiving(port=port) as receiver:
            ledger = (await settled(gateway, "p"))["p"]
    assert receiver.problems == []
    assert (values(receiver.writes), ledger["delivered"]) == ([1], 1)


async def test_recommended_batches_of_many_series_that_are_not_too_large(tmp_path) -> None:
    async with strict.receiving() as receiver:
        one = pipeline("p", receiver.url, timeout=30.0)  # the receiver looks at every series
        one["batch"] = {"linger": 0.5, "max_bytes": 1 << 19}
        async with programs.gateway(tmp_path, {"pipelines": [one]}) as gateway:
            for n in range(20):
                metrics = [gauge("g", i, n=f"{n} {i}", pad="x" * 40) for i in range(600)]
                await push(gateway, request(*metrics))
            ledger = (await settled(gateway, "p"))["p"]
    assert receiver.problems == []
    sizes = [len(write.series) for write in receiver.writes]
    assert len(sizes) < 20
    assert max(sizes) <= 10_000
    assert sum(len(write.named("g")) for write in receiver.writes) == 12_000
    assert (ledger["delivered"], ledger["dropped"]) == (12_000, 0)


async def test_recommended_requests_at_once_for_different_series() -> None:
    async with strict.receiving() as receiver, sender.exporting(receiver.url) as exporter:
        made = [
            sender.encoded(exporter, request(gauge("g", n, n=str(n)))).requests[0] for n in range(5)
        ]
        async with asyncio.TaskGroup() as tasks:
            verdicts = [tasks.create_task(exporter.send(one)) for one in made]
    assert [task.result() for task in verdicts] == [Delivered()] * 5
    assert receiver.problems == []
    assert sorted(values(receiver.writes)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_must_take_every_2xx_as_final_and_should_ignore_its_body(status) -> None:
    body = b"" if status == 204 else LARGE
    answer = Http(status=status, body=body, headers=strict.written(1))
    verdict, writes = await sent(answer)
    assert (verdict, len(writes)) == (Delivered(), 1)


async def test_should_not_send_again_what_was_taken_when_the_body_breaks_off() -> None:
    # Its head says nothing of what was written, so it is sent in 1.0; and that is final.
    verdict, writes = await sent(BreakBody())
    assert verdict == Delivered()
    assert [write.version for write in writes] == ["2.0", "1.0"]


async def test_should_believe_what_was_written() -> None:
    verdict, writes = await sent(Http(status=204, headers=strict.written(2)), points=5)
    assert isinstance(verdict, Delivered)
    assert (verdict.rejected, len(writes)) == (3, 1)


async def test_must_not_retry_a_partial_write_and_should_count_it(tmp_path) -> None:
    answer = Http(status=400, headers=strict.written(2), body=b"out of order: g")
    async with strict.receiving([answer]) as receiver:
        one = pipeline("p", receiver.url, target_info=False)
        async with programs.gateway(tmp_path, {"pipelines": [one]}) as gateway:
            await push(gateway, request(*[gauge("g", n, n=str(n)) for n in range(5)]))
            ledger = (await settled(gateway, "p"))["p"]
    assert len(receiver.writes) == 1
    assert (ledger["delivered"], ledger["dropped"]) == (2, 3)
    assert "out of order: g" in sender.log(tmp_path)


async def test_should_count_a_kind_that_is_not_named_as_not_written() -> None:
    headers = {"X-Prometheus-Remote-Write-Histograms-Written": "7"}
    verdict, _ = await sent(Http(status=200, headers=headers), points=3)
    assert verdict == Refused("HTTP 200; written: 0 of 3 samples, 0 of 0 histograms")


async def test_should_not_count_more_points_than_there_are(tmp_path) -> None:
    # A histogram of four buckets is six samples, of which one was written.
    async with strict.receiving([Http(status=204, headers=strict.written(1))]) as receiver:
        one = pipeline("p", receiver.url, target_info=False)
        async with programs.gateway(tmp_path, {"pipelines": [one]}) as gateway:
            await push(gateway, request(histogram("h", [1, 2, 3], [1, 1, 1, 1], 9)))
            ledger = (await settled(gateway, "p"))["p"]
    assert (ledger["delivered"], ledger["dropped"]) == (0, 1)


async def test_must_log_what_the_receiver_says() -> None:
    said = b'invalid labels: duplicate label "x" (in series g)'
    verdict, _ = await sent(Http(status=400, body=said))
    assert isinstance(verdict, Refused)
    assert said.decode() in verdict.why


@pytest.mark.parametrize("status", [400, 500])
async def test_should_read_no_more_of_a_large_error_than_can_be_shown(status) -> None:
    verdict, _ = await sent(Http(status=status, body=LARGE))
    assert isinstance(verdict, Refused | Retry)
    assert "an error that has no end" in verdict.why
    assert len(verdict.why) < 500


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 twohundred OK\r\n\r\n"])
async def test_should_survive_what_is_no_answer(answer) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with sender.exporting(f"http://127.0.0.1:{port}/") as exporter:
            (verdict,) = await sender.sent(exporter, request(gauge("g", 1)))
    assert isinstance(verdict, Retry)


async def test_must_survive_a_name_that_is_none() -> None:
    async with sender.exporting("http://receiver.invalid/write") as exporter:
        (verdict,) = await sender.sent(exporter, request(gauge("g", 1)))
    assert isinstance(verdict, Retry)


@pytest.mark.parametrize("policy", [strict.only_v1, strict.only_v1_silently])
async def test_must_fall_back_to_1_0_on_415_and_should_remember(tmp_path, policy) -> None:
    async with strict.receiving(policy=policy) as receiver:
        document = {"pipelines": [pipeline("p", receiver.url)]}
        async with programs.gateway(tmp_path, document) as gateway:
            for value in range(4):
                await push(gateway, request(gauge("g", value, at=sender.NOW + value)))
                ledger = (await settled(gateway, "p"))["p"]
    assert receiver.problems == []
    assert [write.version for write in receiver.writes] == ["2.0", "1.0", "1.0", "1.0", "1.0"]
    assert values(receiver.writes[1:]) == [0, 1, 2, 3]
    assert (ledger["delivered"], ledger["dropped"]) == (4, 0)
    assert sender.log(tmp_path).count("does not know remote write 2.0") == 1


@pytest.mark.parametrize("count", [0, 1, 99])
async def test_must_never_fall_back_on_2xx_that_says_what_was_written(count) -> None:
    _, writes = await sent(Http(status=200, headers=strict.written(count)), attempts=2)
    assert [write.version for write in writes] == ["2.0", "2.0"]


@pytest.mark.parametrize("status", [400, 404, 429, 500])
async def test_must_not_fall_back_on_other_errors(status) -> None:
    _, writes = await sent(Http(status=status), attempts=2)
    assert [write.version for write in writes] == ["2.0", "2.0"]


@pytest.mark.needs_prometheus
async def test_a_real_prometheus_of_old_gets_everything_in_1_0(tmp_path) -> None:
    now = int(datetime.now(UTC).timestamp())
    async with programs.prometheus(tmp_path) as prometheus:
        document = {"pipelines": [pipeline("p", prometheus.write_url)]}
        async with programs.gateway(tmp_path, document) as gateway:
            await push(gateway, request(*[gauge("g", n, at=now, n=str(n)) for n in range(9)]))
            await settled(gateway, "p")
            found = await prometheus.query("g")
    assert {one["metric"]["n"]: float(one["value"][1]) for one in found} == {
        str(n): float(n) for n in range(9)
    }
    assert "does not know remote write 2.0" in sender.log(tmp_path)


def test_must_not_take_a_url_of_another_scheme() -> None:
    section = outputs.RemoteWriteOutput(url="ftp://127.0.0.1/write", protocol="2.0")
    (problem,) = section.problems()
    assert problem[0] == "url"
