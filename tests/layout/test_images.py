"""Image recipes agree with the repository, and nothing committed names a machine or an index."""

import json
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cli.main import main
from common.config.agent import Agent
from common.config.gateway import Gateway
from common.service import address

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ("Dockerfile.gateway", "Dockerfile.agent")
pytestmark = pytest.mark.skipif(
    not (ROOT / RECIPES[0]).exists(), reason="not a checkout: recipes are not part of the wheel"
)
INDEX = re.compile(
    r"(?i)(?:index|find)[-_ ]?(?:url|links)\W{0,3}[=\s]\W{0,3}\w+://"  # pip's and uv's options
    r"|//[\w.@:-]+(?:/\w+)*/simple\b"  # what the URL of an index looks like
    r"|\b(?:pypi|pythonhosted)\.org\b"
)
MACHINE = re.compile(r"(?<![\w.}])/(?:(?:home|Users)/\w|root/|work/)")


@dataclass
class Stage:
    """What lies between two FROM of a recipe."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def of(self, keyword: str) -> list[str]:
        return [rest for word, rest in self.steps if word == keyword]


def stages(recipe: str) -> list[Stage]:
    text = (ROOT / recipe).read_text(encoding="utf-8")
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    found: list[Stage] = []
    for line in filter(None, map(str.strip, lines)):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name))
        elif found:
            found[-1].steps.append((word, rest.strip()))
        else:
            assert word == "ARG", f"{line!r} comes before the first FROM"
    return found


def finals(recipe: str) -> list[Stage]:
    """The stages that somebody runs: nothing is built from them."""
    everything = stages(recipe)
    used = {stage.base for stage in everything}
    used |= set(re.findall(r"--from=(\S+)", " ".join(r for s in everything for r in s.of("COPY"))))
    return [stage for stage in everything if stage.name not in used]


ALL_FINALS = [
    (recipe, stage) for recipe in RECIPES if (ROOT / recipe).exists() for stage in finals(recipe)
]
each_final = pytest.mark.parametrize(
    "stage",
    [stage for _, stage in ALL_FINALS],
    ids=[f"{r}-{s.name or 'last'}" for r, s in ALL_FINALS],
)


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a clone, or no git: what is tracked is not known")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8192]]


def test_there_are_three_images() -> None:
    assert [stage.name for _, stage in ALL_FINALS] == ["gateway", "operator", ""]


@pytest.mark.parametrize("recipe", RECIPES)
def test_everything_copied_exists(recipe: str) -> None:
    everything = stages(recipe)
    for number, stage in enumerate(everything):
        for copy in stage.of("COPY"):
            *sources, _ = copy.split()
            if sources[0].startswith("--from="):
                earlier = {before.name for before in everything[:number]}
                assert sources[0].removeprefix("--from=") in earlier
            else:
                assert [source for source in sources if not (ROOT / source).exists()] == []


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_lock_that_is_used_was_copied(recipe: str) -> None:
    everything = stages(recipe)
    copied = {s for stage in everything for copy in stage.of("COPY") for s in copy.split()}
    locks = {
        lock
        for stage in everything
        for run in stage.of("RUN")
        for lock in re.findall(r"-r (\S+)", run)
    }
    assert locks
    assert locks <= copied
    for stage in everything:
        for run in stage.of("RUN"):
            for install in re.findall(r"pip install[^&]*", run):
                assert "--require-hashes" in install or "--no-deps /dist/" in install


@pytest.mark.parametrize("recipe", RECIPES)
def test_all_packages_of_the_wheel_are_copied(recipe: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = {s for copy in stages(recipe)[0].of("COPY") for s in copy.split()}
    assert {package.partition("/")[0] for package in wheel} <= copied


@each_final
def test_an_image_is_built_from_packages_alone(stage: Stage) -> None:
    assert stage.base == "${BASE}"
    assert stage.of("RUN") == []
    assert [re.sub(r"^--from=\S+ ", "", copy) for copy in stage.of("COPY")] == [
        "/packages /packages"
    ]


@each_final
def test_an_image_runs_as_nobody_and_without_a_shell(stage: Stage) -> None:
    assert stage.of("USER") == ["65532:65532"]
    (entrypoint,), (command,) = stage.of("ENTRYPOINT"), stage.of("CMD")
    words = json.loads(entrypoint) + json.loads(command)  # the shell form is not JSON
    assert words[:3] == ["/usr/bin/python3", "-m", "cli.main"]
    assert words[3].startswith("-") or words[3] in main.list_commands(None)


@each_final
def test_an_image_exposes_the_default_ports(stage: Stage) -> None:
    admin = (Gateway().admin.health, Gateway().admin.metrics)
    listen = Gateway().listen
    doors = (listen.grpc, listen.http) if stage.name == "gateway" else ()
    assert Agent().admin == Gateway().admin
    wanted = {address.parse(at).port for at in (*doors, *admin)}
    assert {int(port) for exposed in stage.of("EXPOSE") for port in exposed.split()} == wanted


def test_locks_hold_names_and_hashes_only() -> None:
    locks = sorted((ROOT / "locks").glob("*.txt"))
    assert locks
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text
        options = {line.strip()[:9] for line in text.splitlines() if line.strip().startswith("-")}
        assert options == {"--hash=sh"}


def test_tracked_files_name_no_package_index() -> None:
    assert [f"{path}: {hit}" for path in tracked() for hit in INDEX.findall(path.read_text())] == []


def test_tracked_files_name_no_path_of_a_machine() -> None:
    assert [
        f"{path}: {hit}" for path in tracked() for hit in MACHINE.findall(path.read_text())
    ] == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (INDEX, "--index-url " + "https:" + "//mirror.example/root"),
        (INDEX, "PIP_INDEX_" + "URL=" + "https:" + "//mirror.example/"),
        (INDEX, "https:" + "//mirror.example/py/" + "simple"),
        (MACHINE, "cd /" + "home/somebody"),
        (MACHINE, '"/' + 'work/main"'),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)
