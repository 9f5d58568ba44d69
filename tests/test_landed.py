"""Checkpoints of the first version evaluate to its numbers: `tests/landed`."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.utils import instantiate

from swapaqa.models.scorer import CONFIG_KEY, FORMAT, FORMAT_KEY
from swapaqa.running.checkpoint import evaluation_config, read_checkpoint
from tests.forked import REPOSITORY, run_forked

LANDED = REPOSITORY / "tests" / "landed"


@pytest.mark.parametrize("name", ["core", "dae"])
def test_a_checkpoint_of_the_first_version_gives_its_predictions(
    name: str, tmp_path: Path, train_environment: Callable[[Path], dict[str, str]]
) -> None:
    words = [f"checkpoint={LANDED / name}.ckpt", f"hydra.run.dir={tmp_path}/run", "trainer.accelerator=cpu"]
    done = run_forked("src.evaluate", words, train_environment(tmp_path))
    assert done.returncode == 0, done.stderr
    for split, expected in json.loads((LANDED / "predictions.json").read_text())[name].items():
        with open(tmp_path / "run" / f"predictions_{split}.csv", newline="") as lines:
            found = {row["video_id"]: float(row[name]) for row in csv.DictReader(lines)}
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_a_first_checkpoint_keeps_its_pixels_on_other_data_too(config: Callable) -> None:
    content = read_checkpoint(str(LANDED / "core.ckpt"))
    geometry = evaluation_config(config("data=aqa7"), content[CONFIG_KEY], ["data=aqa7"]).data.geometry
    assert geometry.resize == "linear"
    assert geometry.crop_rounding == "down"
    assert (geometry.height, geometry.width, geometry.crop) == (56, 59, 48)


def test_a_checkpoint_says_its_format(config: Callable) -> None:
    model, written = instantiate(config("model=usdl").model), {}
    model.on_save_checkpoint(written)
    assert written[FORMAT_KEY] == FORMAT
