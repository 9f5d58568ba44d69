"""A tracker between keyframes: they stay, both ways are blended, long and large videos stay small."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from swapaqa.annotate.follow import (
    LONGEST,
    SHORT_SIDE,
    Settings,
    blend,
    follow_athlete,
    follow_between,
    followed_frames,
    read_small,
)
from swapaqa.boxes.tracker import Tracked, overlap
from swapaqa.errors import InputError

SETTINGS = Settings("kcf", [], 0.4, 0.5)
FRAMES, SIDE = 12, 30


def scene(scale: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A square that moves over a cluttered wall: frames (T, H, W, 3) and its boxes (T, 4)."""
    rng = np.random.default_rng(0)
    wall = cv2.GaussianBlur(rng.integers(0, 200, (120, 200, 3), dtype=np.uint8), (0, 0), 2)
    frames, boxes = [], []
    for t in range(FRAMES):
        left, top = 10 + 12 * t, 30 + 4 * t
        picture = wall.copy()
        picture[top : top + SIDE, left : left + SIDE] = (250, 30, 30)
        cv2.circle(picture, (left + SIDE // 2, top + SIDE // 2), 9, (30, 250, 250), -1)
        frames.append(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST))
        edges = np.array([left, top, left + SIDE, top + SIDE]) * scale
        boxes.append(edges - [0, 0, 1, 1])
    return np.stack(frames), np.array(boxes, np.float64)


def folder_of(frames: np.ndarray, folder: Path) -> Path:
    folder.mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{number:05d}.png"), frame[..., ::-1])
    return folder


def test_keyframes_stay_and_the_rest_is_followed_both_ways() -> None:
    frames, true = scene()
    odd = true[5] + [1, -1, 2, 1]
    tracked = follow_between(frames, {5: odd}, "kcf", (), 0.4)
    assert np.array_equal(tracked.boxes[5], odd)
    assert tracked.confidence[5] == 1
    assert overlap(tracked.boxes, true)[[0, 11]].min() > 0.5  # before it, backwards, and after it


def test_without_a_keyframe_motion_finds_the_first_box() -> None:
    frames, true = scene()
    tracked = follow_between(frames, {}, "kcf", (), 0.4)
    assert overlap(tracked.boxes, true).mean() > 0.5


def test_two_ways_are_blended_by_distance_and_trust() -> None:
    left, right = np.zeros((5, 4)), np.full((5, 4), 8.0)
    sure = np.ones(5)
    assert blend(Tracked(left, sure), Tracked(right, sure), 0.4).boxes[:, 0].tolist() == [0, 2, 4, 6, 8]
    unsure = np.array([1, 0.1, 0.1, 0.1, 0.1])
    found = blend(Tracked(left, unsure), Tracked(right, sure), 0.4)
    assert found.boxes[:, 0].tolist() == [0, 8, 8, 8, 8]
    assert found.confidence.tolist() == [1] * 5
    assert blend(Tracked(left, unsure), Tracked(right, unsure), 0.4).boxes[:, 0].tolist() == [0, 2, 4, 6, 8]


def test_large_frames_are_followed_small_in_pixels_of_the_video(tmp_path: Path) -> None:
    frames, true = scene(scale=4)
    media = folder_of(frames, tmp_path / "video")
    small, scale = read_small(media, range(FRAMES))
    assert small.shape == (FRAMES, SHORT_SIDE, 600, 3)
    assert scale == SHORT_SIDE / 480
    followed = follow_athlete(media, range(2, FRAMES), {0: true[0]}, SETTINGS)
    assert followed.frames == [0, *range(2, FRAMES)]  # the wanted frames and the keyframe
    assert np.array_equal(followed.boxes[0], true[0])
    assert overlap(followed.boxes, true[followed.frames]).mean() > 0.6


def test_a_window_spread_over_a_long_video_is_followed_in_limited_steps() -> None:
    assert followed_frames([4, 9]) == list(range(4, 10))
    spread = followed_frames([0, 777, 9999])
    assert {0, 777, 9999} <= set(spread)
    assert LONGEST <= len(spread) <= LONGEST + 3
    assert max(np.diff(spread)) <= np.ceil(9999 / (LONGEST - 1))


def test_a_damaged_video_is_named(real_data: Path) -> None:
    with pytest.raises(InputError, match=r"corrupted\.mp4"):
        follow_athlete(real_data / "video" / "corrupted.mp4", range(50), {}, SETTINGS)
