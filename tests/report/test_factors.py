"""A sweep that is a list of cells: its table, its points, its lines, and what is not there yet."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swapaqa.errors import InputError
from swapaqa.report import factor_views
from swapaqa.report.factor_views import lines_drawing
from swapaqa.report.figures import drawings
from swapaqa.report.table import cell_text
from swapaqa.report.tables import build_tables
from swapaqa.runs.compare import choose
from swapaqa.runs.factors import factor_lines, factor_name, find_factors, is_list_of_settings, parted, swap_pairs
from swapaqa.runs.run_folders import read_sweeps

WriteSweep = Callable[..., Path]


@pytest.fixture
def cells_folder(sweep_folder: WriteSweep, make_job: Callable[..., Any]) -> Path:
    """Two seeds of a baseline and of the swap; ratios 1 and 3 of one seed; a variant that was never started."""

    def job(words: list[str], rho: float | None, **facts: Any) -> Any:
        scores = None if rho is None else {"diving": (rho, 1.0)}
        return make_job([*words, "+sweeps=mine"], scores, data="demo", started=rho is not None, **facts)

    return sweep_folder(
        "mine",
        [
            job(["seed=0", "aug=none"], 0.2, aug="none"),
            job(["seed=0", "aug=swap"], 0.9),
            job(["seed=0", "aug=swap", "aug.ratio=1"], 0.5, ratio=1.0),
            job(["seed=0", "aug=swap", "aug.ratio=3"], 0.7, ratio=3.0),
            job(["seed=0", "aug=swap", "aug.variant=clean"], None),
            job(["seed=1", "aug=none"], 0.4, aug="none", seed=1),
            job(["seed=1", "aug=swap"], 0.8, seed=1),
        ],
    )


def test_a_product_is_no_list_of_cells(
    sweep_folder: WriteSweep, make_job: Callable[..., Any], cells_folder: Path
) -> None:
    product = sweep_folder("ratio", [make_job([f"aug.ratio={r}", "seed=0"], None) for r in (1, 2)])
    both = read_sweeps([cells_folder, product])
    assert [is_list_of_settings(sweep) for sweep in both] == [True, False]
    listed, others = parted(both)
    assert (list(listed), others) == (["mine"], both[1:])


def test_settings_that_differ_in_the_swap_alone_are_pairs(
    sweep_folder: WriteSweep, make_job: Callable[..., Any]
) -> None:
    reached = {
        "": (0.2, 0.9),
        "data.pan=1": (0.3, 0.8),
        "model=usdl optim.learning_rate=1": (0.1, 0.6),
        "model=dae data.pan=0": (0.4, 0.5),
        "model=dae data.pan=1": (0.5, 0.4),
    }
    jobs = []
    for own, both in reached.items():
        model = own.partition(" ")[0].removeprefix("model=") if "model=" in own else "core"
        for aug, rho in zip(("none", "swap"), both, strict=True):
            words = ["seed=0", f"aug={aug}", *own.split(), "+sweeps=mine"]
            jobs.append(make_job(words, {"diving": (rho, 1.0)}, aug=aug, model=model))
    alone = make_job(["seed=0", "aug=swap", "aug.ratio=3", "+sweeps=mine"], {"diving": (0.7, 1.0)}, ratio=3.0)
    sweeps = read_sweeps([sweep_folder("mine", [*jobs, alone])])
    pairs = swap_pairs(find_factors(sweeps))
    assert [pair.name for pair in pairs] == ["reference", "pan=1", "usdl", "model=dae pan=0", "model=dae pan=1"]
    assert pairs[2].swapped == {"aug=swap", "model=usdl", "optim.learning_rate=1"}
    (drawing,) = (one for one in drawings(sweeps, "last").drawings if one.name == "pairs_mine_last")
    panel = drawing.figure.axes[0]
    without, swapped = (line.get_xdata() for line in panel.lines if line.get_marker() == "o")
    assert np.asarray(without) == pytest.approx([0.2, 0.3, 0.1, 0.4, 0.5])
    assert np.asarray(swapped) == pytest.approx([0.9, 0.8, 0.6, 0.5, 0.4])


def test_a_row_is_a_cell_over_its_seeds_and_what_is_missing_is_said(cells_folder: Path) -> None:
    (table,) = build_tables(read_sweeps([cells_folder]))
    rows = {(row[0], row[1]): [cell_text(cell) for cell in row[2:]] for row in table.rows}
    assert rows["aug=none", "last"] == ["2", "0.3000 ± 0.1414", "1.00 ± 0.00", "40.0"]
    assert rows["aug=swap", "last"][:2] == ["2", "0.8500 ± 0.0707"]
    assert rows["aug=swap ratio=3", "last"][:2] == ["1", "0.7000"]
    assert rows["aug=swap variant=clean", "last"] == ["0 of 1", "-", "-", "-"]
    assert "Not run: aug=swap variant=clean." in table.notes


def test_the_same_cells_in_two_folders_are_one(
    cells_folder: Path, sweep_folder: WriteSweep, make_job: Callable[..., Any]
) -> None:
    more = [
        make_job(["seed=2", f"aug={aug}", *words], {"diving": (rho, 1.0)}, data="demo", aug=aug, seed=2, ratio=1.0)
        for aug, words, rho in (("none", [], 0.6), ("swap", ["aug.ratio=1"], 0.4))
    ]
    other = sweep_folder("elsewhere/mine", more)
    (other / "jobs.json").write_text((other / "jobs.json").read_text().replace("elsewhere/mine", "mine"))
    (table,) = build_tables(read_sweeps([cells_folder, other]))
    rows = {(row[0], row[1]): [cell_text(cell) for cell in row[2:]] for row in table.rows}
    assert rows["aug=none", "last"][:2] == ["3", "0.4000 ± 0.2000"]
    assert rows["aug=swap ratio=1", "last"][:2] == ["2", "0.4500 ± 0.0707"]


def test_a_line_takes_in_the_cell_that_leaves_the_factor_at_its_default(cells_folder: Path) -> None:
    cells = find_factors(read_sweeps([cells_folder]))
    (line,) = factor_lines(cells, "aug.ratio")
    assert line.name == "aug=swap"
    assert {value: factor_name(own) for value, own in line.points.items()} == {
        1.0: "aug=swap ratio=1", 2.0: "aug=swap", 3.0: "aug=swap ratio=3",
    }  # fmt: skip
    assert factor_lines(cells, "aug.variant") == []


def test_a_cell_that_says_the_default_is_the_cell_that_leaves_it_out(
    sweep_folder: WriteSweep, make_job: Callable[..., Any]
) -> None:
    named = [["aug=swap"], *(["aug=swap", "aug.ratio=2", f"boxes.ratio={value}"] for value in (1, 3))]
    folder = sweep_folder("mine", [make_job(["seed=0", *words], {"diving": (0.5, 1.0)}) for words in named])
    (line,) = factor_lines(find_factors(read_sweeps([folder])), "boxes.ratio")
    assert [(value, factor_name(words)) for value, words in line.points.items()][1] == (2.0, "aug=swap")
    assert list(line.points) == [1.0, 2.0, 3.0]


def test_the_words_of_a_cell_choose_it_for_a_comparison(cells_folder: Path) -> None:
    assert [run.seed for run in choose(f"{cells_folder}:aug=swap").runs] == [0, 1]  # not the ratios 1 and 3
    assert [run.seed for run in choose(f"{cells_folder}:aug=swap,aug.ratio=3").runs] == [0]
    with pytest.raises(InputError, match=r"there are aug=none; aug=swap; .*,aug\.variant=clean; choose"):
        choose(str(cells_folder))


def test_a_panel_without_a_factor_is_empty(cells_folder: Path) -> None:
    cells = find_factors(read_sweeps([cells_folder]))
    lines = factor_lines(cells, "aug.ratio")
    drawing = lines_drawing("mine", cells, dict.fromkeys(("aug.ratio", "a", "b"), lines), "last")
    assert [panel.axison for panel in drawing.figure.axes] == [True, True, True, False]


def test_points_and_lines_are_drawn_with_what_was_not_run(cells_folder: Path) -> None:
    points, lines, shares = drawings(read_sweeps([cells_folder]), "last").drawings
    (panel,) = points.figure.axes
    assert [tick.get_text() for tick in panel.get_yticklabels()][-1] == "aug=swap variant=clean"
    assert "not run, or undefined" in [text.get_text() for text in panel.texts]
    (axes,) = lines.figure.axes
    (drawn,) = axes.containers
    assert drawn.lines[0].get_xydata() == pytest.approx(np.array([[1.0, 0.5], [2.0, 0.85], [3.0, 0.7]]))
    assert shares.figure.axes[0].containers[0].lines[0].get_xydata()[:, 0].tolist() == [40.0] * 3
    assert [text.get_text() for text in shares.figure.axes[0].texts] == ["1", "2", "3"]


def test_what_a_figure_has_no_room_for_is_counted(cells_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factor_views, "MOST_ROWS", 2)
    monkeypatch.setattr(factor_views, "MOST_LINES", 0)  # of the only one
    points, lines, _ = drawings(read_sweeps([cells_folder]), "last").drawings
    assert len(points.figure.axes[0].get_yticklabels()) == 2
    assert " more settings are not drawn: see the table." in points.caption
    assert " 1 more lines are not drawn: see the table." in lines.caption


def test_where_the_data_lie_sets_no_run_apart(sweep_folder: WriteSweep, make_job: Callable[..., Any]) -> None:
    """The same sweep on two machines, or given with `data.root=` and `data.workers=` and without."""
    words = [["aug=none"], ["aug=swap", "aug.ratio=3"]]
    here = [make_job(["seed=0", "data.root=/here", "data.workers=2", *own], {"diving": (0.5, 1.0)}) for own in words]
    there = [make_job(["seed=1", *own], {"diving": (0.7, 1.0)}, seed=1) for own in words]
    folders = [sweep_folder("mine", here), sweep_folder("elsewhere/mine", there)]
    found = find_factors(read_sweeps(folders))
    assert [factor_name(own) for own in found.runs] == ["aug=none", "aug=swap ratio=3"]
    assert [len(runs) for runs in found.runs.values()] == [2, 2]


def test_a_key_keeps_its_group_where_another_has_the_same_end() -> None:
    own = frozenset({"model=dae", "optim.learning_rate=5e-3", "backbone.learning_rate=5e-4", "trainer.max_epochs=3"})
    assert factor_name(own) == "backbone.learning_rate=5e-4 max_epochs=3 model=dae optim.learning_rate=5e-3"


def test_a_list_stands_beside_the_rows_that_are_named(sweep_folder: WriteSweep, make_job: Callable[..., Any]) -> None:
    """A setting goes by its facts, and where another has the same ones, by what its jobs say besides."""
    settings = [["model=core"], ["model=core", "backbone=i3d", "trainer.max_epochs=2"], ["model=usdl"]]
    jobs = [
        make_job([*own, "aug=none", "seed=0"], {"diving": (0.5, 1.0)}, data="demo", model=own[0][6:], aug="none")
        for own in settings
    ]
    sweeps = read_sweeps([sweep_folder("mine", jobs)])
    assert [table.key for table in build_tables(sweeps)] == ["settings_mine"]
    _, table = build_tables(sweeps, ["demo_aqa7"])
    named = {row[0]: cell_text(row[3]) for row in table.rows if row[1] != "best_on_test"}
    assert list(named)[:3] == ["core", "core, backbone=i3d max_epochs=2", "usdl"]
    assert named["core"] == "0.5000"
    assert named["AdaST (AQA-7)"] == "0.8065"
