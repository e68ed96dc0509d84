"""The document, and what wins over it."""

from pathlib import Path

import pytest

from agent import settings
from common.service.settings import SettingsError


def problems(path: Path, text: str, **options: str) -> list[tuple[str, str]]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        settings.load(path, environ={}, **options)
    return [(p.key, p.message) for p in caught.value.problems]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "agent.yaml"


def test_what_is_given_on_the_command_line_wins(file: Path) -> None:
    file.write_text("node: ${env:N}\nlog_level: info\n", encoding="utf-8")
    document = settings.load(file, environ={"N": "n1"}, kubeconfig="/k", log_level="debug")
    assert (document.node, document.log_level) == ("n1", "debug")
    assert (document.kubernetes.source, document.kubernetes.kubeconfig) == ("kubeconfig", "/k")


def test_a_kubeconfig_on_the_command_line_needs_a_node_like_any_other(file: Path) -> None:
    found = problems(file, "{}", kubeconfig="/k")
    assert [key for key, _ in found] == ["node"]


def test_a_missing_file_is_a_problem_in_words(file: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read .*agent\.yaml: .*No such file"):
        settings.load(file, environ={})


def test_a_token_file_that_cannot_be_read_is_named(file: Path) -> None:
    ((key, message),) = problems(file, "gateway: {token_file: /nowhere/token}")
    assert key == "gateway.token_file"
    assert message.startswith("cannot read /nowhere/token: ")
