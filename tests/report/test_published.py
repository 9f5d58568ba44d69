"""The paper's numbers: every cell as its text prints it, and its averages recomputed."""

import re
from pathlib import Path

import pytest
import torch

from swapaqa.metrics import fisher_mean
from swapaqa.report.published import DIFFERENCE, PublishedTable, paper_numbers, published

PAPER = Path(__file__).parents[3] / "shared" / "paper.md"
COLUMNS = {
    "gym_vault": "Gym Vault",
    "diving": "Diving",
    "snowboard_big_air": "BigSnow.",
    "ski_big_air": "BigSki.",
    "sync_diving_10m": "Sync. 10m",
    "sync_diving_3m": "Sync. 3m",
}
NOT_THE_FISHER_MEAN = {"CoRe": 0.8433}  # printed: 0.8401


@pytest.fixture(scope="module")
def paper_text() -> str:
    if not PAPER.is_file():
        pytest.skip(f"the paper's text is not at {PAPER}")
    return PAPER.read_text()


def printed_rows(text: str, table: int) -> list[list[str]]:
    """The cells of a table, without their fonts; the header first."""
    lines = text[text.index(f"\nTable {table}. ") :].splitlines()[2:]
    block = []
    for line in lines[next(i for i, line in enumerate(lines) if "\t" in line) :]:
        if "\t" not in line:
            break
        block.append([re.sub(r"</?[bu]>", "", cell).strip() for cell in line.split("\t")])
    return block


def blocks(text: str) -> dict[str, list[list[str]]]:
    both = printed_rows(text, 1)
    second = next(i for i, row in enumerate(both) if i and row[1] == "Gym Vault")
    return {
        "aqa7_spearman": both[:second],
        "aqa7_relative_l2_x100": both[second:],
        "mtl_aqa_spearman": printed_rows(text, 2),
        "box_source": printed_rows(text, 3),
    }


@pytest.mark.parametrize("name", ["aqa7_spearman", "aqa7_relative_l2_x100", "mtl_aqa_spearman", "box_source"])
def test_every_cell_is_as_the_paper_prints_it(name, paper_text) -> None:
    header, *rows = blocks(paper_text)[name]
    table = paper_numbers().tables[name]
    if "average" in table.columns:
        assert header[1:-1] == [COLUMNS[column] for column in table.columns[:-1]]
        assert header[-1].startswith("Avg")
    assert len(table.rows) == len(rows)
    for row, (system, *cells) in zip(table.rows, rows, strict=True):
        reference = f" [{row.reference}]" if row.reference else ""
        assert system == (r"$\Delta$" if row.system == DIFFERENCE else row.system + reference)
        assert list(row.values) == [-float(c[:-1]) if c.endswith("↓") else float(c.rstrip("↑")) for c in cells]


def test_the_text_says_what_is_kept_of_figures_6_and_9(paper_text) -> None:
    numbers = paper_numbers()
    gains = " ".join(f"{gain.spearman_gain}%," for gain in numbers.plug_and_play[:2])
    assert f"by {gains} and {numbers.plug_and_play[2].spearman_gain}% for USDL, MUSDL and DAE models" in paper_text
    decreases = [f"{gain.relative_l2_decrease}%" for gain in numbers.plug_and_play]
    assert f"decreases by {decreases[0]}, {decreases[1]}, and {decreases[2]}" in paper_text
    scatter = numbers.scatter
    assert f"more accurate predictions than the baseline in {scatter.better_than_baseline}%" in paper_text
    assert f"less than 5 in {scatter.close_ours}% of cases" in paper_text
    assert f"the baseline CoRe is only {scatter.close_baseline}%" in paper_text
    assert "ratio is set to 2 or 2.5, Spearman’s rank correlation is the highest" in paper_text


def test_averages_of_rho_are_fisher_means_but_for_one_misprint() -> None:
    table = paper_numbers().tables["aqa7_spearman"]
    for row in table.systems:
        expected = NOT_THE_FISHER_MEAN.get(row.system, row.values[-1])
        assert float(fisher_mean(torch.tensor(row.values[:-1]))) == pytest.approx(expected, abs=1.5e-4), row.system
        assert ("average" in row.notes) == (row.system in NOT_THE_FISHER_MEAN)
    assert "0.8433" in table.row("CoRe").notes["average"]


def test_averages_of_r_l2_are_plain_means_but_for_one_misprint() -> None:
    table = paper_numbers().tables["aqa7_relative_l2_x100"]
    for row in table.systems:
        expected = 1.76 if row.system == "Ours" else row.values[-1]
        assert sum(row.values[:-1]) / 6 == pytest.approx(expected, abs=0.0051), row.system
    assert abs(sum(table.row("Ours").values[:-1]) / 6 - table.value("Ours", "average")) > 0.005


@pytest.mark.parametrize("name", ["aqa7_spearman", "aqa7_relative_l2_x100", "mtl_aqa_spearman"])
def test_differences_are_those_of_the_two_rows_above(name) -> None:
    table: PublishedTable = paper_numbers().tables[name]
    pairs = zip(table.row("Ours").values, table.row("CoRe").values, strict=True)
    assert [round(ours - core, 4) for ours, core in pairs] == list(table.row(DIFFERENCE).values)


def test_underlined_second_best_values_that_are_not_carry_a_note() -> None:
    r_l2, mtl = paper_numbers().tables["aqa7_relative_l2_x100"], paper_numbers().tables["mtl_aqa_spearman"]
    worst = max(row.values[r_l2.columns.index("snowboard_big_air")] for row in r_l2.systems)
    assert r_l2.value("CoFInAI", "snowboard_big_air") == worst
    assert "worst" in r_l2.row("CoFInAI").notes["snowboard_big_air"]
    above = {row.system for row in mtl.systems if row.values[0] > mtl.value("CoRe", "spearman")}
    assert above == {"HGCN", "CoRe+PECop", "Ours"}
    assert "HGCN" in mtl.row("CoRe").notes["spearman"]


def test_an_unknown_system_is_named() -> None:
    with pytest.raises(KeyError, match="AlexNet"):
        paper_numbers().tables["box_source"].row("AlexNet")


def test_the_shipped_rows_of_others_are_read_with_their_source() -> None:
    rows = published(["finediving"])
    one, other = rows.of_data("finediving")
    assert one.value("HP-MCoRe", "spearman") == 0.9383
    assert other.value("TPT", "spearman") == 0.9333
    assert "HP-MCoRe (TIP 2025)" in rows.source(one)
    assert rows.citations["CoRe [46]"] == rows.citations["CoRe"] == "yu2021group"
    assert rows.citations["Ours"] == "zhang2025scaled"
    assert len(rows.of_data("aqa7")) == 3


@pytest.mark.parametrize("name", ["rg", "fisv"])
def test_averages_of_the_shipped_rows_are_fisher_means(name: str) -> None:
    (table,) = published([name]).of_data(name)
    assert {"GDLT", "CoFInAl", "ACTION-NET"} <= {row.system for row in table.systems}
    for row in table.systems:
        assert float(fisher_mean(torch.tensor(row.values[:-1]))) == pytest.approx(row.values[-1], abs=5e-4), row.system


@pytest.mark.parametrize(
    ("name", "table", "column", "data"),
    [("demo_aqa7", "aqa7_spearman", "diving", "AQA-7"), ("demo_mtl_aqa", "mtl_aqa_spearman", "spearman", "MTL-AQA")],
)
def test_rows_beside_the_demo_are_the_papers_and_say_of_which_data(
    name: str, table: str, column: str, data: str
) -> None:
    printed, (beside,) = paper_numbers().tables[table], published([name]).of_data("demo")
    place = printed.columns.index(column)
    expected = [(f"{row.system} ({data})", (row.values[place],)) for row in printed.systems]
    assert [(row.system, tuple(row.values)) for row in beside.rows] == expected
