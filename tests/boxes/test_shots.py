"""Shots: cuts are found, pans, flashes and noise are none, and nobody is followed from one shot into the next."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from swapaqa.annotate.box_file import read_rows
from swapaqa.boxes.darklabel import parse_darklabel
from swapaqa.boxes.darklabel_format import KEYFRAMES
from swapaqa.boxes.shots import Filmed, begins, cuts_among, follow_shots, shot_starts
from swapaqa.boxes.tracker import Tracked, overlap
from swapaqa.boxes.tracker_boxes import write_track
from swapaqa.data.boxes import BoxRequest, DarkLabelBoxes, TrackerBoxes
from swapaqa.errors import InputError
from swapaqa.video.frames import frame_count, read_frames

HEIGHT, WIDTH, SIDE = 120, 200, 30


def shot(seed: int, length: int, left: int, pan: int = 0, sea: tuple[int, ...] = (0, 0, 0)) -> tuple:
    """A square that moves over a cluttered wall of its own colours: frames (T, H, W, 3), and its boxes (T, 4)."""
    rng = np.random.default_rng(seed)
    wall = rng.integers(0, 120, (HEIGHT, WIDTH + abs(pan) * length, 3), dtype=np.uint8)
    wall = cv2.GaussianBlur(wall, (0, 0), 2) + np.array(sea, np.uint8)
    frames, boxes = [], []
    for t in range(length):
        x, y = left + 9 * t, 30 + 3 * t
        view = wall[:, abs(pan) * t : abs(pan) * t + WIDTH].copy()
        view[y : y + SIDE, x : x + SIDE] = (250, 30, 30)
        cv2.circle(view, (x + SIDE // 2, y + SIDE // 2), 9, (30, 250, 250), -1)
        frames.append(view)
        boxes.append([x, y, x + SIDE - 1, y + SIDE - 1])
    return np.stack(frames), np.array(boxes, np.float64)


def two_shots() -> tuple[np.ndarray, np.ndarray]:
    first, second = shot(0, 8, 100, sea=(0, 0, 120)), shot(1, 12, 5, sea=(110, 60, 0))
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])


def test_a_cut_is_found_and_pans_flashes_and_noise_are_none() -> None:
    frames, _ = two_shots()
    assert shot_starts(frames) == [0, 8]
    assert shot_starts(iter(frames)) == [0, 8]
    assert shot_starts(frames[7:]) == [0, 1]  # a shot of one frame at the window's begin
    assert shot_starts(frames[:9]) == [0, 8]  # and at its end
    assert shot_starts(frames[:8]) == [0]
    assert shot_starts(frames[:1]) == [0]
    flash = frames[8:].copy()
    flash[5] = 255
    assert shot_starts(flash) == [0]
    assert shot_starts(shot(2, 10, 5, pan=25)[0]) == [0]
    noise = np.random.default_rng(0).integers(0, 255, (6, 40, 60, 3), dtype=np.uint8)
    assert shot_starts(noise) == [0]


def test_a_change_must_stand_out_from_those_around_it() -> None:
    assert cuts_among(np.array([0.1, 0.1, 0.9, 0.1])) == [3]
    assert cuts_among(np.array([0.5, 0.6, 0.9, 0.5])) == []  # a fast pan
    assert cuts_among(np.array([0.01, 0.2, 0.01])) == []  # too little
    assert cuts_among(np.array([0.8])) == [1]
    assert cuts_among(np.array([0.1, 0.0, 0.37, 0.0, 0.13])) == []  # a pan, a frame shown twice, and what was dropped
    assert cuts_among(np.array([0.1, 0.0, 0.9, 0.0, 0.13])) == [3]
    assert cuts_among(np.array([0.0, 0.0, 0.0, 0.9, 0.0])) == [4]  # a still title
    assert cuts_among(np.array([])) == []


def test_real_videos(real_data: Path) -> None:
    """The AQA-7 dive begins with one frame of a close-up; others are fast pans, one of them with dropped frames."""
    for name, expected in (
        ("aqa7_diving_054.avi", [0, 1]),
        ("diving_sample.gif", [0]),
        ("action.avi", [0]),
        ("arm_wrestling.mp4", [0]),
    ):
        media = real_data / "video" / name
        assert shot_starts(read_frames(media, range(frame_count(media)))) == expected


def test_lost_shots_take_the_nearest_box_and_edges_at_cuts_are_held() -> None:
    def follow(part: slice) -> Tracked:
        if part.start == 4:
            raise InputError("nobody")
        count = part.stop - part.start
        boxes = np.arange(part.start, part.stop)[:, None] * np.ones(4)
        return Tracked(boxes, np.array([0.1, *[0.9] * (count - 2), 0.1]))

    tracked = follow_shots(np.zeros((14, 2, 2, 3), np.uint8), 0.4, follow, [0, 4, 8], drawn=[0, 8])
    assert tracked.boxes[:, 0].tolist() == [0, 1, 2, 2, 2, 2, 9, 9, 9, 9, 10, 11, 12, 13]
    assert (tracked.confidence[4:8] == 0).all()
    assert tracked.confidence[[0, 3, 8, 13]].tolist() == [0.1, 0.9, 0.9, 0.1]
    assert tracked.outside.nonzero()[0].tolist() == [4, 5, 6, 7]
    with pytest.raises(InputError, match="nobody"):
        follow_shots(np.zeros((4, 2, 2, 3), np.uint8), 0.4, lambda _: follow(slice(4, 8)), [0])


def test_the_shot_of_somebody_else_is_outside_and_that_of_another_camera_is_not() -> None:
    """A shot of another moving thing between two cameras on the same one; drawn boxes are believed."""
    first, other, last = shot(0, 8, 100), shot(1, 6, 20, sea=(0, 90, 0)), shot(2, 8, 5, sea=(90, 40, 0))
    other[0][:] = np.where(np.isin(other[0], (30, 250)), 140, other[0])  # of other colours
    frames, true = (np.concatenate(parts) for parts in zip(first, other, last, strict=True))

    def follow(part: slice) -> Tracked:
        return Tracked(true[part], np.ones(part.stop - part.start))

    starts = [0, 8, 14]
    filmed = follow_shots(frames, 0.4, follow, starts)
    assert filmed.outside.nonzero()[0].tolist() == list(range(8, 14))
    assert np.array_equal(filmed.boxes[[10, 11]], true[[7, 14]])  # of the nearest frame of a shot with the athlete
    assert begins(filmed.outside).nonzero()[0].tolist() == [8]
    drawn = follow_shots(frames, 0.4, follow, starts, drawn=[9])
    assert drawn.outside.nonzero()[0].tolist() == [*range(8), *range(14, 22)]  # who was drawn is the athlete
    still = np.repeat(frames[:1], 22, axis=0)
    assert follow_shots(still, 0.4, follow, starts).outside.sum() == 14  # nothing moves: the longest shot alone


def test_the_file_of_a_track_says_where_the_athlete_is_not(tmp_path: Path) -> None:
    path = tmp_path / "boxes" / "007.txt"
    boxes, outside = np.tile([1.0, 2, 9, 8], (6, 1)), np.array([False, False, True, True, False, False])
    write_track(path, [Filmed(boxes, np.where(outside, 0, 1.0), outside)], 0.4, range(6), "csrt")
    found = parse_darklabel(path, KEYFRAMES, None)
    assert [row.frame for row in found.rows] == [0, 1, 4, 5]
    assert [(row.frame, row.label) for row in found.gone] == [(2, "outside")]
    assert read_rows(path) == sorted([*found.rows, *found.gone], key=lambda row: row.frame)
    text = path.read_text() + "2,1,100,2,9,7,hand\n3,1,100,2,9,7,hand\n"
    path.write_text(text)
    source = DarkLabelBoxes(2.0, None, several="union")
    union = source.read(BoxRequest([path.with_suffix("")], (120, 200), range(6)))
    assert union[[1, 2, 3, 4], 0].tolist() == [1, 100, 100, 1]  # who is outside does not count


@pytest.fixture
def video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWAPAQA_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "007"
    folder.mkdir()
    for number, frame in enumerate(two_shots()[0]):
        cv2.imwrite(str(folder / f"{number:05d}.png"), frame[..., ::-1])
    return folder


def tracked(video: Path, first_box: str = "either", max_lost: float = 0.5) -> np.ndarray:
    source = TrackerBoxes(2.0, None, "csrt", [], first_box, 0.4, max_lost)  # type: ignore[arg-type]
    request = BoxRequest([video.parent / "boxes"], (HEIGHT, WIDTH), range(20), video, range(20), lambda: 20)
    return source.read(request)


def test_the_tracker_begins_anew_after_a_cut_by_motion_or_from_a_drawn_box(
    video: Path, caplog: pytest.LogCaptureFixture
) -> None:
    true = two_shots()[1]
    found = overlap(tracked(video, "motion"), true)
    assert found[8:].mean() > 0.5
    assert found[9] > 0.5  # the box of the first shot lies elsewhere
    assert "a cut before frame 8" in caplog.text
    x, y = true[8, :2]
    (video.parent / "boxes.txt").write_text(f"8,0,{x},{y},{SIDE},{SIDE}\n")
    assert overlap(tracked(video), true)[8] > 0.99
    boxes = tracked(video, "given")  # nobody is drawn in the first shot: lost, and not followed backwards
    assert np.array_equal(boxes[:8], np.tile(boxes[8], (8, 1)))
    with pytest.raises(InputError, match=r"lost the athlete in \d+ of 20 frames, a cut before frame 8"):
        tracked(video, "given", max_lost=0.2)


def test_no_row_is_interpolated_across_a_cut(video: Path, tmp_path: Path) -> None:
    tracked(video)
    (path,) = (tmp_path / "cache" / "boxes").iterdir()
    frames = {row.frame for row in parse_darklabel(path, KEYFRAMES, None).rows}
    assert {7, 8} <= frames
