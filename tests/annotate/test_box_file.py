"""Box files are written in one step, never over what was not read; the ledger knows who wrote what."""

from pathlib import Path

import numpy as np
import pytest

from swapaqa.annotate import box_file
from swapaqa.annotate.box_file import FileChangedError, format_row, read_rows, write_text
from swapaqa.boxes.ledger import Ledger, content_digest
from swapaqa.data.boxes import read_darklabel


def test_rows_are_read_back_to_the_hundredth(tmp_path: Path) -> None:
    boxes = np.random.default_rng(0).uniform(0, 2000, (50, 4)).round(2)
    boxes[:, 2:] += boxes[:, :2]
    text = "".join(format_row(frame, "0", box, "a, b") for frame, box in enumerate(boxes))
    path = tmp_path / "007.txt"
    write_text(path, text, None)
    assert np.allclose(read_darklabel(path, range(50)), boxes, rtol=0, atol=1e-6)
    assert read_rows(path)[0].label == "a b"
    assert format_row(3, "1", [-0.001, 2, 5.5, 8], "hand") == "3,1,0,2,6.5,7,hand\n"


def test_a_file_is_written_over_only_by_who_has_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "007.txt"
    first = write_text(path, "one\n", None)
    assert first == content_digest(path)
    for read in (None, "0" * 64):
        with pytest.raises(FileChangedError):
            write_text(path, "two\n", read)
    assert path.read_text() == "one\n"
    write_text(path, "two\n", first)
    assert path.read_text() == "two\n"
    path.unlink()
    with pytest.raises(FileChangedError):
        write_text(path, "three\n", first)
    assert list(path.parent.iterdir()) == []  # nothing unfinished is left


def test_a_file_that_comes_up_at_the_last_moment_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "007.txt"
    path.write_text("somebody's\n")
    monkeypatch.setattr(box_file, "content_digest", lambda _: None)  # looked a moment too early
    with pytest.raises(FileChangedError):
        write_text(path, "mine\n", None)
    assert path.read_text() == "somebody's\n"


def test_the_ledger_knows_trackers_hands_and_acceptance(tmp_path: Path) -> None:
    path, ledger = tmp_path / "diving" / "007.txt", Ledger(tmp_path)
    assert ledger.state(path) == "none"
    digest = write_text(path, "0,0,1,2,5,5,csrt\n", None)
    ledger.add(path, digest, "csrt")
    assert Ledger(tmp_path).state(path) == "tracker"
    changed = write_text(path, "0,0,1,2,5,9,csrt\n", digest)  # in any editor
    assert Ledger(tmp_path).state(path) == "hand"
    ledger.add(path, changed, "accepted")
    assert Ledger(tmp_path).state(path) == "accepted"
