"""Protobuf messages from a few words each, for schemas that leave out what we do not look at.

A schema of its own, in a pool of its own, beside the published one: what it does not name is
unknown to it, which protobuf keeps and writes back, and what it calls bytes is not taken apart.
"""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

_Field = descriptor_pb2.FieldDescriptorProto


def classes(package: str, messages: Mapping[str, str]) -> dict[str, type[message.Message]]:
    """Make a class of proto3 for each of *messages*, by name, in *package*.

    A message is its fields, separated by ``", "``, and a field is ``NUMBER NAME TYPE``, where the
    type is a scalar's, or the name of another message here. In front of the type, ``*`` says that
    the field is repeated, ``?`` that its presence is told (``optional``), and ``ONEOF|`` of which
    ``oneof`` it is.

    Raises ValueError for a type that there is not, and TypeError for what protobuf refuses.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    types = {name: f".{package}.{name}" for name in messages}
    for name, fields in messages.items():
        described = file.message_type.add(name=name)
        for field in filter(None, fields.split(", ")):
            _add(described, field, types)
        # Those that only tell presence come last, as protobuf demands.
        for each in described.field:
            if each.proto3_optional:
                each.oneof_index = _oneof(described, f"_{each.name}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in messages
    }


def _add(described: descriptor_pb2.DescriptorProto, field: str, types: Mapping[str, str]) -> None:
    number, name, of = field.split(" ")
    choice, _, of = of.rpartition("|")
    added = described.field.add(number=int(number), name=name)
    added.label = _Field.LABEL_REPEATED if of[0] == "*" else _Field.LABEL_OPTIONAL
    if of[0] == "?":
        added.proto3_optional = True
    if choice:
        added.oneof_index = _oneof(described, choice)
    of = of.lstrip("*?")
    if of in types:
        added.type, added.type_name = _Field.TYPE_MESSAGE, types[of]
    else:
        added.type = _Field.Type.Value(f"TYPE_{of.upper()}")


def _oneof(described: descriptor_pb2.DescriptorProto, name: str) -> int:
    """Return the index of a oneof, which is declared if it was not."""
    names = [declared.name for declared in described.oneof_decl]
    if name not in names:
        described.oneof_decl.add(name=name)
        names.append(name)
    return names.index(name)
