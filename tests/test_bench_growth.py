"""`python -m src.bench growth`, `reports` and `rehearsal`: what is timed is what a run does; failures are said."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from swapaqa.bench.growth import draw_growth, parts_of, power
from swapaqa.bench.made_aqa7 import FRAMES, SIZE, boxes_of, recoloured
from swapaqa.bench.rehearsal import Step, disk, run, take
from swapaqa.bench.reports import jobs_of, make_runs
from swapaqa.errors import InputError
from swapaqa.report.contents import read_report
from swapaqa.running.jobs import State
from swapaqa.runs.run_folders import read_sweeps


@pytest.mark.slow
def test_every_part_does_what_it_is_called(tmp_path: Path) -> None:
    found = {name: part() for name, part in parts_of(200, tmp_path).items()}
    assert len(found["exemplars of an epoch"]) == len(found["exemplars that vote"]) == 100
    assert found["borders of the score groups"].shape == (16, 2)
    assert len(found["list of the drawing page"]["videos"]) == 200
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert len(result["predictions"]["test"]) == 100
    assert 0.9 < result["metrics"]["last"]["splits"]["test"]["average"]["spearman"] < 1
    assert (tmp_path / "run" / "report" / "index.html").is_file()
    counts, problems = found["doctor, of a tenth of the videos"]
    assert counts == {"train": 10, "test": 10}
    assert {problem.kind for problem in problems} == {"duplicate"}  # eight files are all videos


def test_the_power_of_a_growth() -> None:
    assert power([10, 100, 1000], [9.0, 2.0, 20.0]) == pytest.approx(1)
    assert power([10, 100], [1.0, 100.0]) == pytest.approx(2)


def test_growth_is_drawn(tmp_path: Path) -> None:
    draw_growth([1, 10, 100], {f"part {number}": [0.1, 1.0, 10.0] for number in range(8)}, tmp_path / "growth.png")
    assert cv2.imread(str(tmp_path / "growth.png")).shape[1] > 1000


def test_a_step_says_what_it_took_or_why_it_failed(tmp_path: Path) -> None:
    def fails() -> int:
        return run(["python", "-c", "print('one'); print('two'); raise SystemExit(3)"])

    assert take(Step("", fails), tmp_path).became == "exit status 3: two"
    assert run(["python", "-c", "raise SystemExit(1)"], accepted=(0, 1)) > 2**20
    written = take(Step("", lambda: run(["python", "-c", f"open('{tmp_path}/a', 'w').write('12345')"])), tmp_path)
    assert (written.became, written.disk) == ("done", 5)
    assert disk(tmp_path) == 5


def test_a_made_video_is_its_clip_there_and_back() -> None:
    frames = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 3), np.uint8)
    frames[:, :, 0] = 0
    made = np.stack(recoloured(frames, 38, True, np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, 20.0])))
    assert made.shape == (FRAMES, 2, 3, 3)
    assert made[:4, 0, 0].tolist() == [[3 * t + 20, 2 * t, t] for t in (38, 39, 38, 37)]  # blue first
    assert (made[:, :, 2] == [20, 0, 0]).all()  # mirrored
    rows = [[int(cell) for cell in line.split(",")[:6]] for line in boxes_of(np.random.default_rng(0)).splitlines()]
    for frame, _, x, y, width, height in rows:
        assert 0 <= frame < FRAMES
        assert 0 <= x <= SIZE[1] - width
        assert 0 <= y <= SIZE[0] - height


def test_runs_are_made_that_a_report_reads(tmp_path: Path) -> None:
    like = tmp_path / "like"
    shutil.copytree(Path(__file__).parent / "report" / "recorded" / "ratio" / "1", like)
    assert len(set(jobs_of(90))) == 90
    for grid in (False, True):
        make_runs(like, tmp_path / str(grid), 30, 40, grid)
        (sweep,) = read_sweeps([tmp_path / str(grid)])
        assert [run.state for run in sweep.runs] == [State.DONE] * 30
        assert {run.facts.ratio for run in sweep.runs} == {None, 1.0, 1.5, 2.0, 2.5, 3.0}
        assert len(sweep.runs[0].result["predictions"]["test"]) == 40
        report = read_report([tmp_path / str(grid)])
        assert any("with the swap" in line for answer in report.answers for line in answer.lines) == grid
    result = json.loads((like / "result.json").read_text())
    for protocol in result["metrics"].values():
        protocol["splits"]["test"]["per_action"]["gym_vault"] = {}
    (like / "result.json").write_text(json.dumps(result))
    with pytest.raises(InputError, match="like: is of several actions"):
        make_runs(like, tmp_path / "none", 1, 4, True)
    (like / "result.json").write_text('{"config": {}}')
    with pytest.raises(InputError, match="like: has no ratio; name a finished run with the swap"):
        make_runs(like, tmp_path / "none", 1, 4, True)
