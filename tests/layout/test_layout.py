"""The folder layout keeps its promises."""

import operator
import subprocess
import sys
import sysconfig
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_operator_folder_is_not_a_package() -> None:
    """``operator/__init__.py`` would shadow the standard library."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_stdlib_operator_wins_from_the_repository_root() -> None:
    """A bare interpreter started in the checkout still finds stdlib's ``operator``."""
    stdlib = Path(sysconfig.get_path("stdlib")) / "operator.py"
    out = subprocess.run(
        [
            sys.executable,
            "-S",
            "-E",
            "-c",
            "import collections, operator; print(operator.__file__)",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(out.stdout.strip()).samefile(stdlib)
    assert Path(operator.__file__).samefile(stdlib)


@pytest.mark.parametrize(
    "name", ["gateway", "agent", "common", "cli", "localcluster", "pipeline_operator"]
)
def test_top_level_names_belong_to_us_alone(name: str) -> None:
    """No dependency ships a package with one of our generic names."""
    assert set(packages_distributions().get(name, [])) <= {"headgate"}
