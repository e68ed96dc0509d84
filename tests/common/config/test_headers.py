"""Headers that cannot be sent, and two ways at once to be authorized, are said with their key."""

from common.config import headers


def problems(given: dict[str, str], names=headers.HTTP) -> dict[str, str]:
    return dict(headers.problems(given, names))


def test_names_and_values_that_no_request_can_have() -> None:
    found = problems({"a b": "x", "fine": "x", "bad": "s\necret", "Content-Type": "x"})
    assert list(found) == ["headers.a b", "headers.bad", "headers.Content-Type"]
    assert "ecret" not in repr(found)


def test_grpc_has_fewer_names() -> None:
    assert list(problems({"grpc-x": "", "x-bin": "", "x!": "", "X-Y": ""}, headers.GRPC)) == [
        "headers.grpc-x",
        "headers.x-bin",
        "headers.x!",
    ]
    assert not problems({"grpc-x": "", "x-bin": "", "x!": ""})


def test_one_authorization_is_enough() -> None:
    def keys(given: dict[str, str], url: str, *, auth: bool) -> list[str]:
        return [key for key, _ in headers.conflicts(given, "url", url, auth=auth)]

    header = {"Authorization": "secret"}
    assert not keys(header, "http://b", auth=False)
    assert not keys({}, "http://me@b", auth=False)
    assert not keys({}, "http://b", auth=True)
    assert not keys(header, "http://[", auth=False)  # no URL, which is said elsewhere
    assert keys(header, "http://b", auth=True) == ["headers.Authorization"]
    assert keys(header, "http://me@b", auth=False) == ["url"]
    assert keys({}, "http://me@b", auth=True) == ["url"]
    assert keys(header, "http://me@b", auth=True) == ["headers.Authorization", "url", "url"]
