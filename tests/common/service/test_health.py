"""Probes, metrics and pages, over a real socket."""

from collections.abc import Mapping

import aiohttp
import pytest

from common.service import health, markup, telemetry
from common.service.telemetry import Reading, Telemetry

pytestmark = pytest.mark.wallclock


async def test_ready_turns_503_when_a_check_fails_and_when_the_process_stops() -> None:
    readiness = health.Readiness()
    state = [True]
    readiness.checks["kubernetes"] = lambda: (state[0], "in words")
    own = Telemetry(process=False)
    async with (
        health.serving(
            ["127.0.0.1:0"],
            readiness=readiness,
            telemetry=own,
            pages={"/x": lambda q: {"q": dict(q)}},
        ) as (at,),
        aiohttp.ClientSession(f"http://{at}") as client,
    ):

        async def get(path: str) -> tuple[int, object]:
            async with client.get(path) as answer:
                return answer.status, await answer.json()

        assert await get("/livez") == (200, {"status": "ok"})
        assert await get("/readyz") == (200, {"ready": True, "checks": {"kubernetes": "in words"}})
        state[0] = False
        assert (await get("/readyz"))[0] == 503
        state[0], readiness.stopping = True, True
        assert (await get("/readyz"))[0] == 503
        assert await get("/x?a=1") == (200, {"q": {"a": "1"}})


async def test_a_page_may_refuse_its_parameters() -> None:
    def picky(query):
        raise health.BadQuery(f"a={query['a']} is no number; give one")

    async with (
        health.serving(
            ["127.0.0.1:0"],
            readiness=health.Readiness(),
            telemetry=Telemetry(process=False),
            pages={"/x": picky},
        ) as (at,),
        aiohttp.ClientSession(f"http://{at}") as client,
        client.get("/x?a=b") as answer,
    ):
        assert answer.status == 400
        assert await answer.json() == {"error": "a=b is no number; give one"}


async def test_metrics_are_read_when_asked_for() -> None:
    own, count = Telemetry(process=False), [0]
    own.add(
        lambda: [
            Reading("counter", "headgate_x_total", "Things.", (({"pipeline": "p"}, count[0]),))
        ]
    )
    own.add(lambda: [Reading("gauge", "headgate_y_bytes", "Bytes.", (({}, 2),))])
    async with (
        health.serving(["127.0.0.1:0"], readiness=health.Readiness(), telemetry=own, pages={}) as (
            at,
        ),
        aiohttp.ClientSession(f"http://{at}") as client,
    ):
        count[0] = 7
        async with client.get("/metrics") as answer:
            text = await answer.text()
            assert answer.headers["Content-Type"] == telemetry.CONTENT_TYPE
    assert 'headgate_x_total{pipeline="p"} 7.0' in text
    assert "headgate_y_bytes 2.0" in text


async def test_an_address_in_use_is_an_error() -> None:
    async with health.serving(
        ["127.0.0.1:0"], readiness=health.Readiness(), telemetry=Telemetry(process=False), pages={}
    ) as (at,):
        with pytest.raises(OSError):
            async with health.serving(
                [str(at)],
                readiness=health.Readiness(),
                telemetry=Telemetry(process=False),
                pages={},
            ):
                raise AssertionError("bound twice")


async def test_a_page_may_answer_for_many_wait_and_know_nothing() -> None:
    readiness = health.Readiness(asides=lambda: {"other": "decides nothing"})

    async def page(query: Mapping[str, str]) -> object:
        if query["page"] == "none":
            raise health.NoSuchPage("no such page here")
        return dict(query)

    async with (
        health.serving(
            ["127.0.0.1:0"],
            readiness=readiness,
            telemetry=Telemetry(process=False),
            pages={"/debug/mine": lambda _: "mine", "/debug/{page}": page},
        ) as (at,),
        aiohttp.ClientSession(f"http://{at}") as client,
    ):
        for path, status, said in (
            ("/debug/mine", 200, '"mine"'),
            ("/debug/x?a=1", 200, '{\n  "a": "1",\n  "page": "x"\n}'),
            ("/debug/none", 404, "no such page here\n"),
        ):
            async with client.get(path) as answer:
                assert (answer.status, await answer.text()) == (status, said)
        async with client.get("/readyz") as answer:
            assert await answer.json() == {"ready": True, "checks": {"other": "decides nothing"}}


async def test_browsers_see_a_pages_face_for_people_and_tools_its_values() -> None:
    def page(query: Mapping[str, str]) -> object:
        def html() -> markup.Html:
            if "bad" in query:
                raise health.BadQuery("bad is no parameter")
            return markup.Html(title="t", body="<p>for people</p>", style="p{}")

        return health.Faces(plain=lambda: {"for": "tools"}, html=html)

    async with (
        health.serving(
            ["127.0.0.1:0"],
            readiness=health.Readiness(),
            telemetry=Telemetry(process=False),
            pages={"/x": page},
        ) as (at,),
        aiohttp.ClientSession(f"http://{at}") as client,
    ):
        browser = {"Accept": "text/html,*/*;q=0.8"}
        async with client.get("/x", headers=browser) as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert (answer.headers["Vary"], answer.charset) == ("Accept", "utf-8")
            assert "<p>for people</p>" in await answer.text()
        for path, headers in (("/x", {}), ("/x?json", browser), ("/x?json=1", browser)):
            async with client.get(path, headers=headers) as answer:
                assert await answer.json() == {"for": "tools"}
                assert answer.headers["Vary"] == "Accept"
        async with client.get("/x?bad=1", headers=browser) as answer:
            assert answer.status == 400
            assert await answer.json() == {"error": "bad is no parameter"}
