"""CVAT's video XML and MOT files."""

from pathlib import Path

import numpy as np
import pytest

from swapaqa.data.boxes import BoxRequest, CVATBoxes, MOTBoxes
from swapaqa.errors import InputError

META = "<meta><task><original_size><width>200</width><height>100</height></original_size></task></meta>"


def box(frame: int, corners: str, outside: int = 0, keyframe: int = 1) -> str:
    names = ("xtl", "ytl", "xbr", "ybr")
    edges = " ".join(f'{name}="{value}"' for name, value in zip(names, corners.split(), strict=True))
    return f'<box frame="{frame}" keyframe="{keyframe}" outside="{outside}" occluded="0" {edges} z_order="0"></box>'


def track(number: int, *boxes: str, label: str = "diver") -> str:
    return f'<track id="{number}" label="{label}" source="manual">{"".join(boxes)}</track>'


def write(folder: Path, *tracks: str, meta: str = META) -> BoxRequest:
    content = f"<annotations><version>1.1</version>{meta}{''.join(tracks)}</annotations>"
    (folder / "007.xml").write_text(f'<?xml version="1.0" encoding="utf-8"?>{content}')
    return BoxRequest([folder / "007"], (100, 200), range(10))


def test_corners_are_edges_and_the_size_is_kept(tmp_path: Path) -> None:
    boxes = CVATBoxes(2.0, None).read(write(tmp_path, track(0, box(0, "0 0 200 100"))))
    assert boxes[0].tolist() == [0, 0, 199, 99]  # the whole frame


def test_keyframes_are_interpolated_and_outside_boxes_left_out(tmp_path: Path) -> None:
    moving = track(0, box(2, "10 10 30 30"), box(6, "50 10 70 30"), box(7, "0 0 5 5", outside=1))
    boxes = CVATBoxes(2.0, None).read(write(tmp_path, moving))
    assert boxes[[0, 2, 4, 6, 9]].tolist() == [
        [10, 10, 29, 29], [10, 10, 29, 29], [30, 10, 49, 29], [50, 10, 69, 29], [50, 10, 69, 29],
    ]  # fmt: skip


def test_boxes_that_cvat_interpolated_are_read_as_they_are(tmp_path: Path) -> None:
    moving = track(0, box(0, "0 0 10 10"), box(1, "7 0 17 10", keyframe=0), box(4, "8 0 18 10"))
    assert CVATBoxes(2.0, None).read(write(tmp_path, moving))[1].tolist() == [7, 0, 16, 9]


def test_frames_of_another_size_are_scaled_by_the_files_own(tmp_path: Path) -> None:
    wanted = write(tmp_path, track(0, box(0, "10 10 30 30")))._replace(size=(50, 100))
    assert np.allclose(CVATBoxes(2.0, None).read(wanted)[0], [4.75, 4.75, 14.25, 14.25])
    unsized = write(tmp_path, track(0, box(0, "10 10 30 30")), meta="")._replace(size=(50, 100))
    assert np.allclose(CVATBoxes(2.0, None, annotated_size=[200, 100]).read(unsized)[0], [4.75, 4.75, 14.25, 14.25])


def test_two_divers_by_label_or_as_union(tmp_path: Path) -> None:
    wanted = write(tmp_path, track(0, box(0, "0 0 10 10")), track(1, box(0, "20 5 30 15"), label="other"))
    assert CVATBoxes(2.0, None, labels=["other"]).read(wanted)[0].tolist() == [20, 5, 29, 14]
    assert CVATBoxes(2.0, None, ids=[0]).read(wanted)[0].tolist() == [0, 0, 9, 9]
    assert CVATBoxes(2.0, None, several="union").read(wanted)[0].tolist() == [0, 0, 29, 14]
    with pytest.raises(InputError, match=r"track 1, frame 0.*boxes.several=union"):
        CVATBoxes(2.0, None).read(wanted)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["<track>", "CVAT for video 1.1"]),
        (track(4, box(3, "5 5 2 9")), ["track 4, frame 3", "xbr=2"]),
        (track(4, box(3, "5 5 nan 9")), ["track 4, frame 3", "xbr=nan"]),
        (track(4, box(3, "5 5 x 9")), ["track 4, frame 3, xbr", "'x'"]),
        (track(4, '<box frame="1.5" xtl="1" ytl="1" xbr="2" ybr="2"/>'), ["'1.5'"]),
        (track(4, box(3, "5 5 7 9", outside=1)), ["no box"]),
    ],
)
def test_wrong_files_are_named(content: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        CVATBoxes(2.0, None).read(write(tmp_path, content))
    for word in ("007.xml", *words):
        assert word in str(error.value)


def test_doctype_is_refused(tmp_path: Path) -> None:
    wanted = write(tmp_path, track(0, box(0, "0 0 10 10")))
    path = tmp_path / "007.xml"
    text = path.read_text().replace("<annotations>", '<!DOCTYPE a [<!ENTITY e "x">]><annotations>')
    for encoding in ("utf-8", "utf-16"):
        path.write_text(text.replace("utf-8", encoding), encoding=encoding)
        with pytest.raises(InputError, match="DOCTYPE"):
            CVATBoxes(2.0, None).read(wanted)


def test_mot_from_frame_one(tmp_path: Path) -> None:
    (tmp_path / "007.txt").write_text("1, 1, 10, 20, 5, 8, 1, 1, 1.0\n5,1,14,20,5,8,1,1,0.9\n3,1,0,0,1,1,0,1,1\n")
    boxes = MOTBoxes(2.0, None, frame_start=1).read(BoxRequest([tmp_path / "007"], (100, 200), range(6)))
    assert boxes[[0, 2, 5]].tolist() == [[10, 20, 14, 27], [12, 20, 16, 27], [14, 20, 18, 27]]  # confidence 0 left out


def test_mot_of_darklabel_and_of_cvats_archive(tmp_path: Path) -> None:
    folder = tmp_path / "007" / "gt"
    folder.mkdir(parents=True)
    (folder / "gt.txt").write_text("0,2,10,20,5,8,-1,-1,-1,-1\n")
    assert MOTBoxes(2.0, None).read(BoxRequest([tmp_path / "007"], (100, 200), [0])).tolist() == [[10, 20, 14, 27]]


@pytest.mark.parametrize("line", ["1,1,10,20,5", "one,1,10,20,5,8", "1,1,10,20,5,0,1", "1,1,a,20,5,8"])
def test_wrong_mot_lines_are_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "007.csv").write_text(f"1,1,10,20,5,8\n{line}\n")
    with pytest.raises(InputError, match=r"007.csv, line 2"):
        MOTBoxes(2.0, None).read(BoxRequest([tmp_path / "007"], (100, 200), [0]))
