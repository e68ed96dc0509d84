"""Commands are imported when they are asked for, and listed without."""

import sys

import click
import pytest
from click.testing import CliRunner

from cli.lazy import Lazy


def group(where: str) -> Lazy:
    return Lazy("main", lazy={"later": where}, commands={"now": click.Command("now")})


def test_a_command_is_found_by_its_place_and_listed_beside_the_groups_own() -> None:
    made = group("cli.validate:validate")
    context = click.Context(made)
    assert made.list_commands(context) == ["later", "now"]
    found = made.get_command(context, "later")
    assert found is not None
    assert found.name == "validate"
    assert made.get_command(context, "never") is None


def test_what_is_not_asked_for_is_not_imported() -> None:
    done = CliRunner().invoke(group("tests.cli.no_such_module:x"), ["now"])
    assert done.exit_code == 0
    assert "tests.cli.no_such_module" not in sys.modules


def test_a_place_without_a_command_is_a_bug_of_ours() -> None:
    with pytest.raises(TypeError, match=r"BUG: cli\.asking:MAX_BYTES is no command"):
        group("cli.asking:MAX_BYTES").get_command(click.Context(click.Command("x")), "later")
