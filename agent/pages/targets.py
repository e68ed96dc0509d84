"""``/targets`` for people: failing targets first, each with its figures against their limits. Pure.

Errors, URLs and decisions quote what targets and annotations say, so everything is escaped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice
from typing import Final
from urllib.parse import quote, urlencode

from agent import targets
from agent.pages import people, view, words
from agent.pages.people import bar, figure, text
from agent.pages.view import View
from agent.scraping.state import Health, State
from common.service import markup

MOST: Final = 1000  # targets, and as many of what is not scraped; the JSON has all
_MOST_STEPS: Final = 40  # a pod may ask for 64 ports
_TITLES: Final = {
    "failing": "Failing",
    "pending": "Pending",
    "up": "Up",
    view.SKIPPED: "Not scraped",
}


def page(shown: View) -> markup.Html:
    """Return the page."""
    where = f"node {shown.node}" if shown.node else "static targets only: no node is set"
    head = f"<h1>Targets</h1>\n<p class=soft>{text(where)}</p>\n"
    head += "".join(
        f"<p class=soft>{text(name)}: {text(said)}</p>" for name, said in shown.inputs.items()
    )
    head += _tabs(shown)
    parts = [f"<header>{head}</header>\n<main>"]
    room = MOST
    for health in (Health.FAILING, Health.PENDING, Health.UP):
        found = [state for state in shown.states if state.health is health]
        parts += _section(_TITLES[health], len(found), room)
        parts += _cards(_target(state, shown) for state in found[:room])
        room -= min(room, len(found))
    parts += _not_scraped(shown)
    if not shown.states and not shown.skipped:
        parts.append("<p>There is nothing here.</p>")
    parts.append(
        "</main>\n<footer>Times are as of when this page was made; reload it for newer ones. "
        f'<a href="{_link(shown, shown.asked.state, "json")}">The same as JSON</a></footer>'
    )
    return markup.Html(
        title=f"Targets {shown.node}".rstrip(), body="\n".join(parts), style=people.STYLE
    )


def _tabs(shown: View) -> str:
    total = sum(shown.counts.values())
    tabs = [("", f"All {total}")]
    tabs += [(state, f"{_TITLES[state]} {shown.counts[state]}") for state in view.STATES]
    links = (
        f'<a href="{_link(shown, state)}"'
        f"{' aria-current=page' if shown.asked.state == state else ''}>{label}</a>"
        for state, label in tabs
    )
    return f"<nav>{''.join(links)}</nav>"


def _link(shown: View, state: str, *flags: str) -> str:
    """Return a link to this page with another choice; relative, for the page may be proxied."""
    asked = [("state", state), ("subject", shown.asked.subject), *((flag, "1") for flag in flags)]
    chosen = [(name, value) for name, value in asked if value]
    return text(f"?{urlencode(chosen, errors='replace')}")


def _section(title: str, count: int, room: int) -> Iterable[str]:
    if count:
        yield f"<h2>{title} <span class=soft>{count}</span></h2>"
        if count > room:
            yield (
                f"<p class=warning>{room} are shown; choose one with ?subject=NAMESPACE/NAME, "
                "or take the JSON, which has all.</p>"
            )


def _cards(cards: Iterable[str]) -> Iterable[str]:
    inside = "\n".join(cards)
    if inside:
        yield f"<ul class=cards>\n{inside}\n</ul>"


def _target(state: State, shown: View) -> str:
    target = state.target
    look = state.health if state.health is not Health.UP or not state.oddities else "odd"
    said = ""
    if state.error:
        often = f" ({state.failures} scrapes in a row)" if state.failures > 1 else ""
        said = f"<p class=error>{text(state.error)}{often}</p>"
    said += "".join(f"<p class=warning>{text(odd)}</p>" for odd in state.oddities.values())
    tags = f"<span class=tag>{state.health}</span>"
    if target.kind != "pod":
        tags += f"<span class=tag>{target.kind}</span>"
    tags += "".join(f"<span class=tag>{text(name)}={text(v)}</span>" for name, v in target.labels)
    return (
        f'<li class="card {look}"><div class=head><h3>{_subject(target.subject)}</h3>{tags}</div>'
        f"<p><code>{text(target.url)}</code></p>{said}"
        f"<dl>{_figures(state, shown)}</dl>{_decisions(shown.reasons.of_target(target))}</li>"
    )


def _subject(subject: str) -> str:
    """Return the name, with a link to the explanation where it is a pod's."""
    if " " in subject or "/" not in subject:
        return text(subject)
    return (
        f'<a href="debug/explain?pod={text(quote(subject, errors="replace"))}">{text(subject)}</a>'
    )


def _figures(state: State, shown: View) -> str:
    target, bounds = state.target, shown.bounds
    every = words.seconds(target.interval)
    soon = words.until(state.next_scrape, shown.now)
    found = [figure("next scrape", f"{soon}, every {every}")]
    if state.last_scrape:
        took = f"{words.seconds(state.duration)} of {words.seconds(target.timeout)}"
        size = f"{words.size(state.bytes)} of {words.size(bounds.body_bytes)}"
        found = [
            figure("last scrape", words.age(state.last_scrape, shown.now)),
            *found,
            figure("duration", took + bar(state.duration, target.timeout)),
            figure(
                "samples", f"{state.samples:,} of {bounds.samples:,}"
                + bar(state.samples, bounds.samples),
            ),
            figure("body", size + bar(state.bytes, bounds.body_bytes)),
            figure("series added", f"{state.added:,}"),
        ]  # fmt: skip
    if state.format:
        found.append(figure("format", text(state.format)))
    if state.late:
        found.append(figure("missed ticks", f"<span class=warning>{state.late:,}</span>"))
    if state.redirects:
        found.append(figure("redirects", str(state.redirects)))
    return "".join(found)


def _decisions(steps: Collection[targets.Step]) -> str:
    if not steps:
        return ""
    listed = "".join(f"<li class=step>{text(step)}</li>" for step in islice(steps, _MOST_STEPS))
    if len(steps) > _MOST_STEPS:
        listed += f"<li class=step>and {len(steps) - _MOST_STEPS} more</li>"
    return f"<details><summary>{_counted(len(steps))}</summary><ol>{listed}</ol></details>"


def _counted(steps: int) -> str:
    return f"{steps} decisions" if steps > 1 else "1 decision"


def _not_scraped(shown: View) -> Iterable[str]:
    wanted = [entry for entry in shown.skipped if entry.asked]
    unwanted = shown.skipped[len(wanted) :]
    yield from _section("Not scraped, though asked for", len(wanted), MOST)
    yield from _cards(_refused(entry, shown) for entry in wanted[:MOST])
    room = MOST - min(MOST, len(wanted))
    yield from _section("Not scraped: nobody asks for it", len(unwanted), room)
    yield from _cards(_refused(entry, shown) for entry in unwanted[:room])


def _refused(entry: targets.Skipped, shown: View) -> str:
    decision = shown.reasons.of_skipped(entry)
    remedy = f"<p class=soft>{text(entry.remedy)}</p>" if entry.remedy and entry.asked else ""
    url = f"<p><code>{text(entry.url)}</code></p>" if entry.url else ""
    look = "asked" if entry.asked else "unasked"
    steps = _decisions(decision.steps if decision else ())
    return (
        f'<li class="card {look}"><div class=head><h3>{_subject(entry.subject)}</h3></div>'
        f"<p>{text(entry.why)}</p>{url}{remedy}{steps}</li>"
    )
