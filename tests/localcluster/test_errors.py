from localcluster import errors, kinds


def test_a_status_says_what_was_meant() -> None:
    assert errors.not_found(kinds.DEPLOYMENTS, "web").body() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'deployments.apps "web" not found',
        "reason": "NotFound",
        "details": {"name": "web", "group": "apps", "kind": "deployments"},
        "code": 404,
    }


def test_an_invalid_field_is_named_as_a_cause() -> None:
    body = errors.invalid(kinds.PODS, "web", "spec.containers", "Required value").body()
    assert body["message"] == 'Pod "web" is invalid: spec.containers: Required value'
    assert body["details"]["causes"][0]["field"] == "spec.containers"


def test_too_large_names_both_numbers() -> None:
    assert "20 bytes, the limit is 10 bytes" in errors.too_large(20, 10).message
