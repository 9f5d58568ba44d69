"""`src.boxes make | check | import | draw` as a person types them, on the demo data and a real dive."""

import csv
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from swapaqa.annotate.box_file import read_rows
from swapaqa.boxes.ledger import LEDGER
from swapaqa.data.boxes import read_darklabel
from tests.forked import Forked

Command = Callable[..., "CompletedProcess[str]"]


def table(path: Path) -> dict[str, dict[str, str]]:
    with open(path, newline="") as file:
        return {row["video"]: row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_make_resumes_keeps_corrections_and_check_says_whether_to_train(
    command: Command, small: list[str], tmp_path: Path
) -> None:
    words = [*small, f"boxes.root={tmp_path / 'boxes'}"]
    make = ["make", *words, "source=tracker", "boxes.method=kcf", "boxes.max_lost=1", "--processes", "2"]
    done = command(*make)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 of 10 videos are to be tracked with kcf" in done.stdout
    assert "s a video: about" in done.stdout
    files = sorted((tmp_path / "boxes" / "diving").iterdir())
    assert len(files) == 10
    files[0].write_text("0,0,1,2,8,8,hand\n")  # corrected
    files[1].unlink()
    before = {path: path.read_text() for path in files[2:]}
    done = command(*make, "--again")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 of 10 videos" in done.stdout
    assert files[0].read_text() == "0,0,1,2,8,8,hand\n"
    assert files[1].is_file()
    assert {path: path.read_text() for path in files[2:]} == before  # the tracker finds the same again
    done = command("check", *words, "--out", str(tmp_path / "out"), "--processes", "1", "--tolerate", "0.05")
    assert done.returncode == 1, done.stdout + done.stderr
    found = table(tmp_path / "out" / "check.csv")
    assert found["diving/001"]["file"] == "hand"
    assert float(found["diving/001"]["severity"]) >= 1  # a box in the corner, and no motion inside
    assert float(found["diving/001"]["no motion inside"]) < 1
    assert found["diving/002"]["file"] == "tracker"
    severities = [float(row["severity"]) for row in found.values()]
    assert severities == sorted(severities, reverse=True)
    assert (tmp_path / "out" / "diving.html").read_text().count("data:image/jpeg") == 10
    assert (tmp_path / "boxes" / LEDGER).is_file()


@pytest.mark.slow
def test_check_passes_true_boxes_and_fails_missing_ones(command: Command, small: list[str], tmp_path: Path) -> None:
    check = ["check", *small, "--out", str(tmp_path / "out"), "--processes", "1"]
    done = command(*check)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "training can start" in done.stdout
    done = command(*check, f"boxes.root={tmp_path}")
    assert done.returncode == 1
    assert "10 whose boxes cannot be read" in done.stdout
    row = table(tmp_path / "out" / "check.csv")["diving/001"]
    assert row["severity"] == "inf"
    assert "python -m src.boxes make data=... source=tracker" in row["problem"]
    assert command(*check, "boxes=fixed").returncode == 0  # needs no files


@pytest.mark.slow
def test_what_a_command_cannot_do_is_refused_in_one_line(command: Command, small: list[str]) -> None:
    done = command("make", *small, "source=fixed")
    assert done.returncode == 2
    assert "error: source=fixed" in done.stderr
    done = command("draw", *small, "boxes=darklabel", "boxes.data_fmt=[fn,cname,id,x1,y1,w,h]", "--no-browser")
    assert done.returncode == 2
    assert "boxes import" in done.stderr
    done = command("make", *small, "nonsense")
    assert done.returncode == 2
    assert "nonsense" in done.stderr


@pytest.mark.slow
def test_import_reports_and_the_loader_reads_it(command: Command, dive_root: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "dive.txt").write_text("1,1,436,48,64,350,1,1,1\n21,1,300,400,64,64,1,1,1\n")
    (given / "unknown.txt").write_text("0,0,1,2,5,5,a\n")
    words = ["import", "data=videos", f"data.root={dive_root}", "data.frames=21", f"boxes.root={tmp_path / 'boxes'}"]
    done = command(*words, str(given))
    assert done.returncode == 1  # one of them has no video, and the other lies outside
    assert "no video" in done.stdout
    done = command(*words, str(given / "dive.txt"), "--size", "1000", "562")
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("MOT", "number 1", "1000x562", "0 to 20"):
        assert word in done.stdout
    boxes = read_darklabel(tmp_path / "boxes" / "dive.txt", [0, 20])
    assert np.allclose(boxes[:, 0], [(436.5 / 2) - 0.5, (300.5 / 2) - 0.5])  # pixel centres are scaled


@pytest.mark.slow
def test_make_follows_the_real_dive(command: Command, dive_root: Path, tmp_path: Path) -> None:
    words = ["data=videos", f"data.root={dive_root}", "data.frames=21", f"boxes.root={tmp_path / 'boxes'}"]
    (tmp_path / "boxes").mkdir()
    for name in ("arms", "pencil"):
        (tmp_path / "boxes" / f"{name}.txt").write_text("0,0,10,10,50,50,hand\n")
    done = command("make", *words, "--processes", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 3 videos" in done.stdout
    rows = read_rows(tmp_path / "boxes" / "dive.txt")
    assert rows[0].label == "csrt"
    assert np.allclose(rows[0].box, [223, 25, 247, 199], atol=15)  # the diver on the platform
    assert read_rows(tmp_path / "boxes" / "arms.txt")[0].label == "hand"


@pytest.mark.slow
def test_make_is_stopped_by_ctrl_c_and_goes_on(
    command: Command, environment: dict[str, str], small: list[str], tmp_path: Path
) -> None:
    words = ["make", *small, f"boxes.root={tmp_path / 'boxes'}", "boxes.max_lost=1", "--processes", "2"]
    process = Forked("src.boxes", words, environment, session=True)
    end = time.monotonic() + 120
    while not list(tmp_path.rglob("*/diving/[0-9]*.txt")):
        assert time.monotonic() < end
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, _ = process.communicate(timeout=60)
    done = len(list(tmp_path.rglob("*/diving/*.txt")))
    assert process.returncode == 130, out
    assert "stopped" in out
    assert 1 <= done < 10
    again = command(*words)
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"{10 - done} of 10 videos" in again.stdout or f"{9 - done} of 10" in again.stdout


@pytest.mark.slow
def test_ctrl_c_ends_the_page_in_one_line(serve: Callable, small: list[str], tmp_path: Path) -> None:
    served = serve(*small, f"boxes.root={tmp_path}")
    time.sleep(0.5)
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(20) == 0
    assert "ended" in served.process.out.read_text()
