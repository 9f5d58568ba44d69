"""`plan=true` through a launcher: the estimate is a job of its own, and leaves nothing."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_plan_estimates_where_the_jobs_would_run(
    tmp_path: Path, train_inside: Callable[..., "CompletedProcess[str]"], small_demo: list[str]
) -> None:
    """Submitit's own processes stand for those of SLURM, which it starts in the same way."""
    reason = "not installed: the extra `slurm` (pip install swapaqa[slurm])"
    pytest.importorskip("submitit", reason=reason)
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason=reason)
    words = ["--multirun", "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5", *small_demo]
    done = train_inside(tmp_path, *words, "model=core,usdl", "plan=true", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert done.returncode == 0, done.stderr
    assert "1 jobs like core_demo_swap: " in done.stdout
    assert "1 jobs like usdl_demo_swap: " in done.stdout
    assert "hydra.launcher.timeout_min=5 is short: say hydra.launcher.timeout_min=10" in done.stdout
    assert not (tmp_path / "sweep" / ".plan").exists()
    assert not (tmp_path / "sweep" / "jobs.json").exists()
