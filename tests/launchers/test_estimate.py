"""`plan=true` through a launcher: the estimate is a job of its own, and leaves nothing."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_plan_estimates_where_the_jobs_would_run(
    tmp_path: Path, train_environment: Callable[[Path], dict[str, str]], small_demo: list[str]
) -> None:
    """Submitit's own processes stand for those of SLURM, which it starts in the same way."""
    reason = "not installed: the extra `slurm` (pip install swapaqa[slurm])"
    pytest.importorskip("submitit", reason=reason)
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason=reason)
    command = [sys.executable, "-m", "src.train", "--multirun", "hydra/launcher=submitit_local", *small_demo]
    command += ["hydra.launcher.timeout_min=5", "model=core,usdl", "plan=true", f"hydra.sweep.dir={tmp_path / 'sweep'}"]
    environment = train_environment(tmp_path) | {"PYTHONPATH": os.pathsep.join(sys.path)}  # plug-ins too
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 jobs like core_demo_swap: " in done.stdout
    assert "1 jobs like usdl_demo_swap: " in done.stdout
    assert "hydra.launcher.timeout_min=5 is short: say hydra.launcher.timeout_min=10" in done.stdout
    assert not (tmp_path / "sweep" / ".plan").exists()
    assert not (tmp_path / "sweep" / "jobs.json").exists()
