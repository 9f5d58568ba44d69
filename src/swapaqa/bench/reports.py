"""What a report of many runs takes: `python -m src.bench reports outputs/RUN`.

The runs are copies of a finished one with made-up predictions: of every 30 a method of its own, without the swap and
with it at five ratios, each of five seeds. They are reported twice: as a list of settings, in which a job without the
swap names no ratio, and as a grid, in which every job names every factor, so that figures and answers are a method's.
"""

import argparse
import copy
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats

from swapaqa.bench.timing import describe
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import read_json, read_yaml
from swapaqa.files.whole_file import write_whole
from swapaqa.running.facts import facts_of, setting
from swapaqa.running.jobs_file import write_jobs

RATIOS = (1.0, 1.5, 2.0, 2.5, 3.0)
SEEDS = 5
NOISE = {"none": 15.0, "swap": 10.0}  # points, of the predictions
REMEDY = "name a finished run with the swap, like outputs/core_demo_swap/TIME"


class Job(NamedTuple):
    """One of the runs that are made."""

    method: str
    ratio: float | None
    seed: int

    @property
    def aug(self) -> str:
        return "none" if self.ratio is None else "swap"

    def overrides(self, grid: bool) -> list[str]:
        """In a grid a job without the swap has a ratio too, which changes nothing."""
        named = 2.0 if grid and self.ratio is None else self.ratio
        ratio = [] if named is None else [f"aug.ratio={named}"]
        return [f"model={self.method}", f"aug={self.aug}", *ratio, f"seed={self.seed}"]


def add_reports(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    reports = commands.add_parser("reports", help="a report of many runs")
    reports.add_argument("like", type=Path, metavar="RUN", help="the folder of a finished run with the swap")
    reports.add_argument("--runs", type=int, default=990)
    reports.add_argument("--videos", type=int, default=353, help="test videos of each")
    reports.set_defaults(run=bench_reports)


def bench_reports(given: argparse.Namespace) -> None:
    """Print seconds, processor time of all processes, and the size of the page, of both forms."""
    table = Table(f"{given.runs} runs of {given.videos} videos", "seconds", "of processors", "MB of the page")
    with TemporaryDirectory() as folder:
        for form in ("list", "grid"):
            sweep = Path(folder) / form
            make_runs(given.like, sweep, given.runs, given.videos, form == "grid")
            start, before = time.perf_counter(), processor_seconds()
            words = [sys.executable, "-m", "swapaqa", "report", "show", str(sweep)]
            if subprocess.run(words, stdout=subprocess.DEVNULL).returncode:
                raise InputError(f"the report of the {form} failed, for the reason above")
            took = time.perf_counter() - start
            (page,) = sweep.rglob("index.html")
            size = page.stat().st_size / 1e6
            table.add_row(form, f"{took:.1f}", f"{processor_seconds() - before:.1f}", f"{size:.1f}")
    console = Console()
    console.print(describe(torch.device("cpu")), soft_wrap=True)
    console.print(table)


def processor_seconds() -> float:
    """Of the processes that this one started, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def jobs_of(runs: int) -> Iterator[Job]:
    """As many, method after method."""
    for number in range(runs):
        method, place = divmod(number, SEEDS * (1 + len(RATIOS)))
        yield Job(f"method_{method}", (None, *RATIOS)[place // SEEDS], place % SEEDS)


def make_runs(run: Path, sweep: Path, runs: int, videos: int, grid: bool) -> None:
    """Write a finished sweep of `runs` runs into the folder `sweep`, like `run` but for what `Job` says.

    Raises:
        InputError: `run` is no finished run, one without the swap, or one of several actions.
    """
    result = read_json(run / "result.json", REMEDY)
    hydra = read_yaml(run / ".hydra" / "hydra.yaml", REMEDY)
    if setting(result.get("config"), "aug.ratio") is None:
        raise InputError(f"{run}: has no ratio; {REMEDY}")
    if len(actions_of(result)) != 1:
        raise InputError(f"{run}: is of several actions; {REMEDY}")
    jobs, facts = list(jobs_of(runs)), []
    draw = np.random.default_rng(0)
    true = draw.uniform(0, 100, videos).round(1)
    for number, job in enumerate(track(jobs, description="making runs")):
        made, words = copy.deepcopy(result), copy.deepcopy(hydra)
        words["hydra"]["runtime"]["choices"] |= {"model": job.method, "aug": job.aug}
        configure(made, job)
        predict(made, job, true, draw)
        facts.append(asdict(facts_of(made["config"], words["hydra"]["runtime"]["choices"])))
        folder = sweep / str(number)
        (folder / ".hydra").mkdir(parents=True)
        texts = {
            ".hydra/hydra.yaml": words,
            ".hydra/overrides.yaml": job.overrides(grid),
            "config.yaml": made["config"],
        }
        for name, content in texts.items():
            write_whole(folder / name, yaml.safe_dump(content))
        write_whole(folder / "result.json", json.dumps(made))
        for file in (*run.glob("*.csv"), *run.glob("swap.png")):
            shutil.copy(file, folder)
    write_jobs(sweep, "made", "python -m src.train --multirun", [job.overrides(grid) for job in jobs], facts)


def actions_of(result: dict[str, Any]) -> list[str]:
    """The actions of its test split."""
    return list(next(iter(result["metrics"].values()))["splits"]["test"]["per_action"])


def configure(made: dict[str, Any], job: Job) -> None:
    """The configuration in a result becomes that of `job`."""
    config = made["config"]
    made["seed"] = config["seed"] = job.seed
    config["model"]["_target_"] = f"made.{job.method}"
    if job.ratio is None:
        config["aug"], config["data"]["augment"] = {"_target_": "swapaqa.augment.none.NoAugmentation"}, None
    else:
        config["aug"]["ratio"] = job.ratio


def predict(made: dict[str, Any], job: Job, true: np.ndarray, draw: np.random.Generator) -> None:
    """The predictions of a result become noisy truths, and its rank correlations theirs; the rest stays."""
    (action,) = actions_of(made)
    protocols = list(made["metrics"].values())
    for split in made["predictions"]:
        predicted = true + draw.normal(0, NOISE[job.aug] + draw.uniform(0, 2), len(true))
        rho = float(stats.spearmanr(true, predicted).statistic)
        for found in (protocol["splits"][split] for protocol in protocols):
            for kind, value in ((found, rho), (found["confidence"], [rho - 0.05, min(1.0, rho + 0.05)])):
                kind["average"]["spearman"] = kind["per_action"][action]["spearman"] = value
        rows = zip(true.tolist(), predicted.tolist(), strict=True)
        made["predictions"][split] = {
            f"{action}/{number:04d}": [label, *[one] * len(protocols)] for number, (label, one) in enumerate(rows)
        }
