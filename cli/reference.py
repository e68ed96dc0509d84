"""``headgate reference``: every setting with type, default and sentence, from the code itself."""

from __future__ import annotations

import ast
import inspect
import textwrap
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import click
import msgspec

from cli.validate import KINDS, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One leaf of a document: its dotted key, type, default and sentence."""

    key: str
    kind: str
    default: str
    words: str


def settings_of(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[Setting]:
    """Yield every leaf of *struct* in document order; lists of sections are shown as ``[]``."""
    hints = typing.get_type_hints(struct, include_extras=False)
    words = _sentences(struct)
    for field in msgspec.structs.fields(struct):
        hint, suffix = hints[field.name], ""
        kinds = [k for k in typing.get_args(hint) if k is not type(None)]
        if typing.get_origin(hint) is tuple and _is_section(kinds[0]):
            hint, suffix = kinds[0], "[]"
        elif len(kinds) == 1 and type(None) in typing.get_args(hint):
            hint = kinds[0]
        key = f"{prefix}{field.encode_name}{suffix}"
        if _is_section(hint):
            yield from settings_of(hint, f"{key}.")
        else:
            yield Setting(
                key=key, kind=_kind(hint), default=_default(field), words=words.get(field.name, "")
            )


def markdown(struct: type[msgspec.Struct]) -> str:
    """Return the settings of *struct* as a table in Markdown."""
    rows = ["| setting | type | default | meaning |", "| --- | --- | --- | --- |"]
    for setting in settings_of(struct):
        kind = setting.kind.replace("|", "\\|")
        rows.append(f"| `{setting.key}` | {kind} | {setting.default} | {setting.words} |")
    return "\n".join(rows) + "\n"


def _is_section(hint: object) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _kind(hint: object) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " | ".join(map(str, arguments))
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"map of {_kind(arguments[1])}"
    names = {str: "text", int: "number", float: "number", bool: "true | false"}
    return names.get(hint, str(hint)) if isinstance(hint, type) else str(hint)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is msgspec.NODEFAULT:
        return "required" if field.default_factory is msgspec.NODEFAULT else "empty"
    empty = field.default is None or field.default in ((), "")
    return "empty" if empty else f"`{msgspec.json.encode(field.default).decode()}`".replace('"', "")


def _sentences(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Read the sentence below each field; inherited fields keep theirs."""
    found: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        if base.__module__.partition(".")[0] != "common":
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        body = typing.cast("ast.ClassDef", tree).body
        for field, below in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
                words = " ".join(str(ast.literal_eval(below.value)).split()).replace("``", "`")
                found[typing.cast("ast.Name", field.target).id] = words
    return found


@click.command()
@click.argument("kind", type=click.Choice(list(KINDS)))
def reference(kind: Kind) -> None:
    """Print every setting of a configuration document, as a table in Markdown.

    \b
    Examples:
      headgate reference gateway
      headgate reference agent | less
    """
    click.echo(markdown(KINDS[kind]), nl=False)
