from common.kube.rights import Rule


def test_equal_rules_are_one() -> None:
    pods = Rule(groups=("",), resources=("pods",), verbs=("list", "watch"))
    same = Rule(groups=("",), resources=("pods",), verbs=("list", "watch"))
    assert {pods, same, Rule(verbs=("get",), urls=("/metrics",))} == {
        Rule(verbs=("get",), urls=("/metrics",)),
        pods,
    }
