"""The files in sweeps/: how many jobs, every job a configuration that can run, and what the arms differ in."""

import copy
import functools
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from swapaqa.configuration.checking import check
from swapaqa.running.sweep_jobs import jobs_of

REPOSITORY = Path(__file__).parents[1]
ACTIONS = {"diving", "gym_vault", "ski_big_air", "snowboard_big_air", "sync_diving_3m", "sync_diving_10m"}
SWEEPS = sorted(path.stem for path in (REPOSITORY / "sweeps").glob("*.yaml"))


@pytest.fixture(autouse=True)
def in_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)  # hydra.searchpath is relative to it


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return compose("train", list(overrides), return_hydra_config=True)


def jobs(*overrides: str) -> list[list[str]]:
    """The overrides of each job of the command line `--multirun` with these words."""
    return jobs_of(composed(*(word for word in overrides if "," not in word)).hydra.sweeper, overrides)


def job_config(overrides: list[str]) -> DictConfig:
    """The configuration of a job, with what Hydra's runtime would put in."""
    cfg = composed(*overrides)
    cfg.hydra.runtime.output_dir, cfg.hydra.job.num = "outputs", 0
    HydraConfig.instance().set_config(cfg)
    tree = OmegaConf.masked_copy(cfg, [key for key in cfg if key != "hydra"])
    tree._set_parent(None)
    return tree


@functools.cache
def arms(sweep: str, *overrides: str) -> list[dict[str, Any]]:
    """The resolved configurations of a sweep's jobs, one for each that differs in more than action and seed."""
    found = {}
    for job in jobs(f"+sweeps={sweep}", *overrides):
        same = tuple(word for word in job if not word.startswith(("data.action=", "seed=")))
        found.setdefault(same, job)
    configs = [job_config(job) for job in found.values()]
    for cfg in configs:
        check(cfg)
    return [OmegaConf.to_container(cfg, resolve=True) for cfg in configs]  # type: ignore[misc]


def of_arms(configs: list[dict[str, Any]], *keys: str) -> list[tuple[Any, ...]]:
    """The values of `keys` in each arm; of `_target_` the last word."""
    values = [[OmegaConf.select(OmegaConf.create(config), key) for key in keys] for config in configs]
    return [tuple(v.rpartition(".")[2] if isinstance(v, str) else v for v in row) for row in values]


def head(sweep: str) -> str:
    """What the file says of itself."""
    lines = (REPOSITORY / "sweeps" / f"{sweep}.yaml").read_text().splitlines()
    return " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))


def demo_words(sweep: str) -> list[str]:
    """The overrides of the command that the file has for the demo; none where it has no command."""
    _, _, after = head(sweep).partition("On the demo")
    words = after.partition(f"+sweeps={sweep} ")[2].replace("\\ ", "").split()
    return list(itertools.takewhile(lambda word: "=" in word, words))


WITH_DEMO = [sweep for sweep in SWEEPS if demo_words(sweep)]


def test_every_sweep_opens_with_its_command_and_those_on_videos_have_one_for_the_demo() -> None:
    without = {"evidence", "evidence_3d", "diving_features", "unseen_venue", "demo_tables"}
    assert set(SWEEPS) - set(WITH_DEMO) == without
    for sweep in SWEEPS:
        assert f"python -m src.train --multirun +sweeps={sweep}" in head(sweep)


@pytest.mark.parametrize("sweep", SWEEPS)
def test_a_sweep_has_as_many_jobs_as_its_head_says(sweep: str) -> None:
    found = jobs(f"+sweeps={sweep}")
    assert f" {len(found)} jobs" in head(sweep)
    assert len({tuple(job) for job in found}) == len(found)
    actions = {word.partition("=")[2] for job in found for word in job if word.startswith("data.action=")}
    assert actions in (set(), ACTIONS, {"gym_vault"})  # the evidence: diving by default, and one more


MANY_JOBS = {
    "evidence",
    "demo_tables",
    "evidence_3d",
    "plug_and_play",
    "aqa7_table",
    "mtl_aqa_table",
    "unseen_venue",
}  # composed one by one they take up to half a minute


@pytest.mark.parametrize(
    "sweep", [pytest.param(name, marks=pytest.mark.slow if name in MANY_JOBS else ()) for name in SWEEPS]
)
def test_every_arm_can_run_and_knows_its_sweep(sweep: str) -> None:
    assert {config["sweep"] for config in arms(sweep)} == {sweep}
    assert composed(f"+sweeps={sweep}").hydra.sweep.dir == f"outputs/{sweep}"


@pytest.mark.parametrize(
    "sweep", [pytest.param(name, marks=pytest.mark.slow if name in MANY_JOBS else ()) for name in WITH_DEMO]
)
def test_every_sweep_has_a_form_for_the_demo(sweep: str) -> None:
    words = demo_words(sweep)
    found = jobs(f"+sweeps={sweep}", *words)
    assert len({tuple(job) for job in found}) == len(found)
    (said,) = re.findall(r"On the demo(?:[^:]* (\d+) jobs)?[^:]*:", head(sweep))
    assert said in ("", str(len(found)))
    configs = arms(sweep, *words)
    assert set(of_arms(configs, "data._target_", "backbone.network._target_")) == {("Demo", "TinyBackbone")}


def test_the_box_sources_are_those_of_table_3_and_a_tracker() -> None:
    keys = ("aug._target_", "boxes._target_", "boxes.frame", "aug.ratio", "model._target_")
    assert of_arms(arms("box_source"), *keys) == [
        ("NoAugmentation", "DarkLabelBoxes", None, None, "CoRe"),
        ("ScaledBackgroundSwap", "FixedBoxes", "source", 1.0, "CoRe"),
        ("ScaledBackgroundSwap", "FixedBoxes", "input", 1.0, "CoRe"),
        ("ScaledBackgroundSwap", "DarkLabelBoxes", None, 2.0, "CoRe"),
        ("ScaledBackgroundSwap", "TrackerBoxes", None, 2.0, "CoRe"),
    ]


def test_plug_and_play_changes_nothing_but_the_swap() -> None:
    configs = copy.deepcopy(arms("plug_and_play"))
    assert of_arms(configs, "model._target_", "aug._target_", "aug.ratio", "data._target_") == [
        (method, *swap, "MTLAQA")
        for method in (
            "USDL",
            "MUSDL",
            "DAE",
            "GDLT",
            "CoFInAl",
            "HGCN",
            "TPT",
            "T2CR",
            "TSANet",
            "C3DLSTM",
            "C3DAVGMTL",
            "MSCADC",
            "TECN",
            "PCLN",
            "RICA2",
        )
        for swap in (("NoAugmentation", None), ("ScaledBackgroundSwap", 1.0))
    ]
    assert of_arms(configs, "model.reduction", "model.loss")[:6:2] == [
        ("elements", None), ("elements", None), (None, "squared_error_pair")
    ]  # fmt: skip
    for without, swapped in zip(configs[::2], configs[1::2], strict=True):
        for config in (without, swapped):
            config.pop("aug")
            config["data"].pop("augment")
        assert without == swapped


def test_the_tables_have_the_rows_whose_models_are_here() -> None:
    keys = ("model._target_", "aug._target_", "aug.variant", "data._target_", "data.batch_size", "clips.last_start")
    swap = ("ScaledBackgroundSwap", "official")
    assert of_arms(arms("aqa7_table"), *keys) == [
        ("C3DLSTM", "NoAugmentation", None, "AQA7", 6, None),
        ("GDLT", "NoAugmentation", None, "AQA7", 32, None),
        ("USDL", "NoAugmentation", None, "AQA7", 4, None),
        ("CoFInAl", "NoAugmentation", None, "AQA7", 32, None),
        ("HGCN", "NoAugmentation", None, "AQA7", 4, None),
        ("TSANet", "NoAugmentation", None, "AQA7", 4, None),
        ("TECN", "NoAugmentation", None, "AQA7", 32, None),
        ("DAECoRe", "NoAugmentation", None, "AQA7", 2, 86),
        ("TPT", "NoAugmentation", None, "AQA7", 24, None),
        ("CoRe", "NoAugmentation", None, "AQA7", 2, 86),
        ("CoRe", *swap, "AQA7", 2, 86),
    ]
    assert of_arms(arms("mtl_aqa_table"), *keys) == [
        ("C3DLSTM", "NoAugmentation", None, "MTLAQA", 6, None),
        ("MSCADC", "NoAugmentation", None, "MTLAQA", 3, None),
        ("TECN", "NoAugmentation", None, "MTLAQA", 64, None),
        ("TECN", "NoAugmentation", None, "MTLAQA", 64, None),
        ("C3DAVGMTL", "NoAugmentation", None, "MTLAQA", 3, None),
        ("USDL", "NoAugmentation", None, "MTLAQA", 4, None),
        ("MUSDL", "NoAugmentation", None, "MTLAQA", 4, None),
        ("MUSDL", "NoAugmentation", None, "MTLAQA", 4, None),
        ("GDLT", "NoAugmentation", None, "MTLAQA", 32, None),
        ("CoFInAl", "NoAugmentation", None, "MTLAQA", 32, None),
        ("DAE", "NoAugmentation", None, "MTLAQA", 8, None),
        ("HGCN", "NoAugmentation", None, "MTLAQA", 4, None),
        ("CoRe", "NoAugmentation", None, "MTLAQA", 1, 86),
        ("CoRe", "NoAugmentation", None, "MTLAQA", 1, 86),
        ("CoRe", *swap, "MTLAQA", 1, 86),
    ]
    backbones = [backbone for (backbone,) in of_arms(arms("mtl_aqa_table"), "backbone._target_")]
    assert [row for row, name in enumerate(backbones) if name == "adapted_i3d_encoder"] == [7, 13]
    boxes = of_arms([arms("aqa7_table")[-1], arms("mtl_aqa_table")[-1]], "boxes._target_", "aug.ratio")
    assert boxes == [("DarkLabelBoxes", 2.0), ("FixedBoxes", 1.0)]


def test_the_plain_form_of_the_ratio_sweep_has_the_same_jobs() -> None:
    plain = jobs("data=aqa7", "aug.ratio=1,1.5,2,2.5,3", f"data.action={','.join(ACTIONS)}")
    of_file = jobs("+sweeps=ratio")
    values = [
        {(float(value(job, "aug.ratio")), value(job, "data.action")) for job in found} for found in (plain, of_file)
    ]
    assert len(values[0]) == len(plain) == len(of_file) == 30
    assert values[0] == values[1]
    by_hand, by_file = job_config(plain[0]), job_config(["+sweeps=ratio", *plain[0][1:]])
    with open_dict(by_file):
        assert by_file.pop("sweep") == "ratio"
    by_hand.logger = by_file.logger = None  # its group is the sweep
    assert OmegaConf.to_container(by_hand, resolve=True) == OmegaConf.to_container(by_file, resolve=True)


def value(job: list[str], key: str) -> str:
    return next(word.partition("=")[2] for word in job if word.startswith(f"{key}="))


def test_hydras_range_excludes_its_end() -> None:
    assert [job[0] for job in jobs("aug.ratio=range(1,3,0.5)")] == [
        f"aug.ratio={ratio}" for ratio in (1.0, 1.5, 2.0, 2.5)
    ]


@pytest.mark.slow
def test_the_box_sources_run_on_the_demo(
    train_process: Callable[..., "CompletedProcess[str]"], small_demo: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "sweep"
    run = train_process(
        tmp_path, "+sweeps=box_source", "data=demo", "data.action=diving", *small_demo,
        "trainer.max_epochs=1", "experiment=box_source_none,box_source_tracker",
        f"hydra.sweep.dir={folder}", "--multirun",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    configs = [OmegaConf.load(folder / job / "config.yaml") for job in ("0", "1")]
    assert [config.name for config in configs] == ["core_demo_box_source_none", "core_demo_box_source_tracker"]
    assert all((folder / job / "result.json").is_file() for job in ("0", "1"))


def test_the_evidence_varies_one_factor_at_a_time_and_all_cells_of_a_seed_come_before_the_next() -> None:
    found = jobs("+sweeps=evidence")
    seeds = [int(word.removeprefix("seed=")) for job in found for word in job if word.startswith("seed=")]
    assert seeds == sorted(seeds)
    words = [frozenset(job) - {"+sweeps=evidence"} for job in found]
    headline = [frozenset({f"aug={aug}", f"seed={seed}"}) for seed in range(5) for aug in ("none", "swap")]
    assert [own for own in words if own in headline] == headline
    cells = [[own - {f"seed={seed}"} for own in words if f"seed={seed}" in own] for seed in range(5)]
    assert cells[0] == cells[1] == cells[2]
    assert cells[3] == cells[4] == [own - {"seed=0"} for own in headline[:2]]


def test_words_on_the_command_line_win_over_the_settings_of_a_sweep() -> None:
    found = jobs("+sweeps=evidence", "seed=7", "aug=none", "model=core")
    assert all({"seed=7", "aug=none", "model=core"} <= set(job) for job in found)
    assert len({tuple(sorted(job)) for job in found}) == len(found) < 95  # equal ones are run once


def test_a_list_under_the_name_of_the_first_version_is_read() -> None:
    """In a sweep of the user's own: `override /hydra/sweeper: cells`, and `cells` under `hydra.sweeper`."""
    sweeper = composed("hydra/sweeper=cells", "hydra.sweeper.cells=['aug=none,swap seed=1']").hydra.sweeper
    expected = [["aug=none", "seed=1"], ["aug=swap", "seed=1"]]
    assert jobs_of(sweeper, []) == expected
    assert instantiate(sweeper).settings == ["aug=none,swap seed=1"]
