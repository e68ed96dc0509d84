"""The table of rules names tests that exist, and all that there are."""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
README = (HERE / "README.md").read_text()
NAMED = sorted({(file, test) for file, test in re.findall(r"`([\w/]+\.py)::(\w+)`", README)})
SUITES = {
    "Suite of 2.0": 80,
    "Library form": 7,
    "Original suite of 1.0": 19,
}
"""How many rows each suite has at least: a rule that is taken off the table is seen here."""


def cases_in(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def place(file: str) -> Path:
    return ROOT / file if "/" in file else HERE / file


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_every_test_that_is_named_exists(file: str) -> None:
    named = {test for where, test in NAMED if where == file}
    assert named - cases_in(place(file)) == set()


def test_every_test_that_exists_is_named() -> None:
    files = [path for path in HERE.glob("test_*.py") if path != Path(__file__)]
    found = {(path.name, test) for path in files for test in cases_in(path)}
    assert found - set(NAMED) == set()


@pytest.mark.parametrize("suite", SUITES)
def test_no_rule_is_without_a_test(suite: str) -> None:
    (section,) = [part for part in README.split("\n## ") if part.startswith(suite)]
    rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= SUITES[suite]
    assert [row for row in rows if ".py::test_" not in row.rsplit(" | ", 1)[-1]] == []
