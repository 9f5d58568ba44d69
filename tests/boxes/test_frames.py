"""Boxes of frames that the video does not have: one check, whoever reads them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from swapaqa.boxes.frames import check_in_video
from swapaqa.boxes.ledger import Ledger
from swapaqa.boxes.source import BoxRow
from swapaqa.data.boxes import BoxRequest, CVATBoxes, DarkLabelBoxes, MOTBoxes, TrackerResults
from swapaqa.data.datamodule import VideoData
from swapaqa.doctor.examination import examine
from swapaqa.errors import InputError

BOX_AT_60 = '<track id="0"><box frame="60" xtl="1" ytl="1" xbr="9" ybr="9"/></track>'


def rows(*frames: int) -> list[BoxRow]:
    return [BoxRow(frame, "0", "", (1, 1, 5, 5), f"a.txt, line {n}") for n, frame in enumerate(frames, 1)]


class Counter:
    """Counts a video, and how often it is asked."""

    def __init__(self, frames: int) -> None:
        self.frames, self.asked = frames, 0

    def __call__(self) -> int:
        self.asked += 1
        return self.frames


def request(folder: Path, total: int, frames: range = range(16), span: range | tuple[()] = ()) -> BoxRequest:
    return BoxRequest([folder / "007"], (100, 200), frames, folder / "007.mp4", span, Counter(total))


def test_frames_in_the_video_pass_and_others_do_not() -> None:
    check_in_video(rows(0, 59), 0, 60)
    check_in_video(rows(1, 60), 1, 60)
    with pytest.raises(InputError, match=r"line 2: frame 60 .* 60 frames.*boxes.frame_start=1 if the file counts"):
        check_in_video(rows(1, 60), 0, 60)
    with pytest.raises(InputError, match=r"line 1: frame 500 .* say boxes.frame_start=, or take the box file"):
        check_in_video(rows(500, 560), 0, 60)
    with pytest.raises(InputError, match="say --frame-start"):
        check_in_video(rows(0, 4), 1, 60, "say --frame-start")


@pytest.mark.parametrize(
    ("name", "text", "source"),
    [
        ("007.txt", "1,0,10,20,30,40\n60,0,70,20,30,40\n", DarkLabelBoxes(2.0, None)),
        ("007.txt", "2,1,10,20,30,40,1\n61,1,70,20,30,40,1\n", MOTBoxes(2.0, None, frame_start=1)),
        ("007.txt", "10,20,30,40\n" * 61, TrackerResults(2.0, None, 0)),
        ("007.txt", "10,20,30,40\n" * 60, TrackerResults(2.0, None, 1)),
        ("007.xml", f"<annotations>{BOX_AT_60}</annotations>", CVATBoxes(2.0, None)),
    ],
)  # fmt: skip
def test_every_source_refuses_them(name: str, text: str, source: DarkLabelBoxes, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=r"is not in the video's 60 frames.*boxes.frame_start="):
        source.read(request(tmp_path, 60))
    assert source.read(request(tmp_path, 61)).shape == (16, 4)


def test_a_video_is_counted_once_and_only_where_a_box_lies_behind_what_is_read(tmp_path: Path) -> None:
    source = DarkLabelBoxes(2.0, None)
    (tmp_path / "007.txt").write_text("0,0,1,1,5,5\n15,0,1,1,5,5\n")
    inside = request(tmp_path, 60)
    source.read(inside)
    assert inside.total.asked == 0
    (tmp_path / "007.txt").write_text("0,0,1,1,5,5\n159,0,1,1,5,5\n")
    behind = request(tmp_path, 160)
    for _ in range(3):
        source.read(behind)
    assert behind.total.asked == 1
    (tmp_path / "007.txt").write_text("0,0,1,1,5,5\n1600,0,1,1,5,5\n")  # changed: looked at again
    with pytest.raises(InputError, match="frame 1600"):
        source.read(behind)


def test_boxes_of_another_part_of_a_longer_video_are_refused(tmp_path: Path) -> None:
    """A dive's own numbers beside the frames of its competition; one box may be for the whole video."""
    wanted = partial(request, tmp_path, 9000, range(5000, 5016), range(5000, 5016))
    (tmp_path / "007.txt").write_text("0,0,1,1,5,5\n102,0,1,1,5,5\n")
    with pytest.raises(InputError, match=r"of frames 0 to 102, and the window .* 5000 to 5015.*boxes.frame_start="):
        DarkLabelBoxes(2.0, None).read(wanted())
    (tmp_path / "007.txt").write_text("0,0,1,1,5,5\n")
    assert DarkLabelBoxes(2.0, None).read(wanted()).tolist() == [[1, 1, 5, 5]] * 16
    (tmp_path / "007.txt").write_text("4990,0,1,1,5,5\n5020,0,1,1,5,5\n")
    assert len(DarkLabelBoxes(2.0, None).read(wanted())) == 16


def test_a_training_and_the_doctor_refuse_them(
    open_data: Callable[..., VideoData], aqa7_tree: Callable[..., Path]
) -> None:
    root = aqa7_tree()
    path = root / "boxes" / "diving" / "001.txt"
    path.write_text("1,0,16,13,10,10,diver\n16,0,16,13,10,10,diver\n")
    data = open_data(root, boxes=DarkLabelBoxes(2.0, None))
    data.setup()
    position = next(n for n, item in enumerate(data.items["train"]) if item.record.video_id.endswith("001"))
    item = data.items["train"][position]
    with pytest.raises(InputError, match=r"001.txt, line 2: frame 16 is not in the video's 16 frames"):
        data.reader.read(item, position)
    problems = {problem.kind: problem for problem in examine(data.source, data.workers)[1]}
    assert problems["boxes unreadable"].blocks
    path.write_text("1,0,16,13,10,10,diver\n15,0,16,13,10,10,diver\n")
    assert [problem.kind for problem in examine(data.source, data.workers)[1]] == ["overlap"]
    Ledger(root / "boxes").add(path, "what was written", "hand")
    changed = {problem.kind: problem for problem in examine(data.source, data.workers)[1]}["boxes changed"]
    assert not changed.blocks
