"""Units: words of OpenMetrics become UCUM, others stay."""

import pytest

from agent.exposition import units


@pytest.mark.parametrize(
    ("word", "written"),
    [
        (b"seconds", b"s"),
        (b"bytes", b"By"),
        (b"kilobytes", b"kBy"),
        (b"celsius", b"Cel"),
        (b"percent", b"%"),
        (b"furlongs", b"furlongs"),
        (b"Seconds", b"Seconds"),
        (b"", b""),
    ],
)
def test_a_unit_is_written_as_ucum_if_the_table_has_it(word: bytes, written: bytes) -> None:
    assert units.ucum(word) == written
