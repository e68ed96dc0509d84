"""The configuration is read with all that it refers to, and shown without its secrets."""

from pathlib import Path

import pytest

from common.config import gateway, outputs
from common.service.settings import SettingsError
from gateway import settings


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_flags_win_over_the_document(tmp_path: Path) -> None:
    file = written(
        tmp_path / "c.yaml", "{kubernetes: {source: none, context: blue}, log_level: error}"
    )
    loaded = settings.load(file, environ={}, kubeconfig="/k", log_level="debug", workers=3)
    assert loaded.config.workers == 3
    assert loaded.config.kubernetes == gateway.shared.Kubernetes(
        source="kubeconfig", kubeconfig="/k", context="blue"
    )
    assert loaded.config.log_level == "debug"
    plain = settings.load(file, environ={}).config
    assert (plain.kubernetes.source, plain.log_level) == ("none", "error")


def test_every_file_that_was_read_is_named(tmp_path: Path) -> None:
    secret = written(tmp_path / "secret", "s3cret\n")
    tokens = written(tmp_path / "tokens", "one\ntwo\n")
    file = written(
        tmp_path / "c.yaml",
        f"""
        agents: {{token_file: {tokens}}}
        pipelines:
          - name: a
            output: {{otlp: {{endpoint: "http://b:1", headers: {{key: "${{file:{secret}}}"}}}}}}
        """,
    )
    loaded = settings.load(file, environ={})
    assert loaded.files == (file, secret, tokens)
    assert loaded.tokens == "one\ntwo\n"
    assert loaded.config.pipelines[0].output.otlp.headers == {"key": "s3cret"}


@pytest.mark.parametrize("text", ["", "\n  \n"])
def test_an_empty_file_is_a_mistake_and_not_the_wish_for_no_pipelines(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(SettingsError, match="is empty"):
        settings.load(written(tmp_path / "c.yaml", text), environ={})


def test_files_that_cannot_be_read_are_named_with_their_key(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read .*nothing"):
        settings.load(tmp_path / "nothing", environ={})
    file = written(tmp_path / "c.yaml", "agents: {token_file: /nothing/here}")
    with pytest.raises(SettingsError, match=r"^agents\.token_file: cannot read /nothing/here"):
        settings.load(file, environ={})


def test_constants_without_a_value_are_no_rules() -> None:
    labels = (gateway.PodLabels(key="app"), gateway.PodLabels(key_prefix="team/"))
    rules = settings.rules(
        gateway.Enrichment(
            cluster_name="c1", attributes={"cloud.region": "", "cloud.x": "y"}, pod_labels=labels
        )
    )
    assert rules.constants == (("k8s.cluster.name", "c1"), ("cloud.x", "y"))
    assert (rules.label_keys, rules.label_prefixes) == (frozenset({"app"}), ("team/",))


def test_what_needs_a_restart_is_named() -> None:
    old = gateway.Gateway()
    new = gateway.Gateway(
        listen=gateway.Listen(grpc=":1"),
        limits=gateway.Limits(max_connections=1),
        log_level="debug",
    )
    assert settings.needs_restart(old, new) == ("listen", "limits")
    assert settings.needs_restart(old, old) == ()


def test_secrets_are_not_shown() -> None:
    outputs = (
        gateway.Output(
            otlp=gateway.OtlpOutput(
                endpoint="https://user:s3cret@b:1/x?token=s3cret", headers={"key": "s3cret"}
            )
        ),
        gateway.Output(
            remote_write=gateway.RemoteWriteOutput(
                url="http://b:1", headers={"Authorization": "s3cret"}
            )
        ),
    )
    config = gateway.Gateway(
        pipelines=tuple(gateway.Pipeline(name=f"p{i}", output=o) for i, o in enumerate(outputs))
    )
    shown = settings.redacted(config)
    assert "s3cret" not in repr(shown)
    otlp = shown["pipelines"][0]["output"]["otlp"]
    assert otlp["endpoint"] == "https://***@b:1/x?***"
    assert otlp["headers"] == {"key": "***"}
    assert shown["pipelines"][1]["output"]["remote_write"]["url"] == "http://b:1"


def test_every_way_to_prove_ourselves_is_shown_without_its_secret() -> None:
    ways = [
        outputs.Auth(basic=outputs.BasicAuth(username="me", password="s3cret")),
        outputs.Auth(bearer_token="s3cret"),
        outputs.Auth(
            oauth2=outputs.OAuth2(
                token_url="https://me:s3cret@t/token?key=s3cret",
                client_id="me",
                client_secret="s3cret",
                params={"audience": "s3cret"},
            )
        ),
    ]
    found = [
        gateway.Output(otlp=gateway.OtlpOutput(endpoint="http://b:1", path="/x?s3cret", auth=auth))
        for auth in ways
    ]
    found += [
        gateway.Output(remote_write=gateway.RemoteWriteOutput(url="http://b:1/w?s3cret", auth=auth))
        for auth in ways
    ]
    config = gateway.Gateway(
        pipelines=tuple(gateway.Pipeline(name=f"p{i}", output=o) for i, o in enumerate(found))
    )
    shown = settings.redacted(config)
    assert "s3cret" not in repr(shown)
    sections = [shown["pipelines"][i]["output"]["otlp"] for i in range(3)]
    basic, bearer, oauth2 = (section["auth"] for section in sections)
    assert sections[0]["path"] == "/x?***"
    assert (basic["basic"], basic["bearer_token"]) == ({"username": "me", "password": "***"}, "")
    assert bearer["bearer_token"] == "***"
    assert oauth2["oauth2"]["token_url"] == "https://***@t/token?***"
    assert oauth2["oauth2"]["params"] == {"audience": "***"}
    assert oauth2["oauth2"]["client_id"] == "me"
