from pathlib import Path

from hypothesis import given, strategies as st

from localcluster import podlog
from localcluster.podlog import PodLog


@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(2, 60))
def test_the_latest_output_is_kept_within_the_bound(
    tmp_path_factory, chunks: list[bytes], max_bytes: int
) -> None:
    path: Path = tmp_path_factory.mktemp("log") / "c.log"
    log = PodLog(path, max_bytes)
    for chunk in chunks:
        log.data_received(chunk)
    log.connection_lost(None)
    whole, kept = b"".join(chunks), podlog.read(path)
    assert kept is not None
    assert len(kept) <= max_bytes
    assert whole.endswith(kept)
    assert len(kept) >= min(len(whole), max_bytes // 2)


def test_what_has_no_log_is_told_apart_from_an_empty_one(tmp_path: Path) -> None:
    assert podlog.read(tmp_path / "none.log") is None
    PodLog(tmp_path / "empty.log", 10).connection_lost(None)
    assert podlog.read(tmp_path / "empty.log") == b""
