"""What is imported is declared, and what is declared is imported."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not (ROOT / "cli").is_dir(), reason="not a checkout: the sources are not beside the tests"
)
OURS = {"agent", "cli", "common", "gateway", "localcluster", "pipeline_operator"}
SOURCES = ("agent", "cli", "common", "gateway", "localcluster", "operator")
BRINGS = packages_distributions()
TO_COME = {"cryptography"}  # the operator's own authority; tests make certificates with it


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> Iterator[str]:
    """Every module that the sources name, wherever the import stands."""
    for folder in SOURCES:
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                match node:
                    case ast.Import(names=names):
                        yield from (alias.name for alias in names)
                    case ast.ImportFrom(module=str(module)):
                        yield module


def owners(module: str) -> set[str]:
    """The distributions that may bring *module*; several share a namespace package."""
    top = module.partition(".")[0]
    found = {normal(name) for name in BRINGS.get(top, [])}
    if top == "opentelemetry":
        part = module.split(".")[1]
        found &= {normal(f"opentelemetry-{part}"), "opentelemetry-exporter-otlp"}
        return found or {"opentelemetry-sdk"}  # the API comes with the SDK
    return found or {top}


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {normal(re.match(r"[\w.-]+", entry)[0]) for entries in lists for entry in entries}
    return names - {"headgate"}


def foreign() -> dict[str, set[str]]:
    # Python 3.14 has compression in its standard library, where nobody installs it.
    known = OURS | sys.stdlib_module_names | {"compression"}
    return {m: owners(m) for m in set(imported()) if m.partition(".")[0] not in known}


def test_everything_imported_is_declared_and_not_somebody_elses_dependency() -> None:
    known = declared()
    assert {module: found for module, found in foreign().items() if not found & known} == {}


def test_everything_declared_is_imported() -> None:
    used = {name for found in foreign().values() for name in found}
    assert declared() - used == TO_COME
