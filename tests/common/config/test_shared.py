"""What the sections that several documents share decide by themselves."""

import pytest

from common.config.shared import Namespaces


@pytest.mark.parametrize(
    ("chosen", "taken"),
    [
        (Namespaces(), {"shop", "kube-system", ""}),
        (Namespaces(include=("shop",)), {"shop", ""}),
        (Namespaces(exclude=("kube-system",)), {"shop", ""}),
    ],
)
def test_a_choice_of_namespaces_says_nothing_about_what_has_none(
    chosen: Namespaces, taken: set[str]
) -> None:
    assert {name for name in ("shop", "kube-system", "") if chosen.take(name)} == taken
