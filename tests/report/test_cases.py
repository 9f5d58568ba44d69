"""The same videos at two ratios: which are chosen, what their strips show, and what stands there without the videos."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from swapaqa.configuration.data_sets import make_source
from swapaqa.errors import InputError
from swapaqa.report.cases import Shown, choose_cases, find_studies, read_strips
from swapaqa.report.truth import Prediction
from swapaqa.running.facts import facts_of
from swapaqa.running.jobs import State
from swapaqa.runs.run import Run, Sweep

Compose = Callable[..., DictConfig]
ERRORS = {1.0: [10.0, 8.0, 2.0, 5.0, 1.0], 2.0: [1.0, 4.0, 3.0, 5.0, 9.0]}  # gains 9, 4, -1, 0, -8


def rows(errors: list[float]) -> list[Prediction]:
    return [Prediction(f"{n}", "diving", 50.0, 50.0 + error) for n, error in enumerate(errors)]


def open_data(config: Mapping[str, Any]) -> Shown:
    node = OmegaConf.create(dict(config))["data"]
    return Shown(make_source(node), hydra.utils.instantiate(node.augment))


def unreachable(_: Mapping[str, Any]) -> Shown:
    raise InputError("data.root=/nowhere: no such folder")


@pytest.fixture
def ratio_sweep(
    config: Compose, small_demo: list[str], demo_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Sweep:
    """Runs at ratio 1 and 2 on the demo's videos, with the errors above."""
    monkeypatch.setenv("SWAPAQA_CACHE", str(demo_cache))
    return Sweep("ratio", tmp_path, None, tuple(run(config, small_demo, ratio) for ratio in ERRORS))


def run(config: Compose, small_demo: list[str], ratio: float) -> Run:
    cfg = config(*small_demo, f"aug.ratio={ratio}")
    tree: dict[str, Any] = {"seed": cfg.seed}
    tree |= {key: OmegaConf.to_container(cfg[key], resolve=True) for key in ("data", "aug", "boxes")}
    names = [record.video_id for record in open_data(tree).source.read_split("test")]
    predictions = {name: [50.0, 50.0 + error] for name, error in zip(names, ERRORS[ratio], strict=False)}
    scores = {"spearman": 0.5, "relative_l2_x100": 1.0}
    splits = {"test": {"average": scores, "per_action": {"diving": scores}}}
    result = {
        "config": tree,
        "metrics": {"last": {"epoch": 1, "splits": splits}},
        "prediction_columns": ["true", "last"],
        "predictions": {"test": predictions},
    }
    choices = {"data": "demo", "model": "core", "aug": "swap", "boxes": "darklabel"}
    return Run(
        Path(f"{ratio:g}"),
        f"{ratio:g}",
        (f"aug.ratio={ratio}",),
        State.DONE,
        choices,
        tree,
        result,
        None,
        facts_of(tree, choices),
    )


def test_cases_are_spread_over_the_ranks_of_the_gain() -> None:
    chosen = choose_cases(rows(ERRORS[1.0]), rows(ERRORS[2.0]), 3)
    assert [case.gain for case in chosen] == [9.0, 0.0, -8.0]
    assert [case.place for case in chosen] == [f"rank {n} of 5 by gain" for n in (1, 3, 5)]
    assert [case.gain for case in choose_cases(rows(ERRORS[1.0]), rows(ERRORS[2.0]), 1)] == [0.0]


def test_fewer_videos_than_cases_and_none() -> None:
    assert len(choose_cases(rows([1.0, 2.0]), rows([2.0, 1.0]), 3)) == 2
    assert choose_cases(rows([1.0]), [], 3) == []


def test_inside_the_scaled_box_is_the_video_and_outside_another(ratio_sweep: Sweep) -> None:
    names = list(ratio_sweep.runs[0].predictions("last"))[:2]
    assert ratio_sweep.runs[0].config is not None
    source = open_data(ratio_sweep.runs[0].config).source
    records = {record.video_id: record for record in source.read_split("test")}
    originals = [source.reader.read(source.item(records[n])).video for n in names]
    own, other = (video.movedim(-1, 0) for video in originals)  # two videos: each is the other's donor
    for one in ratio_sweep.runs:
        strip = read_strips(one, names, open_data)[0]
        x1, y1, x2, y2 = strip.boxes[3].round().int().tolist()
        inside = (slice(None), 3, slice(y1 + 1, y2), slice(x1 + 1, x2))
        assert torch.equal(strip.video[inside], own[inside])
        assert torch.equal(strip.video[:, 3, :, -8:], other[:, 3, :, -8:])
    small, large = (read_strips(one, names, open_data)[0].boxes for one in ratio_sweep.runs)
    growth = (large[:, 2:] - large[:, :2]) / (small[:, 2:] - small[:, :2])
    assert torch.allclose(growth, torch.full_like(growth, 2.0), atol=1e-4)


def test_a_study_has_a_picture_with_the_scores(ratio_sweep: Sweep) -> None:
    [study] = find_studies([ratio_sweep], "last", open_data)
    assert study.reason is None
    assert study.drawing is not None
    assert study.names == ("ratio 1", "ratio 2")
    assert [case.gain for case in study.cases] == [9.0, 0.0, -8.0]
    panels = study.drawing.figure.axes
    texts = [text.get_text() for panel in panels for text in panel.texts]
    assert [text for text in texts if text.startswith("true")] == [
        f"true 50.00\npredicted {50 + case_error:.2f}\nerror {case_error:.2f}"
        for case in study.cases
        for case_error in (case.first.error, case.second.error)
    ]
    pictures = [panel.images[0].get_array() for panel in panels if panel.images]
    assert len(pictures) == 5 * 6
    assert all(np.asarray(picture).std() > 5 for picture in pictures)
    assert [panel.get_ylabel() for panel in panels if panel.get_ylabel()] == ["ratio 1", "ratio 2"] * 3


def test_without_the_videos_the_numbers_and_the_reason_stay(ratio_sweep: Sweep) -> None:
    [study] = find_studies([ratio_sweep], "last", unreachable)
    assert study.drawing is None
    assert study.reason == "data.root=/nowhere: no such folder"
    assert len(study.cases) == 3


def test_a_video_that_is_not_in_the_list_any_more_is_named(ratio_sweep: Sweep) -> None:
    with pytest.raises(InputError, match="the test list there has no diving/999"):
        read_strips(ratio_sweep.runs[0], ["diving/999"], open_data)


def test_one_video_borrows_a_background(ratio_sweep: Sweep) -> None:
    name = next(iter(ratio_sweep.runs[0].predictions("last")))
    [strip] = read_strips(ratio_sweep.runs[0], [name], open_data)
    assert strip.video.shape == (3, 16, 64, 64)


def test_a_ratio_without_predictions_is_said(ratio_sweep: Sweep) -> None:
    one, two = ratio_sweep.runs
    broken = Run(two.folder, two.job, two.overrides, State.UNFINISHED, two.choices, two.config, None, None, two.facts)
    [study] = find_studies([Sweep("ratio", ratio_sweep.folder, None, (one, broken))], "last", open_data)
    assert study.reason == "no action has complete runs at both ratio 1 and ratio 2"
    assert study.cases == []


def test_one_ratio_is_no_study(ratio_sweep: Sweep) -> None:
    alone = Sweep("ratio", ratio_sweep.folder, None, ratio_sweep.runs[:1])
    assert find_studies([alone], "last", open_data) == []
