"""The API server is the one that was named, else the one around us, else none."""

from pathlib import Path

import pytest

from common.config.shared import Kubernetes
from common.kube import access, credentials
from common.service.settings import SettingsError

KUBECONFIG = """
current-context: c
contexts: [{name: c, context: {cluster: k}}]
clusters: [{name: k, cluster: {server: "http://127.0.0.1:8001"}}]
"""
INSIDE = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def named(tmp_path: Path) -> str:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("source", ["auto", "kubeconfig"])
@pytest.mark.parametrize("environ", [{}, INSIDE])
async def test_a_kubeconfig_that_is_named_is_used_wherever_we_run(source, environ, named) -> None:
    chosen = await access.choose(Kubernetes(source=source, kubeconfig=named), environ)
    assert chosen is not None
    assert chosen.server == "http://127.0.0.1:8001"


async def test_inside_a_pod_its_service_account_is_used(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    monkeypatch.setattr(credentials, "SERVICE_ACCOUNT", tmp_path)
    with pytest.raises(SettingsError, match="does the pod mount its service account"):
        await access.choose(Kubernetes(), INSIDE)


async def test_none_is_asked_where_none_is_named_or_wanted(named: str) -> None:
    assert await access.choose(Kubernetes(), {}) is None
    assert await access.choose(Kubernetes(source="none", kubeconfig=named), INSIDE) is None


async def test_in_cluster_credentials_that_are_missing_are_a_problem() -> None:
    with pytest.raises(SettingsError, match="KUBERNETES_SERVICE_HOST is not set"):
        await access.choose(Kubernetes(source="in-cluster"), {})
