"""``headgate explain``: why a pod is scraped, or not, as its node's agent decided."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Final, NoReturn

import click
import msgspec

from cli import agents, asking, explanation, looking
from cli.agents import Told
from common.kube import client, credentials
from common.service.settings import SettingsError

URL: Final = "http://127.0.0.1:8888"


def _subject(_: click.Context, __: click.Parameter, text: str) -> str:
    try:
        return agents.subject(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _agent(_: click.Context, __: click.Parameter, url: str | None) -> str:
    return asking.address(url, agents.PATH) if url else ""


@click.group()
def explain() -> None:
    """Say why something is as it is.

    \b
    Examples:
      headgate explain pod shop/cart-5d4b
    """


@explain.command()
@click.argument("subject", metavar="NAMESPACE/NAME", callback=_subject)
@click.option(
    "--agent",
    "url",
    callback=_agent,
    help="Ask this agent, at its admin address (admin.metrics or admin.health).  [default: "
    f"{URL}, without a kubeconfig]",
)
@click.option(
    "--kubeconfig",
    default="",
    envvar=("HEADGATE_KUBECONFIG", "KUBECONFIG"),
    help="Find the agent of the pod's node through this kubeconfig's API server.",
)
@click.option("--context", default="", help="The kubeconfig's context; the current one otherwise.")
@click.option(
    "--selector",
    default=agents.SELECTOR,
    show_default=True,
    help="The labels of agents' pods.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=agents.PORT,
    show_default=True,
    help="The port of agents' admin address.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1, max=3600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long each request may take.",
)
def pod(
    *,
    subject: str,
    url: str,
    kubeconfig: str,
    context: str,
    selector: str,
    port: int,
    as_json: bool,
    timeout: float,
) -> None:
    """Say why a pod is scraped, or not: every check in order, and how its scrapes fare.

    An agent knows the pods of its own node. With --agent that agent is asked; with a kubeconfig
    the one on the pod's node is found by its labels and asked through the API server (which takes
    the right to get pods/proxy) or at its address. Where none answers, the pod is decided about as
    an agent with default settings would, and the answer says so.

    Exit code 0 when the pod is explained, 1 when it cannot be.

    \b
    Examples:
      headgate explain pod shop/cart-5d4b --kubeconfig ~/.kube/config
      headgate explain pod shop/cart-5d4b --agent http://10.1.2.3:8888
      headgate explain pod shop/cart-5d4b --json
    """
    search = agents.Search(selector=selector, port=port, timeout=timeout)
    first = kubeconfig.split(os.pathsep, maxsplit=1)[0]
    path = Path(first).expanduser() if first else None
    if not url and path is None:
        url = asking.address(URL, agents.PATH)
    try:
        told = asyncio.run(_find(subject, url, path, context, search))
    except asking.NoPage as error:
        _fail(f"{asking.named(url)} {error}")
    except agents.NoAnswer as error:
        _fail(f"{subject}: {error}")
    except SettingsError as error:
        _fail(*map(str, error.problems))
    except (client.Failure, OSError) as error:
        _fail(f"the API server of {path}: {error}")
    if as_json:
        click.echo(json.dumps({**msgspec.to_builtins(told.page), "how": told.how}))
    else:
        _say(told)
    sys.exit(0 if told.page.known else 1)


async def _find(
    subject: str, url: str, kubeconfig: Path | None, context: str, search: agents.Search
) -> Told:
    """Ask the agent at *url*, if given, and where it does not know the pod, or is none, others."""
    if url:
        page = await agents.one(url, subject, search.timeout)
        if page.known or kubeconfig is None:
            return Told(page=page, how=f"said by the agent at {asking.named(url)}")
    if kubeconfig is None:
        raise RuntimeError("BUG: there is nobody to ask")
    access = await credentials.from_kubeconfig(kubeconfig, context=context)
    limits = client.Limits(request_timeout=search.timeout)
    async with client.connecting(access, limits) as api:
        return await agents.explain(api, subject, search)


def _fail(*words: str) -> NoReturn:
    for each in words:
        click.echo(f"error: {each}", err=True)
    sys.exit(1)


def _say(told: Told) -> None:
    drawn = explanation.marks(sys.stdout.encoding or "ascii")
    width = shutil.get_terminal_size(looking.UNBOUNDED).columns
    looking.say("\n".join(explanation.lines(told.page, told.how, width, drawn)))
