"""`src.evaluate` of files as the authors' programs save them: the predictions that their weights gave in training."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from tests.published_files import published_content, rewrite_for_numpy_1

Run = Callable[..., "CompletedProcess[str]"]
SMALL = ["data.frames=16", "data.workers=0", "data.geometry.crop=32", "clips.last_start=0", "aug=none", "boxes=none"]


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("system", ["core", "musdl", "usdl", "dae"])
def test_their_file_has_the_predictions_of_its_weights(
    system: str,
    parallel: bool,
    tmp_path: Path,
    train_inside: Run,
    recipe_inside: Run,
    aqa7_tree: Callable[..., Path],
    small_demo: list[str],
) -> None:
    """Ours trains a step, with the epsilon that their programs have; its weights are saved as theirs and scored."""
    if system == "musdl":  # needs judges, which AQA-7 has not
        data = [word for word in small_demo if word.startswith("data.")]
        words = ["data=demo", "backbone=i3d", *data, *SMALL]
    else:
        words = ["data=aqa7", f"data.root={aqa7_tree()}", "data.geometry.height=40", "data.geometry.width=64", *SMALL]
    words.append(f"model={system}")
    epsilon = 1e-5 if system == "core" else 1e-3
    trained = train_inside(
        tmp_path, *words, f"backbone.bn_eps={epsilon}", "trainer.max_epochs=1", "logger=csv",
        "+trainer.limit_train_batches=1",
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    model = instantiate(OmegaConf.create(last["swapaqa_config"]).model)
    model.load_state_dict(last["state_dict"])
    path = tmp_path / "theirs.pth"
    torch.save(published_content(model, system, parallel), path)
    if parallel:
        rewrite_for_numpy_1(path)
    done = recipe_inside("evaluate", tmp_path / "out", f"checkpoint={path}", *words)
    assert done.returncode == 0, done.stderr
    before, after = (
        json.loads((folder / "result.json").read_text()) for folder in (tmp_path / "run", tmp_path / "out")
    )
    assert after["metrics"]["theirs"]["epoch"] == 42  # they count from 0
    place = before["prediction_columns"].index("last")
    rows = before["predictions"]["test"]
    assert {video: row[1] for video, row in after["predictions"]["test"].items()} == pytest.approx(
        {video: row[place] for video, row in rows.items()}, rel=1e-4
    )
