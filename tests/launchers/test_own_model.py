"""A model of a package outside of this tree reaches the jobs of every launcher, their workers and their ranks.

A job's process composes the configuration from the command line, as the first one did, and vouches for it to the
worker that it starts: no launcher hands on anything but the words of the command line.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import pytest

from tests.forked import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LAUNCHERS = {  # the plug-in that it needs, and what is said on the command line
    "basic": ("hydra._internal.core_plugins.basic_launcher", []),
    "joblib": ("hydra_plugins.hydra_joblib_launcher", ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]),
    "ray": (
        "hydra_plugins.hydra_ray_launcher",
        ["hydra/launcher=ray", "hydra.launcher.ray.init.num_gpus=0", "hydra.launcher.ray.remote.num_gpus=0",
         "hydra.launcher.ray.remote.num_cpus=1"],
    ),
    "submitit": ("hydra_plugins.hydra_submitit_launcher", ["hydra/launcher=submitit_local"]),
}  # fmt: skip
PACKAGE = """
    import os
    from pathlib import Path

    from swapaqa.models.core import CoRe


    class Mine(CoRe):
        def on_fit_start(self):
            super().on_fit_start()
            Path(__file__).with_name(f"fitted-{os.environ.get('RANK', 'alone')}-{os.getpid()}").touch()
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "site" / "strangers_methods"
    folder.mkdir(parents=True)
    (folder / "models.py").write_text(dedent(PACKAGE))
    return folder


def train(
    words: list[str], package: Path, environment: dict[str, str], *launcher: str
) -> "subprocess.CompletedProcess[str]":
    """`src.train` of the model in `package`, started from nothing as launchers start their processes."""
    command = [
        sys.executable, "-m", "src.train", *launcher, *words, "model._target_=strangers_methods.models.Mine",
        "name=mine", "trainer.accelerator=cpu",
    ]  # fmt: skip
    search = f"{package.parent}:{REPOSITORY / 'src'}"
    environment = environment | {"PYTHONPATH": search, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=800)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_model_of_ones_own_reaches_the_jobs_of_every_launcher(
    launcher: str,
    package: Path,
    tmp_path: Path,
    train_environment: Callable[[Path], dict[str, str]],
    small_demo: list[str],
) -> None:
    module, options = LAUNCHERS[launcher]
    if find_spec(module.partition(".")[0]) is None or find_spec(module) is None:
        pytest.skip(f"not installed: {module}")
    words = [*small_demo, "seed=1,2", "trainer.max_epochs=1", f"hydra.sweep.dir={tmp_path}/sweep"]
    done = train(words, package, train_environment(tmp_path), "--multirun", *options)
    assert done.returncode == 0, done.stderr[-4000:]
    for job, seed in enumerate((1, 2)):
        result = json.loads((tmp_path / "sweep" / str(job) / "result.json").read_text())
        assert (result["seed"], result["config"]["model"]["_target_"]) == (seed, "strangers_methods.models.Mine")
    assert len(list(package.glob("fitted-*"))) == 2


def test_a_model_of_ones_own_reaches_every_rank(
    package: Path, tmp_path: Path, train_environment: Callable[[Path], dict[str, str]], small_demo: list[str]
) -> None:
    words = [
        *small_demo, "trainer.max_epochs=1", "trainer.devices=2", "trainer.strategy=ddp",
        f"hydra.run.dir={tmp_path}/run",
    ]  # fmt: skip
    done = train(words, package, train_environment(tmp_path))
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads((tmp_path / "run" / "result.json").read_text())["world_size"] == 2
    assert {path.name.split("-")[1] for path in package.glob("fitted-*")} == {"0", "1"}
