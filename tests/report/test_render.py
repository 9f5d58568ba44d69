"""Tables as text: every sign survives in every form, and LaTeX compiles it as it is pasted."""

import csv
import io
import math
import shutil
import subprocess

import pytest
from rich.console import Console

from swapaqa.errors import InputError
from swapaqa.report.render import chosen, print_table, to_csv, to_latex, to_markdown, write_tables
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


def test_latex_compiles_in_an_article_with_booktabs(tmp_path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-base)")
    document = (
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n" + to_latex(TABLE) + "\\end{document}\n"
    )
    (tmp_path / "page.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in done.stdout
    assert (tmp_path / "page.pdf").stat().st_size > 1000


RANKED = Table(
    "ranked", "Ranks", "", ("system", "protocol", "rho", "R-l2"),
    (
        ("a", "last", Value(0.91, 0.01, 2), Value(2.0, None, 1)),
        ("b", "last", Value(0.934, 0.01, 2), Value(1.0, None, 1, "", (0.5, 1.5))),
        ("c", "last", Value(0.931, 0.02, 2), Value(math.nan, None, 1)),
        ("a", "best_on_test", Value(0.2, None, 2), None),
        ("CoRe [46]", "as printed", Value(0.99, None, 2), "no number"),
    ),
    (), {"rho": True, "R-l2": False}, {"CoRe [46]": "yu2021group"},
)  # fmt: skip


def test_the_best_number_of_a_protocol_is_bold_and_the_second_underlined() -> None:
    text = to_latex(RANKED)
    assert r"a & last & \underline{0.91 $\pm$ 0.01} & \underline{2.0} \\" in text
    assert r"b & last & \textbf{0.93 $\pm$ 0.01} & \textbf{1.0} {[}0.50, 1.50] \\" in text
    assert r"c & last & \textbf{0.93 $\pm$ 0.02} & undefined \\" in text  # reads as the best does
    assert r"a & best\_on\_test & 0.20 & - \\" in text  # nothing to compare it with
    assert r"CoRe~\cite{yu2021group} & as printed & 0.99 & no number \\" in text
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{rule}") == 1


def test_published_rows_are_ranked_with_the_one_protocol_that_was_chosen() -> None:
    (table,) = chosen([RANKED], ["b", "core"], ["last"])
    assert [row[0] for row in table.rows] == ["b", "CoRe [46]"]
    text = to_latex(table)
    assert r"\textbf{0.99}" in text
    assert r"\underline{0.93 $\pm$ 0.01}" in text


@pytest.mark.parametrize("wanted", [(["nothing"], []), ([], ["best_on_val"]), ([], [], ["other"])])
def test_choosing_nothing_says_what_there_is(wanted: tuple) -> None:
    with pytest.raises(InputError, match="protocols best_on_test, last and the tables ranked"):
        chosen([RANKED], *wanted)


def test_every_form_of_every_table_is_written(tmp_path) -> None:
    written = write_tables([TABLE, TABLE._replace(key="other")], tmp_path)
    names = {f"{key}{suffix}" for key in ("made_up", "other") for suffix in (".md", ".csv", ".tex")}
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()} == names
