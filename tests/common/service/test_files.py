"""Files are due when they changed, once, and not while one is half written."""

import os
from pathlib import Path

import pytest

from common.service import files
from common.service.files import Watch


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("one")
    return path


def replace(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def test_who_has_seen_nothing_has_to_read(file: Path) -> None:
    watch = Watch()
    assert [watch.due([file]) for _ in range(3)] == [True, False, False]


def test_what_was_seen_before_it_was_read_is_not_due(file: Path) -> None:
    watch = Watch(files.prints([file]))
    assert not watch.due([file])


def test_a_replaced_file_is_due_at_once_and_once(file: Path) -> None:
    watch = Watch(files.prints([file]))
    replace(file, "two")
    assert [watch.due([file]) for _ in range(3)] == [True, False, False]


def test_a_file_written_in_place_has_to_look_the_same_twice(file: Path) -> None:
    watch = Watch(files.prints([file]))
    for text in ("tw", "two"):
        file.write_text(text * 2)
        assert not watch.due([file])
    assert [watch.due([file]) for _ in range(3)] == [True, False, False]


def test_files_come_and_go(file: Path) -> None:
    watch = Watch(files.prints([file]))
    file.unlink()
    assert [watch.due([file]) for _ in range(2)] == [True, False]
    file.write_text("back")
    assert [watch.due([file]) for _ in range(2)] == [True, False]


def test_links_are_followed_as_secrets_are_mounted(tmp_path: Path) -> None:
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tls.crt").write_text(name)
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "tls.crt").symlink_to("..data/tls.crt")
    watch = Watch(files.prints([tmp_path / "tls.crt"]))
    (tmp_path / "..new").symlink_to("v2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert [watch.due([tmp_path / "tls.crt"]) for _ in range(2)] == [True, False]


def test_what_was_refused_is_due_again_now_and_then(file: Path) -> None:
    watch = Watch(files.prints([file]))
    for _ in range(2):
        watch.refused()
        assert [watch.due([file]) for _ in range(files.RETRY)].index(True) == files.RETRY - 1
    assert not any(watch.due([file]) for _ in range(3 * files.RETRY))


def test_what_is_mended_is_not_tried_again(file: Path) -> None:
    watch = Watch(files.prints([file]))
    watch.refused()
    os.utime(file, ns=(1, 1))
    replace(file, "two")
    assert watch.due([file])
    watch.accepted([file])
    assert not any(watch.due([file]) for _ in range(3 * files.RETRY))


def test_a_file_that_was_not_looked_at_before_it_was_read_is_due(file: Path) -> None:
    watch = Watch(files.prints([file]))
    new = file.with_name("other")
    new.write_text("new")
    watch.accepted([file, new])
    assert [watch.due([file, new]) for _ in range(2)] == [True, False]
