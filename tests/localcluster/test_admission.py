from typing import Any

import pytest

from localcluster import admission, errors, kinds
from localcluster.kinds import Kind, Object


def template(**labels: str) -> Object:
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c"}]}}


def admitted(kind: Kind, item: Object) -> Object:
    admission.shape(kind, item)
    admission.admit(kind, item)
    return item


def test_a_namespace_is_labelled_with_its_name() -> None:
    item = admitted(kinds.NAMESPACES, {"metadata": {"name": "shop"}})
    assert item["metadata"]["labels"] == {"kubernetes.io/metadata.name": "shop"}
    assert item["spec"] == {"finalizers": ["kubernetes"]}


def test_a_service_is_headless_unless_it_says_otherwise() -> None:
    item = admitted(kinds.SERVICES, {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}})
    assert item["spec"]["clusterIP"] == "None"
    assert item["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]


def test_a_deployment_gets_the_defaults_of_a_real_server() -> None:
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template(a="b")}
    item = admitted(kinds.DEPLOYMENTS, {"metadata": {"name": "a"}, "spec": spec})
    assert (item["spec"]["replicas"], item["spec"]["revisionHistoryLimit"]) == (1, 10)
    assert item["spec"]["template"]["spec"]["restartPolicy"] == "Always"


@pytest.mark.parametrize(
    ("kind", "item", "field"),
    [
        (kinds.PODS, {"metadata": {"name": "a"}}, "spec.containers"),
        (kinds.PODS, {"metadata": {"name": "a"}, "spec": {"containers": [{}]}}, "containers"),
        (kinds.PODS, {"metadata": {}, "spec": {"containers": [{"name": "c"}]}}, "metadata.name"),
        (
            kinds.PODS,
            {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}, {"name": "c"}]}},
            "spec.containers\\[1\\]",
        ),
        (kinds.SECRETS, {"metadata": {"name": "A_b"}}, "metadata.name"),
        (kinds.NAMESPACES, {"metadata": {"name": "a" * 64}}, "metadata.name"),
        (kinds.SECRETS, {"metadata": {"name": "a", "labels": {"x": "-"}}}, "metadata.labels"),
        (
            kinds.DAEMONSETS,
            {"metadata": {"name": "a"}, "spec": {"template": template(a="b")}},
            "spec.selector",
        ),
        (
            kinds.DAEMONSETS,
            {
                "metadata": {"name": "a"},
                "spec": {"selector": {"matchLabels": {"a": "c"}}, "template": template(a="b")},
            },
            "template.metadata.labels",
        ),
    ],
)
def test_what_is_invalid_is_refused_with_the_field(kind: Kind, item: Object, field: str) -> None:
    with pytest.raises(errors.StatusError, match=field) as refused:
        admitted(kind, item)
    assert refused.value.code == 422


@pytest.mark.parametrize(
    "item",
    [
        [],
        {"spec": "x"},
        {"kind": "Pod"},
        {"apiVersion": "v2"},
        {"metadata": {"name": "a", "labels": {"x": 1}}},
        {"metadata": {"name": "a", "annotations": ["x"]}},
    ],
)
def test_what_is_no_such_object_is_a_bad_request(item: Object) -> None:
    with pytest.raises(errors.StatusError) as refused:
        admitted(kinds.SECRETS, item)
    assert refused.value.code == 400


def test_what_is_null_is_absent() -> None:
    item = admitted(kinds.SECRETS, {"metadata": {"name": "a", "labels": None}, "status": None})
    assert item["metadata"] == {"name": "a"}
    assert "status" not in item


def job(**template: Any) -> Object:
    spec = {"containers": [{"name": "c"}], **template}
    return {"metadata": {"name": "migrate"}, "spec": {"template": {"spec": spec}}}


def test_a_job_runs_once_and_must_say_what_is_done_about_failures() -> None:
    spec = admitted(kinds.JOBS, job(restartPolicy="Never"))["spec"]
    assert (spec["completions"], spec["parallelism"]) == (1, 1)
    for wrong in ({}, {"restartPolicy": "Always"}):
        with pytest.raises(errors.StatusError, match="restartPolicy"):
            admitted(kinds.JOBS, job(**wrong))
    with pytest.raises(errors.StatusError, match="containers"):
        admitted(kinds.JOBS, job(restartPolicy="Never", containers=[]))
