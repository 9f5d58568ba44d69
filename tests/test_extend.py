"""The worked examples of `docs/extend.md`: written out, installed and run as that page says, outside of the tree."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from swapaqa.data.demo_files import write_video
from tests.forked import REPOSITORY
from tests.page import PAGE, blocks, files, install

AQA = re.compile(r"^aqa\(\) \{ (?P<command>.*); \}$", re.MULTILINE)
INSTALLATION, *SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
RUN = {section.splitlines()[0]: section for section in SECTIONS if "```bash" in section}
EXAMPLES = [
    "A method", "A backbone", "A data set", "A source of boxes or masks", "An augmentation", "A metric", "An optimiser",
]  # fmt: skip


def write_jumps(folder: Path) -> None:
    """The videos that the page's data set reads."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    with open(folder / "jumps.csv", "w", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(["file", "score", "split", "meeting", "height"])
        for number in range(12):
            write_video(folder / f"{number}.avi", rng.integers(0, 256, (20, 72, 96, 3), dtype=np.uint8))
            rows.writerow(
                [f"{number}.avi", 40 + 3 * number, "test" if number % 3 == 0 else "train", f"meeting {number % 4}", 1.5]
            )


def test_every_example_of_the_page_is_a_file_that_compiles() -> None:
    assert [section.splitlines()[0] for section in SECTIONS if blocks(section, "python")] == EXAMPLES
    found = dict(files())
    for path, text in found.items():
        if path.endswith(".py"):
            compile(text, path, "exec")
    body = found["my_aqa/likert.py"].partition("class Likert")[2].partition("def hardest_triplet")[0]
    assert len([line for line in body.splitlines() if line.strip()]) <= 45


def script(section: str, demo: list[str], folder: Path) -> str:
    """A section's commands as a shell script, with what makes each a matter of seconds; `demo`: of the demo's data."""
    commands = "\n".join(blocks(INSTALLATION, "bash") + blocks(section, "bash"))
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
@pytest.mark.parametrize("name", RUN)
def test_every_command_of_the_page_runs(
    name: str, tmp_path: Path, small_demo: list[str], train_environment: Callable[[Path], dict[str, str]]
) -> None:
    installed = install(tmp_path)
    write_jumps(installed / "jumps")
    done = subprocess.run(
        ["bash", "-c", script(RUN[name], small_demo, installed)], cwd=installed, env=train_environment(installed),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    results = [json.loads(path.read_text()) for path in sorted(installed.glob("outputs/*/*/result.json"))]
    assert results
    for result in results:
        score = result["metrics"]["last"]["splits"]["test"]["average"]["relative_l2_x100"]
        assert np.isfinite(score)
    assert len(list(installed.glob("outputs/*/report/index.html"))) == ("report show" in RUN[name])
    SEEN.get(name, lambda *_: None)(results, done.stdout)


def saw_a_method(results: list[dict], out: str) -> None:  # noqa: ARG001
    assert {result["config"]["model"]["_target_"] for result in results} == {"my_aqa.likert.Likert"}
    assert {result["seed"] for result in results} == {0, 1}


def saw_an_augmentation(results: list[dict], out: str) -> None:
    assert {result["config"]["boxes"]["_target_"] for result in results} == {"my_aqa.ellipses.Ellipses"}
    assert all(0.2 < result["replaced_share"]["mean"] < 1 for result in results)
    assert "Boxes: ellipse at ratio 2" in out


def saw_a_metric(results: list[dict], out: str) -> None:
    of_the_sweep = [result["measures"] for result in results if result["name"] != "evaluate"]
    assert [measures["within"]["title"] for measures in of_the_sweep] == ["within 5 points"] * 2
    assert "within 5 points" in out
    assert "(higher is better)" in out


def saw_an_optimiser(results: list[dict], out: str) -> None:  # noqa: ARG001
    optimisers = {result["config"]["optim"]["optimizer"]["_target_"] for result in results}
    assert optimisers == {"my_aqa.lion.Lion", "torch.optim.Adam"}


SEEN = {
    "A method": saw_a_method,
    "An augmentation": saw_an_augmentation,
    "A metric": saw_a_metric,
    "An optimiser": saw_an_optimiser,
}
