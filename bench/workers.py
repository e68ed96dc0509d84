"""What several workers cost, with one informer each and with one for all.

``python -m bench.workers [PODS]`` prints a table: pages and watches that the API server was asked
for, CPU of all processes from their start until all know all pods, and their memory (PSS, which
of what is not a file). "One each" is a gateway per worker, beside a supervisor that knows no
pods; what a feed adds to the way of a change is measured between two processes.
"""

import asyncio
import json
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bench import others, processes
from common.enrichment import attributes, pods
from common.kube import objects, reflector
from gateway.workers import channel, facts, messages

CHANGES = 2000
RUNS = 3  # of which the least counts: the machine may be busy with something else
CONFIGURATION = {"pipelines": [], "grace": 5.0}


async def main(count: int) -> None:
    """Measure two and four workers with *count* pods."""
    _parts(count)
    print("| workers | informers | pages | watches | CPU s | memory MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for workers in (2, 4):
        for informers in ("each", "one"):
            runs = [await _whole(workers, informers, count) for _ in range(RUNS)]
            asked, cpu, memory = map(min, zip(*runs, strict=True))
            print(f"| {workers} | {informers} | {asked} | {cpu:.2f} | {memory:.0f} |", flush=True)
    print("what the feed adds to a change, in µs:", await _hop(count))


async def _whole(workers: int, informers: str, count: int) -> tuple[str, float, float]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = await stack.enter_async_context(
            processes.running("-m", "bench.others", "kubernetes", str(count))
        )
        url = json.loads(await server.child.stdout.readline())["url"]
        (folder / "kubeconfig").write_text(json.dumps(_kubeconfig(url)))
        everyone: list[int] = []
        plans = [(workers, True)] if informers == "one" else [(1, True)] * workers + [(2, False)]
        for number, (processes_wanted, known) in enumerate(plans):
            process, admin = await stack.enter_async_context(
                _gateway(folder, number, processes_wanted, known=known)
            )
            await _until_known(admin, count if known else None)
            # Beside one each there is a supervisor; the two workers it insists on do not count.
            everyone += _family(process.child.pid) if known else [process.child.pid]
        cpu, pss = sum(map(_cpu, everyone)), sum(map(_pss, everyone))
        asked = await processes.get(f"{url}/asked")
        return f"{asked['pages']} | {asked['watches']}", cpu, pss


@asynccontextmanager
async def _gateway(folder: Path, number: int, workers: int, *, known: bool):
    grpc, http, admin = (f"127.0.0.1:{port}" for port in processes.free_ports(3))
    listen = {"listen": {"grpc": grpc, "http": http}, "admin": {"health": admin, "metrics": admin}}
    source = {"kubeconfig": str(folder / "kubeconfig")} if known else {"source": "none"}
    file = folder / f"{number}.json"
    file.write_text(json.dumps({**CONFIGURATION, **listen, "kubernetes": source}))
    command = ("-m", "cli.main", "gateway", "--config", str(file), "--workers", str(workers))
    async with processes.running(*command, errors=folder / f"{number}.log") as process:
        yield process, f"http://{admin}"


async def _until_known(admin: str, count: int | None) -> None:
    await processes.until_ready(f"{admin}/readyz")
    end = time.monotonic() + processes.READY_SECONDS
    while True:
        said = (await processes.get(f"{admin}/readyz"))["checks"]
        workers = said.get("workers", "")
        all_ready = not workers or "; " not in workers
        if all_ready and (count is None or said["kubernetes"] == f"synced; {count} pods"):
            return
        if time.monotonic() > end:
            raise TimeoutError(f"{admin}: {said}")
        await asyncio.sleep(0.05)


def _parts(count: int) -> None:
    """Print the CPU of each part: a worker that asks itself, the supervisor, a worker told."""
    rules = attributes.Rules()
    own = objects.decoder(objects.Pod, lambda pod: pods.facts(pod, rules))
    supervisor = objects.decoder(objects.Pod, lambda pod: facts.encoded(pods.facts(pod, rules)))
    pages, events = _heard(count)

    def asks() -> Iterator[None]:
        index = pods.PodIndex()
        items = tuple(item for page in pages for item in own.page(page).items)
        index.apply(reflector.Replaced(items), 0.0)
        yield
        for line in events:
            index.apply(reflector.Modified(own.event(line).item), 0.0)

    said: list[bytes] = []

    def tells() -> Iterator[None]:
        store = facts.Store()
        said.clear()
        items = tuple(item for page in pages for item in supervisor.page(page).items)
        store.apply(reflector.Replaced(items), 0.0)
        said.extend(map(messages.framed, store.snapshot(departed=True)))
        yield
        for line in events:
            told = store.apply(reflector.Modified(supervisor.event(line).item), 0.0)
            said.append(messages.framed(told))

    def is_told() -> Iterator[None]:
        index, listener = pods.PodIndex(), facts.Listener()
        for n, frame in enumerate(said):
            if n == len(said) - CHANGES:
                yield
            change = listener.heard(messages.to_worker(frame[messages.HEAD :]))
            if change is not None:
                index.apply(change, 0.0)

    print("| CPU of | list, ms | change, µs |")
    print("| --- | --- | --- |")
    for name, part in (
        ("a worker that asks itself", asks),
        ("the supervisor", tells),
        ("a worker that is told", is_told),
    ):
        costs = [_timed(part()) for _ in range(RUNS)]
        listing, change = map(min, zip(*costs, strict=True))
        print(f"| {name} | {listing / 1e6:.0f} | {change / CHANGES / 1e3:.1f} |")


def _heard(count: int) -> tuple[list[bytes], list[bytes]]:
    """Return a list of *count* pods in pages, and events that give some of them new addresses."""
    pages = [
        json.dumps(others.page(start, min(500, count - start), count)).encode()
        for start in range(0, count, 500)
    ]
    events = []
    for n in range(CHANGES):
        changed = others.pod(n)
        changed["status"]["podIP"] = f"10.99.{n >> 8}.{n & 255}"
        changed["status"]["podIPs"] = []
        events.append(json.dumps({"type": "MODIFIED", "object": changed}).encode())
    return pages, events


def _timed(part: Iterator[None]) -> tuple[int, int]:
    start = time.process_time_ns()
    next(part)
    middle = time.process_time_ns()
    list(part)
    return middle - start, time.process_time_ns() - middle


async def _hop(count: int) -> dict[str, float]:
    """Measure from an informer's word in one process to the index in another, and back."""
    rules = attributes.Rules()
    decoder = objects.decoder(objects.Pod, lambda pod: facts.encoded(pods.facts(pod, rules)))
    page = json.dumps({"metadata": {"resourceVersion": "1"}, "items": [
        others.pod(n) for n in range(count)
    ]}).encode()  # fmt: skip
    store = facts.Store()
    store.apply(reflector.Replaced(decoder.page(page).items), 0.0)
    ours, theirs = socket.socketpair()
    with theirs:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.workers", "--echo", str(theirs.fileno()),
            pass_fds=(theirs.fileno(),),
        )  # fmt: skip
    took = []
    async with channel.line(ours) as line:
        line.tell(*map(messages.framed, store.snapshot(departed=True)))
        await line.hear()
        for n in range(CHANGES):
            changed = others.pod(n % count)
            changed["status"]["podIP"] = f"10.9.{n >> 8 & 255}.{n & 255}"
            changed["status"]["podIPs"] = []
            change = reflector.Modified(facts.encoded(pods.facts(_decoded(changed), rules)))
            before = time.perf_counter_ns()
            told = store.apply(change, 0.0)
            line.tell(messages.framed(told))
            await line.hear()
            took.append((time.perf_counter_ns() - before) / 1000)
    await child.wait()
    took.sort()
    return {"p50": round(statistics.median(took)), "p99": round(took[len(took) * 99 // 100])}


async def _echo(descriptor: int) -> None:
    index, listener = pods.PodIndex(), facts.Listener()
    async with channel.line(socket.socket(fileno=descriptor)) as line:
        while (body := await line.hear()) is not None:
            change = listener.heard(messages.to_worker(body))
            if change is not None:
                index.apply(change, 0.0)
                line.tell(messages.framed(messages.Answer(len(index), None)))


def _decoded(plain: dict[str, object]) -> objects.Pod:
    import msgspec

    return msgspec.convert(plain, objects.Pod)


def _family(pid: int) -> list[int]:
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"process {pid} has ended")


def _kubeconfig(server: str) -> dict[str, object]:
    return {
        "current-context": "bench",
        "contexts": [{"name": "bench", "context": {"cluster": "bench"}}],
        "clusters": [{"name": "bench", "cluster": {"server": server}}],
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--echo"]:
        asyncio.run(_echo(int(sys.argv[2])))
    else:
        asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else 10_000))
