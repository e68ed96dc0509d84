import pytest

from common.enrichment import owners
from common.kube import objects

CREATED = "2024-05-01T10:00:00Z"  # so many minutes since 1970:
MINUTES = 28_575_960


def of(
    kind: str, name: str, labels: dict[str, str] | None = None, created: str = CREATED
) -> dict[str, str]:
    reference = objects.OwnerReference(kind=kind, name=name, controller=True)
    return owners.workloads(
        objects.Metadata(owner_references=(reference,), labels=labels, creation_timestamp=created)
    )


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "Job"])
def test_direct_owners_are_named(kind: str) -> None:
    assert of(kind, "x") == {f"k8s.{kind.lower()}.name": "x"}


def test_a_deployment_is_read_off_the_template_hash() -> None:
    assert of("ReplicaSet", "a-b-5d9f", {"pod-template-hash": "5d9f"}) == {
        "k8s.deployment.name": "a-b", "k8s.replicaset.name": "a-b-5d9f",
    }  # fmt: skip


@pytest.mark.parametrize(
    "labels", [None, {}, {"pod-template-hash": "other"}, {"pod-template-hash": ""}]
)
def test_a_bare_replicaset_is_not_taken_for_a_deployment(labels: dict[str, str] | None) -> None:
    assert of("ReplicaSet", "web-5d9f", labels) == {"k8s.replicaset.name": "web-5d9f"}


@pytest.mark.parametrize("minutes", [MINUTES, MINUTES - 1440, MINUTES + 1440])
def test_a_cronjob_is_read_off_the_minutes(minutes: int) -> None:
    assert of("Job", f"backup-all-{minutes}") == {
        "k8s.cronjob.name": "backup-all", "k8s.job.name": f"backup-all-{minutes}",
    }  # fmt: skip


@pytest.mark.parametrize(
    "job",
    ["run-20240101", f"x-{MINUTES - 1441}", f"x-{MINUTES + 1441}", f"-{MINUTES}", "x-1234567",
     "x-", "x", f"x-{'9' * 400}", "x-\uff12\uff18\uff15\uff17\uff15\uff19\uff16\uff10"],
)  # fmt: skip
def test_a_name_that_only_looks_like_it_is_a_plain_job(job: str) -> None:
    assert of("Job", job) == {"k8s.job.name": job}


@pytest.mark.parametrize("created", ["", "yesterday"])
def test_without_a_creation_time_no_cronjob_is_guessed(created: str) -> None:
    assert of("Job", f"x-{MINUTES}", created=created) == {"k8s.job.name": f"x-{MINUTES}"}


def test_the_controlling_reference_counts() -> None:
    references = (
        objects.OwnerReference(kind="Job", name="other"),
        objects.OwnerReference(kind="DaemonSet", name="mine", controller=True),
    )
    assert owners.workloads(objects.Metadata(owner_references=references)) == {
        "k8s.daemonset.name": "mine"
    }
    assert owners.workloads(objects.Metadata(owner_references=references[:1])) == {
        "k8s.job.name": "other"
    }


def test_a_pod_of_nobody_or_of_something_else_has_no_workload() -> None:
    assert owners.workloads(objects.Metadata()) == {}
    assert of("Node", "static") == {}
