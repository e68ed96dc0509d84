"""headgate demo, as a script runs it: it ends by itself, and its last line is one JSON object."""

import asyncio
import json
import os
import signal
import sys
import urllib.request
from pathlib import Path

import pytest

from bench import processes

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(120)]


async def demo(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.main", "demo", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # its pods run elsewhere
    )  # fmt: skip


def ports() -> tuple[str, ...]:
    """Return options that keep the demo off the default ports, which may be in use."""
    grpc, http = processes.free_ports(2)
    return "--grpc", f"127.0.0.1:{grpc}", "--http", f"127.0.0.1:{http}"


def children_left(directory) -> list[str]:
    """Return the command lines of processes that mention *directory*."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(directory) in line:
                found.append(line)
    return found


async def test_the_summary_balances_and_shows_an_enriched_resource(tmp_path) -> None:
    (exporter_port,) = processes.free_ports(1)
    exporter = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "localcluster.workloads.exposer",
        "--address", "127.0.0.1", "--port", str(exporter_port),
    )  # fmt: skip
    try:
        running = await demo(
            "--duration", "12", "--json", "--directory", str(tmp_path / "demo"),
            "--scrape", f"127.0.0.1:{exporter_port}", *ports(),
        )  # fmt: skip
        out, err = await running.communicate()
    finally:
        exporter.send_signal(signal.SIGTERM)
        await exporter.wait()
    assert running.returncode == 0, err.decode()
    said = json.loads(out.decode().splitlines()[-1])
    assert set(said) == {"pipelines", "targets", "example_resource", "seconds"}
    assert set(said["pipelines"]) == {"everything", "shop", "scraped"}
    for name, figures in said["pipelines"].items():
        assert set(figures) == {"received", "filtered", "delivered", "dropped", "held", "arrived"}
        assert figures["arrived"] == figures["delivered"] > 0, name
        assert figures["held"] == figures["dropped"] == 0, name
        assert figures["received"] == figures["delivered"] + figures["filtered"], name
    assert said["pipelines"]["shop"]["filtered"] > 0
    assert said["targets"] == {
        "up": 8,
        "failing": 1,
        "skipped": 5,
    }
    resource = said["example_resource"]
    assert resource["k8s.cluster.name"] == "demo"
    assert resource["k8s.node.name"] in {"node-a", "node-b"}
    assert resource["k8s.namespace.name"] in {"shop", "billing"}
    assert resource["k8s.pod.name"].startswith(resource["k8s.deployment.name"])
    assert resource["service.name"]
    assert said["seconds"] >= 12
    agents = [path.read_text() for path in (tmp_path / "demo" / "logs").glob("*telemetry-agent*/*")]
    assert ["the kubelet answers" in text for text in agents] == [True, True]
    assert any("leads from now on" in text for text in agents)
    assert not any(
        word in text for text in agents for word in ("BUG", "Traceback", "kubelet fails")
    )
    assert children_left(tmp_path) == []


async def test_an_interrupt_ends_it_cleanly_and_a_users_application_joins(tmp_path) -> None:
    options = ports()
    running = await demo("--json", "--directory", str(tmp_path / "demo"), *options)
    body = json.dumps({"resourceMetrics": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "mine"}}]},
        "scopeMetrics": [
            {"metrics": [{"name": "mine", "gauge": {"dataPoints": [{"asDouble": 1}]}}]}
        ],
    }]}).encode()  # fmt: skip

    def push() -> int:
        request = urllib.request.Request(
            f"http://{options[3]}/v1/metrics", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=2) as answer:
            return answer.status

    end = asyncio.get_running_loop().time() + 30
    while True:
        try:
            assert await asyncio.to_thread(push) == 200
            break
        except OSError:
            assert asyncio.get_running_loop().time() < end
            await asyncio.sleep(0.2)
    await asyncio.sleep(3)
    running.send_signal(signal.SIGINT)
    out, err = await running.communicate()
    assert running.returncode == 0, err.decode()
    said = json.loads(out.decode().splitlines()[-1])
    for figures in said["pipelines"].values():
        assert figures["arrived"] == figures["delivered"]
    assert said["pipelines"]["everything"]["delivered"] > 0
    assert children_left(tmp_path) == []


async def explained(kubeconfig: Path, subject: str) -> tuple[int, str]:
    """Return the exit code and the words of ``headgate explain pod``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.main", "explain", "pod", subject,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "KUBECONFIG": str(kubeconfig), "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_a_second_terminal_is_told_which_port_is_wrong_and_which_listens(tmp_path) -> None:
    running = await demo("--json", "--directory", str(tmp_path / "demo"), *ports())
    assert running.stderr is not None
    try:
        async with asyncio.timeout(60):
            hint = ""
            while " headgate explain pod " not in hint:
                hint = (await running.stderr.readline()).decode()
            access, subject = hint.split()[-5].removeprefix("KUBECONFIG="), hint.split()[-1]
            code, said = await explained(Path(access), subject)
    finally:
        running.send_signal(signal.SIGINT)
        _, err = await running.communicate()
    assert running.returncode == 0, err.decode()
    assert code == 0
    assert subject.startswith("billing/legacy-")
    first, second, *_ = said.splitlines()
    assert first.startswith(f"{subject}: scraped by the agent on node-")
    assert first.endswith(": 1 of 1 targets, 1 failing")
    assert second.startswith("said by agent headgate-system/telemetry-agent-")
    assert '  ✓ annotation prometheus.io/scrape is "true"' in said.splitlines()
    assert "prometheus.io/port=9999 but the container listens on 8080" in said


async def test_a_port_in_use_is_said_in_words() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        (free,) = processes.free_ports(1)
        port = taken.getsockname()[1]
        running = await demo(
            "--json",
            "--duration",
            "5",
            "--grpc",
            f"127.0.0.1:{port}",
            "--http",
            f"127.0.0.1:{free}",
        )
        _, err = await running.communicate()
    assert running.returncode == 1
    assert f"error: cannot listen on 127.0.0.1:{port}" in err.decode()
    assert "--grpc" in err.decode()
    assert "Traceback" not in err.decode()
