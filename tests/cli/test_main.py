"""One entry point that imports only what is asked for."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from cli.main import main

COMMANDS = (
    "agent", "buffer", "demo", "explain", "gateway", "ledger", "reference", "validate", "version",
)  # fmt: skip
BUFFER = ("ls", "purge", "replay", "verify")


def test_help_lists_every_command_with_examples() -> None:
    examples, listed = CliRunner().invoke(main, ["--help"]).output.split("Commands:")
    assert tuple(line.split()[0] for line in listed.splitlines() if line[:3].strip()) == COMMANDS
    shown = {line.split()[1] for line in examples.splitlines() if line.startswith("    headgate ")}
    assert shown == {*COMMANDS} - {"version"}


@pytest.mark.parametrize(
    "command",
    [
        *[(name,) for name in COMMANDS],
        *[("buffer", name) for name in BUFFER],
        ("agent", "targets"),
        ("explain", "pod"),
    ],
)
def test_every_command_has_help_with_examples(command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, [*command, "--help"])
    assert (done.exit_code, "Usage:" in done.output) == (0, True)
    assert ("Examples:" in done.output) == (command != ("version",))
    assert f"headgate {' '.join(command)}" in done.output or command == ("version",)


def test_buffer_has_the_commands_that_the_handbook_names() -> None:
    listed = CliRunner().invoke(main, ["buffer", "--help"]).output.partition("Commands:")[2]
    assert tuple(line.split()[0] for line in listed.splitlines() if line[:3].strip()) == BUFFER


BARE = """
import sys

class Absent:
    '''Says that everything that only an extra brings is not installed.'''

    absent = {
        "backports", "cramjam", "cryptography", "google", "grpc", "httptools", "isal",
        "kubernetes_asyncio", "numpy", "opentelemetry", "xxhash",
    }

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in self.absent:
            raise ModuleNotFoundError(f"No module named {top!r}", name=top)

sys.meta_path.insert(0, Absent())
from cli.main import main
main(sys.argv[1:], prog_name="headgate")
"""


def without_extras(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BARE, *arguments],
        capture_output=True, text=True, check=False, timeout=15,
    )  # fmt: skip


@pytest.mark.wallclock
def test_help_needs_no_extra_so_that_every_image_has_it() -> None:
    done = without_extras("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "demo" in done.stdout


@pytest.mark.wallclock
@pytest.mark.parametrize("program", ["gateway", "agent", "demo"])
def test_a_missing_extra_is_said_in_words(program: str, tmp_path) -> None:
    (tmp_path / "c.yaml").write_text("{}")
    config = () if program == "demo" else ("--config", str(tmp_path / "c.yaml"))
    done = without_extras(program, *config)
    assert done.returncode == 1
    assert f"install headgate[{program}]" in done.stderr
    assert "Traceback" not in done.stderr


def test_version_speaks_json() -> None:
    said = json.loads(CliRunner().invoke(main, ["version", "--json"]).output)
    assert set(said) == {"headgate", "python"}


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(main, ["nonsense"]).exit_code == 2


def test_a_missing_configuration_is_a_usage_error() -> None:
    assert CliRunner().invoke(main, ["gateway", "--config", "/nowhere.yaml"]).exit_code == 2


@pytest.mark.wallclock
@pytest.mark.parametrize("program", ["gateway", "agent"])
def test_a_broken_configuration_is_said_in_words_and_exits_1(program: str, tmp_path) -> None:
    (tmp_path / "c.yaml").write_text("grace: soon\nkubernetes: {source: nowhere}\n")
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", program, "--config", str(tmp_path / "c.yaml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )
    assert done.returncode == 1
    assert "grace: expected" in done.stderr
    assert "kubernetes.source: invalid enum value 'nowhere'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.wallclock
def test_the_agent_does_not_import_what_only_others_need() -> None:
    code = (
        "import sys, agent.app\n"
        "others = ('kubernetes_asyncio', 'opentelemetry.sdk', 'gateway', 'localcluster')\n"
        "print([m for m in others if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=15
    )
    assert done.stdout.strip() == "[]"
