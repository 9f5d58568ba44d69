"""`python -m src.report verdict`: what holds, what does not, what cannot be told, and with which numbers."""

import contextlib
import csv
import io
import json
import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from pydantic import TypeAdapter

from swapaqa import statistics
from swapaqa.errors import InputError
from swapaqa.measures.ours import SPEARMAN
from swapaqa.report.verdict import claim_lines, head_lines, shown, summary_table
from swapaqa.runs.run_folders import read_sweeps
from swapaqa.verdict.claims import ClaimsFile
from swapaqa.verdict.judging import judge
from swapaqa.verdict.lock import Locked
from swapaqa.verdict.outcome import JudgedClaim, Judgement, Verdict

REPOSITORY = Path(__file__).parents[2]
SWAP = {"name": "the swap", "where": {"aug": "swap", "boxes": "darklabel", "ratio": "own"}}
NONE = {"name": "no swap", "where": {"aug": "none"}}
RATIO = {"says": "top", "form": "top", "within": {"aug": "swap"}, "key": "aug.ratio", "values": [2.0, 2.5]}


def gain(**more: Any) -> dict[str, Any]:
    return {"says": "it gains", "form": "order", "arms": [SWAP, NONE], **more}


def predict(folder: Path, noise: float, seed: int, videos: int = 60, actions: tuple[str, ...] = ("diving",)) -> None:
    """Give a run predictions with Gaussian noise, and nothing else that a verdict would read."""
    result = json.loads((folder / "result.json").read_text())
    rng, truths = np.random.default_rng([seed, round(1000 * noise)]), np.random.default_rng(9)
    rows, scores = {}, {"spearman": 0.5, "relative_l2_x100": 1.0}
    for action in actions:
        true = truths.normal(70, 10, videos)
        for number, pair in enumerate(zip(true, true + noise * rng.normal(size=videos), strict=True)):
            rows[f"{action}/{number:03d}"] = list(pair)
    split = {"average": scores, "per_action": dict.fromkeys(actions, scores)}
    result["metrics"] = {"last": {"epoch": 5, "splits": {"test": split}}}
    result["prediction_columns"], result["predictions"] = ["true", "last"], {"test": rows}
    (folder / "result.json").write_text(json.dumps(result))


Arms = Mapping[str, tuple[Mapping[str, Any], float, int]]  # by name: what differs, the noise, how many seeds


@pytest.fixture
def runs(sweep_folder: Callable[..., Path], make_job: Any) -> Callable[..., Path]:
    """`runs({"swap": ({"aug": "swap"}, 4.0, 3)})`: a sweep of such runs."""

    def write(arms: Arms, name: str = "sweep", videos: int = 60) -> Path:
        jobs, noises = [], []
        for arm, (differs, noise, seeds) in arms.items():
            for seed in range(seeds):
                given = {"data": "demo", "aug": "swap", "boxes": "darklabel", "action": "diving", **differs}
                jobs.append(make_job([f"arm={arm}", f"seed={seed}"], {"diving": (0.5, 1)}, seed=seed, **given))
                noises.append((noise, seed))
        folder = sweep_folder(name, jobs)
        for number, (noise, seed) in enumerate(noises):
            predict(folder / str(number), noise, seed, videos)
        return folder

    return write


def pair(swap: float, none: float, seeds: int = 3) -> Arms:
    return {"swap": ({"aug": "swap"}, swap, seeds), "none": ({"aug": "none"}, none, seeds)}


def judged(folder: Path, **claims: Any) -> Judgement:
    file = TypeAdapter(ClaimsFile).validate_python({"source": "a test", "claims": claims})
    return judge(file, read_sweeps([folder]), "last")


def one(folder: Path, claim: dict[str, Any]) -> JudgedClaim:
    (found,) = judged(folder, claim=claim).claims
    return found


def test_a_gain_holds_fails_or_cannot_be_told(runs) -> None:
    better, worse, same = (
        one(runs(pair(*noise), name=name), gain())
        for name, noise in {"better": (3.0, 9.0), "worse": (9.0, 3.0), "same": (6.0, 6.01)}.items()
    )
    assert (better.verdict, worse.verdict, same.verdict) == (Verdict.HOLDS, Verdict.FAILS, Verdict.OPEN)
    assert not better.more
    assert same.why == "within the noise of the seeds"
    assert "more" in same.more


def test_its_numbers_are_those_of_the_tests(runs) -> None:
    """By hand from the predictions: means, Welch's p of the gain being the bound, intervals over seeds and videos."""
    folder = runs(pair(3.0, 9.0))
    (comparison,) = one(folder, gain(at_least=0.01)).cases[0].comparisons
    sides = [[], []]
    for number in range(6):
        rows = json.loads((folder / str(number) / "result.json").read_text())["predictions"]["test"]
        true, predicted = np.array([rows[name] for name in sorted(rows)]).T
        sides[number // 3].append([statistics.Scores(predicted, true)])
    ours, others = ([statistics.value(SPEARMAN, run) for run in side] for side in sides)
    found = comparison.found
    assert (found.first.values, found.second.values) == (tuple(ours), tuple(others))
    assert found.gain == pytest.approx(np.mean(ours) - np.mean(others))
    assert found.p == statistics.seeds_test([value - 0.01 for value in ours], others).p == comparison.corrected
    assert found.interval == statistics.seeds_test(ours, others).interval
    assert found.over_videos == statistics.difference_interval(SPEARMAN, *sides)


def test_one_seed_tells_nothing_whatever_its_gain(runs) -> None:
    found = one(runs(pair(1.0, 20.0, seeds=1)), gain())
    assert (found.verdict, found.why, found.more) == (Verdict.OPEN, "one seed", "a second seed first")
    several = one(runs(pair(1.0, 20.0, seeds=1) | {"none": ({"aug": "none"}, 20.0, 3)}, name="several"), gain())
    assert (several.verdict, several.why) == (Verdict.OPEN, "one seed")
    assert "at the deviation of other settings here" in several.more


def test_seeds_that_agree_do_not_tell_of_few_videos(runs) -> None:
    folder = runs({"swap": ({"aug": "swap"}, 3.0, 6), "none": ({"aug": "none"}, 6.0, 6)}, videos=8)
    for number in range(12):  # the same predictions but for a nudge, so that seeds are no noise
        predict(folder / str(number), 3.0 if number < 6 else 8.0, 0, videos=8)
        result = json.loads((folder / str(number) / "result.json").read_text())
        rows = result["predictions"]["test"]
        names = sorted(rows, key=lambda name: rows[name][1])
        if number % 2:
            rows[names[0]][1], rows[names[1]][1] = rows[names[1]][1], rows[names[0]][1]
        (folder / str(number) / "result.json").write_text(json.dumps(result))
    found = one(folder, gain())
    assert (found.verdict, found.why) == (Verdict.OPEN, "within the noise of the test videos")
    assert found.more.startswith("more test videos, about ")
    assert found.more.endswith("; no number of seeds")


def test_no_loss_is_claimed_up_to_a_margin(runs) -> None:
    claim = {"says": "as good", "form": "no_worse", "arm": SWAP, "than": NONE}
    folder = runs(pair(6.0, 5.9))
    assert one(folder, claim | {"margin": 0.5}).verdict is Verdict.HOLDS
    assert one(folder, claim | {"margin": 0.001}).verdict is Verdict.OPEN
    assert one(runs(pair(20.0, 2.0), name="loss"), claim | {"margin": 0.01}).verdict is Verdict.FAILS


@pytest.mark.parametrize(
    ("noises", "verdict", "why"),
    [
        ({1: 12, 2: 2, 3: 12}, Verdict.HOLDS, ""),
        ({1: 12, 2: 6, 2.5: 2, 3: 12}, Verdict.HOLDS, ""),
        ({1: 12, 2: 6, 3: 2}, Verdict.FAILS, ""),
        ({1: 12, 3: 2}, Verdict.OPEN, "no run at 2 or 2.5"),
        ({1: 12, 2: 2}, Verdict.OPEN, "needs values below 2 and above 2.5"),
        ({1: 12, 2: 2.01, 3: 2}, Verdict.OPEN, "within the noise of the seeds"),
    ],
)
def test_the_top_of_a_factor(runs, noises: dict[float, float], verdict: Verdict, why: str) -> None:
    arms = {f"ratio {ratio}": ({"ratio": float(ratio)}, float(noise), 4) for ratio, noise in noises.items()}
    found = one(runs(arms), RATIO)
    assert (found.verdict, found.why) == (verdict, why)


def test_every_arm_of_an_order_has_to_stand_above_the_next(runs) -> None:
    fixed = {"name": "a rectangle", "where": {"aug": "swap", "boxes": "fixed"}}
    chain = {"says": "boxes above a rectangle above none", "form": "order", "arms": [SWAP, fixed, NONE]}
    arms = pair(2.0, 12.0, seeds=5) | {"fixed": ({"aug": "swap", "boxes": "fixed"}, 6.0, 5)}
    assert one(runs(arms, name="all"), chain).verdict is Verdict.HOLDS
    without = one(runs(pair(2.0, 12.0), name="without"), chain)
    assert (without.verdict, without.why) == (Verdict.OPEN, "no run of a rectangle")
    wrong = arms | {"fixed": ({"aug": "swap", "boxes": "fixed"}, 20.0, 5)}
    assert one(runs(wrong, name="wrong"), chain).verdict is Verdict.FAILS


def test_a_claim_of_each_model_names_those_without_runs(runs) -> None:
    claim = gain(over={"key": "model", "values": ["usdl", "dae"]})
    arms = {
        f"usdl {name}": ({**differs, "model": "usdl"}, *rest) for name, (differs, *rest) in pair(3.0, 9.0, 5).items()
    }
    found = one(runs(arms | pair(3.0, 9.0)), claim)
    assert (found.verdict, found.why, len(found.cases)) == (Verdict.OPEN, "no run of dae", 1)
    assert all(run.facts.model == "usdl" for run in found.runs)
    dae = {f"dae {name}": ({**differs, "model": "dae"}, *rest) for name, (differs, *rest) in pair(9.0, 3.0, 5).items()}
    wrong = one(runs(arms | dae, name="both"), claim)
    assert (wrong.verdict, wrong.why) == (Verdict.FAILS, "2 cases: 1 holds, 1 does not hold")


def test_what_differs_in_more_than_it_names_is_not_compared(runs) -> None:
    folder = runs({"swap": ({"aug": "swap"}, 3.0, 3), "none": ({"aug": "none", "model": "usdl"}, 9.0, 3)})
    apart = one(folder, gain())
    assert (apart.verdict, apart.cases) == (Verdict.OPEN, ())
    assert apart.why == "no runs that differ in what it names and in nothing else"
    assert one(folder, gain(alike="data")).verdict is Verdict.HOLDS


def test_claims_of_other_data_are_not_made_here(runs) -> None:
    found = one(runs(pair(3.0, 9.0)), gain(data=["mtl_aqa"]))
    assert (found.verdict, found.cases) == (Verdict.OPEN, ())
    assert found.why.startswith("no runs on mtl_aqa")


def test_all_tests_are_corrected_together_and_the_same_numbers_are_one(runs) -> None:
    ratios = {f"ratio {ratio}": ({"ratio": ratio}, noise, 3) for ratio, noise in ((1.0, 8.0), (3.0, 9.5))}
    found = judged(runs(pair(3.0, 9.0) | ratios), gain=gain(), again=gain(says="the same"), top=RATIO)
    assert found.tests == 3
    every = [judged for claim in found.claims for case in claim.cases for judged in case.comparisons]
    own = {judged.found.numbers: judged.found.p for judged in every}
    corrected = dict(zip(own, statistics.holm([*own.values()]), strict=True))
    assert len(every) == 4
    assert all(judged.corrected == corrected[judged.found.numbers] for judged in every)
    assert sum(judged.corrected > judged.found.p for judged in every) >= 2


def test_a_metric_that_falls_gains_too(runs) -> None:
    folder = runs(pair(3.0, 9.0))
    (comparison,) = one(folder, gain(metric="relative_l2_x100")).cases[0].comparisons
    assert comparison.verdict is Verdict.HOLDS
    assert comparison.found.gain > 0 > comparison.found.first.mean - comparison.found.second.mean
    with pytest.raises(InputError, match="claim claim: metric nothing: the runs have none of this name"):
        one(folder, gain(metric="nothing"))


def test_actions_are_averaged_over_the_seeds_that_have_all(sweep_folder, make_job) -> None:
    jobs = [
        make_job([f"aug={aug}", f"data.action={action}"], {action: (0.5, 1)}, "demo", aug=aug, action=action, seed=seed)
        for aug in ("swap", "none")
        for action in ("diving", "gym_vault")
        for seed in range(3)
    ][:-1]  # the last seed of the vault without the swap is missing
    folder = sweep_folder("actions", jobs)
    for number, job in enumerate(jobs):
        predict(folder / str(number), 3.0 if job.aug == "swap" else 9.0, job.seed, actions=(job.action,))
    (comparison,) = one(folder, gain()).cases[0].comparisons
    assert [len(side.values) for side in (comparison.found.first, comparison.found.second)] == [3, 2]
    assert comparison.found.second.left_out == (2,)
    each = one(folder, gain(actions="each"))
    assert [case.case.name for case in each.cases] == ["core, diving", "core, gym_vault"]
    assert [len(case.comparisons[0].found.second.values) for case in each.cases] == [3, 2]


def test_the_folds_of_a_split_are_cases_of_one_claim(runs) -> None:
    folder = runs(pair(3.0, 9.0) | {f"{name} again": rest for name, rest in pair(3.0, 9.0).items()})
    for number in range(12):
        path = folder / str(number) / "result.json"
        result = json.loads(path.read_text())
        result["config"]["data"] |= {"split": "by_event", "fold": number // 6}
        path.write_text(json.dumps(result))
    (folder / "jobs.json").unlink()
    found = one(folder, gain())
    assert (found.data, found.verdict) == ("demo, by_event", Verdict.HOLDS)
    assert [case.case.name for case in found.cases] == ["fold 0, core", "fold 1, core"]


LATE = Locked("It is locked.", True, datetime(2026, 11, 30, 12, tzinfo=UTC))


def test_runs_from_before_the_lock_are_said(runs) -> None:
    folder = runs(pair(3.0, 9.0))
    for number in range(6):
        path = folder / str(number) / "result.json"
        began = f"2026-11-30T{11 if number == 2 else 13}:00:00+00:00"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"began": began}))
    given = shown(judged(folder, claim=gain()), LATE)
    assert [run.job for run in given.early] == ["2"]
    assert any(
        line.startswith("1 run of 6 began before that") and str(folder / "2") in line for line in head_lines(given)
    )
    assert claim_lines(given)[0].startswith("[+] holds *, demo, test: it gains")
    assert summary_table(given).rows[0][0] == "holds *"


def run_report(*words: str) -> tuple[str, str, int]:
    out, err, status = io.StringIO(), io.StringIO(), 0
    with (
        patch.object(sys, "argv", ["report", *words]),
        patch.object(sys, "path", [str(REPOSITORY), *sys.path]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            runpy.run_module("src.report", run_name="__main__", alter_sys=True)
        except SystemExit as stop:
            status = int(stop.code or 0)
    return out.getvalue(), err.getvalue(), status


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A repository of git around `tmp_path`."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "somebody@example.org")

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", tmp_path, *words], capture_output=True, text=True, check=True).stdout

    git("init", "-q")
    return git


@pytest.mark.slow
def test_claims_of_ones_own_are_locked_and_judged_and_nobody_moves_the_posts(runs, repository, tmp_path) -> None:
    claims = tmp_path / "mine.yaml"
    text = json.dumps({"source": "<b>me</b>", "claims": {"mine": gain(says="<script>alert(1)</script>")}})
    claims.write_text(text)
    assert "is not committed as it is; git add mine.yaml" in run_report("verdict", "--lock", str(claims))[1]
    repository("add", "mine.yaml")
    repository("commit", "-qm", "expect")
    out, err, status = run_report("verdict", "--lock", str(claims))
    assert status == 0, err
    commit = repository("rev-parse", "HEAD").strip()
    assert f"is locked at commit {commit[:12]}" in out.replace("\n", " ")
    assert "has been locked since" in run_report("verdict", "--lock", str(claims))[0]

    folder = runs(pair(3.0, 9.0))
    out, err, status = run_report("verdict", str(folder), "--claims", str(claims))
    assert status == 0, err
    assert "which holds it as it is" in out
    assert "[+] holds, demo, test: <script>" in out  # the files of these runs are younger than the lock
    page = (folder / "report" / "verdict.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page
    run_report("show", str(folder))
    assert '<a href="verdict.html">' in (folder / "report" / "index.html").read_text()

    claims.write_text(text.replace("it gains", "it loses").replace("<b>me", "<b>you"))
    assert "was locked with other claims" in run_report("verdict", "--lock", str(claims))[1]
    out, _, status = run_report("verdict", str(folder), "--claims", str(claims), "--format", "csv")
    assert status == 0
    assert "CHANGED since it was locked" in out
    rows = list(csv.DictReader(line for line in out.splitlines() if not line.startswith("#")))
    assert rows[0]["verdict"] == "holds"


@pytest.mark.slow
def test_what_cannot_be_asked_is_one_line(tmp_path: Path, runs) -> None:
    assert "no runs given" in run_report("verdict")[1]
    assert "no such file of claims" in run_report("verdict", "--lock", str(tmp_path / "no.yaml"))[1]
    (tmp_path / "lonely").mkdir()
    claims = tmp_path / "lonely" / "mine.yaml"
    claims.write_text(json.dumps({"source": "me", "claims": {"mine": gain()}}))
    with patch.dict("os.environ", {"GIT_CEILING_DIRECTORIES": str(tmp_path)}):
        assert "is in no repository of git" in run_report("verdict", "--lock", str(claims))[1]
    claims.with_name("mine.lock.yaml").write_text("format: 1\nsha256: x\n")
    found = run_report("verdict", str(runs(pair(3.0, 9.0))), "--claims", str(claims))
    assert found[2] == 2
    assert "no lock of claims (sha256" in found[1]


def test_evaluations_are_of_the_runs_whose_checkpoints_they_scored(runs, sweep_folder, make_job) -> None:
    """Two noises are exchanged, so that the verdict on the other data set is the opposite."""
    trained = runs(pair(3.0, 9.0, seeds=5))
    jobs = [make_job([f"number={number}"], {"diving": (0.5, 1)}, "mtl_aqa", aug="none") for number in range(11)]
    folder = sweep_folder("scored", jobs, plan=False)
    for number in range(11):
        path = folder / str(number) / "result.json"
        predict(path.parent, 9.0 if number < 5 else 3.0, number % 5)
        result = json.loads(path.read_text())
        of = trained / str(number) if number < 10 else trained / "gone"
        result["config"]["checkpoint"] = str(of / "checkpoints" / "last.ckpt")
        result["config"]["seed"] = 0  # of the evaluation
        path.write_text(json.dumps(result))
    claims = {"claim": gain(), "named": gain(data=["mtl_aqa"])}
    file = TypeAdapter(ClaimsFile).validate_python({"source": "a test", "claims": claims})
    given = judge(file, read_sweeps([trained, folder]), "last")
    assert [claim.cases for claim in given.claims if claim.name == "named"] == [()]  # trained on another
    found = {claim.data: claim for claim in given.claims if claim.name == "claim"}
    assert {data: claim.verdict for data, claim in found.items()} == {
        "demo": Verdict.HOLDS,
        "mtl_aqa, trained on demo": Verdict.FAILS,
    }
    (comparison,) = found["mtl_aqa, trained on demo"].cases[0].comparisons
    assert [len(side.values) for side in (comparison.found.first, comparison.found.second)] == [5, 5]
    assert given.runs.lost == 1
    said = head_lines(shown(given, LATE._replace(at=None)))
    assert "Evaluations left out, as the run of their checkpoint is not there: 1." in said
