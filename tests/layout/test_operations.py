"""docs/operations.md says what the code does: nothing in its tables is stale or missing."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

import agent
import common
import gateway
from agent.exposition import translate
from agent.scraping import response
from cli import operations
from common.enrichment import association
from common.service.ledger import DropReason, FilterRule

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not (ROOT / "docs").is_dir(), reason="not a checkout: docs are not part of the wheel"
)
# Lines of log whose message is put together; every other message is a constant.
COMPOSED = {
    ("info", "target URL is up"),
    ("warning", "target URL fails: …"),
    ("warning", "target URL is odd: …"),
    ("error", "points lost: …"),
}


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / operations.DOCUMENT).read_text(encoding="utf-8")


def rows(text: str, head: str) -> list[list[str]]:
    """The rows of the one table whose first column is called *head*, code marks left out."""
    (found,) = re.findall(rf"^\| {head} \|.*\n\|[ -|]*\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [
        [cell.strip().strip("`") for cell in row.split("|")[1:-1]] for row in found.split("\n")[:-1]
    ]


def firsts(text: str, head: str) -> list[str]:
    return [row[0] for row in rows(text, head)]


def logged() -> Iterator[tuple[str, str | None]]:
    """Level and message of every line of log in the sources; ``None`` for a composed message."""
    for package in (agent, common, gateway):
        for file in sorted(Path(package.__path__[0]).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(
                        func=ast.Attribute(
                            value=ast.Name(id="log") | ast.Attribute(attr="_log"),
                            attr="debug" | "info" | "warning" | "error" | "exception" as level,
                        ),
                        args=[message, *_],
                    ):
                        constant = isinstance(message, ast.Constant)
                        level = "error" if level == "exception" else level
                        yield level, message.value.replace("%s", "…") if constant else None
                    case _:
                        continue


@pytest.mark.wallclock
@pytest.mark.slow
def test_generated_parts_are_fresh() -> None:
    done = CliRunner().invoke(operations.main, ["--check", str(ROOT)])
    assert done.exit_code == 0, done.output


def test_every_drop_reason_is_explained_once(text: str) -> None:
    dropped, unsendable = re.split("### Unsendable", text)
    assert firsts(dropped, "reason") == list(DropReason)
    assert firsts(unsendable, "reason") == list(translate.Drop)


def test_every_filter_rule_is_explained_once(text: str) -> None:
    assert firsts(text, "rule") == list(FilterRule)


def test_every_cause_of_a_failed_scrape_or_missing_attributes_is_explained_once(text: str) -> None:
    scraped, enriched = re.split("## 8 Troubleshooting", text)
    assert firsts(scraped, "cause") == list(response.Cause)
    assert firsts(enriched, "cause") == list(association.CAUSES)


def test_every_line_of_log_is_explained_with_its_level(text: str) -> None:
    told = {(row[0], row[1]) for row in rows(text, "level")}
    said = list(logged())
    assert told - COMPOSED == {(level, message) for level, message in said if message is not None}
    assert told >= COMPOSED
    assert sorted(level for level, message in said if message is None) == [
        "error",
        "info",
        "warning",
        "warning",
    ]


@pytest.mark.wallclock
@pytest.mark.slow
@pytest.mark.parametrize("program", operations.PROGRAMS)
async def test_the_pages_are_those_that_a_program_serves(
    text: str, program: operations.Program, tmp_path: Path
) -> None:
    column = 1 + operations.PROGRAMS.index(program)
    async with operations.running(program, tmp_path) as at, aiohttp.ClientSession() as session:
        for path, *served in rows(text, "path"):
            async with session.get(f"http://{at.admin}{path}") as answer:
                assert (answer.status == 200) == (served[column - 1] == "yes"), path


def test_every_metric_that_the_text_names_exists(text: str) -> None:
    prose = re.sub(r"<!-- generated.*?<!-- end -->", "", text, flags=re.DOTALL)
    exposed = set(re.findall(r"^\| `(headgate_\w+)` \| (?:counter|gauge)", text, re.MULTILINE))
    assert len(exposed) > 70
    assert set(re.findall(r"headgate_(?:gateway|agent|ledger)_\w+", prose)) - exposed == set()


def test_every_setting_that_the_text_names_exists(text: str) -> None:
    blocks = r"<!-- generated: (\w+)-settings -->\n(.*?)<!-- end -->"
    tables = "".join(table for _, table in re.findall(blocks, text, re.DOTALL))
    known = re.findall(r"^\| `([\w.\[\]]+)` \|", tables, re.MULTILINE)
    places = [f".{key.replace('[]', '')}." for key in known]
    sections = {part for key in known for part in re.split(r"\W+", key)[:-1]}
    prose = re.sub(r"<!-- generated.*?<!-- end -->", "", text, flags=re.DOTALL)
    named = {
        key
        for key in re.findall(r"`([a-z_]+\.[a-z_.]+)`", prose)
        if key.partition(".")[0] in sections
    }
    assert len(named) > 20
    assert {key for key in named if not any(f".{key}." in place for place in places)} == set()


def test_stale_parts_are_named_and_replaced() -> None:
    text = (
        "a\n<!-- generated: x -->\nold\n<!-- end -->\n<!-- generated: y -->\nsame\n<!-- end -->\nb"
    )
    new, stale = operations.refreshed(text, {"x": "new \\1\n", "y": "same\n"})
    assert (new, stale) == (text.replace("old", "new \\1"), ("x",))


@pytest.mark.parametrize("parts", [{}, {"x": ""}, {"x": "", "y": "", "z": ""}])
def test_a_document_with_other_parts_is_refused(parts: dict[str, str]) -> None:
    text = "<!-- generated: x -->\n<!-- end --><!-- generated: y -->\n<!-- end -->"
    with pytest.raises(ValueError, match="the document has the parts"):
        operations.refreshed(text, parts)


def test_check_says_what_is_stale_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def blocks() -> dict[str, str]:
        return {"x": "new\n"}

    monkeypatch.setattr(operations, "blocks", blocks)
    file = tmp_path / operations.DOCUMENT
    file.parent.mkdir()
    file.write_text("<!-- generated: x -->\nold\n<!-- end -->\n", encoding="utf-8")
    checked = CliRunner().invoke(operations.main, ["--check", str(tmp_path)])
    assert (checked.exit_code, "stale: x" in checked.output) == (1, True)
    assert "old" in file.read_text(encoding="utf-8")
    assert CliRunner().invoke(operations.main, [str(tmp_path)]).exit_code == 0
    assert "new" in file.read_text(encoding="utf-8")
    assert CliRunner().invoke(operations.main, ["--check", str(tmp_path)]).exit_code == 0


def test_labels_show_all_values_but_for_open_ones() -> None:
    exposition = (
        "# HELP headgate_x_total Words.\n# TYPE headgate_x_total counter\n"
        'headgate_x_total{rule="a",pipeline="p"} 1\nheadgate_x_total{rule="b",pipeline="p"} 1\n'
        "# HELP python_y Not ours.\n# TYPE python_y gauge\npython_y 1\n"
    )
    table = operations.metrics_table(text_string_to_metric_families(exposition))
    assert table.splitlines()[2:] == [
        "| `headgate_x_total` | counter | `pipeline`; `rule`: a, b | Words. |"
    ]


def test_rights_follow_from_what_was_asked() -> None:
    def asked(path: str, *, watch: bool = False) -> operations.Asked:
        return operations.Asked(method="GET", path=path, watch=watch, selector="")

    pods, others = "/api/v1/pods", "/apis/apps/v1/deployments"
    said = operations.cluster_role(
        "agent", [asked(others), asked(pods, watch=True), asked(pods), asked(others)]
    )
    assert "- apiGroups: ['']\n  resources: [pods]\n  verbs: [list, watch]\n" in said
    assert "- apiGroups: [apps]\n  resources: [deployments]\n  verbs: [list]\n" in said
    with pytest.raises(RuntimeError, match="BUG: it is not known what right allows"):
        operations.cluster_role("agent", [asked("/api/v1/namespaces/a/pods")])


def test_examples_of_pages_are_json(text: str) -> None:
    found = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert len([json.loads(example) for example in found]) == 3
