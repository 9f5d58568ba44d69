"""Floors without a pixel: the numbers of the real split, by hand on small lists, and through the real entry point."""

import contextlib
import io
import logging
import math
import os
import pickle
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from unittest.mock import patch

import pytest
import torch

from swapaqa.data.mtl_aqa import read_records
from swapaqa.data.records import Record
from swapaqa.data.splits import split_by_event
from swapaqa.errors import InputError
from swapaqa.metrics import spearman
from swapaqa.probing.baselines import BASELINES, floors, known_floors, predict, unseen

REPOSITORY = Path(__file__).parents[1]
Run = Callable[..., "CompletedProcess[str]"]


def event_of(record: Record) -> str | None:
    """The part of the id in front of the underscore."""
    return record.video_id.split("_")[0]


def record(name: str, score: float, difficulty: float | None = 3.0, split: str = "train") -> Record:
    return Record(name, "diving", score, split, difficulty)


TRAIN = [record("a_1", 60, 2.0), record("a_2", 80, 4.0), record("b_1", 30, 3.0), record("b_2", 40, 2.0)]
TEST = [record("a_3", 0, 3.0), record("b_3", 0, 2.0), record("c_1", 0, 5.0)]


@pytest.mark.parametrize(
    ("baseline", "expected", "strangers"),
    [
        ("event", [70, 35, 52.5], 1),
        ("difficulty", [30, 50, 52.5], 1),
        ("both", [25 * 3, 15 * 2, 20 * 5], 1),  # completeness: a 30, 20; b 10, 20; all 20
    ],
)
def test_predictions_are_training_means(baseline: Any, expected: list[float], strangers: int) -> None:
    assert predict(baseline, TRAIN, TEST, event_of) == pytest.approx(expected)
    assert unseen(baseline, TRAIN, TEST, event_of) == strangers


def test_means_are_within_the_action() -> None:
    other = Record("a_9", "gym", 5.0, "train", 3.0)
    assert predict("event", [*TRAIN, other], TEST, event_of) == predict("event", TRAIN, TEST, event_of)


def test_what_the_data_do_not_say_is_refused() -> None:
    with pytest.raises(InputError, match=r"baseline=both.*no difficulty \(a_4\)"):
        predict("both", TRAIN, [record("a_4", 1, None)], event_of)
    with pytest.raises(InputError, match=r"baseline=event.*competition a_1 is from"):
        predict("event", TRAIN, TEST, lambda _: None)
    predict("difficulty", TRAIN, TEST, lambda _: None)
    assert known_floors({"train": TRAIN, "test": TEST}, lambda _: None) == {}
    assert list(known_floors({"train": TRAIN, "test": [record("a_4", 1, None)]}, event_of)["test"]) == ["event"]


def test_floors_of_the_published_split(real_data: Path) -> None:
    """The numbers of issue 7, by the definition of the metrics; the interval holds them."""
    records = {split: list(read_records(real_data / "mtl_aqa", split)) for split in ("train", "test")}
    found = floors(records, event_of)["test"]
    for name, rho in (("event", 0.637), ("difficulty", 0.576), ("both", 0.668)):
        assert found[name]["spearman"] == pytest.approx(rho, abs=1e-3)
        assert found[name]["unseen"] == 0
        predicted = torch.tensor(predict(name, records["train"], records["test"], event_of))
        true = torch.tensor([dive.score for dive in records["test"]])
        assert found[name]["spearman"] == pytest.approx(float(spearman(predicted.double(), true.double())))
        low, high = found[name]["confidence"]["spearman"]
        assert low < rho < high


@pytest.mark.parametrize("fold", range(4))
def test_without_a_seen_competition_nothing_is_left_to_recognise(fold: Any, real_data: Path) -> None:
    lists = [dive for split in ("train", "test") for dive in read_records(real_data / "mtl_aqa", split)]
    dives = split_by_event(lists, event_of, fold)
    records = {split: [dive for dive in dives if dive.split == split] for split in ("train", "test")}
    found = known_floors(records, event_of)["test"]
    assert math.isnan(found["event"]["spearman"])
    assert found["event"]["unseen"] == found["both"]["unseen"] == len(records["test"])
    by_difficulty = torch.tensor([dive.difficulty for dive in records["test"]], dtype=torch.float64)
    true = torch.tensor([dive.score for dive in records["test"]], dtype=torch.float64)
    assert found["both"]["spearman"] == pytest.approx(float(spearman(by_difficulty, true)))


@pytest.fixture
def evaluate(demo_cache: Path, tmp_path: Path) -> Run:
    """`evaluate(*overrides)`: the entry point inside this process."""

    def run(*overrides: str) -> "CompletedProcess[str]":
        arguments = ["evaluate", f"hydra.run.dir={tmp_path / 'out'}", *overrides]
        out, err, root, status = io.StringIO(), io.StringIO(), logging.getLogger(), 0
        handlers, level = root.handlers[:], root.level
        with (
            patch.dict(os.environ, {"SWAPAQA_CACHE": str(demo_cache), "COLUMNS": "120"}),
            patch.object(sys, "argv", arguments),
            patch.object(sys, "path", [str(REPOSITORY), *sys.path]),
            contextlib.chdir(REPOSITORY),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            for name in ("HYDRA_FULL_ERROR", "SWAPAQA_SHORT_ERRORS", "MTL_AQA_ROOT", "AQA7_ROOT"):
                os.environ.pop(name, None)
            try:
                runpy.run_module("src.evaluate", run_name="__main__", alter_sys=True)
            except SystemExit as stop:
                status = int(stop.code or 0)
            finally:
                root.handlers[:] = handlers
                root.setLevel(level)
        return CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    return run


@pytest.mark.slow
def test_the_program_prints_the_floors_of_any_split_without_videos(evaluate: Run, real_data: Path) -> None:
    place = ["data=mtl_aqa", f"data.root={real_data / 'mtl_aqa'}"]
    for baseline, rho in zip(BASELINES, ("0.6369", "0.5763", "0.6677"), strict=True):
        done = evaluate(f"baseline={baseline}", *place)
        assert done.returncode == 0, done.stderr
        assert re.search(rf"test.*353.*{baseline}.*{rho} \[0\.\d\d, 0\.\d\d\]", done.stdout)
        assert sum(name in done.stdout for name in ("event", "both")) == (baseline != "difficulty")
    done = evaluate("baseline=all", *place, "data.split=by_event", "data.fold=1")
    assert re.search(r"event.*361.*undefined", done.stdout)
    assert "1051 training videos" in done.stdout


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["baseline=evnt", "data=mtl_aqa"], "baseline=evnt: choose one of event, difficulty, both, all"),
        (["baseline=both", "data=mtl_aqa", "data.split=by_evnt"], "data.split=by_evnt"),
        (["baseline=both", "data=mtl_aqa", "data.split=by_event", "data.fold=4"], "data.fold=4"),
        (["baseline=both", "data=mtl_aqa"], "data.root is not set"),
        (["baseline=event", "data=aqa7", "data.root={real}/aqa7"], "do not say which competition diving/"),
        (["baseline=event", "data=aqa7", "data.root={real}/aqa7", "data.split=by_event"], "data.split=by_event"),
    ],
)
def test_wrong_input_is_one_line(overrides: list[str], words: str, evaluate: Run, real_data: Path) -> None:
    done = evaluate(*(word.format(real=real_data) for word in overrides))
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr


def test_annotations_alone_are_enough(evaluate: Run, tmp_path: Path) -> None:
    """No folder of frames, no file that could be read as one."""
    annotations = {
        (competition, dive): {
            "final_score": 30.0 + 7 * ((competition * 5 + dive * 3) % 9), "difficulty": 2.0 + dive / 2,
            "start_frame": 10 * dive, "end_frame": 10 * dive + 9, "judge_scores": [7.0] * 7, "dive_number": "107B",
        }
        for competition in (1, 2)
        for dive in (1, 2, 3, 4)
    }  # fmt: skip
    (tmp_path / "final_annotations_dict_with_dive_number.pkl").write_bytes(pickle.dumps(annotations))
    for split, dives in (("train", (1, 2)), ("test", (3, 4))):
        keys = [(competition, dive) for competition in (1, 2) for dive in dives]
        (tmp_path / f"{split}_split_0.pkl").write_bytes(pickle.dumps(keys))
    done = evaluate("baseline=both", "data=mtl_aqa", f"data.root={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "means of 4 training videos" in done.stdout
