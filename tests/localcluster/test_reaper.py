from localcluster import reaper


def test_groups_that_were_struck_off_are_left_alone() -> None:
    assert reaper.living(["+1\n", "+2\n", "-1\n", "-9\n", "+3\n"]) == {2, 3}


def test_other_lines_mean_nothing() -> None:
    assert reaper.living(["\n", "hello\n"]) == set()
