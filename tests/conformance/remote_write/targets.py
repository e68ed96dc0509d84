"""What the agent scrapes in the conformance cases: one path for each kind of target."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from common.service import clock

BEFORE = 2500  # milliseconds that an exposed timestamp is in the past
APART = 15_000  # milliseconds between the samples of a series that one scrape has several of
GOING = 2  # scrapes after which a series, or all of a target, is gone
ORDERED = 1000  # series of the target whose receiver is slow
LONG = "l" * 10_000  # of a label's value
LONG_NAME = "long_" + "n" * 500
TEXT = '日本 \\n \\" \\\\ é'  # as exposed
MEANT = '日本 \n " \\ é'
SPECIALS = {
    "zero": "0", "negative": "-1.5", "fraction": "101.13", "nan": "NaN", "inf": "+Inf",
    "minus_inf": "-Inf", "large": "1.7976931348623157e308", "small": "5e-324",
    "scientific": "1.23e5", "integer": "9007199254740992",
}  # fmt: skip
HELP = "How much. With \\\\ and\\nlines."
HELP_MEANT = "How much. With \\ and\nlines."

_GOOD = """\
# HELP counter_total {help}
# TYPE counter_total counter
counter_total {n}
# HELP gauge {help}
# TYPE gauge gauge
gauge {n}
# HELP histogram {help}
# TYPE histogram histogram
histogram_bucket{{le="1"}} {n}
histogram_bucket{{le="2"}} {more}
histogram_bucket{{le="+Inf"}} {most}
histogram_sum {n}.25
histogram_count {most}
# HELP summary {help}
# TYPE summary summary
summary{{quantile="0.5"}} 0.25
summary{{quantile="0.99"}} {n}
summary_sum {n}.5
summary_count {n}
# TYPE sorting untyped
sorting{{foo="bar",bar="baz",Z="1",_a="2",aaa="3"}} 1
# TYPE emptied untyped
emptied{{gone="",kept="x"}} 1
# TYPE honoured untyped
honoured{{job="mine",instance="my-instance"}} 1
# TYPE text untyped
text{{value="{text}"}} 1
# TYPE long untyped
long{{value="{long}"}} 1
# TYPE {long_name} untyped
{long_name} 1
# TYPE with:colons:rate5m untyped
with:colons:rate5m 1
"""


@dataclass(slots=True)
class Exposed:
    """A running set of targets, and what they said."""

    address: str = ""
    scrapes: Counter[str] = field(default_factory=Counter)
    stamps: list[int] = field(default_factory=list)  # milliseconds exposed with ``timed``
    sorted: list[int] = field(default_factory=list)  # milliseconds exposed with ``sorted_total``


def _good(exposed: Exposed, n: int) -> str:
    stamp = clock.unix_nanoseconds() // 1_000_000 - BEFORE
    exposed.stamps.append(stamp)
    lines = [
        _GOOD.format(
            n=n, more=2 * n, most=3 * n, help=HELP, text=TEXT, long=LONG, long_name=LONG_NAME
        ),
        "# TYPE special gauge\n",
        *(f'special{{which="{which}"}} {value}\n' for which, value in SPECIALS.items()),
        "# TYPE timed untyped\n",
        f"timed {n} {stamp}\n",
    ]
    if n < GOING:
        lines.append("# TYPE going gauge\ngoing 1\n")
    if n == 0:
        exposed.sorted = [stamp - 2 * APART, stamp - APART, stamp]
        lines.append("# TYPE sorted_total counter\n")
        lines += [f"sorted_total {i} {at}\n" for i, at in enumerate(exposed.sorted)]
    return "".join(lines)


def _slow(_: Exposed, n: int) -> str:
    lines = [f'ordered{{n="{i}"}} {n}\n' for i in range(ORDERED)]
    return "".join(["# TYPE ordered gauge\n", *lines])


def _vanishing(_: Exposed, n: int) -> str:
    if n >= GOING:
        raise web.HTTPInternalServerError
    return "# TYPE vanishing gauge\nvanishing 1\n"


PAGES: dict[str, Callable[[Exposed, int], str]] = {
    "test": _good,
    "ordering": _slow,
    "vanishing": _vanishing,
    "invalid": lambda *_: "good 1\n{{{ this is no exposition\n",
    "repeated": lambda *_: 'repeated{a="1",a="2"} 1\nbeside 1\n',
    "nameless": lambda *_: '{label="value"} 1\nbeside 1\n',
    "empty": lambda *_: "",
}
"""By job, which is also the path."""


@asynccontextmanager
async def exposing() -> AsyncIterator[Exposed]:
    """Serve all targets on a free port of loopback."""
    exposed = Exposed()

    async def page(request: web.Request) -> web.Response:
        job = request.match_info["job"]
        n = exposed.scrapes[job]
        exposed.scrapes[job] += 1
        text = PAGES[job](exposed, n)
        return web.Response(
            body=text.encode(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    app = web.Application()
    app.router.add_get("/{job}", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        exposed.address = f"127.0.0.1:{runner.addresses[0][1]}"
        yield exposed
    finally:
        await runner.cleanup()
