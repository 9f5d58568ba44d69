"""What `pip install swapaqa` gives: the command, configuration and sweeps, in an environment of its own, anywhere."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from swapaqa import __version__
from tests.conftest import isolated
from tests.forked import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
WITHOUT_LOWER_BOUND = "torch"  # old builds of it for a CPU are not there: the lock's
SOURCES = ("src", "conf", "sweeps", "pyproject.toml", "README.md", "LICENSE")


class Installed:
    """An environment with swapaqa and what it needs, and an empty folder to work in."""

    def __init__(self, folder: Path, wheel: Path, constraints: Path) -> None:
        self.bin, self.work, self.home = folder / "venv" / "bin", folder / "work", folder / "home"
        self.work.mkdir(parents=True)
        subprocess.run(["git", "init", "--quiet", str(folder)], check=True)  # a project of the user's
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        pip = [self.bin / "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints, wheel]
        subprocess.run([str(word) for word in pip], check=True, timeout=900, env=without_this_tree(os.environ))

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        environment = without_this_tree(isolated(self.home, self.home / "cache"))
        path = {"PATH": f"{self.bin}{os.pathsep}{environment['PATH']}"}
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=self.work, env=environment | path, timeout=300
        )


def without_this_tree(environment: Mapping[str, str]) -> dict[str, str]:
    """Else pip and the command would find the modules of the clone."""
    return {name: value for name, value in environment.items() if name != "PYTHONPATH"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of this tree and the wheel that is built from the sdist."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in SOURCES:
        source = REPOSITORY / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, tree / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(source, tree)
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(out), str(tree)], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def install(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Installed]:
    """`install(name, constraints)`: the wheel in an environment of its own."""

    def make(name: str, constraints: str) -> Installed:
        folder = tmp_path_factory.mktemp(name)
        (folder / "constraints.txt").write_text(constraints)
        return Installed(folder, next(built.glob("*.whl")), folder / "constraints.txt")

    return make


@pytest.fixture(scope="module")
def locked(install: Callable[[str, str], Installed]) -> Installed:
    return install("locked", (REPOSITORY / "requirements.lock").read_text())


def files(archive: Path) -> set[str]:
    """The files below `swapaqa` and `hydra_plugins` in a wheel or an sdist."""
    if archive.suffix == ".whl":
        names = zipfile.ZipFile(archive).namelist()
    else:
        members = tarfile.open(archive).getmembers()  # noqa: SIM115
        names = [member.name.partition("/src/")[2] for member in members if member.isfile()]
    return {name for name in names if name.startswith(("swapaqa/", "hydra_plugins/"))}


def in_tree() -> Iterator[str]:
    """The files that have to be there, as they are below `src`."""
    source = REPOSITORY / "src"
    for room in ("swapaqa", "hydra_plugins"):
        for folder, _, names in os.walk(source / room, followlinks=True):
            for name in names:
                if "__pycache__" not in folder:
                    yield str((Path(folder) / name).relative_to(source))


def test_wheel_and_sdist_carry_every_file_of_the_package(built: Path) -> None:
    expected = set(in_tree())
    assert {"swapaqa/conf/train.yaml", "swapaqa/conf/sweeps/ratio.yaml", "swapaqa/programs/train.py"} < expected
    for archive in (next(built.glob("*.whl")), next(built.glob("*.tar.gz"))):
        assert files(archive) == expected
    top = {name.partition("/")[0] for name in zipfile.ZipFile(next(built.glob("*.whl"))).namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"swapaqa", "hydra_plugins"}  # and no src


def test_training_on_the_demo_from_another_folder(locked: Installed, small_demo: list[str]) -> None:
    assert locked.run("swapaqa", "--version").stdout == f"swapaqa {__version__}\n"
    trained = locked.run("swapaqa", "train", "hydra.run.dir=run", *small_demo)
    assert trained.returncode == 0, trained.stderr
    result = json.loads((locked.work / "run" / "result.json").read_text())
    assert len(result["predictions"]["test"]) == 6
    assert (result["git_commit"], result["versions"]["swapaqa"]) == (None, __version__)
    scored = locked.run("swapaqa", "evaluate", "checkpoint=run/checkpoints/last.ckpt", "hydra.run.dir=scored")
    assert scored.returncode == 0, scored.stderr
    again = json.loads((locked.work / "scored" / "result.json").read_text())
    for split, predicted in result["predictions"].items():
        assert again["predictions"][split] == {name: row[:2] for name, row in predicted.items()}  # true, last
    shown = locked.run("swapaqa", "report", "show", "run", "--format", "markdown")
    assert shown.returncode == 0, shown.stderr
    assert (locked.work / "run" / "report" / "index.html").is_file()


def test_sweeps_are_found_and_a_folder_of_ones_own_too(locked: Installed, small_demo: list[str]) -> None:
    own = locked.work / "sweeps" / "two_seeds.yaml"
    own.parent.mkdir()
    own.write_text(
        "# @package _global_\nsweep: two_seeds\nhydra: {sweep: {dir: two}, sweeper: {params: {seed: '0,1'}}}\n"
    )
    for name, jobs in (("ratio", 5), ("two_seeds", 2)):
        planned = locked.run(
            "swapaqa",
            "train",
            "--multirun",
            f"+sweeps={name}",
            "plan=true",
            "data=demo",
            "data.action=diving",
            *small_demo,
        )
        assert planned.returncode == 0, planned.stderr
        assert f"{jobs} jobs, 0 of them done" in planned.stdout
    swept = locked.run("swapaqa", "train", "--multirun", "+sweeps=two_seeds", *small_demo)
    assert swept.returncode == 0, swept.stderr
    facts = [job["facts"]["seed"] for job in json.loads((locked.work / "two" / "jobs.json").read_text())["jobs"]]
    assert facts == [0, 1]


def test_messages_name_the_command(locked: Installed) -> None:
    wrong = locked.run("swapaqa", "trian")
    assert (wrong.returncode, wrong.stderr) == (2, "error: trian: no such program; did you mean train?\n")
    unswept = locked.run("swapaqa", "train", "+sweeps=ratio")
    assert unswept.returncode == 2
    assert "needs --multirun: swapaqa train --multirun +sweeps=ratio" in unswept.stderr
    assert locked.run(str(locked.bin / "python"), "-c", "import src").returncode == 1


def lower_bounds() -> Iterator[str]:
    """The oldest version that pyproject.toml promises of each package."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lock = (REPOSITORY / "requirements.lock").read_text()
    for line in project["dependencies"]:
        found = re.match(r"([\w.-]+)>=([\w.]+)", line)
        assert found, line
        name, version = found.groups()
        if name == WITHOUT_LOWER_BOUND:
            version = re.findall(rf"^{name}==(\S+)", lock, re.MULTILINE)[0]
        yield f"{name}=={version}\n"


def test_lower_bounds(install: Callable[[str, str], Installed], small_demo: list[str]) -> None:
    bounds = list(lower_bounds())
    oldest = install("oldest", "".join(bounds))
    listed = oldest.run("pip", "list", "--format", "freeze").stdout.lower()
    assert f"pytorch-lightning=={bounds[1].partition('==')[2].strip()}" in listed
    trained = oldest.run("swapaqa", "train", "hydra.run.dir=run", *small_demo)
    assert trained.returncode == 0, trained.stderr
    shown = oldest.run("swapaqa", "report", "show", "run")
    assert shown.returncode == 0, shown.stderr
    strip = oldest.run("swapaqa", "demo", "swap", "--out", "strip", *small_demo[:3])
    assert strip.returncode == 0, strip.stderr
    assert (oldest.work / "strip" / "swap.mp4").is_file()
