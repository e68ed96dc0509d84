from localcluster import kinds, selectors, watching
from localcluster.history import Change, Key, Record
from localcluster.kinds import Kind


def record(colour: str, kind: Kind = kinds.PODS) -> Record:
    value = {"metadata": {"name": "a", "labels": {"colour": colour}}}
    return Record(key=Key(kind.group, kind.resource, "n", "a"), value=value, encoded=b"")


def events(*changes: Change) -> list[str]:
    red = selectors.select(labels="colour=red")
    return [event for event, _ in watching.visible(changes, kinds.PODS, red)]


def test_what_begins_to_match_appears_and_what_ceases_vanishes() -> None:
    red, blue = record("red"), record("blue")
    assert events(
        Change(revision=1, event="ADDED", before=None, record=blue),
        Change(revision=2, event="MODIFIED", before=blue, record=red),
        Change(revision=3, event="MODIFIED", before=red, record=red),
        Change(revision=4, event="MODIFIED", before=red, record=blue),
        Change(revision=5, event="DELETED", before=blue, record=blue),
    ) == ["ADDED", "MODIFIED", "DELETED"]


def test_a_deletion_is_seen_by_those_who_saw_the_object() -> None:
    red = record("red")
    assert events(Change(revision=1, event="DELETED", before=red, record=red)) == ["DELETED"]


def test_other_kinds_are_not_seen() -> None:
    other = record("red", kinds.SECRETS)
    assert events(Change(revision=1, event="ADDED", before=None, record=other)) == []
