"""Which figures a set of runs gets, and that the numbers in them are the runs'."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swapaqa.report.drawing import Drawing
from swapaqa.report.figures import drawings
from swapaqa.runs.run_folders import read_sweeps

ACTIONS = ("diving", "gym_vault", "ski_big_air", "snowboard_big_air", "sync_diving_3m", "sync_diving_10m")
Write = Callable[..., Path]


def figures(paths: list[Path], protocol: str = "last") -> dict[str, Drawing]:
    return {drawing.name: drawing for drawing in drawings(read_sweeps(paths), protocol).drawings}


def bars(drawing: Drawing, panel: int, label: str) -> list[float]:
    containers = [c for c in drawing.figure.axes[panel].containers if c.get_label() == label]
    return [patch.get_height() for container in containers for patch in getattr(container, "patches", [])]


def texts(drawing: Drawing) -> list[str]:
    return [text.get_text() for panel in drawing.figure.axes for text in panel.texts]


@pytest.fixture
def ratios(sweep_folder: Write, make_job: Any) -> Path:
    """Two actions at three ratios; one failed, one not started."""
    jobs = []
    for ratio in (1.0, 2.0, 3.0):
        for action, rho in (("diving", 0.8), ("gym_vault", 0.7)):
            overrides = [f"aug.ratio={ratio}", f"data.action={action}"]
            here = {"overrides": overrides, "ratio": ratio, "action": action}
            scores = {action: (rho + ratio / 100, 2.0 - ratio / 10)}
            if (ratio, action) == (3.0, "diving"):
                jobs.append(make_job(**here, failure="error: the disk is full"))
            elif (ratio, action) == (3.0, "gym_vault"):
                jobs.append(make_job(**here, started=False))
            else:
                jobs.append(make_job(**here, scores=scores))
    return sweep_folder("ratio", jobs)


def test_the_ratio_sweep_is_drawn_with_its_gaps(ratios: Path) -> None:
    found = figures([ratios])
    assert list(found) == ["ratio_curves_aqa7_core_darklabel_last"]
    [drawing] = found.values()
    lines = {str(c.get_label()): c for c in drawing.figure.axes[0].containers}
    drawn = [float(value) for value in lines["diving"][0].get_ydata()]
    assert drawn[:2] == pytest.approx([0.81, 0.82])
    assert math.isnan(drawn[2])
    assert "diving at 3, gym_vault at 3" in drawing.caption
    assert "last epoch" in drawing.caption


def test_a_protocol_has_its_own_numbers(ratios: Path) -> None:
    [drawing] = figures([ratios], "best_on_test").values()
    line = drawing.figure.axes[0].containers[0]
    assert float(line[0].get_ydata()[0]) == pytest.approx(0.82)
    assert "best epoch on test" in drawing.caption


def box_jobs(make_job: Any, actions: tuple[str, ...], **facts: Any) -> list[Any]:
    arms = (
        ("none", {"aug": "none"}, 0.80),
        ("fixed", {"boxes": "fixed", "frame": "input", "ratio": 2.0}, 0.82),
        ("darklabel", {}, 0.88),
        ("tracker", {"boxes": "tracker"}, 0.86),
    )
    return [
        make_job(
            [f"experiment=box_{name}", f"data.action={action}"],
            {action: (rho, 2.0)},
            action=action,
            **{**given, **facts},
        )
        for name, given, rho in arms
        for action in actions
    ]


def test_box_sources_stand_beside_table_3_for_the_papers_actions(sweep_folder: Write, make_job: Any) -> None:
    found = figures([sweep_folder("box_source", box_jobs(make_job, ACTIONS))])
    drawing = found["box_sources_aqa7_core_last"]
    assert bars(drawing, 0, "this report") == pytest.approx([0.80, 0.82, 0.88, 0.86])
    assert bars(drawing, 0, "paper") == pytest.approx([0.8401, 0.8523, 0.8870])
    assert bars(drawing, 1, "paper") == pytest.approx([2.12, 2.01, 1.77])
    names = [label.get_text() for label in drawing.figure.axes[0].get_xticklabels()]
    assert names == ["no swap", "fixed\n(input)\nratio 2", "darklabel\nratio 2", "tracker\nratio 2"]
    scatters = [name for name in found if name.startswith("truth_scatter")]
    assert len(scatters) == 3
    assert "(paper: 66.67%)" in found["truth_scatter_aqa7_core_darklabel_last"].caption
    assert "paper" not in found["truth_scatter_aqa7_core_tracker_last"].caption  # Fig. 6 is of DarkLabel's boxes
    assert "18 test videos" in found["truth_scatter_aqa7_core_darklabel_last"].caption


@pytest.mark.parametrize(
    ("actions", "facts"), [(("diving",), {}), (ACTIONS, {"model": "usdl"}), (("diving",), {"data": "demo"})]
)
def test_the_papers_numbers_stand_beside_nothing_else(
    sweep_folder: Write, make_job: Any, actions: tuple[str, ...], facts: dict[str, str]
) -> None:
    found = figures([sweep_folder("box_source", box_jobs(make_job, actions, **facts))])
    sources = next(drawing for name, drawing in found.items() if name.startswith("box_sources"))
    assert not bars(sources, 0, "paper")
    assert all("paper" not in d.caption for name, d in found.items() if name.startswith("truth_scatter"))


def method_jobs(make_job: Any, **facts: Any) -> list[Any]:
    return [
        make_job([f"model={model}", f"aug={aug}"], {"diving": (rho, error)}, model=model, aug=aug, **facts)
        for model, aug, rho, error in (
            ("usdl", "none", 0.90, 0.60),
            ("usdl", "swap", 0.945, 0.45),
            ("dae", "none", 0.94, 0.40),
            ("dae", "swap", 0.94, 0.44),
        )
    ]


def test_methods_are_paired_without_and_with_the_swap(sweep_folder: Write, make_job: Any) -> None:
    found = figures([sweep_folder("plug_and_play", method_jobs(make_job, data="mtl_aqa"))])
    drawing = found["plug_and_play_mtl_aqa_last"]
    assert bars(drawing, 0, "without") == pytest.approx([0.90, 0.94])
    assert bars(drawing, 0, "with") == pytest.approx([0.945, 0.94])
    assert {"+5.00 %", "+0.00 %", "−25.00 %", "+10.00 %"} <= set(texts(drawing))
    assert {"paper +2.04 %", "paper −13.80 %", "paper +0.86 %", "paper −11.40 %"} <= set(texts(drawing))


def test_the_demo_has_no_gains_of_the_paper(sweep_folder: Write, make_job: Any) -> None:
    found = figures([sweep_folder("plug_and_play", method_jobs(make_job, data="demo"))])
    assert not [text for text in texts(found["plug_and_play_demo_last"]) if text.startswith("paper")]


def test_an_action_that_is_missing_takes_the_scatter_with_it(sweep_folder: Write, make_job: Any) -> None:
    """A pool of five actions is not the pool of six."""
    jobs = [
        make_job([f"aug={aug}", f"data.action={action}"], scores, aug=aug, action=action)
        for aug in ("none", "swap")
        for action in ACTIONS
        for scores in [None if (aug, action) == ("swap", "diving") else {action: (0.5, 1.0)}]
    ]
    [drawing] = figures([sweep_folder("table", jobs)]).values()
    assert drawing.caption.startswith("Missing: no seed has complete runs of both core and core + swap")


def test_a_single_run_is_no_figure(sweep_folder: Write, make_job: Any) -> None:
    assert figures([sweep_folder("one", [make_job([], {"diving": (0.5, 1.0)})], plan=False)]) == {}


def test_the_same_arm_of_two_sweeps_is_one(ratios: Path, sweep_folder: Write, make_job: Any) -> None:
    """Ratio 2 of the ratio sweep is the box source sweep's arm: one bar, and one curve with that point once."""
    found = figures([ratios, sweep_folder("box_source", box_jobs(make_job, ("diving", "gym_vault")))])
    names = [label.get_text() for label in found["box_sources_aqa7_core_last"].figure.axes[0].get_xticklabels()]
    assert names.count("darklabel\nratio 2") == 1
    assert [name for name in found if name.startswith("ratio_curves")] == ["ratio_curves_aqa7_core_darklabel_last"]
    assert len([name for name in found if name.startswith("truth_scatter_aqa7_core_darklabel")]) == 1


def test_equal_facts_under_other_settings_stay_apart(sweep_folder: Write, make_job: Any) -> None:
    """A preset changes what no fact names: its arm is another one, and its figures have names of their own."""
    folder = sweep_folder("box_source", box_jobs(make_job, ("diving",)))
    other = sweep_folder("preset", [make_job([], {"diving": (0.5, 1.0)})])
    result = json.loads((other / "0" / "result.json").read_text())
    result["config"]["model"]["depth"] = 4
    (other / "0" / "result.json").write_text(json.dumps(result))
    found = drawings(read_sweeps([folder, other]), "last").drawings
    names = [drawing.name for drawing in found]
    assert len(names) == len(set(names))
    assert len({drawing.title for drawing in found}) == len(found)
    labels = [label.get_text() for label in found[0].figure.axes[0].get_xticklabels()]
    assert {"darklabel\nratio 2\nbox_darklabel", "darklabel\nratio 2"} <= set(labels)  # the one run sweeps nothing


def test_so_many_figures_of_a_kind_as_asked(sweep_folder: Write, make_job: Any) -> None:
    jobs = [
        make_job([f"model={model}", f"aug.ratio={ratio}"], {"diving": (0.5, 1.0)}, ratio=float(ratio), model=model)
        for model in ("core", "usdl", "dae")
        for ratio in (1, 2)
    ]
    sweeps = read_sweeps([sweep_folder("many", jobs)])
    every, two = drawings(sweeps, "last"), drawings(sweeps, "last", most=2)
    assert (len(every.drawings), every.left_out) == (3, 0)
    assert ([one.name for one in two.drawings], two.left_out) == ([one.name for one in every.drawings[:2]], 1)


def test_a_curve_is_of_one_setting(ratios: Path, sweep_folder: Write, make_job: Any) -> None:
    """Another depth at ratio 4 is no fourth point of the curve."""
    other = sweep_folder("deeper", [make_job([], {"diving": (0.1, 9.0)}, ratio=4.0)], plan=False)
    result = json.loads((other / "0" / "result.json").read_text())
    result["config"]["model"]["depth"] = 4
    (other / "0" / "result.json").write_text(json.dumps(result))
    [drawing] = figures([ratios, other]).values()
    line = next(c for c in drawing.figure.axes[0].containers if c.get_label() == "diving")
    assert list(line[0].get_xdata()) == [1.0, 2.0, 3.0]
