"""What this package wrote is remembered, so that a box file that something else changed is noticed."""

import logging
from pathlib import Path

import pytest

from swapaqa.boxes.ledger import LEDGER, Ledger, content_digest, is_changed, warn_of_changed
from swapaqa.errors import InputError


def written(path: Path, by: str = "csrt") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("0,0,1,2,5,5,hand\n")
    Ledger(path.parents[1]).add(path, content_digest(path) or "", by)
    return path


def test_a_changed_byte_is_noticed_and_what_was_written_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, other = written(tmp_path / "diving" / "007.txt"), tmp_path / "diving" / "008.txt"
    other.write_text("0,0,1,2,5,5\n")  # somebody's own, of which nothing is known
    warn_of_changed([path, other, tmp_path / "none.txt"])
    assert not caplog.records
    path.write_text("0,0,1,2,5,6,hand\n")
    assert is_changed(path)
    warn_of_changed([path, other])
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "1 box files are not as this program wrote them" in record.getMessage()
    assert str(path) in record.getMessage()
    Ledger(tmp_path).add(path, content_digest(path) or "", "accepted")
    assert not is_changed(path)


def test_a_table_may_name_box_files_beside_the_folder_of_boxes(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "a.txt"
    path.parent.mkdir()
    path.write_text("0,0,1,2,5,5\n")
    Ledger(tmp_path / "boxes").add(path, "another content", "hand")
    assert is_changed(path)


def test_states_and_what_is_known_stays(tmp_path: Path) -> None:
    path = written(tmp_path / "diving" / "007.txt")
    ledger, digest = Ledger(tmp_path), content_digest(path) or ""
    ledger.note(path, digest, "hand")  # an undo, back to what the tracker wrote
    assert ledger.state(path) == Ledger(tmp_path).state(path) == "tracker"
    for by, state in (("accepted", "accepted"), ("hand", "hand"), ("import", "hand")):
        ledger.add(path, digest, by)
        assert Ledger(tmp_path).state(path) == state
    path.write_text("other\n")
    assert ledger.state(path) == "hand"


def test_a_damaged_ledger_is_one_line(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_bytes(b"\xff\xfe\0,a\nb\n")
    assert Ledger(tmp_path).state(tmp_path / "a.txt") == "none"
    (tmp_path / LEDGER).write_text("x" * 200_000 + ",b,c\n")
    with pytest.raises(InputError, match=LEDGER):
        Ledger(tmp_path)
