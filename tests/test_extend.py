"""The worked examples of `docs/extend.md`: written out, installed and run as that page says, outside of the tree."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from swapaqa.data.demo import write_video
from tests.forked import REPOSITORY

PAGE = REPOSITORY / "docs" / "extend.md"
BLOCK = re.compile(r"^```(?P<kind>python|yaml|bash)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
PATH = re.compile(r"# (?P<path>my_\w+/\S+)\n")
AQA = re.compile(r"^aqa\(\) \{ (?P<command>.*); \}$", re.MULTILINE)


def blocks(kind: str) -> list[str]:
    return [found["text"] for found in BLOCK.finditer(PAGE.read_text()) if found["kind"] == kind]


def files() -> Iterator[tuple[str, str]]:
    """The files of the page, by the path in their first line."""
    for text in (*blocks("python"), *blocks("yaml")):
        named = PATH.match(text)
        assert named, f"an example without its path: {text[:60]}"
        yield named["path"], text[named.end() :]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the page's package and yamls, and the videos that its data set reads."""
    for path, text in files():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "my_aqa" / "__init__.py").write_text("")
    jumps, rng = tmp_path / "jumps", np.random.default_rng(0)
    jumps.mkdir()
    with open(jumps / "jumps.csv", "w", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(["file", "score", "split", "height"])
        for number in range(12):
            name = f"{number}.avi"
            write_video(jumps / name, rng.integers(0, 256, (20, 72, 96, 3), dtype=np.uint8))
            rows.writerow([name, 40 + 3 * number, "test" if number % 3 == 0 else "train", 1.5])
    return tmp_path


def test_every_example_of_the_page_is_a_file_that_compiles() -> None:
    found = dict(files())
    assert {path.split("/")[-1] for path in found} >= {"gdlt.py", "gdlt.yaml", "frames.py", "jumps.py", "jumps.yaml"}
    for path, text in found.items():
        if path.endswith(".py"):
            compile(text, path, "exec")
    methods = [text for path, text in found.items() if path == "my_aqa/gdlt.py"]
    body = methods[0].partition("class GDLT")[2].partition("def hardest_triplet")[0]
    assert len([line for line in body.splitlines() if line.strip()]) <= 45


def script(demo: list[str], folder: Path) -> str:
    """The page's commands as a shell script, with what makes each a matter of seconds; `demo`: of the demo's data."""
    commands = "\n".join(blocks("bash"))
    assert AQA.search(commands)
    settings = " ".join(word for word in demo if word.startswith("data."))
    always = " ".join(word for word in demo if not word.startswith("data."))

    def quick(found: re.Match[str]) -> str:
        choose = f'case "$*" in *data=*) demo="";; *) demo="{settings}";; esac'
        return f"aqa() {{ {choose}; {found['command']} {always} $demo; }}"

    path = os.pathsep.join(map(str, (folder, REPOSITORY, REPOSITORY / "src")))
    commands = AQA.sub(quick, commands).replace("PYTHONPATH=$PWD", f"PYTHONPATH={path}")
    return f"set -e\n{commands}".replace("python -m", f"{sys.executable} -m")


@pytest.mark.slow
def test_every_command_of_the_page_runs(
    installed: Path, small_demo: list[str], train_environment: Callable[[Path], dict[str, str]]
) -> None:
    done = subprocess.run(
        ["bash", "-c", script(small_demo, installed)], cwd=installed, env=train_environment(installed),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for job in ("0", "1"):
        result = json.loads((installed / "outputs" / "gdlt" / job / "result.json").read_text())
        assert result["config"]["model"]["_target_"] == "my_aqa.gdlt.GDLT"
        assert np.isfinite(result["metrics"]["last"]["splits"]["test"]["average"]["relative_l2_x100"])
    assert "gdlt" in (installed / "outputs" / "gdlt" / "report" / "index.html").read_text()
