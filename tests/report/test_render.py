"""Tables as text: every sign survives in every form, and LaTeX compiles it as it is pasted."""

import csv
import io
import math
import shutil
import subprocess

import pytest
from rich.console import Console

from swapaqa.report.render import print_table, to_csv, to_latex, to_markdown, write_tables
from swapaqa.report.table import Table, Value

ROWS = (
    ("core_mt, ratio 2", "best_on_test", Value(0.88704, 0.00123, 4), Value(1.7, None, 2)),
    ("[0, 6]", "last", None, Value(math.nan, None, 2, "*")),
    ("CoRe [46]", "as printed", Value(0.8401, None, 4, " [a]"), "no number"),
)
NASTY = r"50 % of R&D at $5 #1 {a_b} ~ ^ \textbf <x|y> é Δ ±*"
TABLE = Table("made_up", "Rho, 100 %", f"A caption: {NASTY}", ("system", "protocol", "rho", "R-l2"), ROWS, (NASTY, "*"))


def test_the_terminal_shows_every_cell_whole_however_narrow_it_is() -> None:
    for width in (20, 120):
        written = io.StringIO()
        print_table(TABLE, Console(file=written, width=width))
        for words in (
            "Rho, 100 %",
            "0.8870 ± 0.0012",
            "│ -  ",
            "undefined*",
            "0.8401 [a]",
            "CoRe [46]",
            "best_on_test",
        ):
            assert words.replace("│ -  ", "- │") in written.getvalue()


def test_markdown_is_a_table_with_heading_caption_and_notes() -> None:
    lines = to_markdown(TABLE).splitlines()
    assert lines[0] == "## Rho, 100 %"
    assert lines[2:5] == [
        "| system | protocol | rho | R-l2 |",
        "| --- | --- | --- | --- |",
        "| core_mt, ratio 2 | best_on_test | 0.8870 ± 0.0012 | 1.70 |",
    ]
    assert lines[5] == r"| [0, 6] | last | - | undefined\* |"
    assert r"- 50 % of R&D" in lines[-2]
    assert r"&lt;x\|y>" in lines[-2]


def test_csv_has_numbers_deviations_and_words_for_what_is_not_there() -> None:
    text = to_csv(TABLE)
    assert [line[0] for line in text.splitlines()[:4]] == ["#"] * 4
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    assert list(rows[0]) == ["system", "protocol", "rho", "rho deviation", "R-l2"]
    assert rows[0]["rho"] == "0.887040"
    assert rows[0]["rho deviation"] == "0.001230"
    assert (rows[1]["rho"], rows[1]["rho deviation"], rows[1]["R-l2"]) == ("NA", "NA", "NaN")
    assert (rows[2]["rho"], rows[2]["rho deviation"], rows[2]["R-l2"]) == ("0.840100", "NA", "no number")


def test_latex_escapes_what_would_not_compile() -> None:
    text = to_latex(TABLE)
    assert r"core\_mt, ratio 2 & best\_on\_test & 0.8870 $\pm$ 0.0012 & 1.70 \\" in text
    assert r"{[}0, 6] & last & - & undefined{*} \\" in text
    assert text.isascii()


def test_latex_compiles_as_pasted_into_an_article_without_packages(tmp_path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-base)")
    document = "\\documentclass{article}\n\\begin{document}\n" + to_latex(TABLE) + "\\end{document}\n"
    (tmp_path / "page.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in done.stdout
    assert (tmp_path / "page.pdf").stat().st_size > 1000


def test_every_form_of_every_table_is_written(tmp_path) -> None:
    written = write_tables([TABLE, TABLE._replace(key="other")], tmp_path)
    names = {f"{key}{suffix}" for key in ("made_up", "other") for suffix in (".md", ".csv", ".tex")}
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()} == names
