"""headgate explain pod asks whoever knows: an agent, that of the pod's node, or the pod itself."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from cli import explain, looking
from cli.main import main
from tests.cli.answering import Program, programs
from tests.cli.test_main import without_extras
from tests.fakes import kubernetes
from tests.fakes.kubernetes import Answer, refusal

pytestmark = pytest.mark.wallclock

KNOWN = {
    "subject": "shop/p", "node": "n1", "known": True, "scraped": True,
    "summary": "scraped by the agent on n1: 1 of 1 targets", "something_new": 1,
    "candidates": [
        {
            "kind": "pod", "title": "the pod's own annotations", "scraped": True,
            "steps": [{"verdict": "pass", "text": "phase Running", "remedy": ""}],
            "targets": [
                {"url": "http://a/", "state": "failing", "live": "failing: refused", "hint": "h"}
            ],
        }
    ],
}  # fmt: skip
UNKNOWN = {"subject": "shop/p", "known": False, "summary": "unknown pod"}
POD = {
    "metadata": {
        "name": "p", "namespace": "shop", "uid": "u",
        "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9999"},
    },
    "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": [{"containerPort": 8080}]}]},
    "status": {"phase": "Running", "podIP": "10.0.0.1"},
}  # fmt: skip
LISTED = "labelSelector=app.kubernetes.io/component%3Dagent&fieldSelector=spec.nodeName%3Dn1"
PATH = "/api/v1/namespaces/shop/pods/p"


@pytest.fixture(autouse=True)
def _no_kubeconfig(monkeypatch) -> None:
    for name in ("KUBECONFIG", "HEADGATE_KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def program() -> Iterator[Callable[..., Program]]:
    with programs() as start:
        yield start


def agent(name: str, address: str = "", phase: str = "Running") -> dict[str, object]:
    return {
        "metadata": {"name": name, "namespace": "sys"},
        "spec": {"nodeName": "n1"},
        "status": {"phase": phase, "podIP": address},
    }


@contextmanager
def cluster(folder: Path, **answers: object) -> Iterator[tuple[str, list[str]]]:
    """Yield a kubeconfig, and the requests: *answers* by the last word of the path."""
    asked: list[str] = []

    def rule(request: web.Request) -> Answer:
        asked.append(str(request.rel_url))
        for word, answer in answers.items():
            if request.path.endswith(f"/{word}"):
                if isinstance(answer, Answer):
                    return answer
                found = {"items": answer} if isinstance(answer, list) else answer
                return Answer(body=msgspec.json.encode(found))
        return refusal(404, "NotFound", "there is nothing here")

    url, started, end = [""], threading.Event(), threading.Event()

    async def serve() -> None:
        async with kubernetes.serving(rule) as api:
            url[0] = api.url
            started.set()
            await asyncio.to_thread(end.wait, 30)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert started.wait(10)
        path = folder / "kubeconfig"
        document = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k"}}],
            "clusters": [{"name": "k", "cluster": {"server": url[0]}}],
        }
        path.write_text(json.dumps(document), encoding="utf-8")
        yield str(path), asked
    finally:
        end.set()
        thread.join()


def run(*arguments: str, **how) -> Result:
    return CliRunner().invoke(main, ["explain", "pod", "shop/p", *arguments], **how)


def test_an_agent_is_asked_and_its_checks_are_shown(program) -> None:
    at = program(KNOWN)
    done = run("--agent", at.url)
    assert (done.exit_code, done.stderr) == (0, "")
    assert at.asked == ["/debug/explain?pod=shop/p&json=1"]
    assert done.stdout.splitlines()[:2] == [
        "shop/p: scraped by the agent on n1: 1 of 1 targets",
        f"said by the agent at {at.url}/debug/explain",
    ]
    assert "http://a/: failing: refused" in done.stdout


def test_an_agent_that_does_not_know_the_pod_is_1(program) -> None:
    done = run("--agent", program(UNKNOWN).url)
    assert (done.exit_code, "shop/p: unknown pod" in done.stdout) == (1, True)


def test_machines_get_the_explanation_and_where_it_is_from(program) -> None:
    at = program(KNOWN)
    said = json.loads(run("--agent", at.url, "--json").stdout)
    assert said["how"] == f"said by the agent at {at.url}/debug/explain"
    assert said["candidates"][0]["targets"][0]["state"] == "failing"


def test_the_agent_of_the_pods_node_is_found_and_asked_through_the_api_server(
    program, tmp_path
) -> None:
    elsewhere = program(UNKNOWN)
    agents = [agent("dead", phase="Failed"), agent("a")]
    with cluster(tmp_path, p=POD, pods=agents, explain=KNOWN) as (kubeconfig, asked):
        done = run("--agent", elsewhere.url, "--kubeconfig", kubeconfig)
    assert done.exit_code == 0, done.output
    assert "said by agent sys/a on n1" in done.stdout
    assert asked == [
        PATH,
        f"/api/v1/pods?{LISTED}",
        "/api/v1/namespaces/sys/pods/a:8888/proxy/debug/explain?pod=shop/p&json=1",
    ]


def test_where_the_api_server_does_not_lead_there_the_agent_is_asked_at_its_address(
    program, tmp_path
) -> None:
    at = program(KNOWN)
    port = at.server_address[1]
    pods = [agent("a", "127.0.0.1")]
    forbidden = refusal(403, "Forbidden", "pods/proxy")
    with cluster(tmp_path, p=POD, pods=pods, explain=forbidden) as (kubeconfig, _):
        done = run("--port", str(port), env={"KUBECONFIG": f"{kubeconfig}:/nowhere"})
    assert (done.exit_code, "said by agent sys/a on n1" in done.stdout) == (0, True)


def test_a_node_without_an_agent_is_decided_about_and_that_is_said(tmp_path) -> None:
    with cluster(tmp_path, p=POD, pods=[], services=[], endpointslices=[]) as (kubeconfig, asked):
        done = run("--kubeconfig", kubeconfig, "--selector", "a=b")
    assert done.exit_code == 0, done.output
    for words in (
        "shop/p: would be scraped by an agent on n1: 1 of 1 targets",
        "as an agent with default settings would decide, for no agent told",
        "would be scraped; note prometheus.io/port=9999 but the container listens on 8080",
        "no agent runs on n1: no Running pod has a=b",
    ):
        assert words in done.stdout, words
    assert asked[-1] == "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"


def test_agents_that_say_something_else_and_services_that_are_not_told_are_noted(tmp_path) -> None:
    pods, other = [agent("a"), agent("b", "127.0.0.1")], {"hello": "world"}
    with cluster(tmp_path, p=POD, pods=pods, explain=other) as (kubeconfig, _):
        done = run("--kubeconfig", kubeconfig, "--port", "9")
    assert done.exit_code == 0
    assert "agent sys/a, through the API server: says something else" in done.stdout
    assert "agent sys/b, at 127.0.0.1:9: cannot be asked" in done.stdout
    assert "Services that may ask for it are not known: 404 NotFound" in done.stdout


def test_who_has_not_installed_the_agents_code_is_told_what_to_install(tmp_path) -> None:
    with cluster(tmp_path, p=POD, pods=[]) as (kubeconfig, _):
        done = without_extras("explain", "pod", "shop/p", "--kubeconfig", kubeconfig)
    assert done.returncode == 1
    assert "install headgate[agent]" in done.stderr
    assert "Traceback" not in done.stderr


def test_agents_that_may_not_be_listed_are_noted(tmp_path) -> None:
    with cluster(tmp_path, p=POD, pods=refusal(403, "Forbidden", "no")) as (kubeconfig, _):
        done = run("--kubeconfig", kubeconfig)
    assert "pods of agents cannot be listed: 403 Forbidden: no" in done.stdout


def test_a_pod_on_no_node_yet_has_no_agent(tmp_path) -> None:
    pod = {**POD, "spec": {}}
    with cluster(tmp_path, p=pod) as (kubeconfig, asked):
        done = run("--kubeconfig", kubeconfig)
    assert (done.exit_code, "it is on no node yet" in done.stdout, asked) == (0, True, [PATH])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refusal(404, "NotFound", "no"), "error: shop/p: the cluster has no such pod"),
        (refusal(403, "Forbidden", "pods"), "403 Forbidden: pods"),
    ],
)
def test_what_the_api_server_refuses_is_1_and_said(tmp_path, answer, words: str) -> None:
    with cluster(tmp_path, p=answer) as (kubeconfig, _):
        done = run("--kubeconfig", kubeconfig)
    assert (done.exit_code, done.stdout, words in done.stderr) == (1, "", True)


def test_a_kubeconfig_that_is_none_and_an_agent_that_is_away_are_1(tmp_path) -> None:
    (tmp_path / "k").write_text("{}")
    done = run("--kubeconfig", str(tmp_path / "k"))
    assert (done.exit_code, done.stderr.startswith("error: ")) == (1, True)
    gone = run("--agent", "http://127.0.0.1:9")
    assert (gone.exit_code, "cannot be asked" in gone.stderr) == (1, True)
    missing = run("--kubeconfig", str(tmp_path / "nothing"))
    assert (missing.exit_code, "Traceback" in missing.output) == (1, False)


def test_without_anything_the_agent_on_this_machine_is_asked(program, monkeypatch) -> None:
    at = program(KNOWN)
    monkeypatch.setattr(explain, "URL", at.url)
    assert run().exit_code == 0
    assert len(at.asked) == 1


@pytest.mark.parametrize("subject", ["p", "shop/", "/p", "a/b/c", "Shop/p", "shop/..", "a b/c"])
def test_what_is_no_name_is_2(subject: str) -> None:
    done = CliRunner().invoke(main, ["explain", "pod", subject])
    assert (done.exit_code, "is not NAMESPACE/NAME" in done.output) == (2, True)


def test_on_a_terminal_there_are_colours_unless_they_are_not_wanted(program, monkeypatch) -> None:
    at = program(KNOWN)
    monkeypatch.setattr(looking, "is_terminal", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31m" in run("--agent", at.url, color=True).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run("--agent", at.url, color=True).stdout
