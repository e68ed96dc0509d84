"""The document, what wins over it, and the credentials that follow from it."""

from pathlib import Path

import pytest

from agent import settings
from common.config import shared
from common.service.settings import SettingsError

KUBECONFIG = """
current-context: c
contexts: [{name: c, context: {cluster: k}}]
clusters: [{name: k, cluster: {server: "http://127.0.0.1:8001"}}]
"""


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


def test_what_would_silently_do_nothing_is_refused(file: Path) -> None:
    text = "scraping: {honor_labels: true}\nstatic_targets: [{url: 'http://x', honor_labels: true}]"
    assert [key for key, _ in problems(file, text)] == [
        "scraping.honor_labels",
        "static_targets[0].honor_labels",
    ]
    file.write_text("scraping: {honor_labels: false}", encoding="utf-8")
    settings.load(file, environ={})


async def test_access_is_by_kubeconfig_where_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG, encoding="utf-8")
    for source in ("auto", "kubeconfig"):
        section = shared.Kubernetes(source=source, kubeconfig=str(path))
        access = await settings.access(section, {})
        assert access is not None
        assert access.server == "http://127.0.0.1:8001"


async def test_no_api_server_is_asked_where_none_is_named() -> None:
    assert await settings.access(shared.Kubernetes(), {}) is None
    named = shared.Kubernetes(source="none", kubeconfig="/k")
    assert await settings.access(named, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) is None


async def test_in_cluster_credentials_that_are_missing_are_a_problem() -> None:
    with pytest.raises(SettingsError):
        await settings.access(shared.Kubernetes(source="in-cluster"), {})
