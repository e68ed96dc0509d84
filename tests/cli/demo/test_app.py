"""The demo's summary is honest: it is a success only if every account adds up."""

import pytest

from cli.demo import app

GOOD = {"received": 10, "filtered": 2, "delivered": 5, "dropped": 1, "held": 2, "arrived": 5}


def summary(**figures: int) -> app.Summary:
    return app.Summary(
        pipelines={"fine": GOOD, "p": GOOD | figures}, targets={}, example_resource={}, seconds=1.0
    )


def test_accounts_that_balance_and_arrive_are_a_success() -> None:
    assert summary().code == 0
    assert app.report(summary())[-1] == "everything that was delivered arrived, in 1 s"


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        ({"arrived": 4}, "p: 5 points were delivered, 4 arrived"),
        ({"arrived": 6}, "p: 5 points were delivered, 6 arrived"),
        ({"received": 11}, "p: the account is off by 1 points"),
        ({"filtered": 3}, "p: the account is off by -1 points"),
    ],
)
def test_points_that_are_unaccounted_for_are_a_failure_in_words(
    figures: dict[str, int], why: str
) -> None:
    assert summary(**figures).code == 1
    assert app.report(summary(**figures))[-1] == f"error: {why}; in 1 s"


def test_no_account_at_all_is_a_failure() -> None:
    nothing = app.Summary(pipelines={}, targets={}, example_resource={}, seconds=1.0)
    assert nothing.code == 1
