"""A short campaign against both doors, and that the campaign itself would find something."""

import json
import subprocess
import sys
from collections import Counter

import pytest
import uvloop

from tests.fuzz import campaign, inside, process, templates

REQUESTS = 3000


@pytest.mark.wallclock
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("door", process.doors())
def test_thousands_of_hostile_requests_end_as_they_should(tmp_path, door) -> None:
    requests = REQUESTS if door == "lean" else REQUESTS // 3
    told: list[int] = []
    report = uvloop.run(
        campaign.run(
            tmp_path,
            seed=20,
            indices=range(requests),
            door=door,
            tell=lambda report: told.append(report.requests),
        )
    )
    assert report.findings == [], (tmp_path / "gateway.log").read_text()[-2000:]
    assert report.requests >= 0.95 * requests
    assert report.points["arrived"] == report.points["delivered"] > 0
    assert all(len(found) > 1 for found in report.normal.values())
    assert told
    assert json.dumps(report.plain())


@pytest.mark.wallclock
@pytest.mark.slow
@pytest.mark.timeout(60)
def test_the_death_of_the_gateway_is_a_finding(tmp_path, monkeypatch) -> None:
    victims: list[process.Victim] = []
    plain = campaign.Campaign.__init__

    def noted(self, victim: process.Victim, seed: int, door: str) -> None:
        victims.append(victim)
        plain(self, victim, seed, door)

    def shoot(report: campaign.Report) -> None:
        if report.requests > 100 and victims:
            victims.pop().process.child.kill()

    monkeypatch.setattr(campaign.Campaign, "__init__", noted)
    report = uvloop.run(
        campaign.run(tmp_path, seed=1, indices=range(50_000), door="lean", tell=shoot)
    )
    assert any("the gateway died: -9" in finding.what for finding in report.findings)
    assert report.requests < 50_000


def test_a_case_is_the_same_every_time_and_elsewhere() -> None:
    one, other = templates.Pool(5), templates.Pool(5)
    assert (one.templates, one.strange) == (other.strange, other.templates)[::-1]
    for index in range(300):
        assert campaign.make(5, index, one) == campaign.make(5, index, other)
    code = (
        "from tests.fuzz import campaign, templates; import hashlib; p = templates.Pool(5); "
        "print(hashlib.sha256(repr([campaign.picked(campaign.make(5, n, p)) "
        "for n in range(300)]).encode()).hexdigest())"
    )
    runs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        for _ in range(2)
    }
    assert len(runs) == 1


def test_every_kind_of_case_is_drawn() -> None:
    pool = templates.Pool(1)
    drawn = Counter(campaign.make(1, n, pool).name.split("/")[0] for n in range(3000))
    wanted = {
        "body", "chunked", "encoded", "json", "right", "request", "length", "transfer", "head",
        "too-large", "cut", "connection", "smuggled", "health", "prefix", "call", "fields",
        "stream", "given-up", "http2",
    }  # fmt: skip
    assert wanted <= set(drawn)


def test_nothing_but_documented_errors_comes_from_inside() -> None:
    assert inside.run(seed=3, count=1500) == []


def test_what_escapes_inside_is_found(monkeypatch) -> None:
    def broken(*_):
        raise KeyError("lost")

    monkeypatch.setitem(inside.TARGETS, "addresses", broken)
    found = inside.run(seed=1, count=len(inside.TARGETS))
    assert [finding["what"] for finding in found] == ["KeyError: 'lost'"]


async def test_an_outcome_that_is_not_right_is_a_finding() -> None:
    victim = process.Victim(None, 0, 0, "", None, process.Arrived(), "lean")  # type: ignore[arg-type]
    run = campaign.Campaign(victim, 1, "lean")
    case = campaign.make(1, 0, templates.Pool(1))
    run.judge(0, case, "500", "", 0)
    run.judge(0, case, min(case.right), "", 0)
    assert [(f.index, f.outcome) for f in run.report.findings] == [(0, "500")]
    assert run.report.requests == 2
