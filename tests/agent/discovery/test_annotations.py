"""Annotations are read strictly, and what is wrong with them is said in words."""

import pytest
from hypothesis import given, strategies as st

from agent.discovery import annotations
from agent.discovery.annotations import Port
from common.kube.objects import Container, ContainerPort


def container(name: str, *ports: tuple[str, int, str]) -> Container:
    declared = tuple(
        ContainerPort(name=n, container_port=number, protocol=protocol)
        for n, number, protocol in ports
    )
    return Container(name=name, ports=declared)


APP = container("app", ("web", 8080, "TCP"), ("admin", 9090, "TCP"), ("dns", 53, "UDP"))
SIDE = container("side", ("", 8080, "TCP"), ("metrics", 9100, ""))


def test_without_an_annotation_every_declared_tcp_port_is_meant_once() -> None:
    assert annotations.ports(None, [APP, SIDE]) == (
        [
            Port(number=8080, container=""),  # two containers declare it
            Port(number=9090, container="app"),
            Port(number=9100, container="side"),
        ],
        [],
    )


def test_several_ports_and_names_of_ports_are_understood() -> None:
    found, wrong = annotations.ports(" 8081, metrics ,web,8081", [APP, SIDE])
    assert [port.number for port in found] == [8081, 9100, 8080]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("99999", "port annotation '99999' is not a port: expected 1 to 65535"),
        ("0", "port annotation '0' is not a port: expected 1 to 65535"),
        (
            "http",
            "port annotation 'http' is neither a number nor the name of a declared port (named",
        ),
        ("", "port annotation '' is neither a number nor the name of a declared port"),
        ("-1", "port annotation '-1' is neither a number"),
        ("٨٠٨٠", "port annotation '٨٠٨٠' is neither a number"),
        ("9" * 5000, "port annotation '9999"),
    ],
)
def test_a_port_that_is_none_is_named_and_the_others_remain(text: str, why: str) -> None:
    found, wrong = annotations.ports(f"8080,{text}", [APP])
    assert [port.number for port in found] == [8080]
    assert len(wrong) == 1
    assert wrong[0].startswith(why)
    assert len(wrong[0]) < 300


def test_no_port_anywhere_is_a_reason() -> None:
    found, wrong = annotations.ports(None, [container("x", ("dns", 53, "UDP"))])
    assert found == []
    assert wrong == ["annotation prometheus.io/port is absent and no container declares a TCP port"]


def test_too_many_ports_are_cut_with_a_reason() -> None:
    found, wrong = annotations.ports(",".join(map(str, range(1, 101))), [])
    assert len(found) == annotations.MAX_PORTS
    assert wrong == ["100 ports, the limit is 64; the first ones are scraped"]


@pytest.mark.parametrize(
    ("path", "parameters", "expected"),
    [
        (None, {}, "/metrics"),
        ("", {}, "/metrics"),
        ("stats", {}, "/stats"),
        ("/a b", {}, "/a%20b"),
        ("/m?format=x", {"z": "1 2", "a": "é"}, "/m?format=x&a=%C3%A9&z=1+2"),
        (None, {"": "nameless"}, "/metrics"),
        ("/x\r\nHost: evil", {}, "/x%0D%0AHost:%20evil"),
        ("/%41", {}, "/%41"),
    ],
)
def test_path_and_parameters_become_a_request_target(
    path: str | None, parameters: dict[str, str], expected: str
) -> None:
    notes = {f"param_{name}": value for name, value in parameters.items()}
    assert annotations.request_target(path, notes) == expected


@given(st.text(), st.dictionaries(st.text(), st.text(), max_size=3))
def test_nothing_that_is_no_url_character_gets_into_a_request(
    path: str, parameters: dict[str, str]
) -> None:
    notes = {f"param_{name}": value for name, value in parameters.items()}
    target = annotations.request_target(path, notes)
    assert target.startswith("/")
    assert target.isascii()
    assert all("!" <= c <= "~" for c in target)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30", 30.0),
        ("0.5", 0.5),
        ("30s", 30.0),
        ("1m30s", 90.0),
        ("500ms", 0.5),
        ("1h", 3600.0),
        ("", None),
        ("s", None),
        ("1d", None),
        ("-5s", None),
        ("1_0", None),
        ("5 s", None),
        ("nan", None),
        ("1e3", None),
        ("30s5", None),
    ],
)
def test_durations_have_a_unit_or_are_seconds(text: str, expected: float | None) -> None:
    assert annotations.seconds(text) == expected


def test_one_container_may_be_meant_by_its_name() -> None:
    assert annotations.ports(None, [APP, SIDE], only="side") == (
        [Port(number=8080, container="side"), Port(number=9100, container="side")],
        [],
    )
    assert annotations.ports("7,metrics", [APP, SIDE], only="side") == (
        [Port(number=7, container="side"), Port(number=9100, container="side")],
        [],
    )


@pytest.mark.parametrize(
    ("asked", "only", "why"),
    [
        ("8080", "sidecar", "container annotation 'sidecar' names none (containers: app, side)"),
        ("9090", "side", "port 9090 is of container app, not of side"),
        ("web", "side", "port annotation 'web' is neither a number nor the name of a declared"),
    ],
)
def test_a_container_that_is_not_there_or_has_no_such_port_is_said(
    asked: str, only: str, why: str
) -> None:
    found, wrong = annotations.ports(asked, [APP, SIDE], only=only)
    assert found == []
    assert [text.startswith(why) for text in wrong] == [True], wrong


def test_a_container_without_ports_is_said() -> None:
    found, wrong = annotations.ports(None, [APP, container("idle")], only="idle")
    assert (found, wrong) == (
        [],
        ["annotation prometheus.io/port is absent and container idle declares no TCP port"],
    )


def test_only_annotations_of_ours_are_kept_and_no_more_than_make_sense() -> None:
    assert annotations.kept(None) is annotations.NOTHING
    assert annotations.kept({"kubectl.kubernetes.io/last": "x" * 9000}) is annotations.NOTHING
    kept = annotations.kept({"prometheus.io/scrape": "true", "prometheus.io/path": " /a ", "b": ""})
    assert kept.values == {"scrape": "true", "path": " /a "}
    assert (kept.get("path"), kept.get("port"), kept.excess) == ("/a", None, 0)
    huge = annotations.kept({"prometheus.io/scrape": "t" * 9000, "prometheus.io/port": "1"})
    assert huge.values == {"scrape": "t" * 64}
    assert huge.excess == 9011
    at = annotations.kept({"prometheus.io/path": "x" * (annotations.MAX_NOTES_BYTES - 4)})
    assert at.excess == 0


def test_an_annotation_cannot_make_more_entries_than_a_pod_may_have_ports() -> None:
    nonsense = ",".join(f"x{n}" for n in range(50_000))  # fits the 256 KiB of all annotations
    found, wrong = annotations.ports(f"{nonsense},8080", [APP])
    assert found == []
    assert len(wrong) == annotations.MAX_PORTS + 1
    assert wrong[-1] == "50001 ports, the limit is 64; the first ones are scraped"
