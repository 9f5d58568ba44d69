"""Files of other programs: recognised, renumbered, scaled, and then read as the loader reads the originals."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from swapaqa.annotate.box_file import read_rows
from swapaqa.annotate.importing import Reading, import_file, recognise
from swapaqa.annotate.matching import box_files, match_video, named_videos
from swapaqa.data.boxes import BoxRequest, DarkLabelBoxes, read_darklabel
from swapaqa.errors import InputError

ANY = Reading(None, None, None, None)
STORED, FRAMES = (120, 200), 20
CVAT = """<annotations><meta><task><original_size><width>400</width><height>240</height></original_size></task></meta>
<track id="0" label="diver"><box frame="2" outside="0" keyframe="1" xtl="20" ytl="40" xbr="60" ybr="100"/>
<box frame="12" outside="0" keyframe="1" xtl="40" ytl="40" xbr="80" ybr="100"/></track></annotations>"""


@pytest.mark.parametrize(
    ("name", "text", "form"),
    [
        ("a.txt", "0,0,1,2,5,5,diver\n", "darklabel"),
        ("a.txt", "0,0,1,2,5,5,high diver\n", "darklabel"),
        ("a.txt", "0,0,1,2,5,5\n9,0,1,2,5,5\n", "darklabel"),
        ("a.txt", "1,1,10,20,5,8,1,1,1.0\n2,1,10,20,5,8,1,1,1.0\n", "mot"),
        ("a.csv", "1,1,10,20,5,8,-1,-1,-1,-1\n", "mot"),
        ("a.txt", "10,20,5,8\n12,20,5,8\n", "boxes"),
        ("a.txt", "10\t20\t5\t8\n2\n", "boxes"),
        ("a.txt", "10.5 20 15 20 15 28 10 28\n", "boxes"),
        ("a.txt", "0,0,50,0,50,80,0,80\n", "boxes"),  # a rectangle at the edge, whose seventh number is 0
        ("a.txt", "1 1 10 20 30 40 -1 -1 -1 -1 \n", "mot"),
        ("a.txt", "1.0,1.0,10,20,30,40,25.5,-1,-1,-1\n", "mot"),  # a detector's score
        ("a.txt", "0 0 1 2 5 5\n9 0 1 2 5 5\n", "darklabel"),
        ("a.xml", CVAT, "cvat"),
    ],
)
def test_formats_are_recognised(tmp_path: Path, name: str, text: str, form: str) -> None:
    (tmp_path / name).write_text(text)
    assert recognise(tmp_path / name)[0] == form


@pytest.mark.parametrize("text", ["", "1\n2\n", "a,b,c\n", "1,2,3,4,5\n"])
def test_what_is_none_of_them_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InputError, match=r"a\.txt"):
        recognise(tmp_path / "a.txt")


def imported(folder: Path, text: str, reading: Reading = ANY, name: str = "a.txt") -> np.ndarray:
    (folder / name).write_text(text)
    import_file(folder / name, folder / "boxes" / "007.txt", reading, STORED, FRAMES, replace=False)
    return read_darklabel(folder / "boxes" / "007.txt", range(FRAMES))


def test_mot_counts_from_one_unless_it_has_a_frame_zero(tmp_path: Path) -> None:
    lines = "1,1,10,20,5,8,1,1,1\n11,1,20,20,5,8,1,1,1\n"
    assert imported(tmp_path, lines)[[0, 10]].tolist() == [[10, 20, 14, 27], [20, 20, 24, 27]]
    (tmp_path / "boxes" / "007.txt").unlink()
    assert imported(tmp_path, "0,1,5,5,5,5,1,1,1\n" + lines)[[0, 1]].tolist() == [[5, 5, 9, 9], [10, 20, 14, 27]]
    (tmp_path / "boxes" / "007.txt").unlink()
    assert imported(tmp_path, lines, ANY._replace(frame_start=0))[11].tolist() == [20, 20, 24, 27]


@pytest.mark.parametrize("text", [
    "0,0,1,2,5,5,diver\n9,0,11,2,5,5,diver\n", "0 0 1 2 5 5\n9 0 11 2 5 5\n", "0\t0\t1\t2\t5\t5\n9\t0\t11\t2\t5\t5\n",
    "0.0,0,1,2,5,5\n9.0,0,11,2,5,5\n", "1 1 1 2 5 5 1 -1 -1 -1 \n10 1 11 2 5 5 1 -1 -1 -1 \n",
    "1.0,1.0,1,2,5,5,0.9,-1,-1,-1\n10.0,1.0,11,2,5,5,0.9,-1,-1,-1\n",
])  # fmt: skip
def test_what_is_recognised_is_read(text: str, tmp_path: Path) -> None:
    assert imported(tmp_path, text)[[0, 9]].tolist() == [[1, 2, 5, 6], [11, 2, 15, 6]]


def test_a_zip_of_cvat_is_imported(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "v1.zip", "w") as archive:
        archive.writestr("annotations.xml", CVAT)
    assert recognise(tmp_path / "v1.zip")[0] == "cvat"
    import_file(tmp_path / "v1.zip", tmp_path / "007.txt", ANY, STORED, FRAMES, replace=False)
    assert read_darklabel(tmp_path / "007.txt", [2])[0].tolist() == [9.75, 19.75, 29.25, 49.25]
    assert box_files([tmp_path]) == [tmp_path / "007.txt", tmp_path / "v1.zip"]


def test_an_object_of_several_that_leaves_and_comes_back_does_so_in_the_imported_file(tmp_path: Path) -> None:
    boxes = "".join(f'<box frame="{t}" outside="{int(t == 5)}" xtl="2" ytl="2" xbr="9" ybr="9"/>' for t in (0, 5, 9))
    (tmp_path / "a.xml").write_text(f'<annotations><track id="0">{boxes}</track></annotations>')
    arguments = (tmp_path / "a.xml", tmp_path / "007.txt", ANY, STORED, FRAMES)
    import_file(*arguments, replace=False)
    assert [(row.frame, row.label) for row in read_rows(tmp_path / "007.txt")] == [(0, ""), (5, "outside"), (9, "")]
    text = (tmp_path / "a.xml").read_text().replace("</annotations>", "")
    second = '<track id="1">'
    second += "".join(f'<box frame="{t}" outside="0" xtl="50" ytl="2" xbr="90" ybr="9"/>' for t in (0, 9))
    second += "</track></annotations>"
    (tmp_path / "a.xml").write_text(text + second)
    import_file(*arguments, replace=True)
    source = DarkLabelBoxes(2.0, None, several="union")
    found = source.read(BoxRequest([tmp_path / "007"], STORED, range(FRAMES)))
    assert found[[4, 6, 9], 0].tolist() == [2, 50, 2]  # between its rows the first object is away


def test_cvat_is_scaled_from_its_own_size(tmp_path: Path) -> None:
    boxes = imported(tmp_path, CVAT, name="a.xml")
    assert np.allclose(boxes[2], [9.75, 19.75, 29.25, 49.25])  # (x + 0.5) / 2 - 0.5
    assert np.allclose(boxes[7] - boxes[2], [5, 0, 5, 0])


def test_a_size_can_be_given_and_is_asked_for(tmp_path: Path) -> None:
    lines = "0,0,600,300,40,60,diver\n9,0,700,300,40,60,diver\n"
    with pytest.raises(InputError, match=r"a\.txt, line 1.*200x120.*--size"):
        imported(tmp_path, lines)
    boxes = imported(tmp_path, lines, ANY._replace(size=(480, 800)))
    assert np.allclose(boxes[0], [149.63, 74.63, 159.37, 89.37], atol=0.02)


def test_frames_that_the_video_does_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"frame 20 is not in the video's 20 frames.*--frame-start"):
        imported(tmp_path, "3,0,1,2,5,5,a\n20,0,1,2,5,5,a\n")


def test_a_polygon_and_other_columns(tmp_path: Path) -> None:
    assert imported(tmp_path, "10,20,15,20,15,28,10,28\n").tolist()[0] == [10, 20, 14, 27]
    (tmp_path / "boxes" / "007.txt").unlink()
    reading = Reading("darklabel", ("fn", "cname", "id", "x1", "y1", "x2", "y2"), None, None)
    assert imported(tmp_path, "4,diver,0,10,20,30,40\n", reading)[4].tolist() == [10, 20, 30, 40]


def test_boxes_that_are_there_stay_unless_asked(tmp_path: Path) -> None:
    imported(tmp_path, "0,0,1,2,5,5,a\n")
    with pytest.raises(InputError, match="--replace"):
        imported(tmp_path, "0,0,9,9,5,5,a\n")
    (tmp_path / "a.txt").write_text("0,0,9,9,5,5,a\n")
    import_file(tmp_path / "a.txt", tmp_path / "boxes" / "007.txt", ANY, STORED, FRAMES, replace=True)
    assert read_darklabel(tmp_path / "boxes" / "007.txt", [0]).tolist() == [[9, 9, 13, 13]]


IDS = ["diving/007", "diving/070", "gym_vault/007", "18_067", "sub/dive"]


@pytest.mark.parametrize(
    ("path", "video_id"),
    [
        ("x/diving/7.txt", "diving/007"), ("x/gym_vault/0007.xml", "gym_vault/007"), ("70.txt", "diving/070"),
        ("export/diving/007/annotations.xml", "diving/007"), ("diving/7/gt/gt.txt", "diving/007"),
        ("any/18_67.csv", "18_067"), ("dive.txt", "sub/dive"),
    ],
)  # fmt: skip
def test_files_name_their_video(path: str, video_id: str) -> None:
    assert match_video(Path(path), IDS) == video_id


def test_ambiguous_and_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 videos \(diving/007, gym_vault/007.*--video"):
        match_video(Path("7.txt"), IDS)
    with pytest.raises(InputError, match=r"no video.*--video"):
        match_video(Path("8.txt"), IDS)
    with pytest.raises(InputError, match="no such file"):
        box_files([tmp_path / "none"])
    (tmp_path / "b").mkdir()
    for name in ("b/2.xml", "1.txt", "notes.md"):
        (tmp_path / name).write_text("")
    assert box_files([tmp_path]) == [tmp_path / "1.txt", tmp_path / "b" / "2.xml"]


def test_the_export_of_a_project_names_its_videos(tmp_path: Path) -> None:
    size = "<original_size><width>200</width><height>120</height></original_size>"
    tasks = "".join(f"<task><id>{n}</id><name>{n}.mp4</name><size>20</size>{size}</task>" for n in (7, 8))
    boxes = '<box frame="{}" outside="0" xtl="{}" ytl="2" xbr="9" ybr="9"/>'
    tracks = "".join(f'<track id="{n}" task_id="{n}">{boxes.format(20 * (n - 7), n - 6)}</track>' for n in (7, 8))
    source = tmp_path / "dives.xml"
    source.write_text(f"<annotations><meta><project><tasks>{tasks}</tasks></project></meta>{tracks}</annotations>")
    assert named_videos(source) == ["7.mp4", "8.mp4"]
    for name, left in (("7", 1), ("8", 2)):
        path = tmp_path / f"{name}.txt"
        import_file(source, path, ANY, STORED, FRAMES, replace=False, video=["diving_000", name])
        assert read_darklabel(path, [0]).tolist() == [[left, 2, 8, 8]]
    (tmp_path / "a.xml").write_text(CVAT)
    assert named_videos(tmp_path / "a.xml") == [str(tmp_path / "a.xml")]
    (tmp_path / "a.xml").write_text("nothing")
    assert named_videos(tmp_path / "a.xml") == [str(tmp_path / "a.xml")]
