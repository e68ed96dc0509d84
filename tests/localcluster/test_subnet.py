from localcluster.subnet import Subnet


def test_every_pod_gets_an_address_of_its_own_until_none_is_left() -> None:
    subnet = Subnet("127.10.1")
    taken = [subnet.take() for _ in range(subnet.capacity)]
    pods = {a.pod for a in taken if a}
    assert len(pods) == subnet.capacity
    assert subnet.host not in pods
    assert subnet.take() is None


def test_an_address_given_back_is_used_again_last() -> None:
    subnet = Subnet("127.10.1")
    first = subnet.take()
    assert first is not None
    subnet.give_back(first)
    taken = [subnet.take() for _ in range(subnet.capacity)]
    assert taken[-1] == first
