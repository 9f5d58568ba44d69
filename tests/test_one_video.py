"""`src.evaluate video=`: one video has the score that the evaluation of its data set gives it."""

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from swapaqa.data.demo_files import DemoSettings, demo_root
from swapaqa.data.geometry import Window
from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.running.video_score import box_files, given_window, side_of_video
from tests.numbered import write

Run = Callable[..., "CompletedProcess[str]"]
VIDEOS = 12
TINY = [
    "backbone=tiny", "trainer=demo", "data.frames=16", "data.batch_size=4", "data.workers=0", "trainer.max_epochs=3",
    "trainer.check_val_every_n_epoch=3", "logger=csv",
    *(f"data.geometry.{side}=64" for side in ("height", "width", "crop")),
]  # fmt: skip


@pytest.fixture(scope="module")
def own_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of different numbers, of which each 16 first frames are others than 16 spread ones."""
    root = tmp_path_factory.mktemp("own")
    lines = ["video,score,split,first_frame"]
    for number in range(VIDEOS):
        write(root / f"v{number}.mp4", "mpeg4", range(20 * number, 20 * number + 50 + number))
        lines.append(f"v{number},{number * 1.5},{'test' if number % 3 == 0 else 'train'},{'' if number % 2 else 11}")
    (root / "videos.csv").write_text("\n".join(lines))
    return root


def score(done: "CompletedProcess[str]") -> float:
    found = re.search(r": (-?\d+\.\d\d) points", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found.group(1))


def predicted(run: Path) -> dict[str, float]:
    with open(run / "predictions_test.csv", newline="") as lines:
        return {row["video_id"]: float(row["last"]) for row in csv.DictReader(lines)}


METHODS = (
    ["core", "model.voters=2"],
    ["core", "model.voters=2", "model.store_exemplars=true"],
    ["dae", "optim.learning_rate=0.02"],
)
STEPS = ["rica2", "model.width=16", "model.heads=2"]  # of dives, which a table of one's own has not


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "method"), [*(("videos", one) for one in METHODS), *(("demo", one) for one in (*METHODS, STEPS))]
)
def test_both_ways_to_score_a_video_agree(
    data: str,
    method: list[str],
    own_videos: Path,
    train_inside: Run,
    recipe_inside: Run,
    small_demo: list[str],
    tmp_path: Path,
    demo_cache: Path,
) -> None:
    words = [f"model={method[0]}", *method[1:], f"data={data}", *TINY]
    words += [f"data.root={own_videos}"] if data == "videos" else ["data.settings.train=13", *small_demo[1:3]]
    trained = train_inside(tmp_path, *words)
    assert trained.returncode == 0, trained.stderr
    run = tmp_path / "run"
    expected = predicted(run)
    assert len({round(value, 2) for value in expected.values()}) > 2
    folder = own_videos if data == "videos" else demo_folder(run, demo_cache)
    checkpoint = f"checkpoint={run / 'checkpoints' / 'last.ckpt'}"
    for video_id, value in list(expected.items())[:3]:
        media = folder / f"{video_id}.mp4" if data == "videos" else folder / "diving-out" / f"{video_id[-3:]}.avi"
        done = recipe_inside("evaluate", tmp_path / "one", checkpoint, f"video={media}")
        assert score(done) == pytest.approx(value, abs=0.006)
    if data == "videos":
        elsewhere = shutil.copy(own_videos / "v3.mp4", tmp_path / "v3.mp4")  # the whole of it, in no list
        done = recipe_inside("evaluate", tmp_path / "one", checkpoint, f"video={elsewhere}")
        assert score(done) == pytest.approx(expected["v3"], abs=0.006)
    if data == "videos" and method[0] == "dae":  # whose answers differ enough after three epochs
        first = recipe_inside("evaluate", tmp_path / "one", checkpoint, f"video={elsewhere}", "spread=false")
        assert abs(score(first) - score(done)) > 0.005


@pytest.mark.slow
def test_a_method_of_poses_scores_a_video_with_a_pose_file_of_its_name(
    train_inside: Run, recipe_inside: Run, small_demo: list[str], tmp_path: Path, demo_cache: Path
) -> None:
    words = ["model=jrg_rgb", "data=demo", *TINY, "data.settings.train=13", *small_demo[1:3]]
    assert train_inside(tmp_path, *words).returncode == 0
    run = tmp_path / "run"
    video_id, value = next(iter(predicted(run).items()))
    folder, number = demo_folder(run, demo_cache, poses=True), video_id[-3:]
    checkpoint = f"checkpoint={run / 'checkpoints' / 'last.ckpt'}"
    listed = recipe_inside("evaluate", tmp_path / "one", checkpoint, f"video={folder / 'diving-out' / number}.avi")
    assert score(listed) == pytest.approx(value, abs=0.006)
    mine = shutil.copy(folder / "diving-out" / f"{number}.avi", tmp_path / "mine.avi")
    (tmp_path / "poses").mkdir()
    shutil.copy(folder / "poses" / f"{video_id}.json", tmp_path / "poses" / "mine.json")
    lacking = recipe_inside("evaluate", tmp_path / "one", checkpoint, f"video={mine}")
    assert lacking.returncode == 2
    assert "mine.json: no such file; data.poses names a folder" in lacking.stderr
    own = recipe_inside("evaluate", tmp_path / "one", checkpoint, f"video={mine}", f"data.poses={tmp_path / 'poses'}")
    assert score(own) == pytest.approx(value, abs=0.006)


def demo_folder(run: Path, cache: Path, **more: Any) -> Path:
    """The folder of the demo data that the run was trained on."""
    settings = OmegaConf.to_container(OmegaConf.load(run / "config.yaml").data.settings)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SWAPAQA_CACHE", str(cache))
        return demo_root(DemoSettings(**{name: value for name, value in settings.items() if name != "_target_"} | more))


def test_box_files_are_the_data_sets_or_lie_beside_the_video() -> None:
    source: Any = SimpleNamespace(box_files=lambda record: [Path("boxes") / record.video_id])
    listed = Record("v1", "any", score=0.0, split="test")
    assert box_files(source, listed, Path("videos/v1.mp4")) == [Path("boxes/v1")]
    assert box_files(source, None, Path("mine/dive.mp4")) == [Path("mine/dive")]


def test_what_is_known_of_a_dive_is_that_of_its_record_or_of_its_number() -> None:
    listed = Record("v1", "any", score=0.0, split="test")
    sides = {"announced": torch.tensor([0, 1, 7, 0, 1]), "steps": torch.zeros(4)}
    for found, dive, needs, expected in (
        (listed, None, ("announced", "steps"), [0, 1, 7, 0, 1]),
        (listed, "5253B", ("announced",), [0, 2, 5, 3, 1]),  # the command line wins
        (None, "5253b", ("announced",), [0, 2, 5, 3, 1]),
        (None, None, (), None),
    ):
        source: Any = SimpleNamespace(
            record_of=lambda _, found=found: found, read_side=lambda _: dict(sides), poses=None
        )
        side = side_of_video(OmegaConf.create({"video": "v1.mp4", "dive": dive}), SimpleNamespace(needs=needs), source)
        assert (None if expected is None else side["announced"].tolist()) == expected
        assert ("steps" in side) == (found is not None)
    source = SimpleNamespace(record_of=lambda _: None, poses=None)
    posed = SimpleNamespace(record_of=lambda _: None, poses="folder")  # of a file by the video's name
    given = OmegaConf.create({"video": "v1.mp4", "dive": None})
    assert side_of_video(given, SimpleNamespace(needs=("pose",)), posed) == {}
    with pytest.raises(InputError, match="needs dive beside the video"):
        side_of_video(given, SimpleNamespace(needs=("dive", "pose")), posed)
    for dive, needs, words in (
        (None, ("pose",), "needs pose beside the video, which a file alone"),
        (None, ("announced",), "needs announced beside the video, .* say dive=107B"),
        ("107B", ("sub_actions",), "needs sub_actions beside the video, .* as a video of a data set"),
        ("high", ("announced",), "dive=high: no number of a dive"),
    ):
        given = OmegaConf.create({"video": "v1.mp4", "dive": dive})
        with pytest.raises(InputError, match=words):
            side_of_video(given, SimpleNamespace(needs=needs), source)


def test_the_window_is_that_of_the_training_unless_another_is_named(own_videos: Path) -> None:
    media = own_videos / "v0.mp4"  # 50 frames
    data = SimpleNamespace(accept_incomplete=False)
    for first_frame, spread, own, expected in (
        (None, "trained", Window(10, 50), Window(10, 50)),
        (None, "trained", Window(3), Window(3)),
        (5, "trained", Window(0, 50), Window(4, 50)),
        (5, "trained", Window(3), Window(4)),
        (None, False, Window(0, 50), Window(0)),
        (None, True, Window(0), Window(0, 50)),
    ):
        cfg = SimpleNamespace(first_frame=first_frame, spread=spread)
        assert given_window(cfg, data, media, own) == expected
    for first_frame, spread in ((0, "trained"), ("x", True), (None, "wide")):
        cfg = SimpleNamespace(first_frame=first_frame, spread=spread)
        with pytest.raises(InputError, match=r"first_frame=|spread="):
            given_window(cfg, data, media, Window(0))
