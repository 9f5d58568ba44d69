"""CVAT's video XML and MOT files."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from swapaqa.boxes import archive
from swapaqa.data.boxes import BoxRequest, CVATBoxes, DarkLabelBoxes, MOTBoxes, TrackerResults
from swapaqa.errors import InputError

Spelling = Callable[[str], str]
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


def read(folder: Path, *tracks: str, meta: str = META, **keys: object) -> np.ndarray:
    """(10, 4) of the frames 0 to 9."""
    return CVATBoxes(2.0, None, **keys).read(write(folder, *tracks, meta=meta))  # type: ignore[arg-type]


def turned(frame: int, corners: str, degrees: float, keyframe: int = 1) -> str:
    return box(frame, corners, keyframe=keyframe).replace('z_order="0"', f'z_order="0" rotation="{degrees:.2f}"')


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [
        (0, [60, 40, 139, 59]),
        (90, [90, 10, 109, 89]),
        (180, [60, 40, 139, 59]),
        (270, [90, 10, 109, 89]),
        (360, [60, 40, 139, 59]),
        (-90, [90, 10, 109, 89]),
        (45, [100 - 50 / 2**0.5, 50 - 50 / 2**0.5, 99 + 50 / 2**0.5, 49 + 50 / 2**0.5]),
        (30, [100 - 20 * 3**0.5 - 5, 50 - 20 - 5 * 3**0.5, 99 + 20 * 3**0.5 + 5, 49 + 20 + 5 * 3**0.5]),
    ],
)
def test_a_turned_box_is_the_upright_one_around_it(degrees: float, expected: list[float], tmp_path: Path) -> None:
    """80x20 about its centre (100, 50); the corners are edges, so the last pixel is one before."""
    assert np.allclose(read(tmp_path, track(0, turned(0, "60 40 140 60", degrees)))[0], expected)


def test_turned_boxes_that_cvat_interpolated_are_read_as_they_are(tmp_path: Path) -> None:
    between = [turned(t, "60 40 140 60", 45 * t, keyframe=int(t % 2 == 0)) for t in range(3)]
    boxes = read(tmp_path, track(0, *between))
    assert np.allclose(boxes[1, 2] - boxes[1, 0] + 1, 100 / 2**0.5)  # wider than half way between 80 and 20
    assert boxes[2].tolist() == [90, 10, 109, 89]


def test_other_shapes_are_read_as_the_box_around_them_or_named(tmp_path: Path) -> None:
    common = 'frame="0" keyframe="1" outside="0" occluded="0"'
    shapes = {
        f'<polygon {common} points="10.00,20.00;30.00,25.00;15.00,60.00"/>': [10, 20, 29, 59],
        f'<ellipse {common} cx="50" cy="40" rx="20" ry="10"/>': [30, 30, 69, 49],
        f'<ellipse {common} cx="50" cy="40" rx="20" ry="10" rotation="90.00"/>': [40, 20, 59, 59],
        f'<mask {common} rle="1,2" left="5" top="6" width="7" height="8"/>': [5, 6, 11, 13],
    }
    for shape, expected in shapes.items():
        assert np.allclose(read(tmp_path, track(0, shape))[0], expected)
    skeleton = track(1, f'<skeleton {common}><points label="a" points="1,1"/></skeleton>', label="joints")
    with pytest.raises(InputError, match=r"track 1: is drawn as <skeleton>.*boxes.ids="):
        read(tmp_path, track(0, box(0, "0 0 10 10")), skeleton)
    assert read(tmp_path, track(0, box(0, "0 0 10 10")), skeleton, labels=["diver"])[0].tolist() == [0, 0, 9, 9]
    with pytest.raises(InputError, match="points"):
        read(tmp_path, track(0, f'<polygon {common} points="1,2;3"/>'))
    images = '<image id="0" name="a.jpg"><box xtl="1" ytl="1" xbr="9" ybr="9"/></image>'
    with pytest.raises(InputError, match="'CVAT for images'"):
        read(tmp_path, images)


def test_an_athlete_that_is_outside_has_no_box_there(tmp_path: Path) -> None:
    """Two tracks, of which one leaves and comes back: union of those present, and one athlete joined."""
    first = track(0, box(0, "10 10 30 30"), box(3, "10 10 30 30", outside=1), box(8, "10 10 30 30"))
    second = track(1, box(3, "150 60 170 80"), box(7, "150 60 170 80"), box(8, "150 60 170 80", outside=1))
    joined = read(tmp_path, first, second, several="join")
    for boxes in (read(tmp_path, first, second, several="union"), joined):
        assert boxes[[0, 2, 8, 9]].tolist() == [[10, 10, 29, 29]] * 4
        assert boxes[[3, 7]].tolist() == [[150, 60, 169, 79]] * 2
    with pytest.raises(InputError, match=r"boxes.several=join that they are one athlete"):
        read(tmp_path, first, second)
    both = track(2, box(0, "100 0 120 20"))
    with pytest.raises(InputError, match=r"boxes.several=join two objects are there at once"):
        read(tmp_path, first, second, both, several="join")


def test_outside_is_a_flag_in_any_spelling(tmp_path: Path) -> None:
    first, second = box(0, "10 10 30 30"), box(8, "150 60 170 80")
    for spelled in ("1", "true", "True"):
        left = track(0, first, box(3, "90 10 99 30").replace('outside="0"', f'outside="{spelled}"'), second)
        assert (
            read(tmp_path, left).tolist()
            == read(tmp_path, track(0, first, box(3, "0 0 5 5", outside=1), second)).tolist()
        )
    with pytest.raises(InputError, match=r"track 0, frame 3: outside 'yes' is neither 0 nor 1"):
        read(tmp_path, track(0, box(3, "90 10 99 30").replace('outside="0"', 'outside="yes"')))


def meta_of(fields: str, tag: str = "task") -> str:
    return f"<meta><{tag}>{fields}</{tag}></meta>"


def test_frames_are_those_of_the_source_video_whatever_part_of_it_a_task_has(tmp_path: Path) -> None:
    """CVAT writes start_frame + i * step; a file that counts otherwise is refused."""
    part = "<size>4</size><start_frame>2</start_frame><stop_frame>8</stop_frame><frame_filter>step=2</frame_filter>"
    inside = track(0, box(2, "0 0 10 10"), box(6, "8 0 18 10"), box(10, "8 0 18 10", outside=1))
    assert read(tmp_path, inside, meta=meta_of(part))[[2, 4, 6], 0].tolist() == [0, 4, 8]
    for frame in (0, 3, 10):
        with pytest.raises(InputError, match=rf"frame {frame}: is none of the frames 2 to 8 in steps of 2"):
            read(tmp_path, track(0, box(frame, "0 0 10 10")), meta=meta_of(part))
    job = "<id>4</id><start_frame>1</start_frame><stop_frame>3</stop_frame><frame_filter>step=2</frame_filter>"
    assert read(tmp_path, inside, meta=meta_of(job, "job"))[6, 0] == 8
    with pytest.raises(InputError, match="step=2, and its frames are not in that step"):
        read(tmp_path, track(0, box(0, "0 0 10 10"), box(1, "0 0 10 10")), meta=meta_of(job, "job"))
    with pytest.raises(InputError, match="frame_filter 'step=0'"):
        read(tmp_path, inside, meta=meta_of("<frame_filter>step=0</frame_filter>"))


def task(number: int, name: str, size: int, width: int, rest: str = "") -> str:
    return (
        f"<task><id>{number}</id><name>{name}</name><size>{size}</size>{rest}<original_size><width>{width}</width>"
        f"<height>{width // 2}</height></original_size><source>{name}</source></task>"
    )


PROJECT = (
    "<meta><project><tasks>"
    + task(7, "a.mp4", 20, 200)
    + task(8, "b.mp4", 10, 800, "<start_frame>5</start_frame><frame_filter>step=2</frame_filter>")
    + task(9, "c.mp4", 20, 400)
    + task(4, "d.mp4", 20, 400, "<subset>Test</subset>")
    + "</tasks></project></meta>"
)


def of_task(number: int, in_task: int, drawn: str) -> str:
    return drawn.replace("<track ", f'<track task_id="{in_task}" ', 1).replace('id="0"', f'id="{number}"')


def test_the_export_of_a_project_is_taken_apart_by_task(tmp_path: Path) -> None:
    """Tasks of a subset are counted on by start_frame + step * size, as CVAT does; the sizes are their own."""
    tracks = [
        of_task(0, 7, track(0, box(0, "10 10 30 30"))),
        of_task(1, 8, track(0, box(20 + 5, "400 200 440 260"), box(20 + 9, "480 200 520 260"))),
        of_task(2, 9, track(0, box(20 + 5 + 20 + 3, "100 100 120 120"))),
        of_task(3, 4, track(0, box(1, "200 100 220 120"))),
    ]
    wanted = write(tmp_path, *tracks, meta=PROJECT)
    source = CVATBoxes(2.0, None)
    with pytest.raises(InputError, match=r"project with 4 tasks \(7: a.mp4; 8: b.mp4.*boxes import"):
        source.read(wanted)
    second = wanted._replace(media=tmp_path / "b.mp4", size=(400, 800))
    assert source.read(second)[[5, 7, 9]].tolist() == [
        [400, 200, 439, 259], [440, 200, 479, 259], [480, 200, 519, 259],
    ]  # fmt: skip
    assert source.chosen(wanted._replace(media=tmp_path / "c.mp4"))[1].rows[0].frame == 3
    assert source.chosen(wanted._replace(media=tmp_path / "d.mp4"))[1].rows[0].frame == 1
    by_id = CVATBoxes(2.0, None, ids=[1]).read(wanted._replace(size=(400, 800)))
    assert np.array_equal(by_id, source.read(second))
    with pytest.raises(InputError, match="task_id None is none of the 4 tasks"):
        source.read(write(tmp_path, track(0, box(0, "0 0 10 10")), meta=PROJECT)._replace(media=tmp_path / "b.mp4"))


@pytest.mark.parametrize("size", ["-200 100", "200 0", "1e9 100", "nan 100"])
def test_a_size_that_is_none_is_refused(size: str, tmp_path: Path) -> None:
    width, height = size.split()
    meta = meta_of(f"<original_size><width>{width}</width><height>{height}</height></original_size>")
    with pytest.raises(InputError, match="<original_size>"):
        read(tmp_path, track(0, box(0, "0 0 10 10")), meta=meta)


@pytest.mark.parametrize("corners", ["5 5 2 9", "5 5 5 9", "inf 5 inf 9", "-inf 0 5 9", "0 0 1e300 5", "0 0 1_0 5"])
def test_impossible_boxes_are_named(corners: str, tmp_path: Path) -> None:
    for drawn in (box(3, corners), box(3, corners, outside=1), turned(3, corners, 30)):
        with pytest.raises(InputError, match="track 4, frame 3"):
            read(tmp_path, track(4, box(0, "0 0 10 10"), drawn))


def test_a_zip_is_read_without_unpacking(tmp_path: Path) -> None:
    wanted = write(tmp_path, track(0, box(0, "0 0 10 10")))
    text = (tmp_path / "007.xml").read_text()
    (tmp_path / "007.xml").unlink()
    members = {"images/frame_000000.PNG": "", "__MACOSX/._annotations.xml": "x", "annotations.xml": text}
    pack(tmp_path / "007.zip", members)
    assert CVATBoxes(2.0, None).find(wanted.files) == tmp_path / "007.zip"
    assert CVATBoxes(2.0, None).read(wanted)[0].tolist() == [0, 0, 9, 9]
    pack(tmp_path / "007.zip", {"gt/gt.txt": "1,1,10,20,5,8,1,1,1.0\n", "gt/labels.txt": "diver\n"})
    assert MOTBoxes(2.0, None, frame_start=1).read(wanted)[0].tolist() == [10, 20, 14, 27]
    with pytest.raises(InputError, match=r"007.zip: one file .xml is looked for in it, and there is none"):
        CVATBoxes(2.0, None).read(wanted)


def pack(path: Path, members: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)


def test_archives_that_are_none_hold_several_or_unpack_without_end_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, wanted = tmp_path / "007.zip", BoxRequest([tmp_path / "007"], (100, 200), range(10))
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(InputError, match="is not a readable zip"):
        CVATBoxes(2.0, None).read(wanted)
    pack(path, {"a.xml": "<annotations/>", "b.xml": "<annotations/>"})
    with pytest.raises(InputError, match=r"2 of them \(a.xml, b.xml\)"):
        CVATBoxes(2.0, None).read(wanted)
    monkeypatch.setattr(archive, "LARGEST", 1000)
    pack(path, {"annotations.xml": " " * 100_000})
    assert path.stat().st_size < 1000
    with pytest.raises(InputError, match=r"annotations.xml unpacks to more than"):
        CVATBoxes(2.0, None).read(wanted)
    path.write_bytes(path.read_bytes().replace(b"PK\x03\x04", b"PK\x03\x05"))
    with pytest.raises(InputError, match=r"007.zip"):
        CVATBoxes(2.0, None).read(wanted)
    monkeypatch.setattr(archive, "MOST_MEMBERS", 3)
    pack(path, {f"{n}.txt": "" for n in range(5)})
    with pytest.raises(InputError, match="has 5 members"):
        CVATBoxes(2.0, None).read(wanted)


MOT_ROWS = [
    ("1", "1", "10", "20", "30", "40", "0.9", "-1", "-1", "-1"),
    ("5", "1", "18", "20", "30", "40", *["-1"] * 4),
]


@pytest.mark.parametrize("mark", [",", ", ", "\t", " ", "  ", " ,"])
@pytest.mark.parametrize("spelling", [str, lambda text: f"{float(text)}", lambda text: f"{float(text):.4e}"])
@pytest.mark.parametrize("columns", [6, 7, 8, 9, 10])
def test_mot_is_read_with_any_separator_and_spelling(
    mark: str, spelling: Spelling, columns: int, tmp_path: Path
) -> None:
    lines = [mark.join(spelling(cell) for cell in row[:columns]) + " " for row in MOT_ROWS]
    (tmp_path / "007.txt").write_text("\n".join(lines) + "\n\n")
    source = MOTBoxes(2.0, None, ids=[1], frame_start=1)
    boxes = source.read(BoxRequest([tmp_path / "007"], (100, 200), range(5)))
    assert boxes[[0, 2, 4]].tolist() == [[10, 20, 39, 59], [14, 20, 43, 59], [18, 20, 47, 59]]


@pytest.mark.parametrize(
    "polygon", ["10,20,15,20,15,28,10,28", "0,0,50,0,50,80,0,80", "3,4,13,9,11,13,1,8", "9,9,80,1,90,70,20,60"]
)
def test_polygons_are_no_mot_and_mot_is_no_polygon(polygon: str, tmp_path: Path) -> None:
    wanted = BoxRequest([tmp_path / "007"], (100, 200), [0])
    (tmp_path / "007.txt").write_text(f"{polygon}\n{polygon}\n")
    with pytest.raises(InputError, match=r"8 numbers of polygons.*boxes=results"):
        MOTBoxes(2.0, None).read(wanted)
    TrackerResults(2.0, None, 0).read(wanted)
    (tmp_path / "007.txt").write_text("0,1,10,20,30,40,1,1\n1,1,10,20,30,40,1,1\n")
    with pytest.raises(InputError, match="read it with boxes=mot"):
        TrackerResults(2.0, None, 0).read(wanted)
    assert MOTBoxes(2.0, None).read(wanted).tolist() == [[10, 20, 39, 59]]


@pytest.mark.parametrize(
    "cells",
    [
        "1,1,10,20,inf,8,1", "1,1,10,20,-5,8,1", "1,1,nan,20,5,8,1", "1,1,1e300,20,5,8,1", "1,1,10,20,5,8,nan",
        "1.5,1,10,20,5,8,1", "inf,1,10,20,5,8,1", "1_0,1,10,20,5,8,1",
    ],
)  # fmt: skip
def test_impossible_mot_rows_are_named(cells: str, tmp_path: Path) -> None:
    (tmp_path / "007.txt").write_text(f"1,1,10,20,5,8,1\n{cells}\n")
    with pytest.raises(InputError, match=r"007.txt, line 2"):
        MOTBoxes(2.0, None).read(BoxRequest([tmp_path / "007"], (100, 200), [0]))


@pytest.mark.parametrize("source", [MOTBoxes(2.0, None), DarkLabelBoxes(2.0, None)])
def test_shares_of_the_frame_are_not_taken_for_pixels(source: MOTBoxes, tmp_path: Path) -> None:
    (tmp_path / "007.txt").write_text("0,1,0.4,0.5,0.2,0.3\n9,1,0.6,0.5,0.2,0.3\n")
    with pytest.raises(InputError, match=r"shares of the frame.*boxes.data_fmt=\[fn,id,nx1,ny1,nw,nh\]"):
        source.read(BoxRequest([tmp_path / "007"], (100, 200), range(10)))


def test_a_mot_object_with_a_line_a_frame_is_away_where_it_has_none(tmp_path: Path) -> None:
    lines = [f"{t},1,0,0,10,10,1" for t in (0, 1, 2, 7, 8, 9)] + [f"{t},2,50,20,10,10,1" for t in range(10)]
    (tmp_path / "007.txt").write_text("\n".join(lines))
    boxes = MOTBoxes(2.0, None, several="union").read(BoxRequest([tmp_path / "007"], (100, 200), range(10)))
    assert boxes[[2, 7]].tolist() == [[0, 0, 59, 29]] * 2
    assert boxes[[3, 6]].tolist() == [[50, 20, 59, 29]] * 2
    sparse = "0,1,0,0,10,10,1\n9,1,0,0,10,10,1\n0,2,50,20,10,10,1\n5,2,50,20,10,10,1\n9,2,50,20,10,10,1\n"
    (tmp_path / "007.txt").write_text(sparse)  # keyframes
    boxes = MOTBoxes(2.0, None, several="union").read(BoxRequest([tmp_path / "007"], (100, 200), range(10)))
    assert boxes.tolist() == [[0, 0, 59, 29]] * 10
