"""Tables: averages and deviations by hand, missing and failed jobs shown as such, the paper's numbers beside ours."""

import json
import math
import statistics

import pytest

from swapaqa.report.captions import WITHOUT_FACTS
from swapaqa.report.table import Table, Value, cell_text
from swapaqa.report.tables import build_tables
from swapaqa.runs.run_folders import read_sweeps
from swapaqa.runs.settings import find_settings, label

SIX = ("gym_vault", "diving", "snowboard_big_air", "ski_big_air", "sync_diving_10m", "sync_diving_3m")
RHO = dict(zip(SIX, (0.8, 0.9, 0.7, 0.75, 0.95, 0.96), strict=True))


def fisher(rhos) -> float:
    return math.tanh(statistics.fmean(math.atanh(rho) for rho in rhos))


def tables_of(*folders) -> dict[str, Table]:
    return {table.key: table for table in build_tables(read_sweeps(folders))}


def row(table: Table, *start: str) -> dict[str, str]:
    """The cells of the one row that begins so, as text by column."""
    found = [row for row in table.rows if row[: len(start)] == start]
    assert len(found) == 1, [row[:4] for row in table.rows]
    return dict(zip(table.columns, map(cell_text, found[0]), strict=True))


@pytest.fixture
def aqa7_table(sweep_folder, make_job):
    """Baseline and swap, six actions, two seeds; of the swap's second seed one action failed and one never began."""
    jobs = []
    for aug, gain in (("none", 0.0), ("swap", 0.02)):
        for seed in (0, 1):
            for action in SIX:
                lost = aug == "swap" and seed == 1
                failed, absent = lost and action == "diving", lost and action == "gym_vault"
                rho = RHO[action] + gain + 0.01 * seed
                jobs.append(
                    make_job(
                        [f"aug={aug}", f"seed={seed}", f"data.action={action}"],
                        None if failed or absent else {action: (rho, 2.0 + seed)},
                        aug=aug,
                        action=action,
                        seed=seed,
                        failure="videos/007: 90 frames, announced 103" if failed else None,
                        started=not absent,
                    )
                )
    return sweep_folder("aqa7_table", jobs)


def test_seeds_are_averaged_and_actions_by_fishers_z(aqa7_table) -> None:
    table = tables_of(aqa7_table)["actions_spearman_aqa7"]
    assert table.columns == ("system", "protocol", "seeds", *(a.replace("_", " ") for a in SIX), "average")
    base = row(table, "core", "last")
    assert base["seeds"] == "2"
    assert base["diving"] == "0.9050 ± 0.0071"  # 0.90, 0.91: sqrt(2) / 200
    each = [fisher(RHO.values()), fisher(rho + 0.01 for rho in RHO.values())]
    assert base["average"] == f"{statistics.fmean(each):.4f} ± {statistics.stdev(each):.4f}"
    best = [fisher(rho + 0.01 for rho in RHO.values()), fisher(rho + 0.02 for rho in RHO.values())]
    assert row(table, "core", "best_on_test")["average"].startswith(f"{statistics.fmean(best):.4f} ±")


def test_r_l2_is_averaged_plainly_with_two_decimals(aqa7_table) -> None:
    table = tables_of(aqa7_table)["actions_relative_l2_x100_aqa7"]
    assert row(table, "core", "last")["average"] == "2.50 ± 0.71"
    assert row(table, "core", "best_on_test")["average"] == "2.40 ± 0.71"


def test_missing_and_failed_jobs_are_said_and_never_counted(aqa7_table) -> None:
    table = tables_of(aqa7_table)["actions_spearman_aqa7"]
    ours = row(table, "core + swap, darklabel, ratio 2", "last")
    assert ours["diving"] == "0.9200*"
    assert ours["ski big air"] == "0.7750 ± 0.0071"
    assert ours["average"] == f"{fisher(rho + 0.02 for rho in RHO.values()):.4f}*"  # of the one complete seed
    assert '"*": over fewer seeds than planned' in table.notes
    told = "aug=swap, seed=1, data.action"
    assert f"failed: aqa7_table job 19 ({told}=diving): videos/007: 90 frames, announced 103" in table.notes
    assert f"not started: aqa7_table job 18 ({told}=gym_vault)" in table.notes


def test_a_gain_compares_the_seeds_that_both_have(aqa7_table) -> None:
    gain = row(tables_of(aqa7_table)["plug_and_play_aqa7"], "core", "last")
    assert (gain["R-l2 x100 without"], gain["R-l2 x100 with"]) == ("2.50 ± 0.71", "2.00*")
    assert gain["R-l2 x100 decrease %"] == "0.00*"  # of seed 0 both have 2.00
    before, after = fisher(RHO.values()), fisher(rho + 0.02 for rho in RHO.values())
    assert gain["rho gain %"] == f"{100 * (after / before - 1):.2f}*"


def test_the_caption_names_seeds_protocols_and_boxes(aqa7_table) -> None:
    caption = tables_of(aqa7_table)["actions_spearman_aqa7"].caption
    for words in (
        "Seeds: 2 seeds (0, 1)",
        "last (last epoch), best_on_test (best epoch on test, as published numbers are)",
        "Boxes: none (no swap); darklabel at ratio 2",
        "sample standard deviation over seeds",
        "by Fisher's z",
    ):
        assert words in caption


def test_the_papers_rows_stand_beside_ours_with_their_misprints(aqa7_table) -> None:
    tables = tables_of(aqa7_table)
    table = tables["actions_spearman_aqa7"]
    assert row(table, "Ours (the paper's)", "as printed")["average"] == "0.8870"
    assert row(table, "CoRe [46]", "as printed")["average"] == "0.8401 [a]"
    assert "[a] The Fisher mean of the six printed values is 0.8433." in table.notes
    assert row(tables["actions_relative_l2_x100_aqa7"], "TPT [1]", "as printed")["gym vault"] == "1.69"
    assert row(tables["plug_and_play_aqa7"], "core", "last")["rho gain %, paper"] == "no number"


def test_one_model_for_all_actions_is_an_arm_of_its_own(sweep_folder, make_job) -> None:
    joint = make_job(["data.action=all"], {action: (RHO[action], 2.0) for action in SIX}, action="all")
    own = [make_job([f"data.action={a}"], {a: (RHO[a] - 0.1, 2.0)}, action=a) for a in SIX]
    table = tables_of(sweep_folder("joint", [joint, *own]))["actions_spearman_aqa7"]
    name = "core + swap, darklabel, ratio 2"
    assert row(table, f"{name}, data.action=all", "last")["average"] == f"{fisher(RHO.values()):.4f}"
    assert row(table, name, "last")["average"] == f"{fisher(rho - 0.1 for rho in RHO.values()):.4f}"


def test_ratios_by_actions_with_an_action_missing(sweep_folder, make_job) -> None:
    jobs = [
        make_job([f"aug.ratio={r}", f"data.action={a}"], {a: (RHO[a] + r / 100, r)}, ratio=r, action=a)
        for r in (2.0, 1.0)
        for a in SIX[:5]
    ]
    jobs += [make_job(["aug.ratio=2.0", f"data.action={SIX[5]}"], started=False)]
    tables = tables_of(sweep_folder("ratio", jobs))
    assert list(tables) == ["ratio_spearman_aqa7_core_darklabel", "ratio_relative_l2_x100_aqa7_core_darklabel"]
    table = tables["ratio_spearman_aqa7_core_darklabel"]
    assert [r[0] for r in table.rows] == ["1", "1", "2", "2"]
    assert row(table, "1", "last")["diving"] == "0.9100"
    assert row(table, "2", "last")["sync diving 3m"] == "-"
    assert row(table, "2", "last")["seeds"] == "1"
    assert row(table, "2", "last")["average"] == "-"  # an average over five would be another number
    assert any(note.startswith("not started: ratio job 10") for note in table.notes)
    assert row(tables["ratio_relative_l2_x100_aqa7_core_darklabel"], "2", "last")["diving"] == "2.00"


def test_box_sources_beside_table_3(sweep_folder, make_job) -> None:
    arms = [
        ("none", {"aug": "none"}),
        ("fixed_input", {"boxes": "fixed", "frame": "input", "ratio": 2.0}),
        ("darklabel", {}),
        ("tracker", {"boxes": "tracker"}),
    ]
    jobs = [
        make_job([f"experiment=boxes_{name}", f"data.action={a}"], {a: (RHO[a], 2.0)}, action=a, **facts)
        for name, facts in arms
        for a in SIX
    ]
    tables = tables_of(sweep_folder("box_source", jobs))
    table = tables["box_source_aqa7_core"]
    ours = f"{fisher(RHO.values()):.4f}"
    assert row(table, "none", "", "last")["Spearman's rho, paper"] == "0.8401 [a]"
    assert row(table, "fixed (input)", "2", "last")["Spearman's rho, paper"] == "0.8523"
    assert row(table, "darklabel", "2", "last")["R-l2 x100, paper"] == "1.77"
    assert row(table, "darklabel", "2", "last")["Spearman's rho"] == ours
    assert row(table, "tracker", "2", "last")["R-l2 x100, paper"] == "no number"
    assert "actions_spearman_aqa7" in tables
    assert "plug_and_play_aqa7" not in tables


def test_gains_of_the_swap_beside_figure_9(sweep_folder, make_job) -> None:
    facts = {"data": "mtl_aqa", "boxes": "fixed", "frame": "input"}
    scores = {("usdl", "none"): (0.80, 4.0), ("usdl", "swap"): (0.84, 3.0), ("dae", "none"): (0.90, 2.0)}
    jobs = [
        make_job(
            [f"model={model}", f"aug={aug}"],
            {"diving": scores[model, aug]} if (model, aug) in scores else None,
            model=model,
            aug=aug,
            started=(model, aug) in scores,
            **facts,
        )
        for model in ("usdl", "dae")
        for aug in ("none", "swap")
    ]
    tables = tables_of(sweep_folder("plug_and_play", jobs))
    usdl = row(tables["plug_and_play_mtl_aqa"], "usdl", "last")
    assert (usdl["rho gain %"], usdl["rho gain %, paper"]) == ("5.00", "2.04")
    assert (usdl["R-l2 x100 decrease %"], usdl["R-l2 x100 decrease %, paper"]) == ("25.00", "13.8")
    dae = row(tables["plug_and_play_mtl_aqa"], "dae", "last")
    assert (dae["rho without"], dae["rho with"], dae["rho gain %"]) == ("0.9000", "-", "-")
    systems = tables["systems_mtl_aqa"]
    assert row(systems, "usdl + swap, fixed (input), ratio 2", "last")["R-l2 x100"] == "3.00"
    assert row(systems, "CoRe [46]", "as printed")["Spearman's rho"] == "0.9512 [a]"


def test_any_other_sweep_has_its_values_as_columns(sweep_folder, make_job) -> None:
    jobs = [
        make_job([f"optim.learning_rate={rate}", f"seed={seed}"], {"diving": (rho, 1.0)}, data="demo", seed=seed)
        for rate, rho in ((0.1, 0.5), (0.01, 0.7))
        for seed in (0, 1, 2)
    ]
    table = tables_of(sweep_folder("rates", jobs))["sweep_rates"]
    assert table.columns[:3] == ("optim.learning_rate", "protocol", "seeds")
    fast = row(table, "0.1", "last")
    assert (fast["seeds"], fast["Spearman's rho"], fast["pairwise accuracy"]) == (
        "3",
        "0.5000 ± 0.0000",
        "0.7500 ± 0.0000",
    )
    assert row(table, "0.01", "best_on_test")["Spearman's rho"] == "0.7100 ± 0.0000"


def test_constant_predictions_are_undefined_not_missing(sweep_folder, make_job) -> None:
    table = tables_of(sweep_folder("one", [make_job([], {"diving": (None, 1.0)}, data="demo")]))["sweep_one"]
    only = row(table, "one", "last")
    assert (only["Spearman's rho"], only["R-l2 x100"]) == ("undefined", "1.00")
    assert any(note.startswith('"undefined"') for note in table.notes)


def test_a_sweep_of_which_nothing_ran_is_all_missing(sweep_folder, make_job) -> None:
    overrides = [["+sweeps=ratio", f"aug.ratio={ratio}", "data.action=diving"] for ratio in (1.0, 2.0)]
    jobs = [
        make_job(one, data="demo", ratio=ratio, started=False) for one, ratio in zip(overrides, (1.0, 2.0), strict=True)
    ]
    tables = tables_of(sweep_folder("ratio", jobs))
    assert tables
    assert not any(isinstance(cell, Value) for table in tables.values() for r in table.rows for cell in r)
    assert all(r[table.columns.index("seeds")] == "0 of 1" for table in tables.values() for r in table.rows)
    assert all("not started: ratio jobs 0 (aug.ratio=1.0); 1 (aug.ratio=2.0)" in t.notes for t in tables.values())


def test_every_run_is_in_a_table(sweep_folder, make_job) -> None:
    ratios = sweep_folder(
        "ratio", [make_job([f"aug.ratio={r}"], {"diving": (0.8, 1)}, "demo", ratio=r) for r in (1, 2)]
    )
    mixup = sweep_folder("mixup", [make_job(["aug=none", "model=usdl"], {"diving": (0.7, 1)}, "demo", "usdl", "none")])
    assert [key.split("_")[0] for key in tables_of(ratios, mixup)] == ["ratio", "ratio", "sweep"]


def test_a_job_not_started_belongs_to_the_setting_of_its_facts(sweep_folder, make_job) -> None:
    jobs = [
        make_job(["model=core", "aug=none", "seed=0"], {"diving": (0.8, 1)}, aug="none"),
        make_job(["model=core", "aug=swap", "seed=0"], {"diving": (0.8, 1)}),
        make_job(["model=core", "aug=swap", "seed=1"], seed=1, started=False),
        make_job(["model=usdl", "aug=swap", "seed=0"], model="usdl", started=False),
        make_job(["model=usdl", "aug=none", "seed=0"], model="usdl", aug="none", started=False),
    ]
    settings = find_settings(read_sweeps([sweep_folder("plug", jobs)]))
    names = {label(setting): [run.seed for run in runs] for setting, runs in settings.items()}
    assert names == {
        "core": [0],
        "core + swap, darklabel, ratio 2": [0, 1],
        "usdl + swap, darklabel, ratio 2": [0],
        "usdl": [0],
    }


def test_a_preset_of_which_nothing_ran_is_said_to_be_missing(sweep_folder, make_job) -> None:
    jobs = [
        make_job([f"experiment=boxes_{boxes}"], {"diving": (0.8, 1)}, data="demo", boxes=boxes)
        for boxes in ("fixed", "darklabel")
    ]
    lost = make_job(["experiment=boxes_tracker"], data="demo", boxes="tracker", started=False)
    tables = tables_of(sweep_folder("box_source", [*jobs, lost]))
    missing = "not started: box_source job 2 (experiment=boxes_tracker)"
    assert missing in tables["box_source_demo_core"].notes
    assert row(tables["box_source_demo_core"], "tracker", "2", "last")["Spearman's rho"] == "-"


def test_a_sweep_planned_before_there_were_facts_lists_by_overrides_what_did_not_start(sweep_folder, make_job) -> None:
    jobs = [make_job([f"aug.ratio={r}"], {"diving": (0.8, 1)}, data="demo", ratio=r) for r in (1.0, 2.0)]
    lost = make_job(["aug.ratio=3.0"], started=False)
    table = tables_of(sweep_folder("old", [*jobs, lost], with_facts=False))["ratio_spearman_demo_core_darklabel"]
    assert [row[0] for row in table.rows] == ["1", "1", "2", "2"]
    assert "not started: old job 2 (aug.ratio=3.0)" in table.notes
    assert f"old: {WITHOUT_FACTS}" in table.notes


def test_of_an_old_plan_of_which_nothing_ran_the_overrides_are_all_that_is_known(sweep_folder, make_job) -> None:
    jobs = [make_job([f"aug.ratio={r}", f"seed={s}"], started=False) for r in (1.0, 2.0) for s in (0, 1)]
    table = tables_of(sweep_folder("old", jobs, with_facts=False))["sweep_old"]
    assert [row[:3] for row in table.rows] == [("1.0", "last", "0 of 2"), ("2.0", "last", "0 of 2")]
    assert f"old: {WITHOUT_FACTS}" in table.notes


def test_several_test_splits_stand_side_by_side(sweep_folder, make_job) -> None:
    jobs = [make_job([f"aug.ratio={r}"], {"diving": (0.8, 1)}, data="demo", ratio=r) for r in (1.0, 2.0)]
    folder = sweep_folder("ratio", jobs)
    for number, rho in ((0, 0.7), (1, 0.3)):
        path = folder / str(number) / "result.json"
        result = json.loads(path.read_text())
        for protocol in result["metrics"].values():
            numbers = {"spearman": rho, "relative_l2_x100": 2.0}
            protocol["splits"]["shifted"] = {"average": numbers, "per_action": {"diving": numbers}}
        path.write_text(json.dumps(result))
    table = tables_of(folder)["ratio_spearman_demo_core_darklabel"]
    assert table.columns == ("ratio", "protocol", "seeds", "diving, test", "diving, shifted")
    assert [row(table, ratio, "last")["diving, shifted"] for ratio in ("1", "2")] == ["0.7000", "0.3000"]
    assert "of the splits test, shifted" in table.caption
