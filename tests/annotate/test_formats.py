"""What the page writes as CVAT and MOT is read by their sources as the boxes that were drawn."""

from pathlib import Path

import numpy as np
import pytest

from swapaqa.annotate.formats import page_format
from swapaqa.boxes.cvat import CVATBoxes, MOTBoxes
from swapaqa.boxes.darklabel import DarkLabelBoxes
from swapaqa.boxes.darklabel_format import DarkLabelFormat
from swapaqa.boxes.source import BoxRequest, BoxRow
from swapaqa.boxes.tracks import BoxFiles
from swapaqa.errors import InputError

SIZE = (80, 120)
KEYS = [(0, 10.25), (5, 20.5), (11, 40.0)]


def rows(keys: list[tuple[int, float]], name: str = "0", label: str = "hand") -> list[BoxRow]:
    return [BoxRow(frame, name, label, (x, 20.0, x + 14.5, 49.0), "") for frame, x in keys]


def read(source: BoxFiles, path: Path) -> np.ndarray:
    return source.read(BoxRequest([path], SIZE, range(12)))


@pytest.mark.parametrize(
    "source", [CVATBoxes(2.0, None), MOTBoxes(2.0, None, frame_start=1), DarkLabelBoxes(2.0, None)]
)
def test_keyframes_are_read_as_they_were_drawn(source: BoxFiles, tmp_path: Path) -> None:
    form = page_format(source)
    path = form.path([tmp_path / "007"])
    path.write_text(form.write(rows(KEYS), SIZE))
    expected = np.interp(range(12), *np.transpose(KEYS))
    assert np.allclose(read(source, tmp_path / "007")[:, 0], expected)
    assert np.allclose(read(source, tmp_path / "007")[:, 2] - expected, 14.5)
    again = form.read(path, SIZE)
    assert [(row.frame, row.box) for row in again] == [(row.frame, row.box) for row in rows(KEYS)]
    assert form.write(again, SIZE) == path.read_text()


@pytest.mark.parametrize(
    "source", [CVATBoxes(2.0, None, several="union"), MOTBoxes(2.0, None, several="union", frame_start=0)]
)
def test_two_athletes_of_whom_one_leaves(source: BoxFiles, tmp_path: Path) -> None:
    track = rows([(frame, 60.0 + frame) for frame in range(9) if frame not in (4, 6)], "b", "csrt")
    gone = BoxRow(6, "b", "outside", track[0].box, "")
    form = page_format(source)
    path = form.path([tmp_path / "007"])
    path.write_text(form.write([*rows([(0, 10.0), (11, 21.0)], "a"), *track, gone], SIZE))
    found = read(source, tmp_path / "007")
    assert found[4, 2] == pytest.approx(64 + 14.5)  # lost by the tracker, and interpolated
    assert found[6, 2] == pytest.approx(16 + 14.5)  # outside: the first one alone
    assert found[8, 2] == pytest.approx(68 + 14.5)
    assert found[:, 0].tolist() == pytest.approx([10.0 + frame for frame in range(12)])


def test_what_cvat_said_is_kept(tmp_path: Path) -> None:
    form = page_format(CVATBoxes(2.0, None))
    own = [*rows([(0, 1.0)], label="diver & co"), *rows([(3, 4.0)], label="csrt"), *rows([(5, 9.0)])]
    text = form.write(own, SIZE)
    assert 'label="diver &amp; co"' in text
    assert text.count('keyframe="1"') == 2
    path = tmp_path / "007.xml"
    path.write_text(text)
    with pytest.raises(InputError, match="another size"):
        form.read(path, (81, 120))


def test_what_the_page_does_not_write_is_refused(tmp_path: Path) -> None:
    merged = DarkLabelFormat(("fn", "x1", "y1", "w", "h"), "txt", True, ",", ())
    for source in (
        DarkLabelBoxes(2.0, None, data_fmt=merged.data_fmt), DarkLabelBoxes(2.0, None, frame_start=1),
        CVATBoxes(2.0, None, ids=[0]), MOTBoxes(2.0, None, annotated_size=[10, 10]),
    ):  # fmt: skip
        with pytest.raises(InputError, match="boxes import"):
            page_format(source)
    (tmp_path / "007.zip").write_bytes(b"")
    with pytest.raises(InputError, match=r"007.zip: a zip is read"):
        page_format(CVATBoxes(2.0, None)).path([tmp_path / "007"])
