"""Everything that is wrong is said at once, with its key."""

from collections.abc import Iterable
from typing import Annotated, Literal

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
    mood: Literal["good", "bad"] = "good"
    signs: dict[str, str] = msgspec.field(default_factory=dict)


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
        "zzzz: unknown key; known here: colour, doors, mood, open, owner, roof, signs, size"
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


@pytest.mark.parametrize(
    "text", ["colour: 2024-13-45", "open: !!bool maybe", "doors: &a [*a]", "doors: " + "[" * 500]
)
def test_yaml_that_its_own_parser_trips_over_is_a_problem_not_a_crash(text: str) -> None:
    assert len(problems(text)) == 1


def test_what_a_reference_stands_for_is_read_as_the_setting_wants_it() -> None:
    house = load(
        "{owner: '${env:N}', colour: '${env:T}', size: '${env:F}', open: '${env:T}',"
        " doors: [{port: '${env:P}', name: '${env:N}'}], signs: {left: '${env:N}'}}",
        {"N": "12345", "T": "true", "F": "2.5", "P": "7"},
    )
    assert house == House(
        owner="12345",
        colour="true",
        size=2.5,
        open=True,
        doors=(Door(port=7, name="12345"),),
        signs={"left": "12345"},
    )
    assert {type(house.owner), type(house.signs["left"])} == {str}


def test_a_mistake_inside_a_map_has_its_key() -> None:
    assert problems("{owner: a, signs: {left: 1}}") == ["signs.left: expected `str`, got `int` (1)"]


def test_no_problem_shows_what_a_reference_stands_for() -> None:
    said = problems(
        "{owner: a, size: '${file:/secret}', open: 'x${file:/secret}', roof: '${file:/secret}',"
        " mood: '${file:/secret}', doors: ['${file:/secret}', ['${file:/secret}']]}"
    )
    assert len(said) == 6
    assert "hunter2" not in "".join(said)
    assert said[0] == "size: expected `float`, got `str` ('${file:/secret}')"


class Safe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: Annotated[str, msgspec.Meta(extra={"secret": True})] = ""
    codes: dict[str, Annotated[str, msgspec.Meta(extra={"secret": True})]] = {}
    name: Annotated[str, msgspec.Meta(extra={"secret": False})] = ""
    size: Annotated[int, msgspec.Meta(ge=1)] = 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("code: 271828", "code: expected `str`, got `int`; what was given is not shown"),
        ("codes: {a: 27}", "codes.a: expected `str`, got `int`; what was given is not shown"),
        ("codes: 271828", "codes: expected `object`, got `int`; what was given is not shown"),
        ("271828", "expected a section with keys, got something else, which is not shown"),
        ("name: 271828", "name: expected `str`, got `int` (271828)"),
        ("size: 0", "size: expected `int` >= 1, got 0"),
    ],
)
def test_a_value_that_is_marked_as_secret_is_in_no_problem(text, problem) -> None:
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(text, Safe, environ={}, read=str)
    assert str(caught.value) == problem


def test_yaml_that_is_none_is_not_quoted() -> None:
    (said,) = problems("owner: {token: 'hunter2'\n  x: ]")
    assert said == "not valid YAML: line 2, column 3: expected ',' or '}', but got '<scalar>'"


def test_a_key_given_twice_is_a_mistake_with_its_place() -> None:
    assert problems("owner: a\ndoors: [{port: 1,\n  port: 2}]") == [
        "not valid YAML: line 3, column 3: the key 'port' is given twice"
    ]


def test_what_is_merged_in_may_be_overridden_however_deep() -> None:
    house = load(
        "{doors: [&b {<<: &a {port: 1, name: x}, name: y}], owner: o, roof: {<<: *b, port: 2}}"
    )
    assert (house.doors, house.roof) == ((Door(port=1, name="y"),), Door(port=2, name="y"))
