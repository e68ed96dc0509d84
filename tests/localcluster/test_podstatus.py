import pytest

from localcluster import podstatus
from localcluster.kinds import Object
from localcluster.podspec import Addresses
from localcluster.podstatus import Backoff, Container, Running, State, Terminated, Waiting

HERE = Addresses(pod="127.10.1.2", host="127.10.1.1")
RUNS = Running(since="t1")
CRASHED = Terminated(code=1, since="t1", until="t2")
DONE = Terminated(code=0, since="t1", until="t2")
AGAIN = Waiting(reason="CrashLoopBackOff")


@pytest.mark.parametrize(
    ("policy", "states", "phase"),
    [
        ("Always", [Waiting()], "Pending"),
        ("Always", [RUNS, Waiting()], "Pending"),
        ("Always", [RUNS], "Running"),
        ("Always", [CRASHED], "Running"),
        ("Always", [DONE], "Running"),
        ("Always", [AGAIN], "Running"),
        ("OnFailure", [CRASHED], "Running"),
        ("OnFailure", [DONE], "Succeeded"),
        ("Never", [DONE, RUNS], "Running"),
        ("Never", [DONE, CRASHED], "Failed"),
        ("Never", [DONE, DONE], "Succeeded"),
        ("Always", [Waiting(reason="CreateContainerConfigError")], "Pending"),
    ],
)
def test_the_phase_follows_the_containers(policy: str, states: list[State], phase: str) -> None:
    assert podstatus.phase(policy, states) == phase


def status(container: Container, before: Object | None = None, **more: bool) -> Object:
    pod = {"spec": {"restartPolicy": "Always"}, "status": before or {}}
    return podstatus.status(pod, [container], HERE, started="t0", now="now", **more)


def ready_condition(found: Object) -> Object:
    return next(c for c in found["conditions"] if c["type"] == "Ready")


def test_a_running_container_makes_a_ready_pod_with_addresses() -> None:
    begun = Container(name="c", image="i", state=Waiting()).started("process://7", "t1", ready=True)
    found = status(begun)
    assert (found["phase"], found["podIP"], found["hostIP"]) == (
        "Running",
        "127.10.1.2",
        "127.10.1.1",
    )
    assert found["podIPs"] == [{"ip": "127.10.1.2"}]
    assert found["containerStatuses"][0]["state"] == {"running": {"startedAt": "t1"}}
    assert ready_condition(found)["status"] == "True"


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    ready = Container(name="c", image="i", state=RUNS, ready=True)
    before = status(ready)
    for condition in before["conditions"]:
        condition["lastTransitionTime"] = "then"
    assert ready_condition(status(ready, before))["lastTransitionTime"] == "then"
    unready = Container(name="c", image="i", state=RUNS)
    changed = ready_condition(status(unready, before))
    assert (changed["lastTransitionTime"], changed["status"]) == ("now", "False")
    assert changed["message"] == "containers with unready status: [c]"


def test_a_death_by_signal_is_told_as_a_shell_tells_it() -> None:
    ended = Container(name="c", image="i", state=RUNS).ended(143, "t2")
    assert status(ended)["containerStatuses"][0]["state"] == {
        "terminated": {
            "exitCode": 143, "signal": 15, "startedAt": "t1", "finishedAt": "t2", "reason": "Error",
        }
    }  # fmt: skip


def test_a_restart_remembers_how_it_came_to_be() -> None:
    waiting = Container(name="c", image="i", state=CRASHED).backing_off(4)
    (found,) = status(waiting)["containerStatuses"]
    assert found["restartCount"] == 1
    assert found["lastState"]["terminated"]["exitCode"] == 1
    assert found["state"]["waiting"]["message"] == "back-off 4s restarting failed container=c"


def test_what_is_over_has_ended_whatever_the_policy() -> None:
    done = Container(name="c", image="i", state=DONE)
    assert status(done)["phase"] == "Running"
    assert status(done, over=True)["phase"] == "Succeeded"


def test_the_wait_before_a_restart_doubles_and_is_forgiven() -> None:
    backoff, delay, delays = Backoff(first=1, longest=5, forgotten_after=60), 0.0, []
    for ran_for in (0, 0, 0, 0, 59, 60, 0):
        delay = backoff.delay(delay, ran_for)
        delays.append(delay)
    assert delays == [1, 2, 4, 5, 5, 1, 2]
