"""Names in a folder say what lies there; folders are found at any level."""

from pathlib import Path

from common.buffer import folders


def test_a_name_says_the_number_and_the_salt() -> None:
    name = folders.segment_name(42, 0xABC)
    assert name == "00000000000000000042-00000abc.seg"
    assert folders.segments([name, "lock", folders.segment_name(7, 1), f"{name}.bak", "x.seg"]) == [
        (7, 1),
        (42, 0xABC),
    ]


def test_logs_are_found_below_and_at_a_directory(tmp_path: Path) -> None:
    for where, name in (("b/0", "cursor"), ("a/1", folders.segment_name(1, 1)), ("c", "lock")):
        (tmp_path / where).mkdir(parents=True)
        (tmp_path / where / name).touch()
    assert folders.folders(tmp_path) == [tmp_path / "a/1", tmp_path / "b/0"]
    assert folders.folders(tmp_path / "b/0") == [tmp_path / "b/0"]
    assert folders.folders(tmp_path / "c") == []
