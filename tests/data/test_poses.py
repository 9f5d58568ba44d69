"""Pose files: COCO's keypoints in their forms, the frames they count, what is wrong with one, and how joints move."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swapaqa.batch import Pair
from swapaqa.configuration.data_sets import make_data
from swapaqa.data.demo_files import DemoSettings, draw, write_poses, write_video
from swapaqa.data.demo_scene import joints_of, joints_seen
from swapaqa.data.geometry import Crop, Geometry
from swapaqa.data.poses import PoseFiles, placed
from swapaqa.errors import InputError

FRAMES = 6


@pytest.fixture
def media(tmp_path: Path) -> Path:
    path = tmp_path / "dive.avi"
    write_video(path, np.zeros((FRAMES, 16, 16, 3), np.uint8))
    return path


def person(frame: int | str, first: float, **more: Any) -> dict[str, Any]:
    return {"image_id": frame, "keypoints": [first + number for number in range(51)], **more}


def read(folder: Path, content: Any, media: Path, frames: list[int], name: str = "dive") -> np.ndarray:
    (folder / "poses").mkdir(exist_ok=True)
    (folder / "poses" / f"{name}.json").write_text(json.dumps(content))
    return PoseFiles(str(folder / "poses")).read("diving/dive", media, frames, accept_incomplete=False)


def test_forms_of_a_file_are_read_alike(tmp_path: Path, media: Path) -> None:
    alone = [person(1, 100.0), person(4, 400.0)]
    images = {"images": [{"id": 7, "file_name": "img_1.jpg"}, {"id": 9, "file_name": "img_4.jpg"}]}
    for content in (alone, [person("1.jpg", 100.0), person("4.jpg", 400.0)],
                    images | {"annotations": [person(7, 100.0), person(9, 400.0)]}):  # fmt: skip
        found = read(tmp_path, content, media, [0, 1, 3, 4])
        assert found.shape == (4, 17, 3)
        assert found[1, 0].tolist() == [100, 101, 102]
        assert found[3, 16].tolist() == [448, 449, 450]
        assert found[0].max() == found[2].max() == 0


def test_of_several_people_the_surest_is_the_athlete(tmp_path: Path, media: Path) -> None:
    content = [person(2, 1.0, score=0.2), person(2, 2.0, score=0.9), person(2, 3.0, score=0.5)]
    assert read(tmp_path, content, media, [2])[0, 0, 0] == 2
    unscored = [person(2, 1.0), person(2, 2.0)]  # by how sure of its joints
    assert read(tmp_path, unscored, media, [2])[0, 0, 0] == 2


def test_frames_of_a_folder_count_as_its_images_do(tmp_path: Path) -> None:
    folder = tmp_path / "dive"
    folder.mkdir()
    for number in range(489, 493):
        (folder / f"{number:05d}.jpg").write_bytes(b"")
    found = read(tmp_path, [person("00490.jpg", 5.0)], folder, [0, 1])
    assert found[1, 0, 0] == 5
    assert found[0].max() == 0
    with pytest.raises(InputError, match="frame 1 is not in the video's 4 frames, if the first one is number 489"):
        read(tmp_path, [person(1, 5.0)], folder, [0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"people": []}, "is not COCO's keypoints"),
        ([{"image_id": 0}], "is not COCO's keypoints"),
        ([{"image_id": 0, "keypoints": [1.0, 2.0]}], "2 numbers, and 51 are needed"),
        ([person("first.jpg", 0.0)], "has no frame number in it"),
        ([person(FRAMES, 0.0)], f"frame {FRAMES} is not in the video's {FRAMES} frames"),
        ({"images": [], "annotations": [person(3, 0.0)]}, "of image 3, which the file does not list"),
    ],
)
def test_a_file_that_is_wrong_is_one_line(content: Any, message: str, tmp_path: Path, media: Path) -> None:
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, content, media, [0])
    assert "dive.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path, media: Path) -> None:
    with pytest.raises(InputError, match=r"diving/dive\.json: no such file; data\.poses names a folder"):
        PoseFiles(str(tmp_path)).read("diving/dive", media, [0], accept_incomplete=False)


def test_joints_move_as_boxes_do_and_change_sides_in_a_mirror() -> None:
    geometry = Geometry(height=32, width=64, crop=16, random_crop=True, flip=0.5)
    pose = np.random.default_rng(0).uniform(0, 30, (2, 17, 3))
    moved = placed(pose, (64, 128), geometry, Crop(3, 5, False))
    np.testing.assert_allclose(moved[..., 0], (pose[..., 0] + 0.5) / 2 - 0.5 - 5, atol=1e-4)
    np.testing.assert_allclose(moved[..., 1], (pose[..., 1] + 0.5) / 2 - 0.5 - 3, atol=1e-4)
    mirrored = placed(pose, (64, 128), geometry, Crop(3, 5, True))
    np.testing.assert_allclose(mirrored[:, 0, 0], 63 - ((pose[:, 0, 0] + 0.5) / 2 - 0.5) - 5, atol=1e-4)
    left, right = 9, 10  # wrists
    np.testing.assert_allclose(mirrored[:, left, 0], 63 - (moved[:, right, 0] + 5) - 5, atol=1e-4)
    np.testing.assert_allclose(mirrored[:, left, 1:], moved[:, right, 1:], atol=1e-4)


def test_the_demos_joints_lie_on_its_athlete(tmp_path: Path) -> None:
    settings = DemoSettings(2, 2, 2, 1.0, 4, seed=0, size=128)
    _, drawn = draw(np.random.default_rng(3), "diving", "train", settings)
    assert drawn.joints.shape == (16, 17, 3)
    for mask, joints in zip(drawn.masks, drawn.joints, strict=True):
        inner = joints[[0, 5, 6, 7, 8, 11, 12, 13, 14]]  # not the ends of limbs, where lines are round
        rows, columns = np.round(inner[:, 1]).astype(int), np.round(inner[:, 0]).astype(int)
        assert mask[rows, columns].mean() > 0.8
    write_poses(tmp_path / "001.json", drawn.joints)
    assert len(json.loads((tmp_path / "001.json").read_text())) == 16


def test_other_cameras_show_joints_mirrored_or_not_at_all() -> None:
    joints = joints_of(np.array([40.0, 30.0]), 0.4, 0.5, 64)
    assert (joints_seen(joints, "platform", 64)[:, :2] == joints).all()
    opposite = joints_seen(joints, "opposite", 64)
    np.testing.assert_allclose(opposite[9, :2], [64 - joints[10, 0], joints[10, 1]])
    assert joints_seen(joints, "spectators", 64)[:, 2].max() == 0
    wide, closed = (joints_of(np.array([40.0, 30.0]), 0.4, loose, 64) for loose in (1.0, 0.0))
    assert np.linalg.norm(wide[9] - wide[5]) > 3 * np.linalg.norm(closed[9] - closed[5])


def test_samples_have_them_where_they_are_asked_for(
    config: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWAPAQA_CACHE", str(tmp_path))
    small = [f"data.settings.{name}=3" for name in ("train", "test", "shifted")]
    data = make_data(config("model=core", *small, "data.poses=own", "data.batch_size=3", "data.geometry.flip=0.5").data)
    data.setup()
    assert "pose" in data.source.sides
    batch = next(iter(data.train_dataloader()))
    for sample in batch if isinstance(batch, Pair) else [batch]:
        pose = sample.side["pose"]
        assert pose.shape == (3, 16, 17, 3)
        middle = pose[:, :, [5, 6, 11, 12], :2].mean(dim=2)  # of the torso, which the box is around
        box = (sample.boxes[..., :2] + sample.boxes[..., 2:]) / 2
        assert (middle - box).abs().max() < 4
    without = make_data(config("model=core", *small).data)
    assert "pose" not in without.source.sides
