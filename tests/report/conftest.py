"""Run folders in the layout that training leaves, with numbers that a test can choose and recompute by hand."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from omegaconf import OmegaConf

from swapaqa.running.facts import facts_of

TARGETS = {
    "aqa7": "swapaqa.data.aqa7.AQA7",
    "mtl_aqa": "swapaqa.data.mtl_aqa.MTLAQA",
    "demo": "swapaqa.data.demo.Demo",
    "core": "swapaqa.models.core.CoRe",
    "usdl": "swapaqa.models.usdl.USDL",
    "dae": "swapaqa.models.dae.DAE",
    "none": "swapaqa.augment.none.NoAugmentation",
    "swap": "swapaqa.augment.swap.ScaledBackgroundSwap",
    "darklabel": "swapaqa.data.boxes.DarkLabelBoxes",
    "fixed": "swapaqa.data.boxes.FixedBoxes",
    "tracker": "swapaqa.data.boxes.TrackerBoxes",
}


class Job(NamedTuple):
    """One job of a fake sweep.

    `scores`: Spearman and R-l2 x100 by action at the last epoch; best_on_test is 0.01 and -0.1 away from them. None:
    without a result. `failure`: the text of failed.txt. `started`: False for a job without a folder.
    """

    overrides: Sequence[str]
    scores: Mapping[str, tuple[float | None, float]] | None = None
    data: str = "aqa7"
    model: str = "core"
    aug: str = "swap"
    boxes: str = "darklabel"
    frame: str | None = None
    ratio: float = 2.0
    action: str | None = "diving"
    seed: int = 0
    failure: str | None = None
    started: bool = True


WriteSweep = Callable[..., Path]


@pytest.fixture
def sweep_folder(tmp_path: Path) -> WriteSweep:
    """`sweep_folder("ratio", jobs)` writes the folder of a sweep; `plan=False`: without its jobs.json.

    `with_facts`: False for the jobs.json of the first versions.
    """

    def write(name: str, jobs: Sequence[Job], plan: bool = True, with_facts: bool = True) -> Path:
        folder = tmp_path / "outputs" / name
        folder.mkdir(parents=True)
        for number, job in enumerate(jobs):
            if job.started:
                write_run(folder / str(number), job)
        if plan:
            listed = [
                {"job": str(number), "overrides": list(job.overrides)} | ({"facts": facts(job)} if with_facts else {})
                for number, job in enumerate(jobs)
            ]
            command = f"python -m src.train --multirun +sweeps={name}"
            (folder / "jobs.json").write_text(json.dumps({"sweep": name, "command": command, "jobs": listed}))
        return folder

    return write


def facts(job: Job) -> dict[str, Any]:
    """As planning a sweep writes them."""
    return asdict(facts_of(run_config(job), choices_of(job)))


def choices_of(job: Job) -> dict[str, str]:
    return {"data": job.data, "model": job.model, "aug": job.aug, "boxes": job.boxes}


def write_run(folder: Path, job: Job) -> None:
    """What Hydra and training leave in the folder of a run, but for pictures and checkpoints."""
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save({"hydra": {"runtime": {"choices": choices_of(job)}}}, folder / ".hydra" / "hydra.yaml")
    OmegaConf.save(list(job.overrides), folder / ".hydra" / "overrides.yaml")
    config = run_config(job)
    OmegaConf.save(config, folder / "config.yaml")
    if job.failure is not None:
        (folder / "failed.txt").write_text(f"{job.failure}\n\nTraceback (most recent call last):\n")
    if job.scores is not None:
        (folder / "result.json").write_text(json.dumps(run_result(job, config)))


def run_config(job: Job) -> dict[str, Any]:
    frame = {"frame": job.frame} if job.frame else {}
    return {
        "name": f"{job.model}_{job.data}_{job.aug}",
        "seed": job.seed,
        "model": {"_target_": TARGETS[job.model]},
        "boxes": {"_target_": TARGETS[job.boxes], "ratio": 2.0, **frame},
        "aug": {"_target_": TARGETS[job.aug]} | ({"ratio": job.ratio} if job.aug == "swap" else {}),
        "data": {"_target_": TARGETS[job.data]} | ({"action": job.action} if job.action else {}),
    }


def run_result(job: Job, config: dict[str, Any]) -> dict[str, Any]:
    """Predictions are one and two points above the truth at the last and the best epoch."""
    assert job.scores is not None
    ids = [f"{action}/{number:03d}" for action in job.scores for number in (1, 2, 3)]
    truths = [30.0 + 7 * position for position in range(len(ids))]
    return {
        "name": config["name"],
        "config": config,
        "seed": job.seed,
        "metrics": {
            "last": {"epoch": 5, "splits": {"test": metrics(job.scores, 0.0)}},
            "best_on_test": {"epoch": 3, "splits": {"test": metrics(job.scores, 0.01)}},
        },
        "prediction_columns": ["true", "last", "best_on_test"],
        "predictions": {"test": {name: [true, true + 1, true + 2] for name, true in zip(ids, truths, strict=True)}},
        "replaced_share": {"mean": 0.4},
        "timing": {"wall_s": 60.0, "step_median_s": 0.5, "data_wait_share": 0.05},
        "device": "cpu",
        "world_size": 1,
        "git_commit": None,
        "versions": {"torch": "2.13.0"},
    }


def metrics(scores: Mapping[str, tuple[float | None, float]], better: float) -> dict[str, Any]:
    per_action = {
        action: {
            "spearman": None if rho is None else rho + better,
            "relative_l2_x100": r_l2 - 10 * better,
            "pairwise_accuracy": 0.75,
            "videos": 3,
        }
        for action, (rho, r_l2) in scores.items()
    }
    first = next(iter(per_action.values()))
    return {"average": {name: first[name] for name in first if name != "videos"}, "per_action": per_action}


@pytest.fixture(scope="session")
def make_job() -> type[Job]:
    """The class above: with pytest's importlib mode a test cannot import it."""
    return Job
