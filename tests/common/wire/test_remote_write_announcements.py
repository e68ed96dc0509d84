"""When target_info is due."""

from common.wire.remote_write_announcements import Announcements

SHOP = ("shop", "1")


def due(announcements, newest, now=10**9, identity=SHOP, head=b"x"):
    return announcements.due(identity, head, newest, now)


def test_it_is_due_once_a_minute_for_each_job_and_instance():
    announcements = Announcements(10_000)
    assert [due(announcements, at) for at in (0, 59_999, 60_000, 60_001)] == [
        0, None, 60_000, None,
    ]  # fmt: skip
    assert due(announcements, 1, identity=("shop", "2")) == 1


def test_it_is_never_due_in_the_future_without_points_or_without_labels():
    announcements = Announcements(10_000)
    assert due(announcements, -1) is None
    assert due(announcements, 5, head=b"") is None
    assert due(announcements, 10**12, now=70_000) == 70_000
