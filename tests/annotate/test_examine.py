"""One video examined, and what an examination leaves behind: a table and a contact sheet."""

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import hydra
import numpy as np
import pytest

from swapaqa.annotate.examine import TILE, Examined, Question, draw_strip, examine, measures, pairs_of, telling_pairs
from swapaqa.annotate.sheet import read_severities, reason, sorted_by_severity, with_links, write_sheets, write_table
from swapaqa.annotate.suspicion import LIMITS, Suspicion
from swapaqa.pool import in_processes

FRAMES = range(16)


@pytest.fixture
def question(config: Callable, aqa7_tree: Callable[..., Path]) -> Callable[[int], Question]:
    """`question(1)`: about video 1 of a small tree, whose square moves under its box."""
    root = aqa7_tree()
    source = hydra.utils.instantiate(config("boxes=darklabel").boxes)

    def about(index: int) -> Question:
        media = root / "diving-out" / (f"{index:03d}.avi" if index % 2 else f"{index:03d}")
        files = [root / "boxes" / "diving" / f"{index:03d}"]
        return Question(f"diving/{index:03d}", "train", "diving", media, FRAMES, files, source)

    return about


def measured(found: Examined) -> dict[str, float]:
    return {suspicion.measure: suspicion.value for suspicion in found.found}


def test_true_boxes_are_not_suspicious_and_others_are(question: Callable[[int], Question]) -> None:
    true = examine(question(1))
    assert true.problem == ""
    assert not true.suspicious
    assert measured(true)["no motion inside"] > 3
    assert true.strip.startswith(b"\xff\xd8")
    file = question(2).files[0].with_suffix(".txt")
    file.write_text("0,0,50,30,8,8,off\n15,0,50,30,8,8,off\n")
    off = examine(question(2))
    assert off.suspicious
    assert off.found[0].measure == "no motion inside"
    assert not off._replace(state="accepted").suspicious
    file.write_text("12,0,16,13,10,10,late\n")
    assert measured(examine(question(2)))["lost"] == 12 / 16 + 3 / 16


def test_boxes_of_frames_that_the_video_has_not_are_a_problem(question: Callable[[int], Question]) -> None:
    question(1).files[0].with_suffix(".txt").write_text("1,0,16,13,10,10,a\n16,0,16,13,10,10,a\n")
    problem = examine(question(1)).problem
    assert "frame 16 is not in the video's 16 frames" in problem
    assert "boxes.frame_start=1" in problem


def test_a_track_that_stands_still_at_a_cut_is_named_with_its_frame(question: Callable[[int], Question]) -> None:
    asked = question(2)  # a folder of images
    for path in sorted(asked.media.iterdir())[:6]:  # another shot opens the video
        cv2.imwrite(str(path), np.random.default_rng(5).integers(120, 255, (40, 64, 3), dtype=np.uint8))
    still = examine(asked)
    assert still.suspicious
    assert "unmoved at a cut" in reason(still)
    assert "(frame 6)" in reason(still)
    rows = [*(f"{t},0,1,1,12,12,hand" for t in range(6)), *(f"{t},0,{16 + 3 * (t - 6)},13,10,10" for t in range(6, 16))]
    asked.files[0].with_suffix(".txt").write_text("\n".join(rows))
    measures = measured(examine(asked))
    assert measures["unmoved at a cut"] == 0
    assert measures["jump"] < 0.5


def test_what_stops_a_training_is_a_problem(question: Callable[[int], Question]) -> None:
    missing, wrong, gone = question(1), question(2), question(3)
    missing.files[0].with_suffix(".txt").unlink()
    wrong.files[0].with_suffix(".txt").write_text("nonsense\n")
    gone.media.unlink()
    found = {video.video_id: video for video in in_processes(examine, [missing, wrong, gone], 2)}
    assert "no such box file" in found["diving/001"].problem
    assert "line 1" in found["diving/002"].problem
    assert "003.avi" in found["diving/003"].problem
    assert all(video.suspicious and video.severity == float("inf") for video in found.values())


def test_pairs_lie_in_the_window() -> None:
    assert pairs_of([7]) == ([7], [7])
    early, late = pairs_of(list(range(10, 113)))
    assert (early[0], late[-1]) == (10, 112)
    assert all(second == first + 1 for first, second in zip(early, late, strict=True))


def test_motion_is_told_by_pairs_of_one_shot_that_shows_the_athlete() -> None:
    frames = list(range(10))
    pictures = {t: np.full((4, 4, 3), t, np.uint8) for t in frames}
    assert telling_pairs(pictures, frames, [], set())[0] == list(range(9))
    early, late = telling_pairs(pictures | {5: pictures[4]}, frames, [2], {7, 8, 9})
    assert (early, late) == (
        [0, 2, 3, 5],
        [1, 3, 4, 6],
    )  # not over the cut, not the repeated frame, not where he is away
    assert telling_pairs(pictures, frames, [], set(frames))[0] == list(range(9))


def test_where_the_athlete_is_away_boxes_mean_nothing() -> None:
    rng = np.random.default_rng(0)
    pictures = {t: rng.integers(0, 255, (40, 60, 3), np.uint8) for t in range(12)}
    boxes = np.repeat([[10.0, 10, 19, 19]], 12, axis=0)
    boxes[8:] = [500, 500, 600, 600]
    values, places = measures(pictures, list(range(12)), boxes, list(range(8)), [], set(range(8, 12)))
    assert (values["jump"], values["size change"], values["lost"], values["outside"]) == (0, 1, 0, 0)
    worse, places = measures(pictures, list(range(12)), boxes, list(range(8)))
    assert worse["jump"] > 1
    assert places["size change"] == 8
    assert worse["outside"] == worse["lost"] == pytest.approx(1 / 3)


def test_the_worst_come_first_in_table_and_sheet_and_accepted_ones_last(tmp_path: Path) -> None:
    def video(name: str, severity: float, problem: str = "", state: str = "") -> Examined:
        found = [Suspicion("expected harm", 0.4 * severity, severity)]
        return Examined(name, "train", "diving/<3m>", problem, [] if problem else found, b"", state)

    videos = [video("a", 0.5), video("b", 3, state="accepted"), video("c", 0, "<no> file"), video("d", 2)]
    assert [found.video_id for found in sorted_by_severity(videos)] == ["c", "d", "a", "b"]
    assert [reason(found) for found in videos] == [
        "expected harm 0.20",
        "expected harm 1.20",
        "<no> file",
        "expected harm 0.80",
    ]
    write_table(videos, tmp_path / "out" / "check.csv")
    with open(tmp_path / "out" / "check.csv", newline="") as file:
        assert [row["video"] for row in csv.DictReader(file)] == ["c", "d", "a", "b"]
    assert read_severities(tmp_path / "out" / "check.csv") == {"c": float("inf"), "d": 2, "a": 0.5, "b": 3}
    assert read_severities(tmp_path / "none.csv") == {}
    (path,) = write_sheets(videos, tmp_path / "out")
    page = path.read_text()
    assert "2 of 4 videos are suspicious" in page
    assert "<no>" not in page
    assert "<3m>" not in page
    assert page.index("&lt;no&gt;") < page.index("expected harm 0.80") < page.index("expected harm 0.20")


def test_a_sheet_leads_into_the_page_at_the_worst_frame_where_the_page_serves_it(tmp_path: Path) -> None:
    jump, harm = Suspicion("jump", 0.9, 1.8, 31), Suspicion("expected harm", 0.1, 0.25)
    videos = [
        Examined("diving/<b>", "train", "diving", "", [jump, harm], b""),
        Examined("diving/2", "train", "diving", "", [harm], b""),
    ]
    (path,) = write_sheets(videos, tmp_path)
    page = path.read_text()
    assert 'href="' not in page  # opened as a file it leads nowhere
    served = with_links(path.read_bytes()).decode()
    assert '<a href="./#diving/%3Cb%3E@31"' in served
    assert '<a href="./#diving/2"' in served
    for measure, limit in LIMITS.items():
        assert f"<dt>{measure} " in page
        assert f"{limit:g}</dt>" in page


def test_a_strip_shows_the_box_in_yellow_and_what_the_swap_keeps_in_red() -> None:
    frames = [np.full((40, 60, 3), 90, np.uint8)] * 4
    boxes = [np.array([20.0, 10, 29, 19])] * 4
    picture = cv2.imdecode(np.frombuffer(draw_strip(frames, boxes, [0, 5, 9, 12]), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture.shape == (2 * (TILE + 3), 3 * (TILE * 60 // 40 + 3), 3)
    scale = TILE / 40
    inner, outer = picture[round(15 * scale), round(20 * scale)], picture[round(15 * scale), round(15 * scale)]
    assert inner[1] > inner[2] + 40  # yellow has no blue
    assert outer[0] > outer[1] + 40  # red has no green
    assert abs(int(outer[1]) - int(outer[2])) < 30
    assert (picture[-20:, -50:] > 250).all()  # a row that is not full ends in white
