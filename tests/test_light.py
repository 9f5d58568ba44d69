"""Who takes only the swap, the metrics or the formulas needs PyTorch, torchmetrics and SciPy, nothing of the rest."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forked import REPOSITORY

SOURCE = REPOSITORY / "src"
HEAVY = ("hydra", "omegaconf", "wandb", "decord", "cv2", "av", "pytorch_lightning", "lightning_fabric", "pandas")
FORMULAS = ("score_groups", "tree_loss", "regression_tree", "score_distribution", "gaussian_score", "votes", "i3d")

PROGRAM = """
import importlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy}:
            raise ImportError(name + " is not installed")

sys.meta_path.insert(0, Blocked())
{body}
"""


def without_heavy(body: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Runs `body` in a new process in which none of HEAVY can be imported."""
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", PROGRAM.format(heavy=set(HEAVY), body=body)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=environment, timeout=120)


def light() -> list[str]:
    """The modules that the rule is for."""
    rooms = [path for room in ("augment", "measures") for path in (SOURCE / "swapaqa" / room).glob("*.py")]
    found = [".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in sorted(rooms)]
    formulas = [f"swapaqa.models.{name}" for name in FORMULAS]
    return ["swapaqa.metrics", "swapaqa.statistics", *found, *formulas]


def test_the_light_modules_are_imported_without_the_rest(tmp_path: Path) -> None:
    names = light()
    assert len(names) > 20
    body = f"for name in {names}:\n    importlib.import_module(name)\nprint(len({names}))"
    done = without_heavy(body, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(len(names))]


HYDRAS = ("train", "pretrain", "evaluate", "extract", "gradcam", "doctor", "demo")


@pytest.mark.parametrize(
    ("programs", "heavy"),
    [
        (HYDRAS, ("torch", "pytorch_lightning", "lightning_fabric", "av", "cv2", "wandb")),
        (("report", "boxes"), ("pytorch_lightning", "lightning_fabric", "wandb")),
    ],
)
def test_programs_say_what_they_take_without_what_trains(
    programs: tuple[str, ...], heavy: tuple[str, ...], tmp_path: Path
) -> None:
    """`--help`, `--cfg job` and a misspelt key need none of what takes seconds to import."""
    body = f"""
import importlib, sys
for name in {programs}:
    importlib.import_module("swapaqa.programs." + name)
print("imported", *(name for name in {heavy} if name in sys.modules))
"""
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", body]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.stdout == "imported\n", done.stderr


def test_what_forks_a_sweeps_jobs_touches_no_gpu(tmp_path: Path) -> None:
    """A process that was forked after a GPU was touched cannot use it."""
    body = """
import sys, torch
asked = []
for name in ("is_available", "device_count", "init", "_lazy_init", "current_device"):
    setattr(torch.cuda, name, lambda *_, name=name: asked.append(name) or 0)
import swapaqa.running.worker
print("asked", *asked)
"""
    done = subprocess.run(
        [sys.executable, "-c", body],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(SOURCE)},
    )  # fmt: skip
    assert done.stdout == "asked\n", done.stderr


@pytest.mark.parametrize("heavy", ["swapaqa.data.datamodule", "swapaqa.models.core", "swapaqa.running.training"])
def test_the_block_blocks(heavy: str, tmp_path: Path) -> None:
    done = without_heavy(f"import {heavy}", tmp_path)
    assert done.returncode == 1
    assert "is not installed" in done.stderr


def test_the_swap_works_without_the_rest(tmp_path: Path) -> None:
    body = """
import torch
from swapaqa.augment.swap import swap_background
video = torch.stack([torch.full((3, 2, 8, 8), value, dtype=torch.uint8) for value in (10, 200)])
boxes = torch.tensor([2.0, 2.0, 5.0, 5.0]).expand(2, 2, 4)
swapped = swap_background(video, boxes, torch.tensor([1, 0]), ratio=1.0)
inside = torch.zeros(8, 8, dtype=torch.bool)
inside[2:6, 2:6] = True
assert (swapped[0][..., inside] == 10).all() and (swapped[0][..., ~inside] == 200).all()
masks = inside.expand(2, 2, 8, 8)
assert torch.equal(swap_background(video, masks, torch.tensor([1, 0]), ratio=1.0), swapped)
assert (swap_background(video, masks, torch.tensor([1, 0]), ratio=2.0, edge=1)[0] == 10).sum() == 3 * 2 * 16
print("swapped")
"""
    done = without_heavy(body, tmp_path)
    assert done.stdout == "swapped\n", done.stderr
