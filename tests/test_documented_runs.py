"""Every command of README and docs runs, in a short form: on small trees in the true layouts, for one step or round.

The commands of `docs/extend.md` that need its example package are run by `test_extend.py`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swapaqa.data.boxes import read_darklabel
from tests.conftest import isolated
from tests.documented import commands, other_commands
from tests.forked import REPOSITORY
from tests.program_server import ProgramServer
from tests.short_forms import MAKERS, PUBLISHED, VIDEO, shortened, write_home, write_published

Done = tuple[int, str]
TREES = ("aqa7", "mtl_aqa", "finediving", "rg", "fisv", "logo", "finefs")

NOT_RUN = {  # with the reason of each
    "train --multirun +sweeps=ratio hydra/launcher=ray": "needs the extra `ray`: tests/launchers/test_ray.py",
    "train --multirun +sweeps=ratio hydra/launcher=slurm hydra.launcher.account=ACCOUNT "
    "hydra.launcher.partition=PARTITION hydra.launcher.timeout_min=600 hydra.launcher.array_parallelism=8": "needs a "
    "cluster: tests/slurm/test_slurm.py",
    "train trainer.devices=8 trainer.num_nodes=2 batch=scaled data=aqa7": "by srun on two nodes",
    "train data=aqa7 boxes=tracker boxes.method=vit boxes.weights=[vitTracker.onnx]": "needs a file of others",
    "boxes make data=aqa7 boxes=tracker boxes.first_box=detector boxes.weights=[yolox_s.onnx]": "needs one of others",
    "boxes make data=aqa7 boxes=tracker boxes.first_box=detector boxes.weights=[yolov8n-seg.onnx] --masks": "as that",
    "train data=aqa7 boxes=masks": "needs what the command before would have made: tests/boxes/test_detector.py",
    "boxes measure --variant broadcast --videos 10 --weights tiny.onnx": "needs the file of test_detector.py",
    "boxes measure --variant broadcast --videos 50 --weights tiny.onnx": "the same",
    "train --multirun +sweeps=diving_features data.root=AQA7 data.features.root=diving_p3d.npz": "needs files of "
    "others, which tests/data/test_features.py reads",
    "bench step data=mtl_aqa data.batch_size=4 trainer.precision=bf16-mixed": "needs a GPU",
    "bench gpu data=mtl_aqa": "as `make gpu`",
    "bench growth --figure growth.png": "takes a minute; tests/test_bench_growth.py does its parts",
    "report verdict --lock my_claims.yaml": "needs a repository of git: tests/report/test_verdict.py",
    "report verdict outputs/ratio --claims my_claims.yaml": "the same",
    "train model=gdlt backbone=videomae": "needs the extra `transformers`: tests/backbones/test_hosting.py",
    "train model=usdl aug=swap trainer.max_epochs=1 backbone=videomae data.settings.train=2 data.settings.test=2 "
    "data.settings.shifted=2 data.batch_size=2": "the same",
    "train model=usdl aug=swap trainer.max_epochs=1 backbone=vjepa2 backbone.size=64 backbone.learning_rate=1e-3 "
    "backbone.architecture.hidden_size=96 backbone.architecture.num_hidden_layers=4 "
    "backbone.architecture.num_attention_heads=4 backbone.architecture.patch_size=8 "
    "backbone.architecture.mlp_ratio=2.0": "needs the extra `transformers`: tests/backbones/test_hosting.py",
    "train model=core data=aqa7 backbone=timm_frames backbone.name=convnext_tiny clips=every_frame": "needs the extra "
    "`timm`: tests/backbones/test_timm_frames.py",
    "extract model=gdlt data=aqa7 backbone=swin3d_b clips.frames=32 clips.stride=32 clips.size=224 "
    "out=features/swin": "needs the extra `torchvision`: tests/backbones/test_torchvision_video.py",
    "report show outputs/within": "run by test_extend.py, after the example that makes the folder",
    'evaluate checkpoint=outputs/within/0/checkpoints/last.ckpt "measures=[kendall_tau]"': "run by test_extend.py",
    "report show outputs/lion": "run by test_extend.py, after the example that makes the folder",
}
NOT_OURS = {  # commands of other programs, by how they begin, with the reason of each
    "make demo": "its program is run here: `demo compare`",
    "make test": "is these tests",
    "make slow": "is these tests",
    "make docs": "is run by CI, .ci/run",
    "make launchers": "is run by CI, .ci/run",
    "make backbones": "is run by CI, .ci/run",
    "make mutation": "takes an hour",
    "make gpu": "needs a GPU: tests/test_bench_gpu.py asks its parts of a CPU",
    "make attack": "tests/attack/test_attack.py runs a short form",
    "make rehearsal": "takes an hour: tests/test_bench_growth.py does single steps",
    "python -m tests.attack": "tests/attack/test_attack.py runs a short form",
    "pip install": "fetches packages; test_installed.py installs the project",
    "apt-get install": "fetches packages",
    "torchrun": "tests/test_many_processes.py starts processes as torchrun does",
    "srun": "needs a cluster: tests/slurm/test_slurm.py",
    "scontrol requeue": "needs a cluster",
    "pytest tests/": "a test",
    "python -m pytest tests/": "a test",
    "wandb sync": "needs a server",
}
MAY_BE_ONE = ("boxes check",)  # exit status 1: boxes that are not ready, as made ones may be
PROGRAM = re.compile(r"```\npython - <<'PROGRAM'\n(.*?)PROGRAM\n", re.DOTALL)


def test_what_is_not_run_is_still_in_the_pages() -> None:
    assert NOT_RUN.keys() <= commands().keys()
    others = other_commands()
    assert [start for start in NOT_OURS if not any(text.startswith(start) for text in others)] == []


def test_every_command_of_another_program_is_run_here_or_has_a_reason() -> None:
    run = ("python -c ", "python - ")  # by the two tests at the end
    known = tuple(NOT_OURS) + run
    assert [text for text in other_commands() if not re.sub(r"^(\w+=\S+ )+", "", text).startswith(known)] == []


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_home(tmp_path_factory.mktemp("documented"))


@pytest.fixture(scope="module")
def environment(home: Path, demo_cache: Path) -> dict[str, str]:
    path = os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / "src")))
    trees = {f"{name.upper()}_ROOT": str(home.parent / name) for name in TREES}
    return isolated(home.parent, demo_cache) | trees | {"PYTHONPATH": path, "COLUMNS": "200"}


@pytest.fixture(scope="module")
def run(home: Path, environment: dict[str, str]) -> Iterator[Callable[[str], Done]]:
    """`run(command)`: its exit status and what it printed; before it, once, the commands that write what it reads."""
    done: dict[tuple[str, ...], Done] = {}
    makers = {maker for _, maker in MAKERS}
    with ProgramServer(environment) as server:

        def once(command: str) -> Done:
            for pattern, maker in MAKERS:
                if maker != command and re.search(pattern, command):
                    status, printed = once(maker)
                    assert not status, f"{maker}, before {command}: {printed[-3000:]}"
            program, words = shortened(command, len(done))
            alike = (word for word in words if not word.startswith("hydra.sweep.dir=outputs/sweep_"))
            key = (command if command in makers else program, *alike)  # what a maker writes has a place of its own
            if key not in done:
                write_what_others_give(home, words)
                done[key] = server(home, f"src.{program}", words)
            return done[key]

        yield once


def write_what_others_give(home: Path, words: list[str]) -> None:
    for name in PUBLISHED:
        if any(word.endswith(f"={name}") for word in words) and not (home / name).exists():
            write_published(home, name)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # with the commands that write what it reads, on a busy machine
@pytest.mark.parametrize("command", [command for command in commands() if command not in NOT_RUN])
def test_a_documented_command_runs(command: str, run: Callable[[str], Done]) -> None:
    status, printed = run(command)
    allowed = (0, 1) if command.startswith(MAY_BE_ONE) else (0,)
    assert status in allowed, printed[-3000:]
    assert "Traceback" not in printed


@pytest.mark.slow
def test_the_picture_of_the_clean_backgrounds_is_written(home: Path, run: Callable[[str], Done]) -> None:
    """`docs/augment.md` has a line of Python after the command."""
    (command,) = (text for text in commands() if "--out outputs/clean" in text)
    assert run(command)[0] == 0
    (line,) = (text for text in other_commands() if text.startswith("python -c "))
    subprocess.run(["bash", "-ec", line.replace("python", sys.executable, 1)], cwd=home, check=True)
    assert (home / "docs/figures/clean_on_a_dive.jpg").stat().st_size > 1000


@pytest.mark.slow
def test_the_program_about_intervals_runs(environment: dict[str, str]) -> None:
    """`docs/evidence.md`; two draws in the place of 200."""
    (text,) = PROGRAM.findall((REPOSITORY / "docs/evidence.md").read_text())
    assert "range(200)" in text
    short = [sys.executable, "-c", text.replace("range(200)", "range(2)")]
    printed = subprocess.run(short, env=environment, check=True, capture_output=True, text=True).stdout
    assert len(printed.splitlines()) == 16


@pytest.mark.slow
def test_the_boxes_of_the_page_fit_the_made_videos(home: Path) -> None:
    """Else the command would not run for a reason of its own."""
    boxes = read_darklabel(home / "docs/figures/boxes/diving_sample.txt", range(100))
    assert (boxes[:, 2:] < VIDEO[::-1]).all()
