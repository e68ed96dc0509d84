"""headgate validate says everything that is wrong, with its key, to people and machines."""

import json

import pytest
from click.testing import CliRunner

from cli import validate
from cli.main import main
from common.service import settings

BROKEN = """
listen: {grpc: nowhere}
pipelines:
- {name: A, output: {}}
"""


def run(*arguments: str, text: str):
    return CliRunner().invoke(main, ["validate", "-", *arguments], input=text)


def test_a_valid_document_exits_0_and_says_so() -> None:
    done = run(text="pipelines: []")
    assert (done.exit_code, "gateway configuration, valid" in done.output) == (0, True)


def test_every_problem_is_a_line_with_its_key() -> None:
    done = run(text=BROKEN)
    assert done.exit_code == 1
    assert [
        key in done.output for key in ("listen.grpc:", "pipelines[0].name:", "pipelines[0].output:")
    ] == [True] * 3
    assert "3 problems" in done.output


def test_machines_get_one_object() -> None:
    done = run("--json", text=BROKEN)
    said = json.loads(done.output)
    assert (said["kind"], said["valid"]) == ("gateway", False)
    assert [p["key"] for p in said["problems"]] == [
        "listen.grpc",
        "pipelines[0].name",
        "pipelines[0].output",
    ]


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({}, "gateway"),
        ({"pipelines": []}, "gateway"),
        ({"scraping": {}}, "agent"),
        ({"node": "x"}, "agent"),
        (None, "gateway"),
        ([1], "gateway"),
    ],
)
def test_the_kind_is_found_by_keys(document: object, kind: str) -> None:
    assert validate.kind_of(document) == kind


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b'node: "\xff"', "not UTF-8"),
        (b"[" * 100_000, "nested too deep"),
        (b"a: " + b"x" * settings.MAX_BYTES, "the limit is"),
    ],
)
def test_what_is_no_document_at_all_is_a_problem_too(document: bytes, why: str, tmp_path) -> None:
    (tmp_path / "c.yaml").write_bytes(document)
    done = CliRunner().invoke(main, ["validate", str(tmp_path / "c.yaml")])
    assert (done.exit_code, why in done.output) == (1, True)
    assert "1 problem" in done.output


def test_variables_can_be_given() -> None:
    assert run(text="node: ${env:HEADGATE_TEST_NODE}").exit_code == 1
    assert (
        run("--env", "HEADGATE_TEST_NODE=a", text="node: ${env:HEADGATE_TEST_NODE}").exit_code == 0
    )


def test_a_missing_file_is_a_usage_error() -> None:
    assert CliRunner().invoke(main, ["validate", "/nowhere/x.yaml"]).exit_code == 2
