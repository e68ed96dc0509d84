"""Everything that is wrong is said at once, with its key."""

from collections.abc import Iterable

import msgspec
import pytest

from common.service import settings


class Door(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: int = 1
    name: str = "a"

    def problems(self) -> Iterable[tuple[str, str]]:
        if self.port > 9:
            yield "port", "too high"


class House(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    doors: tuple[Door, ...] = ()
    roof: Door | None = None
    colour: str = "white"
    size: float = 1.0
    owner: str
    open: bool = False


def load(text: str, environ: dict[str, str] | None = None) -> House:
    def read(path: str) -> str:
        if path == "/secret":
            return "hunter2\n"
        raise FileNotFoundError(2, "No such file", path)

    return settings.load(text, House, environ=environ or {}, read=read)


def problems(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(settings.SettingsError) as caught:
        load(text, environ)
    return [str(p) for p in caught.value.problems]


def test_a_complete_document_becomes_the_struct() -> None:
    assert load("{owner: me, doors: [{port: 2}], size: 3}") == House(
        owner="me", doors=(Door(port=2),), size=3.0
    )


def test_every_mistake_is_reported_with_its_key_not_only_the_first() -> None:
    assert problems(
        "{doors: [{port: x}, {prot: 1}, {port: 10}, 7], colour: 5, roof: {port: 11}}"
    ) == [
        "doors[0].port: expected `int`, got `str` ('x')",
        "doors[1].prot: unknown key; did you mean 'port'?",
        "doors[2].port: too high",
        "doors[3]: expected a section with keys, got 7",
        "colour: expected `str`, got `int` (5)",
        "roof.port: too high",
        "owner: is required",
    ]


def test_an_unknown_key_without_a_near_one_lists_what_is_known() -> None:
    assert problems("{owner: a, zzzz: 1}") == [
        "zzzz: unknown key; known here: colour, doors, open, owner, roof, size"
    ]


def test_yaml_that_is_none_says_where() -> None:
    (said,) = problems("owner: [")
    assert said.startswith("not valid YAML:")
    assert "line 1" in said


def test_a_document_that_is_too_large_is_refused_before_it_is_parsed() -> None:
    (said,) = problems(" " * (settings.MAX_BYTES + 1))
    assert str(settings.MAX_BYTES) in said


def test_references_to_environment_and_files_are_answered() -> None:
    house = load(
        "{owner: '${file:/secret}', colour: 'x-${env:C}', size: '${env:S:-4}', open: '${env:O}'}",
        {"C": "red", "O": "true"},
    )
    assert house == House(owner="hunter2", colour="x-red", size=4.0, open=True)


def test_a_missing_variable_and_a_missing_file_are_problems_at_their_keys() -> None:
    said = problems("{owner: '${env:NOBODY}', colour: '${file:/gone}'}")
    assert said[0].startswith("owner: no variable 'NOBODY' is set")
    assert said[1].startswith("colour: cannot read '/gone'")


def test_an_empty_document_is_all_defaults() -> None:
    assert problems("") == ["owner: is required"]
