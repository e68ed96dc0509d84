"""An agent without a cluster, or without a node, needs no rights."""

import msgspec
import pytest

from agent import permissions
from common.config import agent as config


@pytest.mark.parametrize(
    ("document", "count"),
    [
        ({"node": "n1"}, 3),
        ({}, 0),
        ({"node": "n1", "kubernetes": {"source": "none"}}, 0),
    ],
)
def test_rights_are_needed_only_where_a_cluster_is_asked(document, count) -> None:
    assert len(permissions.rules(msgspec.convert(document, config.Agent))) == count


def test_a_right_that_two_inputs_need_is_listed_once() -> None:
    given = {"node": "n1", "inputs": {"runtime": {"enabled": True}}}
    rules = permissions.rules(msgspec.convert(given, config.Agent))
    pods = permissions.Rule(groups=("",), resources=("pods",), verbs=("list", "watch"))
    assert rules.count(pods) == 1
    assert len(set(rules)) == len(rules)


def test_the_rules_of_discovery_are_among_them() -> None:
    rules = permissions.rules(msgspec.convert({"node": "n1"}, config.Agent))
    assert rules[0] == permissions.Rule(groups=("",), resources=("pods",), verbs=("list", "watch"))
    assert rules[2].groups == ("discovery.k8s.io",)
