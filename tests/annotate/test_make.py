"""Boxes for a whole data set: what is there stays, what was drawn by hand is kept to the digit, failures are told."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from swapaqa.annotate.box_file import read_rows, write_text
from swapaqa.annotate.follow import Settings
from swapaqa.annotate.make import Job, estimate, hand_rows, is_due, make_boxes
from swapaqa.pool import in_processes

FRAMES = 12


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A square that moves over a cluttered wall."""
    wall = np.random.default_rng(0).integers(0, 200, (120, 200, 3), dtype=np.uint8)
    wall = cv2.GaussianBlur(wall, (0, 0), 2)
    folder = tmp_path / "video"
    folder.mkdir()
    for t in range(FRAMES):
        picture = wall.copy()
        picture[40:70, 10 + 12 * t : 40 + 12 * t] = (30, 30, 250)
        cv2.imwrite(str(folder / f"{t:05d}.png"), picture)
    return folder


def job(video: Path, path: Path, first_box: str = "either", max_lost: float = 0.5, keep: bool = True) -> Job:
    settings = Settings("kcf", [], 0.4, max_lost)
    return Job("007", video, range(FRAMES), path, settings, first_box, keep)  # type: ignore[arg-type]


def test_a_video_without_boxes_gets_a_row_for_every_frame_that_was_followed(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "boxes" / "007.txt"
    made = make_boxes(job(video, path))
    assert made.problem == ""
    assert made.frames == FRAMES
    rows = read_rows(path)
    assert len(rows) == FRAMES - made.lost
    assert {row.label for row in rows} == {"kcf"}
    assert abs(rows[0].box[0] - 10) < 5


def test_rows_by_hand_are_kept_to_the_digit_and_filled_between(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "007.txt"
    drawn = "0,0,9.75,39.5,31,31,hand\n11,0,142,40,30.25,30,diver\n"
    path.write_text(drawn + "5,0,1,1,9,9,csrt\n")  # of an earlier tracker
    made = make_boxes(job(video, path))
    assert made.problem == ""
    rows = {row.frame: row for row in read_rows(path)}
    assert [line for line in path.read_text().splitlines() if "kcf" not in line] == drawn.splitlines()
    assert rows[5].label == "kcf"
    assert abs(rows[5].box[0] - 70) < 8
    assert len(hand_rows(path)) == 2


def test_two_athletes_are_followed_apart(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "007.txt"
    path.write_text("0,0,10,40,30,30,hand\n11,1,142,40,30,30,hand\n")
    assert make_boxes(job(video, path)).problem == ""
    assert {row.object_id for row in read_rows(path)} == {"0", "1"}


def test_what_is_due(tmp_path: Path) -> None:
    hand, empty = tmp_path / "hand.txt", tmp_path / "tracker.txt"
    hand.write_text("0,0,10,40,30,30,diver\n")
    empty.write_text("0,0,10,40,30,30,csrt\n")
    assert is_due("none", tmp_path / "none.txt", fill=False, again=False)
    assert [is_due("tracker", empty, fill=True, again=again) for again in (False, True)] == [False, True]
    assert [is_due("hand", hand, fill=fill, again=True) for fill in (False, True)] == [False, True]
    assert not is_due("hand", empty, fill=True, again=True)  # somebody corrected the tracker's rows in place
    assert not is_due("accepted", empty, fill=True, again=True)


def test_failures_are_told_and_write_nothing(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "boxes" / "007.txt"
    assert "no box to start from" in make_boxes(job(video, path, "given")).problem
    assert "none" in make_boxes(job(tmp_path / "none.mp4", path)).problem
    write_text(path, "0,0,190,0,8,8,hand\n", None)  # nothing there: lost at once, or after a while
    lost = make_boxes(job(video, path, max_lost=0.0))
    assert path.read_text() == "0,0,190,0,8,8,hand\n" or not lost.problem
    path.unlink()
    made_meanwhile = "swapaqa.annotate.make.followed_text"

    def slow(*_: object) -> tuple[str, int, int]:
        path.write_text("somebody's\n")
        return "mine\n", 0, FRAMES

    monkeypatch.setattr(made_meanwhile, slow)
    assert "changed meanwhile" in make_boxes(job(video, path)).problem
    assert path.read_text() == "somebody's\n"


def test_all_jobs_are_worked_on_in_processes(video: Path, tmp_path: Path) -> None:
    jobs = [job(video, tmp_path / f"{index}.txt")._replace(video_id=str(index)) for index in range(3)]
    for processes in (1, 2):
        assert {made.video_id for made in in_processes(make_boxes, jobs, processes)} == {"0", "1", "2"}
    assert estimate([2.0, 4.0], left=10, processes=2) == 15
