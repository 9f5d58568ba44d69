"""`src.gradcam` on short runs of the demo: its numbers, its pictures, what a report shows, what it refuses."""

import json
import logging
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from swapaqa.gradcam.maps import Inside, MapStatistics
from swapaqa.gradcam.pictures import overlay
from swapaqa.gradcam.summary import as_json, difference, rows, summary
from swapaqa.report.contents import read_report, write_report
from swapaqa.running.gradcam_study import checkpoint_titles

REPOSITORY = Path(__file__).parents[1]
Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, train_inside: Run, small_demo: list[str]) -> Callable:
    """`checkpoint("core", ...)`: of a short run on the demo."""

    def train(model: str, *overrides: str) -> Path:
        folder = tmp_path_factory.mktemp(model)
        done = train_inside(folder, *small_demo, "trainer.max_epochs=1", f"model={model}", *overrides)
        assert done.returncode == 0, done.stderr
        return folder / "run" / "checkpoints" / "last.ckpt"

    return train


@pytest.fixture(scope="module")
def core(checkpoint: Callable) -> Path:
    return checkpoint("core", "aug=none", "model.voters=2")


@pytest.fixture(scope="module")
def usdl(checkpoint: Callable) -> Path:
    return checkpoint("usdl", "aug.ratio=1.5")


@pytest.fixture(scope="module")
def gradcam(recipe_inside: Run) -> Run:
    def run(folder: Path, *overrides: str) -> "CompletedProcess[str]":
        done = recipe_inside("gradcam", folder, *overrides)
        logging.getLogger("swapaqa.models").setLevel(logging.NOTSET)
        return done

    return run


@pytest.fixture(scope="module")
def compared(core: Path, usdl: Path, gradcam: Run) -> Path:
    """The folder of both checkpoints side by side, inside the folder of the first run."""
    folder = core.parents[1] / "gradcam"
    done = gradcam(folder, f"checkpoint={core}", f"also={usdl}", "videos=1")
    assert done.returncode == 0, done.stderr
    assert "Where the score comes from" in done.stdout
    return folder


def found(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "gradcam.json").read_text())


def predictions(checkpoint: Path, split: str) -> dict[str, list[float]]:
    result = json.loads((checkpoint.parents[1] / "result.json").read_text())
    last = result["prediction_columns"].index("last")
    return {name: [row[0], row[last]] for name, row in result["predictions"][split].items()}


@pytest.mark.slow
def test_every_test_video_is_looked_at_under_both_checkpoints(compared: Path, core: Path) -> None:
    result = found(compared)
    assert [one["title"] for one in result["checkpoints"]] == ["without the swap", "with the swap, ratio 1.5"]
    assert result["ratio"] == 1.5  # that of the swap
    assert result["boxes"]["_target_"].endswith("DarkLabelBoxes")
    assert set(result["splits"]) == {"test", "shifted"}
    for split, measured in result["splits"].items():
        videos = measured["checkpoints"][0]["by_video"]
        assert {name: [v["true"], v["predicted"]] for name, v in videos.items()} == {
            name: pytest.approx(values, rel=1e-4) for name, values in predictions(core, split).items()
        }
        for video in videos.values():  # boxes of the demo are about a fifth of 64 pixels wide
            assert 0.01 < video["box"]["chance"] < video["scaled_box"]["chance"] < 0.2
            assert video["box"]["chance"] < video["box"]["on_grid"] < video["scaled_box"]["on_grid"] < 1
            if video["box"]["share"] is not None:
                assert 0 <= video["box"]["share"] <= video["scaled_box"]["share"] <= 1
        both = [one["by_video"] for one in measured["checkpoints"]]
        shares = [[v["box"]["share"] for v in one.values()] for one in both]
        gains = [b - a for a, b in zip(*shares, strict=True) if a is not None and b is not None]
        assert measured["difference"]["videos"] == len(gains)
        mean = pytest.approx(sum(gains) / len(gains)) if gains else None  # after one epoch a map may well be zero
        assert measured["difference"]["box"]["share"] == mean


@pytest.mark.slow
def test_strips_and_films_can_be_seen(compared: Path) -> None:
    pictures = found(compared)["pictures"]
    assert [picture["split"] for picture in pictures] == ["test", "shifted"]
    for picture in pictures:
        strip = cv2.imread(str(compared / picture["strip"]))
        assert strip.shape[1] > 1000
        film = cv2.VideoCapture(str(compared / picture["film"]))
        frames = []
        while (read := film.read())[0]:
            frames.append(read[1])
        film.release()
        assert len(frames) == 16
        assert frames[0].shape[1] == 3 * 256  # the video, and two maps
        band = frames[0].shape[0] - 256
        assert band > 0
        video, one, other = np.hsplit(frames[0][band // 2 :], 3)
        assert video.std() > 1
        assert np.abs(one.astype(float) - other).mean() > 1


@pytest.mark.slow
def test_the_report_shows_them(compared: Path, core: Path, tmp_path: Path) -> None:
    old = shutil.copytree(compared, tmp_path / "of_the_first_version")
    (old / "gradcam.json").rename(old / "attention.json")
    for path in (core.parents[1], compared, old):  # below the folder of a run, and by itself
        folder = tmp_path / path.name
        write_report(read_report([path]), folder, lambda _: pytest.fail("no data is asked for"))
        page = (folder / "index.html").read_text()
        assert "Jobs without a result" not in page
        assert '<h2 id="gradcam">' in page
        assert page.count("data:video/mp4;base64,") == 2
        [link, _] = re.findall(r'href="([^"]+\.mp4)"', page)
        assert (folder / link).is_file()
        for row in rows(found(compared)):
            assert f'<td>{row[0]}</td><td>{row[1]}</td><td>{row[2]}</td><td class="number">{row[3]}</td>' in page


@pytest.mark.slow
def test_one_checkpoint_alone_with_other_boxes_and_named_videos(
    checkpoint: Callable, gradcam: Run, tmp_path: Path
) -> None:
    dae = checkpoint("dae", "boxes=none", "aug=none")
    words = ["boxes=fixed", "boxes.share=0.5", "ratio=1.2", "videos=[diving/014]"]
    done = gradcam(tmp_path / "out", f"checkpoint={dae}", *words)
    assert done.returncode == 0, done.stderr
    result = found(tmp_path / "out")
    test = result["splits"]["test"]
    assert test["difference"] is None
    for name, share in (("box", 0.5), ("scaled_box", 0.6)):
        chance = test["checkpoints"][0]["by_video"]["diving/014"][name]["chance"]
        assert chance == pytest.approx(share**2, abs=0.03)  # whole pixels of 64
    assert [picture["video_id"] for picture in result["pictures"]] == ["diving/014"]
    assert (tmp_path / "out" / "test_diving_014.png").is_file()
    assert result["checkpoints"][0]["title"] == "without the swap"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([], "checkpoint: name one"),
        (["checkpoint={core}", "also=nowhere.ckpt"], "nowhere.ckpt: cannot be read"),
        (["checkpoint={core}", "videos=[diving/999]"], "videos=diving/999: no such test video; one is diving/"),
        (["checkpoint={core}", "boxes=none"], "boxes: with the whole frame as the athlete"),
        (["checkpoint={core}", "ratio=-1"], "ratio=-1: a number above 0 is needed"),
        (["checkpoint={core}", "data.frame=3"], "data.frame: no such key"),
        (["checkpoint={core}", "also={other}"], "data.frames was 8 in training, and 16 of checkpoint="),
    ],
)
def test_wrong_input_is_one_line(overrides: list[str], words: str, core: Path, gradcam: Run, tmp_path: Path) -> None:
    other = tmp_path / "other.ckpt"
    if "also={other}" in overrides:
        content = torch.load(core, weights_only=True)
        trained = content["swapaqa_config"]
        for plan in (trained["data"], trained["clips"], trained["backbone"]["clips"]):
            plan["frames"] = 8
        torch.save(content, other)
    done = gradcam(tmp_path / "out", *(word.format(core=core, other=other) for word in overrides))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "gradcam.json").exists()


def test_the_same_augmentation_twice_is_told_apart(config: Callable[..., Any]) -> None:
    configs = (config(f"aug={name}", "name=a", "model=usdl") for name in ("swap", "none", "cutmix"))
    swap, plain, mixed = (instantiate(one.aug) for one in configs)
    assert checkpoint_titles([plain, swap]) == ["without the swap", "with the swap, ratio 2"]
    assert checkpoint_titles([swap, swap]) == ["A: with the swap, ratio 2", "B: with the swap, ratio 2"]
    assert checkpoint_titles([mixed]) == ["with VideoCutMix"]


def looked(share: float) -> MapStatistics:
    return MapStatistics(50.0, 40.0, Inside(share, 0.1, 0.4), Inside(share, 0.2, 0.6))


def test_a_map_that_is_zero_everywhere_is_counted_and_not_averaged() -> None:
    first = {"a": looked(0.2), "b": looked(math.nan), "c": looked(0.4), "d": looked(0.3)}
    second = {"a": looked(0.5), "b": looked(0.9), "c": looked(0.6), "d": looked(math.nan)}
    found = summary(first)
    assert (found["videos"], found["without_mass"]) == (4, 1)
    assert found["box"]["share"] == pytest.approx(0.3)
    low, high = found["box"]["interval"]
    assert 0.2 <= low < 0.3 < high <= 0.4
    gain = difference(first, second)
    assert gain["videos"] == 2
    assert gain["scaled_box"]["share"] == pytest.approx(0.25)
    assert as_json(first)["b"]["box"] == {"share": None, "chance": 0.1, "on_grid": 0.4}
    nothing = summary({"b": looked(math.nan)})
    assert nothing["box"] == {"share": None, "chance": None, "on_grid": None, "interval": None}


def test_an_overlay_is_brighter_where_the_map_is_high_and_grey_where_it_is_zero() -> None:
    video = torch.full((3, 2, 4, 4), 100, dtype=torch.uint8)
    video[0] = 200
    found = torch.zeros(2, 4, 4)
    assert np.ptp(overlay(video, found).reshape(-1, 3), axis=0).tolist() == [0, 0, 0]
    found[1, 2, 3] = 0.01
    seen = overlay(video, found).astype(int).sum(axis=-1)
    assert np.unravel_index(seen.argmax(), seen.shape) == (1, 2, 3)
