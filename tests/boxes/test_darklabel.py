"""DarkLabel's formats: all of its own settings file, users' own, one or several objects, and what is refused."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from swapaqa.boxes import tracks
from swapaqa.boxes.darklabel import parse_darklabel, read_darklabel
from swapaqa.boxes.darklabel_format import COORDINATES, KEYFRAMES, DarkLabelFormat, check_format, read_formats
from swapaqa.boxes.source import BoxRow
from swapaqa.boxes.tracks import frame_number, parse_xml, video_names
from swapaqa.data.boxes import BoxRequest, DarkLabelBoxes
from swapaqa.errors import InputError

HEIGHT, WIDTH = 100, 200
TRUE = {2: (10, 20, 29, 59), 6: (50, 40, 89, 79)}  # inclusive pixels by frame
VOC = {"x1": "xmin", "y1": "ymin", "x2": "xmax", "y2": "ymax", "cname": "name"}


def columns(frame: int, box: tuple[int, ...], label: str, classes: tuple[str, ...]) -> dict[str, str]:
    """Every specifier's value for a box, by the definitions in darklabel.yml."""
    x1, y1, x2, y2 = box
    w, h = x2 - x1 + 1, y2 - y1 + 1
    values = {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "w": w, "h": h, "cx": x1 + w / 2, "cy": y1 + h / 2}
    shares = {f"n{name}": value / (WIDTH if name[-1] in "w" or name[0] in "x" or name == "cx" else HEIGHT)
              for name, value in values.items()}  # fmt: skip
    class_id = classes.index(label) if label in classes else 0
    names = {"fn": frame, "iname": f"img_{frame:05d}.png", "cname": label, "classid": class_id, "id": 3, "difficult": 0}
    return {name: str(value) for name, value in (values | shares | names).items()}


def write(folder: Path, form: DarkLabelFormat, frames: dict[int, tuple[int, ...]], label: str = "person") -> Path:
    """`folder/007` in `form`, as DarkLabel would write it; returns the path without a suffix."""
    lines, images = {}, {}
    for frame, box in frames.items():
        values = columns(frame, box, label, form.classes)
        values |= {name: name.removeprefix("c=") for name in form.data_fmt if name.startswith("c=")}
        cells = [values[name] for name in form.data_fmt]
        lines[frame] = ("," if form.gt_file_ext == "csv" else form.delimiter).join(cells)
        shown = [name for name in form.data_fmt if not name.startswith("c=")]
        tags = "".join(f"<{VOC.get(n, n)}>{values[n]}</{VOC.get(n, n)}>" for n in shown if n not in COORDINATES)
        corners = "".join(f"<{VOC.get(n, n)}>{values[n]}</{VOC.get(n, n)}>" for n in shown if n in COORDINATES)
        images[frame] = (
            f"<annotation><filename>v_{frame:05d}.png</filename><size><width>{WIDTH}</width><height>{HEIGHT}</height>"
            f"</size><object>{tags}<bndbox>{corners}</bndbox></object></annotation>"
        )
    path = folder / "007"
    texts = images if form.gt_file_ext == "xml" else lines
    if form.gt_merged:
        joined = "\n".join(texts.values())
        whole = f"<annotations>{joined}</annotations>" if form.gt_file_ext == "xml" else joined
        path.with_suffix(f".{form.gt_file_ext}").write_text(whole)
    else:
        path.mkdir()
        for frame, text in texts.items():
            (path / f"v_{frame:05d}.{form.gt_file_ext}").write_text(text)
    return path


def source(form: DarkLabelFormat, frame_start: int = 0, annotated: list[int] | None = None) -> DarkLabelBoxes:
    return DarkLabelBoxes(
        ratio=2.0, root=None, frame_start=frame_start, annotated_size=annotated,
        data_fmt=form.data_fmt, gt_file_ext=form.gt_file_ext, gt_merged=form.gt_merged, delimiter=form.delimiter,
        classes=form.classes,
    )  # fmt: skip


def request(path: Path, size: tuple[int, int] = (HEIGHT, WIDTH)) -> BoxRequest:
    return BoxRequest([path], size, range(9))


def assert_true(boxes: np.ndarray) -> None:
    assert np.allclose(boxes[[0, 2]], TRUE[2], atol=1e-6)
    assert np.allclose(boxes[4], np.mean([TRUE[2], TRUE[6]], axis=0), atol=1e-6)
    assert np.allclose(boxes[[6, 8]], TRUE[6], atol=1e-6)


@pytest.mark.parametrize("number", range(9))
def test_every_format_of_darklabels_own_settings(number: int, tmp_path: Path, real_data: Path) -> None:
    settings = real_data / "darklabel" / "darklabel.yml"
    formats = read_formats(settings)
    assert sorted(formats) == list(range(9))
    path = write(tmp_path, formats[number], TRUE)
    found = DarkLabelBoxes(ratio=2.0, root=None, settings_file=str(settings), format=number)
    assert_true(found.read(request(path)))
    assert_true(source(formats[number]).read(request(path)))


def test_settings_are_read_with_their_defaults(real_data: Path) -> None:
    formats = read_formats(real_data / "darklabel" / "darklabel.yml")
    assert formats[0].gt_file_ext == "xml"
    assert formats[0].classes[14] == "person"
    assert (formats[1].delimiter, formats[1].gt_merged, formats[1].classes[0]) == (" ", False, "person")
    assert formats[2].data_fmt[-4:] == ("c=-1",) * 4
    assert (formats[5].delimiter, formats[5].gt_merged) == (",", True)


SETTINGS = """%YAML:1.0
---
media_path_root: "D:/"
people: [person, diver]
numbers: [1, 2.5]
format0:
  data_fmt: [cname, x1, y1, x2, y2]
format1: {data_fmt: [classid, ncx, ncy, nw, nh], gt_file_ext: txt, delimiter: " ", classes_set: people}
format2: {data_fmt: [fn, x1, y1, w, h, c=-1], gt_file_ext: csv, gt_merged: 1, classes_set: nowhere}
format3: {data_fmt: [fn, x1, y1, w, h, c=-1], gt_file_ext: csv, gt_merged: 1, classes_set: [people]}
format4: {data_fmt: [fn, classid, x1, y1, w, h], gt_file_ext: csv, gt_merged: 1, classes_set: [a, b]}
format5: {data_fmt: [fn, classid, x1, y1, w, h], gt_file_ext: csv, gt_merged: 1, classes_set: [diver]}
format12: {data_fmt: [iname, x1, y1, w, h], gt_file_ext: txt, gt_merged: 1, delimiter: ";", classes_set: numbers}
formats: [1, 2]
"""


def test_settings_of_ones_own_with_their_defaults(tmp_path: Path) -> None:
    """As darklabel.yml says of itself: XML, a file an image, commas, no list of classes."""
    path = tmp_path / "darklabel.yml"
    path.write_text(SETTINGS)
    assert read_formats(path) == {
        0: DarkLabelFormat(("cname", "x1", "y1", "x2", "y2"), "xml", False, ",", ()),
        1: DarkLabelFormat(("classid", "ncx", "ncy", "nw", "nh"), "txt", False, " ", ("person", "diver")),
        2: DarkLabelFormat(("fn", "x1", "y1", "w", "h", "c=-1"), "csv", True, ",", ()),
        3: DarkLabelFormat(("fn", "x1", "y1", "w", "h", "c=-1"), "csv", True, ",", ("person", "diver")),
        4: DarkLabelFormat(("fn", "classid", "x1", "y1", "w", "h"), "csv", True, ",", ("a", "b")),
        5: DarkLabelFormat(("fn", "classid", "x1", "y1", "w", "h"), "csv", True, ",", ("diver",)),
        12: DarkLabelFormat(("iname", "x1", "y1", "w", "h"), "txt", True, ";", ("1", "2.5")),
    }


def test_what_all_formats_have_stands_above_them_and_a_formats_own_word_wins(tmp_path: Path) -> None:
    path = tmp_path / "darklabel.yml"
    box = "data_fmt: [fn, x1, y1, w, h]"
    path.write_text(f"gt_file_ext: csv\ngt_merged: 1\nformat0: {{{box}}}\nformat1: {{{box}, gt_file_ext: txt}}\n")
    found = read_formats(path)
    assert [(form.gt_file_ext, form.gt_merged) for form in found.values()] == [("csv", True), ("txt", True)]


@pytest.mark.parametrize("name", ["picture", "v_1234567890123456789"])
def test_a_file_name_without_a_frame_number_is_refused(name: str, tmp_path: Path) -> None:
    form = DarkLabelFormat(("x1", "y1", "w", "h"), "txt", False, ",", ())
    path = write(tmp_path, form, {3: TRUE[2]})
    (path / f"{name}.txt").write_text("1,1,5,5\n")
    with pytest.raises(InputError, match=rf"{name}.txt.*no frame number"):
        source(form).read(request(path))


def test_a_frame_number_may_have_18_digits() -> None:
    assert frame_number("take2_123456789012345678.png", "here") == 123456789012345678


SIZE, BOX = "<size><width>200</width><height>100</height></size>", "<x1>1</x1><y1>2</y1><x2>5</x2><y2>6</y2>"
SHARES = "<nx1>0.1</nx1><ny1>0.1</ny1><nx2>0.2</nx2><ny2>0.5</ny2>"


def xml_rows(folder: Path, content: str, **changes: object) -> list[BoxRow]:
    """Of one image's annotation, in the file `v_00003.xml`."""
    (folder / "v_00003.xml").write_text(f"<annotation><filename>f_7.png</filename>{content}</annotation>")
    form = DarkLabelFormat(("x1", "y1", "x2", "y2"), "xml", False, ",", ())
    found = parse_darklabel(folder, form._replace(**changes), (50, 70))
    assert found.size == ((100, 200) if SIZE in content else None)
    return found.rows


def test_the_frame_of_an_images_own_file_is_its_name(tmp_path: Path) -> None:
    (row,) = xml_rows(tmp_path, f"<object>{BOX}</object>")
    assert (row.frame, row.box) == (3, (1, 2, 5, 6))
    assert row.place == f"{tmp_path / 'v_00003.xml'}, object 1 of f_7.png"


def test_classes_of_xml_are_looked_up(tmp_path: Path) -> None:
    (row,) = xml_rows(tmp_path, f"<object><classid>1</classid>{BOX}</object>", classes=("person", "diver"))
    assert row.label == "diver"


def test_shares_in_xml_are_of_its_own_size_else_of_the_video(tmp_path: Path) -> None:
    (own,) = xml_rows(tmp_path, f"{SIZE}<object>{SHARES}</object>")
    (given,) = xml_rows(tmp_path, f"<object>{SHARES}</object>")
    assert own.box == pytest.approx((20, 10, 40, 50))
    assert given.box == pytest.approx((7, 5, 14, 25))


def test_the_second_object_of_an_image_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"v_00003\.xml, object 2 of f_7\.png: box .* no extent"):
        xml_rows(tmp_path, f"<object>{BOX}</object><object>{BOX.replace('<x2>5', '<x2>-5')}</object>")


@pytest.mark.parametrize(
    "size",
    ["<width>200</width>", "<height>100</height>", "<width>0</width><height>100</height>",
     "<width>200</width><height>0</height>", "<width>wide</width><height>100</height>"],
)  # fmt: skip
def test_a_size_that_is_none_is_refused(size: str, tmp_path: Path) -> None:
    for before in ("", SIZE):
        with pytest.raises(InputError, match=r"v_00003\.xml: <size> has no width and height"):
            xml_rows(tmp_path, f"<annotation>{before}</annotation><annotation><size>{size}</size></annotation>")


def test_a_picture_of_one_pixel_has_a_size(tmp_path: Path) -> None:
    path = tmp_path / "v_00003.xml"
    path.write_text(
        f"<annotation><size><width>1</width><height>1</height></size><object>{SHARES}</object></annotation>"
    )
    found = parse_darklabel(tmp_path, DarkLabelFormat(("x1", "y1", "x2", "y2"), "xml", False, ",", ()), None)
    assert found.size == (1, 1)
    assert found.rows[0].box == pytest.approx((0.1, 0.1, 0.2, 0.5))


def test_two_sizes_in_one_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "007.xml"
    images = (f"<annotation>{SIZE.replace('200', width)}</annotation>" for width in ("200", "200", "201"))
    path.write_text(f"<annotations>{''.join(images)}</annotations>")
    with pytest.raises(InputError, match=r"007\.xml: its <size> is another"):
        parse_darklabel(path, DarkLabelFormat(("x1", "y1", "x2", "y2"), "xml", True, ",", ()), None)


def line_row(folder: Path, line: bytes, *data_fmt: str) -> BoxRow:
    path = folder / "007.txt"
    path.write_bytes(line)
    found = parse_darklabel(path, DarkLabelFormat(data_fmt, "txt", True, ",", ()), None)
    assert found.size is None  # the file does not say it
    (row,) = found.rows
    return row


def test_labels_may_be_in_any_encoding_and_may_be_left_out(tmp_path: Path) -> None:
    assert line_row(tmp_path, b"0,1,1,5,5,pl\xf6ngeur", "fn", "x1", "y1", "w", "h", "cname").label == "pl\ufffdngeur"
    assert line_row(tmp_path, b"0,1,1,5,5", "fn", "x1", "y1", "w", "h").label == ""
    assert line_row(tmp_path, b"0,7,1,1,5,5", "fn", "classid", "x1", "y1", "w", "h").label == "7"  # without classes


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b"0,\xf6,a,1,1,5,5", "id is no text"), (b"0,\x07,a,1,1,5,5", "id is no text"),
        (b"0,1,\x07,1,1,5,5", "label is no text"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_no_name(line: bytes, word: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"line 1: .*\({word}\)"):
        line_row(tmp_path, line, "fn", "id", "cname", "x1", "y1", "w", "h")


def test_a_class_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"007\.txt, line 1: .*\(classid is 'diver'\)"):
        line_row(tmp_path, b"0,diver,1,1,5,5", "fn", "classid", "x1", "y1", "w", "h")


def test_an_image_of_a_whole_video_needs_a_name(tmp_path: Path) -> None:
    path = tmp_path / "007.xml"
    path.write_text(f"<annotations><annotation><object>{BOX}</object></annotation></annotations>")
    with pytest.raises(InputError, match=r"007\.xml, object 1 of frame \?: the name '' has no frame number"):
        parse_darklabel(path, DarkLabelFormat(("x1", "y1", "x2", "y2"), "xml", True, ",", ()), None)


def test_a_missing_file_names_the_settings_that_say_where_it_is(tmp_path: Path) -> None:
    settings = tmp_path / "darklabel.yml"
    settings.write_text(SETTINGS)
    with pytest.raises(InputError, match=r"007\.csv: no such box file.*is said by .*darklabel\.yml, format2$"):
        DarkLabelBoxes(2.0, None, settings_file=str(settings), format=2).read(request(tmp_path / "007"))
    with pytest.raises(InputError, match=r"007\.txt: no such box file") as error:
        DarkLabelBoxes(2.0, None).read(request(tmp_path / "007"))
    assert "is said by" not in str(error.value)


def test_a_format_is_one_of_the_settings_file(tmp_path: Path) -> None:
    settings = tmp_path / "darklabel.yml"
    settings.write_text(SETTINGS)
    with pytest.raises(InputError, match=r"boxes\.format=7: .* has the formats 0, 1, 2, 3, 4, 5, 12"):
        DarkLabelBoxes(2.0, None, settings_file=str(settings), format=7)
    with pytest.raises(InputError, match=r"boxes\.settings_file=.*nowhere.yml: no such file"):
        DarkLabelBoxes(2.0, None, settings_file=str(tmp_path / "nowhere.yml"), format=0)
    with pytest.raises(InputError, match=r"boxes\.format=0: of which darklabel\.yml"):
        DarkLabelBoxes(2.0, None, format=0)


@pytest.mark.parametrize("size", [[100], [1, 2, 3], [0, 5], [5, 0]])
def test_an_annotated_size_is_a_width_and_a_height(size: list[int]) -> None:
    with pytest.raises(InputError, match=r"boxes\.annotated_size=\["):
        DarkLabelBoxes(2.0, None, annotated_size=size)
    assert DarkLabelBoxes(2.0, None, annotated_size=[1, 1]).annotated_size == [1, 1]


def test_frames_are_counted_from_0_or_later() -> None:
    with pytest.raises(InputError, match=r"boxes\.frame_start=-1"):
        DarkLabelBoxes(2.0, None, frame_start=-1)


@pytest.mark.parametrize("data_fmt", [("fn", "nx1", "y1", "nw", "h"), ("fn", "x1", "ny1", "w", "nh")])
def test_shares_along_one_axis_need_the_frames_size_too(data_fmt: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 1: n[xy]1 is a share of the frame, whose size is not known"):
        line_row(tmp_path, b"0,0.1,0.1,0.5,0.5", *data_fmt)


def test_a_message_quotes_a_box_and_the_beginning_of_a_cell(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 1: box x=1 y=2 w=0 h=5 has no extent"):
        line_row(tmp_path, b"0,1,2,0,5", "fn", "x1", "y1", "w", "h")
    long = "a" * 30 + "  " + "b" * 70
    with pytest.raises(InputError, match=rf"\(x is '{'a' * 30} {'b' * 49}'\)"):
        line_row(tmp_path, f"0,{long},2,3,5".encode(), "fn", "x1", "y1", "w", "h")


def test_of_too_many_columns_the_first_pixel_and_the_last_count(tmp_path: Path) -> None:
    data_fmt = ("fn", "x1", "x2", "cx", "w", "y1", "cy", "h", "difficult")
    assert line_row(tmp_path, b"0,1,9,50,4,2,70,6,1", *data_fmt).box == (1, 2, 9, 7)


def test_a_share_that_is_no_number_is_named(tmp_path: Path) -> None:
    form = DarkLabelFormat(("fn", "nx1", "ny1", "nw", "nh"), "txt", True, ",", ())
    (tmp_path / "007.txt").write_text("0,0.1,left,0.2,0.2\n")
    with pytest.raises(InputError, match=r"line 1: .*\(ny1 is 'left'\)"):
        parse_darklabel(tmp_path / "007.txt", form, (50, 70))


def test_a_video_is_called_as_its_file_or_its_whole_folder_or_its_boxes(tmp_path: Path) -> None:
    asked = request(tmp_path / "007")
    assert video_names(asked._replace(media=tmp_path / "dive.1.avi")) == ["dive.1", "007"]
    (tmp_path / "dive.1").mkdir()
    assert video_names(asked._replace(media=tmp_path / "dive.1")) == ["dive.1", "007"]
    assert video_names(asked) == ["007"]


def test_columns_parted_by_blanks_have_one_or_several_of_them(tmp_path: Path) -> None:
    (tmp_path / "007.txt").write_text("  0 1   2 5 6 \n3 1 2 5  6\n")
    boxes = DarkLabelBoxes(2.0, None, data_fmt=["fn", "x1", "y1", "w", "h"], delimiter=" ")
    assert boxes.read(request(tmp_path / "007"))[[0, 3]].tolist() == [[1, 2, 5, 7]] * 2


@pytest.mark.parametrize(("side", "pixels"), [("2", True), ("1.99", False)])
def test_boxes_within_two_pixels_are_taken_for_shares(side: str, pixels: bool, tmp_path: Path) -> None:
    (tmp_path / "007.txt").write_text(f"0,0,0,{side},1\n3,0,0,1,1\n")
    boxes = DarkLabelBoxes(2.0, None, data_fmt=["fn", "x1", "y1", "x2", "y2"])
    with contextlib.nullcontext() if pixels else pytest.raises(InputError, match="shares of the frame"):
        assert boxes.read(request(tmp_path / "007"))[0].tolist() == [0, 0, float(side), 1]


def test_a_line_without_its_last_column_is_refused_if_that_tells_objects_apart(tmp_path: Path) -> None:
    (tmp_path / "007.txt").write_text("0,1,1,5,5\n")
    for data_fmt, refused in (
        (["fn", "x1", "y1", "w", "h", "id"], True),
        (["fn", "x1", "y1", "w", "h", "cname"], False),
    ):
        boxes = DarkLabelBoxes(2.0, None, data_fmt=data_fmt)
        with pytest.raises(InputError, match="line 1") if refused else contextlib.nullcontext():
            assert boxes.read(request(tmp_path / "007"))[0].tolist() == [1, 1, 5, 5]


def test_parts_of_xml_are_counted_before_it_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracks, "MOST_PARTS", 2)
    path = tmp_path / "007.xml"
    path.write_text('<a b="1"/>')
    assert parse_xml(path).attrib == {"b": "1"}
    for text in ('<a b="1"><c/></a>', '<a b="1" c="2"/>'):
        path.write_text(text)
        with pytest.raises(
            InputError, match=rf"007\.xml: has {text.count('<') + text.count('=')} tags and attributes, 2"
        ):
            parse_xml(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
def test_a_doctype_in_any_encoding_is_refused(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "007.xml"
    path.write_bytes("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>".encode(encoding))
    with pytest.raises(InputError, match="declares a DOCTYPE"):
        parse_xml(path)


def test_an_object_without_a_name_has_an_empty_label(tmp_path: Path) -> None:
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>5</xmax><ymax>6</ymax></bndbox>"
    path = tmp_path / "v_00003.xml"
    path.write_text(f"<annotation><object><name/>{box}</object></annotation>")
    form = DarkLabelFormat(("cname", "x1", "y1", "x2", "y2"), "xml", False, ",", ())
    (row,) = parse_darklabel(tmp_path, form, None).rows
    assert (row.frame, row.label, row.object_id, row.box) == (3, "", None, (1, 2, 5, 6))


@pytest.mark.parametrize("extension", ["txt", "csv", "xml"])
@pytest.mark.parametrize("merged", [True, False])
@pytest.mark.parametrize(
    "data_fmt",
    ["fn cname id x1 y1 w h", "fn x1 y1 x2 y2", "iname id cx cy w h", "fn ncx ncy nw nh c=1.5", "fn nx1 ny1 nw nh id"],
)
def test_users_own_formats(extension: str, merged: bool, data_fmt: str, tmp_path: Path) -> None:
    form = DarkLabelFormat(tuple(data_fmt.split()), extension, merged, ";", ())  # type: ignore[arg-type]
    assert_true(source(form).read(request(write(tmp_path, form, TRUE))))


def test_frames_may_start_at_one(tmp_path: Path) -> None:
    form = DarkLabelFormat(("fn", "id", "x1", "y1", "w", "h"), "txt", True, ",", ())
    path = write(tmp_path, form, {frame + 1: box for frame, box in TRUE.items()})
    assert_true(source(form, frame_start=1).read(request(path)))
    path.with_suffix(".txt").write_text("0,0,1,1,5,5\n")
    with pytest.raises(InputError, match=r"007.txt, line 1: frame 0, but boxes.frame_start=1"):
        source(form, frame_start=1).read(request(path))


@pytest.mark.parametrize("data_fmt", [("fn", "x1", "y1", "w", "h"), ("fn", "ncx", "ncy", "nw", "nh")])
def test_boxes_of_another_frame_size_are_scaled(data_fmt: tuple[str, ...], tmp_path: Path) -> None:
    form = DarkLabelFormat(data_fmt, "txt", True, ",", ())
    path = write(tmp_path, form, TRUE)
    boxes = source(form, annotated=[WIDTH, HEIGHT]).read(request(path, (HEIGHT // 2, WIDTH * 2)))
    x1, y1, x2, y2 = TRUE[2]
    assert np.allclose(boxes[2], [2 * x1 + 0.5, y1 / 2 - 0.25, 2 * x2 + 0.5, y2 / 2 - 0.25])  # (x + 0.5) s - 0.5


def test_xml_carries_its_size(tmp_path: Path, real_data: Path) -> None:
    form = read_formats(real_data / "darklabel" / "darklabel.yml")[0]
    boxes = source(form).read(request(write(tmp_path, form, TRUE), (2 * HEIGHT, 2 * WIDTH)))
    assert np.allclose(boxes[2], 2 * np.array(TRUE[2]) + 0.5)


def test_normalised_boxes_need_no_size(tmp_path: Path) -> None:
    form = DarkLabelFormat(("fn", "ncx", "ncy", "nw", "nh"), "txt", True, ",", ())
    boxes = source(form).read(request(write(tmp_path, form, {2: (0, 0, 199, 99)}), (50, 70)))
    assert np.allclose(boxes[2], [0, 0, 69, 49])


TWO = "0,0,10,10,10,10,left\n0,1,30,12,10,10,right\n8,0,10,50,10,10,left\n8,1,38,50,10,10,right\n"


def two(tmp_path: Path) -> BoxRequest:
    (tmp_path / "007.txt").write_text(TWO)
    return request(tmp_path / "007")


def test_several_objects_are_chosen_by_id_or_label(tmp_path: Path) -> None:
    wanted = two(tmp_path)
    by_id = DarkLabelBoxes(2.0, None, ids=[1]).read(wanted)
    assert np.array_equal(by_id, DarkLabelBoxes(2.0, None, labels=["right"]).read(wanted))
    assert by_id[4].tolist() == [34, 31, 43, 40]


def test_union_of_several_objects_each_interpolated(tmp_path: Path) -> None:
    boxes = DarkLabelBoxes(2.0, None, several="union").read(two(tmp_path))
    assert boxes[0].tolist() == [10, 10, 39, 21]
    assert boxes[4].tolist() == [10, 30, 43, 40]


def test_union_without_ids(tmp_path: Path) -> None:
    (tmp_path / "007.txt").write_text("0,1,1,5,5\n0,10,2,5,5\n")
    boxes = DarkLabelBoxes(2.0, None, data_fmt=["fn", "x1", "y1", "w", "h"], several="union")
    assert boxes.read(request(tmp_path / "007"))[0].tolist() == [1, 1, 14, 6]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ["line 2", "0, 1", "boxes.ids=", "boxes.labels=", "boxes.several=union"]),
        ({"ids": [7]}, ["boxes.ids=[7]", "ids 0, 1", "labels left, right"]),
        ({"labels": ["diver"]}, ["diver", "left, right"]),
    ],
)
def test_unclear_or_absent_objects_are_refused(settings: dict, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        DarkLabelBoxes(2.0, None, **settings).read(two(tmp_path))
    for word in ("007.txt", *words):
        assert word in str(error.value)


def test_an_object_twice_in_one_frame_is_refused(tmp_path: Path) -> None:
    (tmp_path / "007.txt").write_text("3,0,1,1,5,5\n3,0,2,2,5,5\n")
    with pytest.raises(InputError, match=r"line 2: a second box .* in frame 3 .*line 1"):
        DarkLabelBoxes(2.0, None).read(request(tmp_path / "007"))


@pytest.mark.parametrize(
    ("data_fmt", "word"),
    [
        (["fn", "x1", "y1", "width", "h"], "no specifier 'width'"),
        (["fn", "x1", "y1", "w"], "y2 or h"),
        (["x1", "y1", "w", "h"], "fn or iname"),
    ],
)
def test_impossible_formats_are_refused_before_any_file_is_read(data_fmt: list[str], word: str) -> None:
    with pytest.raises(InputError, match=word):
        DarkLabelBoxes(2.0, None, data_fmt=data_fmt)


def test_a_class_that_is_not_in_the_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "007.txt").write_text("0,2,1,1,5,5\n")
    boxes = DarkLabelBoxes(2.0, None, data_fmt=["fn", "classid", "x1", "y1", "w", "h"], classes=["person", "board"])
    with pytest.raises(InputError, match="line 1: classid 2"):
        boxes.read(request(tmp_path / "007"))


def test_xml_with_entities_is_refused(tmp_path: Path) -> None:
    hostile = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><annotation>&x;</annotation>'
    (tmp_path / "007.xml").write_text(hostile)
    boxes = DarkLabelBoxes(2.0, None, gt_file_ext="xml")
    with pytest.raises(InputError, match="DOCTYPE"):
        boxes.read(request(tmp_path / "007"))
    (tmp_path / "007.xml").write_text("<annotation>")
    with pytest.raises(InputError, match="readable XML"):
        boxes.read(request(tmp_path / "007"))


def test_darknets_list_of_labels_beside_the_boxes_is_read_over(tmp_path: Path) -> None:
    form = DarkLabelFormat(("classid", "ncx", "ncy", "nw", "nh"), "txt", False, " ", ("person",))
    path = write(tmp_path, form, TRUE)
    (path / "classes.txt").write_text("person\n")
    (path / "v_00003.txt").write_text("")  # nobody in the picture
    assert_true(source(form).read(request(path)))


@pytest.mark.parametrize(
    "text",
    [
        "", "[1, 2]", "format0: 3", "format0: [x1]", "format0: {data_fmt: fn}", "format0: {data_fmt: []}", "a: [",
        "format0: {data_fmt: [fn, x1, y1, w, h], delimiter: ';;'}",
        "format0: {data_fmt: [fn, x1, y1, w, h], gt_merged: x}", "format0: {gt_file_ext: txt}",
        "format0: {data_fmt: [fn, x1, y1, w, h], delimiter: 5}", "format0: {data_fmt: [fn, [x1], y1, w, h]}",
        "classes: 3\nformat0: {data_fmt: [fn, x1, y1, w, h], classes_set: classes}", "a: 2020-13-45", "[" * 3000,
        "format0: {data_fmt: [fn, x1, y1, w, h], gt_file_ext: [1]}",
    ],
)  # fmt: skip
def test_damaged_settings_are_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "darklabel.yml"
    path.write_text(f"%YAML:1.0\n{text}\n")
    with pytest.raises(InputError, match=r"darklabel.yml|data_fmt \["):
        read_formats(path)


@pytest.mark.parametrize(
    ("text", "word"),
    [("data_fmt: fn", "data_fmt"), ("data_fmt: [fn, x1, y1, w, h], classes_set: people", "classes_set 'people'")],
)
def test_what_is_no_list_of_names_is_named(text: str, word: str, tmp_path: Path) -> None:
    path = tmp_path / "darklabel.yml"
    path.write_text(f"people: 3\nformat0: {{{text}}}\n")
    with pytest.raises(InputError, match=rf"darklabel\.yml, format0: {word} is .* no list of names"):
        read_formats(path)


def test_images_of_two_sizes_are_refused(tmp_path: Path) -> None:
    form = DarkLabelFormat(("cname", "x1", "y1", "x2", "y2"), "xml", False, ",", ())
    path = write(tmp_path, form, TRUE)
    later = path / "v_00006.xml"
    later.write_text(later.read_text().replace("<width>200", "<width>400"))
    with pytest.raises(InputError, match=r"v_00006.xml: its <size> is another"):
        source(form).read(request(path))


def test_an_object_that_ends_is_no_part_of_the_union(tmp_path: Path) -> None:
    """An athlete that was lost and drawn anew under another id: one at a time, or joined."""
    (tmp_path / "007.txt").write_text("0,0,10,10,20,20\n3,0,10,10,20,20\n4,1,150,60,20,20\n8,1,150,60,20,20\n")
    for several in ("union", "join"):
        boxes = DarkLabelBoxes(2.0, None, several=several).read(request(tmp_path / "007"))  # type: ignore[arg-type]
        assert boxes[[0, 3]].tolist() == [[10, 10, 29, 29]] * 2
        assert boxes[[4, 8]].tolist() == [[150, 60, 169, 79]] * 2


def test_outside_says_that_an_object_has_left_and_may_be_the_name_of_another(tmp_path: Path) -> None:
    """An object all of whose rows are labelled so was called so by somebody; it never leaves."""
    (tmp_path / "007.txt").write_text("0,0,10,10,20,20,outside\n8,0,18,10,20,20,outside\n")
    boxes = DarkLabelBoxes(2.0, None).read(request(tmp_path / "007"))
    assert boxes[[0, 4, 8], 0].tolist() == [10, 14, 18]
    (tmp_path / "007.txt").write_text("0,0,10,10,20,20,diver\n4,0,10,10,20,20,outside\n8,0,18,10,20,20,diver\n")
    found = parse_darklabel(tmp_path / "007.txt", KEYFRAMES, None)
    assert ([row.frame for row in found.rows], [row.frame for row in found.gone]) == ([0, 8], [4])
    assert read_darklabel(tmp_path / "007.txt", [3]).tolist() == [[10, 10, 29, 29]]  # not on its way to frame 8
    (tmp_path / "007.txt").write_text("0,0,10,10,20,20,diver\n4,1,50,10,20,20,outside\n8,1,58,10,20,20,outside\n")
    assert len(parse_darklabel(tmp_path / "007.txt", KEYFRAMES, None).rows) == 3
    with pytest.raises(InputError, match="objects of this video: 0, 1"):
        DarkLabelBoxes(2.0, None).read(request(tmp_path / "007"))


def test_columns_that_make_no_box_are_named() -> None:
    with pytest.raises(InputError, match=r"^data_fmt \[fn, x1, y1, w\]: no box: y1 or cy, and y2 or h, are needed"):
        check_format(DarkLabelFormat(("fn", "x1", "y1", "w"), "txt", True, ",", ()))
