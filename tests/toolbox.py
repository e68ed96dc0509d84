"""Programs of other languages that tests run, installed by name into a cache outside the tree.

The cache is ``$HEADGATE_CACHE``, by default ``~/.cache/headgate``. A folder in it is named after
what went into it, made under another name and moved into place when it is whole, so whoever finds
it may use it.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("HEADGATE_CACHE", "~/.cache/headgate")).expanduser()
SECONDS = 600  # for an installation; registries may be slow
FLOW = Path(__file__).parent / "flow" / "clients"
CONFORMANCE = Path(__file__).parent / "conformance"

NODE_PACKAGES = (
    "@opentelemetry/api@1.9.0",
    "@opentelemetry/exporter-metrics-otlp-grpc@0.223.0",
    "@opentelemetry/exporter-metrics-otlp-http@0.223.0",
    "@opentelemetry/exporter-metrics-otlp-proto@0.223.0",
    "@opentelemetry/otlp-exporter-base@0.223.0",
    "@opentelemetry/resources@2.12.1",
    "@opentelemetry/sdk-metrics@2.12.1",
)
OPENMETRICS = "github.com/prometheus/OpenMetrics@v1.0.1-0.20250131122238-3bb328ab04d2"
GO_MODULES = (
    "go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc@v1.47.0",
    "go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp@v1.47.0",
    "go.opentelemetry.io/otel/sdk/metric@v1.47.0",
)
GO_EXPOSER_MODULES = ("github.com/prometheus/client_golang@v1.23.2",)


def find(program: str) -> str | None:
    """Return where *program* is, on the path or in the cache."""
    return shutil.which(program) or shutil.which(program, path=str(CACHE / "bin"))


def node_client() -> tuple[list[str], dict[str, str]]:
    """Return the command of the Node client and what its environment needs; may take a minute."""

    def install(folder: Path) -> None:
        npm = ("npm", "install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error")
        _run([*npm, "--prefix", str(folder), *NODE_PACKAGES], folder)

    packages = _made("node", " ".join(NODE_PACKAGES), install)
    return ["node", str(FLOW / "client.cjs")], {"NODE_PATH": str(packages / "node_modules")}


def go_client() -> tuple[list[str], dict[str, str]]:
    """Return the command of the Go client and what its environment needs; may take minutes."""
    return _go_program("client.go", GO_MODULES), {}


def go_exposer() -> list[str]:
    """Return the command of the program with Prometheus' Go client; may take minutes."""
    return _go_program("exposer.go", GO_EXPOSER_MODULES)


def _go_program(name: str, modules: tuple[str, ...]) -> list[str]:
    source = (FLOW / name).read_text()

    def build(folder: Path) -> None:
        (folder / "main.go").write_text(source)
        for arguments in (
            ("mod", "init", "client"),
            ("get", *modules),
            ("build", "-mod=mod", "-o", "client", "."),
        ):
            _run(["nice", "-n", "19", "go", *arguments], folder)

    return [str(_made("go", " ".join(modules) + source, build) / "client")]


def openmetrics_corpus() -> Path:
    """Return the folder of the parsers' test data that the OpenMetrics repository has.

    ``$HEADGATE_OPENMETRICS`` names one (``tests/testdata/parsers`` of a checkout); otherwise its
    module is downloaded where Go is, and the test is left out where it is not.
    """
    named = os.environ.get("HEADGATE_OPENMETRICS")
    if named:
        return Path(named)
    if shutil.which("go") is None:
        pytest.skip("the corpus of OpenMetrics is not there; HEADGATE_OPENMETRICS may name it")

    def install(folder: Path) -> None:
        _run(["go", "mod", "init", "corpus"], folder)
        found = _run(["go", "mod", "download", "-json", OPENMETRICS], folder)
        shutil.copytree(
            Path(json.loads(found)["Dir"], "tests", "testdata", "parsers"),
            folder / "parsers",
            copy_function=shutil.copyfile,
        )

    return _made("openmetrics", OPENMETRICS, install) / "parsers"


def h2spec() -> str:
    """Return where h2spec is; where Go is there, it is built."""
    found = find("h2spec")
    if found is None and shutil.which("go"):
        _run(["sh", str(CONFORMANCE / "h2spec.sh")], CONFORMANCE)
        found = find("h2spec")
    if found is None:
        pytest.skip("h2spec is not installed; tests/conformance/h2spec.sh builds it where Go is")
    return found


def _made(kind: str, content: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of the cache for *content*, made by *make* if it is not there."""
    folder = CACHE / f"{kind}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{kind}-", dir=CACHE) as made:
            whole = Path(made) / "whole"
            whole.mkdir()
            make(whole)
            whole.rename(folder)
    return folder


def _run(command: list[str], folder: Path) -> str:
    """Run an installation; the test fails where it does: what is broken must not look left out."""
    said = ""
    try:
        run = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        said, failure = run.stdout, run.stderr[-2000:] if run.returncode else ""
    except subprocess.TimeoutExpired:
        failure = f"it took more than {SECONDS} s"
    if failure:
        pytest.fail(
            f"could not be installed: {' '.join(command)}: {failure}\n"
            "(where no registry can be reached: "
            "pytest -m 'not needs_node and not needs_go and not needs_openmetrics')"
        )
    return said
