"""``python -m cli.operations``: writes the generated parts of docs/operations.md, or checks them.

Settings come from the documents' structs. Metrics and Kubernetes rights are observed: gateway and
agent are started as anybody would start them, beside an API server that notes what it is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, final

import aiohttp
import click
import msgspec
import yaml
from aiohttp import web
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from cli import reference, validate

DOCUMENT: Final = Path("docs/operations.md")
PATIENCE: Final = 15.0  # seconds a program may take to start, answer and stop; it takes one
OPEN_LABELS: Final = frozenset(
    {"pipeline", "exporter", "transport", "code"}  # the configuration, or traffic
)
NODE: Final = "example-node"
WATCHES: Final[Mapping[str, int]] = {"gateway": 1, "agent": 3}  # collections that each one follows

Program = Literal["gateway", "agent"]
PROGRAMS: Final[tuple[Program, ...]] = ("gateway", "agent")

_BLOCK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_COLLECTION = re.compile(r"/(?:api|apis/(?P<group>[^/]+))/v[^/]+/(?P<resource>[^/]+)")
_ANYWHERE = "127.0.0.1:0"
_NOWHERE = "http://127.0.0.1:9"  # port 9 discards, where anything listens there at all
_CONFIGURATIONS: Final[Mapping[Program, Mapping[str, object]]] = {
    "gateway": {
        "listen": {"grpc": _ANYWHERE, "http": _ANYWHERE},
        "admin": {"health": _ANYWHERE, "metrics": _ANYWHERE},
        "pipelines": [{"name": "example", "output": {"otlp": {"endpoint": _NOWHERE}}}],
    },
    "agent": {
        "node": NODE,
        "admin": {"health": _ANYWHERE, "metrics": _ANYWHERE},
        "gateway": {"endpoint": _NOWHERE},
    },
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a program wanted of the Kubernetes API, apart from pages and versions."""

    method: str
    path: str
    watch: bool
    selector: str  # the fieldSelector, or ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A program that listens: where it serves pages, and where OTLP over HTTP ("" for none)."""

    admin: str
    http: str
    asked: frozenset[Asked]


@asynccontextmanager
async def running(program: Program, folder: Path) -> AsyncIterator[Running]:
    """Run *program* with files in *folder* until the block ends; yields once it watches all.

    Raises :class:`RuntimeError` with its log if it ends before that.
    """
    async with _api_server(WATCHES[program]) as (server, asked, watched):
        config, kubeconfig = folder / f"{program}.yaml", folder / "kubeconfig"
        config.write_text(yaml.safe_dump(dict(_CONFIGURATIONS[program])), encoding="utf-8")
        kubeconfig.write_text(yaml.safe_dump(_kubeconfig(server)), encoding="utf-8")
        ours = ("KUBERNETES_", "HEADGATE_")  # what would configure the program behind our back
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.main", program),
            *("--config", str(config), "--kubeconfig", str(kubeconfig)),
            stderr=asyncio.subprocess.PIPE,
            env={key: value for key, value in os.environ.items() if not key.startswith(ours)},
        )
        try:
            said = await _listening(process)
            await watched.wait()
            admin = str(said["admin"]).partition(",")[0]  # of both doors; they serve the same
            yield Running(admin=admin, http=said.get("http", ""), asked=frozenset(asked))
            process.send_signal(signal.SIGTERM)
            await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()


async def blocks() -> dict[str, str]:
    """Return the generated parts of the document by name."""
    found: dict[str, str] = {}
    for program in PROGRAMS:
        async with asyncio.timeout(PATIENCE):
            with tempfile.TemporaryDirectory() as folder:
                async with running(program, Path(folder)) as at:
                    exposition = await _metrics(at)
        found[f"{program}-settings"] = reference.markdown(validate.KINDS[program])
        found[f"{program}-metrics"] = metrics_table(text_string_to_metric_families(exposition))
        found[f"{program}-rights"] = cluster_role(program, at.asked)
    return found


def refreshed(text: str, fresh: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return *text* with *fresh* parts between its markers, and the names of those that were stale.

    Raises :class:`ValueError` when *text* has other parts than *fresh*.
    """
    names = [name for _, name, _, _ in _BLOCK.findall(text)]
    if sorted(names) != sorted(fresh):
        raise ValueError(
            f"the document has the parts {sorted(names)}, generated are {sorted(fresh)}; write "
            "<!-- generated: NAME --> and <!-- end --> for each, once"
        )
    stale = tuple(name for _, name, old, _ in _BLOCK.findall(text) if old != fresh[name])
    return _BLOCK.sub(lambda found: f"{found[1]}{fresh[found[2]]}{found[4]}", text), stale


def metrics_table(families: Iterable[Metric]) -> str:
    """Return our own metrics as a table in Markdown, in the order in which they are exposed."""
    rows = ["| metric | type | labels | meaning |", "| --- | --- | --- | --- |"]
    for family in families:
        if not family.name.startswith(("headgate_", "otelcol_")):
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        values: dict[str, dict[str, None]] = {}
        for sample in family.samples:
            for label, value in sample.labels.items():
                values.setdefault(label, {})[value] = None
        labels = "; ".join(
            f"`{label}`" if label in OPEN_LABELS else f"`{label}`: {', '.join(shown)}"
            for label, shown in sorted(values.items(), key=lambda pair: pair[0] not in OPEN_LABELS)
        )
        rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(rows) + "\n"


def cluster_role(program: Program, asked: Iterable[Asked]) -> str:
    """Return the ClusterRole, as YAML in Markdown, that allows exactly what was *asked*.

    Raises :class:`RuntimeError` for a request whose right is not known here.
    """
    comments: set[str] = set()
    verbs: dict[tuple[str, str], set[str]] = {}
    for request in asked:
        found = _COLLECTION.fullmatch(request.path)
        if request.method != "GET" or found is None:
            raise RuntimeError(f"BUG: it is not known what right allows {request}")
        key = (found["group"] or "", found["resource"])
        verbs.setdefault(key, set()).add("watch" if request.watch else "list")
        narrowed = f", fieldSelector {request.selector}" if request.selector else ""
        comments.add(f"# asks for {request.path}{narrowed}\n")
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"headgate-{program}"},
        "rules": [
            {"apiGroups": [group], "resources": [resource], "verbs": sorted(allowed)}
            for (group, resource), allowed in sorted(verbs.items())
        ],
    }
    dumped = yaml.safe_dump(role, sort_keys=False, default_flow_style=None)
    return f"```yaml\n{''.join(sorted(comments))}{dumped}```\n"


@asynccontextmanager
async def _api_server(watches: int) -> AsyncIterator[tuple[str, set[Asked], asyncio.Event]]:
    """Serve a Kubernetes without objects; yields its URL, what was asked, and the last watch."""
    asked: set[Asked] = set()
    watched = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        watch, selector = "watch" in request.query, request.query.get("fieldSelector", "")
        asked.add(Asked(method=request.method, path=request.path, watch=watch, selector=selector))
        if not watch:
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})
        response = web.StreamResponse()
        await response.prepare(request)
        if sum(each.watch for each in asked) >= watches:
            watched.set()
        await asyncio.Event().wait()  # nothing ever happens; the client's leaving cancels this
        return response

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked, watched
    finally:
        await runner.cleanup()


def _kubeconfig(server: str) -> dict[str, object]:
    return {
        "current-context": "example",
        "contexts": [{"name": "example", "context": {"cluster": "example"}}],
        "clusters": [{"name": "example", "cluster": {"server": server}}],
    }


async def _listening(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """Return the fields of the line of log that says where the program listens."""
    lines: list[str] = []
    if process.stderr is None:
        raise RuntimeError("BUG: the program's log is not piped")
    async for raw in process.stderr:
        lines.append(raw.decode())
        with contextlib.suppress(msgspec.DecodeError):  # usage errors are plain words
            line = msgspec.json.decode(raw, type=dict[str, Any])
            if line["msg"] == "listening":
                return line
    raise RuntimeError(f"the program ended before it listened: {''.join(lines)}")


async def _metrics(at: Running) -> str:
    async with aiohttp.ClientSession() as session:
        if at.http:  # a request, even in vain, gives families their labels
            async with session.get(f"http://{at.http}/"):
                pass
        async with session.get(f"http://{at.admin}/metrics") as response:
            return await response.text()


@click.command()
@click.argument(
    "root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(__file__).resolve().parents[1],
)
@click.option("--check", is_flag=True, help="Change nothing; exit 1 and say what is stale.")
def main(*, root: Path, check: bool) -> None:
    """Write the generated parts of docs/operations.md in the checkout ROOT anew.

    \b
    Examples:
      python -m cli.operations
      python -m cli.operations --check
    """
    path = root / DOCUMENT
    try:
        text = path.read_text(encoding="utf-8")
        new, stale = refreshed(text, asyncio.run(blocks()))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{path}: {error}") from error
    if check and stale:
        raise click.ClickException(
            f"{path}: stale: {', '.join(stale)}; run python -m cli.operations"
        )
    if stale:
        path.write_text(new, encoding="utf-8")
    click.echo(f"{path}: rewrote {', '.join(stale)}" if stale else f"{path}: fresh")


if __name__ == "__main__":
    main()
