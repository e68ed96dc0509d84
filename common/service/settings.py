"""Read a settings document into a struct, and say everything that is wrong with it at once."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import (
    Any,
    Protocol,
    Self,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

import msgspec
import yaml
from typing_extensions import override

Settings = TypeVar("Settings", bound=msgspec.Struct)
MAX_BYTES = 4 << 20  # a ConfigMap holds 1 MiB; anything much larger is not a settings document
_REFERENCE = re.compile(r"\$\{(env|file):([^}]*)\}")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong: the dotted *key* it is wrong at, and what to do about it."""

    key: str
    message: str

    @override
    def __str__(self) -> str:
        return f"{self.key}: {self.message}" if self.key else self.message


class SettingsError(ValueError):
    """What the user has to mend, all of it: ``problems`` are in document order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)

    def within(self, key: str) -> SettingsError:
        """Return the same with keys that begin with *key*."""
        return SettingsError([
            Problem(f"{key}.{problem.key}".rstrip("."), problem.message)
            for problem in self.problems
        ])  # fmt: skip


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML would silently take the last."""

    @override
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Looked at before merge keys are resolved: overriding what is merged in is no mistake.
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    words = f"the key {_show(key.value)} is given twice"
                    raise yaml.MarkedYAMLError(problem=words, problem_mark=key.start_mark)
                seen.add(key.value)
        return node


@runtime_checkable
class Checked(Protocol):
    """A struct that knows rules between its fields."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Yield (key relative to this struct, message) for every rule that is broken."""
        ...


def load(
    text: str | bytes,
    kind: type[Settings],
    *,
    environ: Mapping[str, str],
    read: Callable[[str], str],
) -> Settings:
    """Decode a YAML (or JSON) document into *kind*.

    Strings may refer to ``${env:NAME}``, ``${env:NAME:-default}`` and ``${file:/path}``; *environ*
    and *read* answer them, so that no module reads the environment by itself. Raises
    :class:`SettingsError` with every problem found.
    """
    if len(text) > MAX_BYTES:
        raise SettingsError(
            [Problem("", f"the document has {len(text)} bytes, the limit is {MAX_BYTES}")]
        )
    problems: list[Problem] = []
    try:
        document = plain(text)
        document = _resolve(document if document is not None else {}, "", environ, read, problems)
    except RecursionError as error:  # an alias inside what it stands for
        raise SettingsError([Problem("", "nested too deep, or inside itself")]) from error
    except ValueError as error:
        raise SettingsError([Problem("", f"not valid YAML: {error}")]) from error
    value = _walk(document, kind, "", problems)
    if problems:
        raise SettingsError(problems)
    return cast("Settings", value)


def plain(text: str | bytes) -> object:
    """Read YAML (or JSON) into plain values.

    Raises :class:`ValueError` in words that say where, and never quote the document, which may hold
    secrets; :class:`RecursionError` for what is nested too deep.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise ValueError(f"{where}{error.problem}") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except (LookupError, AttributeError) as error:  # of its constructors, as for "!!bool maybe"
        raise ValueError("a value does not have the type that its tag or form says") from error


def _resolve(
    value: object,
    key: str,
    environ: Mapping[str, str],
    read: Callable[[str], str],
    problems: list[Problem],
) -> object:
    if isinstance(value, dict):
        return {
            k: _resolve(v, _join(key, str(k)), environ, read, problems) for k, v in value.items()
        }
    if isinstance(value, list):
        return [_resolve(v, f"{key}[{i}]", environ, read, problems) for i, v in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value

    def answer(match: re.Match[str]) -> str:
        source, rest = match.groups()
        if source == "env":
            name, has_default, default = rest.partition(":-")
            found = environ.get(name) or (default if has_default else environ.get(name))
            if found is None:
                problems.append(
                    Problem(
                        key,
                        f"no variable {name!r} is set; set it or write ${{env:{name}:-default}}",
                    )
                )
            return found or ""
        try:
            return read(rest).strip()
        except (OSError, ValueError) as error:  # ValueError: not UTF-8, or not a path
            problems.append(Problem(key, f"cannot read {rest!r}: {error}"))
            return ""

    return _Answered(_REFERENCE.sub(answer, value), value)


class _Answered(str):
    """A text whose references are answered; shows what was written, since answers may be secrets.

    What it is depends on the setting: a token of digits is a text, a port is a number.
    """

    __slots__ = ("written",)
    written: str

    def __new__(cls, text: str, written: str) -> Self:
        answered = super().__new__(cls, text)
        answered.written = written
        return answered

    @override
    def __repr__(self) -> str:
        return repr(self.written)


def _walk(value: object, kind: Any, key: str, problems: list[Problem]) -> object:
    """Convert *value* to *kind* piece by piece, so that one mistake does not hide the next."""
    origin = get_origin(kind)
    if origin in {Union, types.UnionType}:
        kinds = [k for k in get_args(kind) if k is not type(None)]
        if value is None and len(kinds) < len(get_args(kind)):
            return None
        if len(kinds) == 1:
            return _walk(value, kinds[0], key, problems)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _walk_struct(value, kind, key, problems)
    if origin is tuple and isinstance(value, list) and get_args(kind)[1:] == (...,):
        return tuple(
            _walk(v, get_args(kind)[0], f"{key}[{i}]", problems) for i, v in enumerate(value)
        )
    if origin is dict and isinstance(value, dict):
        of_key, of_value = get_args(kind)
        return {
            _walk(k, of_key, key, problems): _walk(v, of_value, _join(key, str(k)), problems)
            for k, v in value.items()
        }
    return _scalar(value, kind, key, problems)


def _scalar(value: object, kind: Any, key: str, problems: list[Problem]) -> object:
    answered = isinstance(value, _Answered)
    try:
        return msgspec.convert(str(value) if answered else value, kind, strict=not answered)
    except msgspec.ValidationError as error:
        words = str(error)
        if secret(kind):
            problems.append(Problem(key, f"{_reason(words)}; what was given is not shown"))
            return None
        if isinstance(value, _Answered):
            words = words.replace(repr(str(value)), repr(value))
        problems.append(Problem(key, _in_words(words, value)))
        return None


def secret(kind: Any) -> bool:
    """Say whether a setting of *kind* is, or holds, what ``Meta(extra={"secret": True})`` marks."""
    for part in get_args(kind):
        if isinstance(part, msgspec.Meta):
            if part.extra and part.extra.get("secret"):
                return True
        elif secret(part):
            return True
    return False


def _walk_struct(
    value: object, kind: type[msgspec.Struct], key: str, problems: list[Problem]
) -> object:
    hints = _hints(kind)
    if not isinstance(value, dict):
        hidden = any(map(secret, hints.values()))
        shown = "something else, which is not shown" if hidden else _show(value)
        problems.append(Problem(key, f"expected a section with keys, got {shown}"))
        return None
    before = len(problems)
    fields = {f.encode_name: f for f in msgspec.structs.fields(kind)}
    given: dict[str, object] = {}
    for name, item in value.items():
        field = fields.get(str(name))
        if field is None:
            near = difflib.get_close_matches(str(name), fields, n=1)
            hint = (
                f"; did you mean {near[0]!r}?"
                if near
                else f"; known here: {', '.join(sorted(fields))}"
            )
            problems.append(Problem(_join(key, str(name)), f"unknown key{hint}"))
            continue
        given[field.name] = _walk(item, hints[field.name], _join(key, str(name)), problems)
    for name, field in fields.items():
        if field.required and field.name not in given:
            problems.append(Problem(_join(key, name), "is required"))
    if len(problems) > before:
        return None
    built = kind(**given)
    if isinstance(built, Checked):
        problems += [Problem(_join(key, where), message) for where, message in built.problems()]
    return built


@cache  # of the few kinds that there are: 0.1 ms each, for every section of every pipeline
def _hints(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key and name else key or name


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _in_words(message: str, value: object) -> str:
    """Turn msgspec's message into one that also shows the value."""
    reason = _reason(message)
    shown = _show(value)
    return f"{reason}, got {shown}" if "got" not in reason else f"{reason} ({shown})"


def _reason(message: str) -> str:
    """Return msgspec's message as a part of ours; its path is ours already."""
    message = message.split(" - at `", maxsplit=1)[0]
    return f"{message[0].lower()}{message[1:]}"
