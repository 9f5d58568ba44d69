"""A torchvision of another PyTorch stops torchmetrics, and so every program: in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forked import REPOSITORY

pytestmark = pytest.mark.slow


def test_it_is_one_line(tmp_path: Path) -> None:
    package, told = tmp_path / "torchvision", tmp_path / "torchvision-0.28.0.dist-info"
    for folder in (package, told):
        folder.mkdir()
    (package / "__init__.py").write_text('raise RuntimeError("operator torchvision::nms does not exist")')
    (package / "transforms.py").write_text("")
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: torchvision\nVersion: 0.28.0\n")
    environment = os.environ | {"PYTHONPATH": f"{REPOSITORY / 'src'}{os.pathsep}{tmp_path}"}
    command = [sys.executable, "-m", "src.evaluate", "checkpoint=none.ckpt", f"hydra.run.dir={tmp_path}/run"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 2
    assert "error: torchvision: is installed and is of another PyTorch than this one" in done.stderr
    assert "Traceback" not in done.stderr
