"""Bias probes in the report: found, in a table, in a section of the page, also where there is no run beside them."""

import contextlib
import io
import runpy
import sys
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import pytest
import torch

from swapaqa.data.records import Record
from swapaqa.errors import InputError
from swapaqa.probing.design import Answers, Layout, draw_donors
from swapaqa.probing.outcome import split_outcome
from swapaqa.probing.probe_file import find_probes
from swapaqa.recording.result_file import write_json
from swapaqa.report.probes import probe_tables

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    """`outputs/evaluate/now` with the probe of a model that follows the background alone."""
    truths = np.random.default_rng(0).normal(50, 10, 12)
    records = [Record(f"diving/{number:03d}", "diving", score, "test") for number, score in enumerate(truths)]
    layout = Layout(records, *draw_donors(["diving"] * 12, 4, torch.Generator().manual_seed(0)), np.full(12, 0.2))
    answers = Answers(truths, truths, np.full(12, 50.0), truths[layout.donors])
    folder = tmp_path / "outputs" / "evaluate" / "now"
    folder.mkdir(parents=True)
    boxes = {"_target_": "swapaqa.data.boxes.FixedBoxes"}
    facts = {"trained": "mine <b>", "checkpoint": "last", "ratio": 1.0, "boxes": boxes}
    write_json(folder / "probe.json", facts | {"splits": {"test": split_outcome(answers, layout)}})
    cv2.imwrite(str(folder / "probe.png"), np.full((30, 40, 3), 90, np.uint8))
    return folder


def show(*arguments: str) -> str:
    out = io.StringIO()
    with (
        patch.object(sys, "argv", ["report", "show", *arguments]),
        patch.object(sys, "path", [str(REPOSITORY), *sys.path]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        runpy.run_module("src.report", run_name="__main__", alter_sys=True)
    return out.getvalue()


def test_a_probe_is_found_on_three_levels_and_once(probe: Path) -> None:
    for paths in ([probe], [probe.parent], [probe.parents[1]], [probe, probe.parent]):
        assert [found.folder.name for found in find_probes(paths)] == ["now"]
    assert find_probes([probe.parents[2]]) == []


def test_the_table_has_a_row_a_split(probe: Path) -> None:
    [table] = probe_tables(find_probes([probe]))
    [row] = table.rows
    assert row[:5] == ("mine <b>", "last", "now", "test", "1")
    background, athlete, rest, as_is, exchanged, removed, alone = row[5:]
    assert as_is.mean == removed.mean == 1
    assert abs(exchanged.mean) < 0.6
    assert exchanged.interval[0] < exchanged.mean < exchanged.interval[1]
    assert np.isnan(alone.mean)  # a constant
    assert (background.mean, athlete.mean, rest.mean) == pytest.approx((100, 0, 0), abs=1e-6)
    assert probe_tables([]) == []


def test_the_page_has_a_section_where_there_is_nothing_else(probe: Path) -> None:
    printed = show(str(probe.parent), "--format", "csv")
    assert "mine <b>,last,now,test,1,100.000000" in printed
    text = (probe.parent / "report" / "index.html").read_text(encoding="utf-8")
    assert '<h2 id="probe">Bias probes</h2>' in text
    assert "mine &lt;b&gt;, last (now): FixedBoxes at ratio 1" in text
    assert "test: the background explains 100.0 % [100, 100] of the predictions" in text
    assert text.count("data:image/jpeg;base64,") == 1


def test_it_stands_beside_runs(probe: Path, sweep_folder, make_job) -> None:
    run = sweep_folder("ratio", [make_job([], {"diving": (0.5, 1.0)}, data="demo")])
    show(str(run), str(probe))
    text = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert '<h2 id="probe">' in text
    assert "0.5000" in text
    show(str(run))
    assert '<h2 id="probe">' not in (run / "report" / "index.html").read_text(encoding="utf-8")


def test_what_is_no_probe_is_named(probe: Path) -> None:
    (probe / "probe.json").write_text('{"splits": {}}')
    with pytest.raises(InputError, match="not the outcome of a probe"):
        find_probes([probe])
