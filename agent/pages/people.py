"""What all pages for people share: their style, their head, and how a figure is shown. Pure."""

from __future__ import annotations

from typing import Final

from common.service import markup

MOST_WORDS: Final = 600  # characters of one error, reason or decision

STYLE: Final = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#d9dee5;--page:#f6f7f9;
--card:#fff;--red:#b3261e;--green:#1d7a3e;--amber:#8a5a00;--grey:#5b6675;--link:#1257b0}
@media (prefers-color-scheme:dark){:root{--ink:#e4e8ee;--soft:#9aa6b5;--line:#313a46;
--page:#12161c;--card:#1a2028;--red:#ff8a80;--green:#6fd08c;--amber:#f0b756;--grey:#9aa6b5;
--link:#8ab8ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.45 system-ui,sans-serif}
main,header{max-width:1240px;margin:0 auto;padding:0 20px}
header{padding-top:18px}
h1{font-size:1.3rem;margin:0}h2{font-size:1.05rem;margin:26px 0 8px}
h3{font-size:1rem;margin:0;font-weight:600}
p{margin:4px 0;overflow-wrap:anywhere}
a{color:var(--link)}
code{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
.soft,dt{color:var(--soft)}
nav{display:flex;flex-wrap:wrap;gap:6px;margin:14px 0 0}
nav a{padding:4px 12px;border:1px solid var(--line);border-radius:99px;background:var(--card);
text-decoration:none;color:var(--ink);white-space:nowrap}
nav a[aria-current]{border-color:var(--link);box-shadow:0 0 0 1px var(--link)}
ul.cards{list-style:none;margin:0;padding:0;display:grid;gap:8px;grid-template-columns:100%}
.card{background:var(--card);border:1px solid var(--line);border-left:4px solid var(--grey);
border-radius:6px;padding:9px 14px 10px}
.failing,.fail{border-left-color:var(--red)}.up,.pass{border-left-color:var(--green)}
.odd,.asked{border-left-color:var(--amber)}
.head{display:flex;flex-wrap:wrap;gap:2px 12px;align-items:baseline}
.head h3{overflow-wrap:anywhere}
.tag{font-size:12px;border:1px solid var(--line);border-radius:4px;padding:0 6px;
color:var(--soft);white-space:nowrap}
.error{color:var(--red)}.warning{color:var(--amber)}.good{color:var(--green)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(136px,1fr));gap:6px 16px;
margin:8px 0 0}
dl div{min-width:0}
dt{font-size:12px}dd{margin:0;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
meter{display:block;width:100%;height:7px}
details{margin-top:6px}summary{cursor:pointer;color:var(--soft);font-size:13px}
ol{margin:6px 0 2px;padding-left:1.6em}li.step{padding:1px 0;overflow-wrap:anywhere}
li.step b{font-weight:600}
footer{max-width:1240px;margin:26px auto;padding:0 20px;color:var(--soft);font-size:13px}
@media (max-width:480px){main,header,footer{padding-left:12px;padding-right:12px}
dl{grid-template-columns:1fr 1fr}}
"""


def text(value: object) -> str:
    """Return *value* as it is written in markup, a very long one cut."""
    return markup.text(value, MOST_WORDS)


def figure(name: str, value: str) -> str:
    """Return a figure of a list of them; *value* is markup."""
    return f"<div><dt>{name}</dt><dd>{value}</dd></div>"


def bar(value: float, most: float) -> str:
    """Return a bar that shows *value* against its limit; it turns at four fifths."""
    return f'<meter max="{most:g}" high="{0.8 * most:g}" optimum="0" value="{value:g}"></meter>'
