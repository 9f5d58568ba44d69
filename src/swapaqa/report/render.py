"""Tables as text: for the terminal, Markdown, CSV, and LaTeX that compiles in an article without any package."""

import csv
import io
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from swapaqa.errors import LINE, one_line
from swapaqa.report.cells import Cell, Table, Value, cell_text
from swapaqa.spreadsheet import guarded, guarded_comment
from swapaqa.whole_file import write_whole

LONGEST_CELL, LONGEST_NOTE = 100, 1000  # characters in LaTeX, whose lengths end at 5.7 metres
FITS_SCRIPTSIZE = 130  # characters over a page
EXTRAS = ("deviation", "low", "high")
NEW_LINE = r" \\ "
LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", "±": r"$\pm$",
    "[": "{[}", "*": "{*}",  # both mean something behind the end of a row
    "`": r"\`{}", '"': "{''}",  # with their neighbours they would make another sign
}  # fmt: skip
MARKDOWN = str.maketrans({"|": r"\|", "*": r"\*", "<": "&lt;", "\n": " ", "\r": " "})


def print_table(table: Table, console: Console) -> None:
    """Print a table with its title, caption and notes. No cell is broken: on a narrow terminal lines run over."""
    grid = RichTable()
    shown = [[one_line(cell_text(cell), LONGEST_NOTE) for cell in row] for row in table.rows]
    for position, column in enumerate(table.columns):
        cells = [row[position] for row in table.rows]
        numbers = any(isinstance(cell, Value) for cell in cells)
        width = column_width(column, [row[position] for row in shown])
        grid.add_column(Text(one_line(column)), justify="right" if numbers else "left", min_width=width)
    for row in shown:
        grid.add_row(*map(Text, row))
    needed = Measurement.get(console, console.options.update(max_width=1000), grid).minimum
    console.print(Text(one_line(table.title), style="bold"))
    console.print(grid, width=max(console.width, needed), crop=False)
    lines = (one_line(line, LINE) for line in (table.caption, *table.notes, ""))
    console.print(*map(Text, lines), sep="\n")


def to_markdown(table: Table) -> str:
    """GitHub's tables, with the title as a heading."""
    lines = [
        _markdown_row(table.columns),
        "|" + " --- |" * len(table.columns),
        *(_markdown_row([cell_text(cell) for cell in row]) for row in table.rows),
    ]
    notes = [f"- {note.translate(MARKDOWN)}" for note in table.notes]
    parts = [
        f"## {table.title.translate(MARKDOWN)}",
        "\n".join(lines),
        table.caption.translate(MARKDOWN),
        "\n".join(notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown_row(words: Sequence[str]) -> str:
    return "| " + " | ".join(word.translate(MARKDOWN) for word in words) + " |"


def to_csv(table: Table) -> str:
    """Title, caption and notes behind #; NA where a number is missing, NaN where undefined.

    Deviations over seeds and the ends of intervals are columns of their own, behind those that have some.
    """
    written = io.StringIO()
    for line in (table.title, table.caption, *table.notes):
        written.write(f"# {guarded_comment(' '.join(line.split()))}\n")
    writer = csv.writer(written, lineterminator="\n")
    columns = [[row[i] for row in table.rows] for i in range(len(table.columns))]
    extras = [[name for name in EXTRAS if any(_extra(cell, name) is not None for cell in cells)] for cells in columns]
    heads = zip(table.columns, extras, strict=True)
    words = (word for column, names in heads for word in (column, *(f"{column} {name}" for name in names)))
    writer.writerow(map(guarded, words))
    for row in table.rows:
        cells = zip(row, extras, strict=True)
        writer.writerow(
            word
            for cell, names in cells
            for word in (_csv_word(cell), *(_csv_number(_extra(cell, name)) for name in names))
        )
    return written.getvalue()


def _extra(cell: Cell, name: str) -> float | None:
    """What a number has beside itself, one of EXTRAS."""
    if not isinstance(cell, Value):
        return None
    low, high = cell.interval or (None, None)
    return {"deviation": cell.deviation, "low": low, "high": high}[name]


def _csv_word(cell: Cell) -> str:
    if isinstance(cell, str):
        return guarded(cell.replace("\r", " "))  # which the writer would not quote
    return _csv_number(None if cell is None else cell.mean)


def _csv_number(number: float | None) -> str:
    return "NA" if number is None else "NaN" if math.isnan(number) else f"{number:z.6f}"


def to_latex(table: Table) -> str:
    """A floating table with `\\hline` rules; needs no package. A wide one is set smaller and runs over both margins."""
    columns = [one_line(name, LONGEST_CELL) for name in table.columns]
    words = (table.title, table.caption, *table.notes)
    cells = [[one_line(cell_text(row[i]), LONGEST_CELL) for row in table.rows] for i in range(len(table.columns))]
    widths = [column_width(name, column) for name, column in zip(columns, cells, strict=True)]
    aligned = "".join("r" if any(isinstance(row[i], Value) for row in table.rows) else "l" for i in range(len(widths)))
    heads = zip(columns, widths, aligned, strict=True)
    size = r"\scriptsize" if sum(widths) <= FITS_SCRIPTSIZE else r"\tiny"
    title, caption, *notes = (latex_text(one_line(text, LONGEST_NOTE)) for text in words)
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{title}. {caption}}}",
            rf"\centering{size}\setlength{{\tabcolsep}}{{3pt}}\renewcommand{{\arraystretch}}{{1.2}}",
            r"\makebox[\linewidth][c]{%",
            rf"\begin{{tabular}}{{{aligned}}}",
            r"\hline",
            " & ".join(_latex_head(*head) for head in heads) + NEW_LINE,
            r"\hline",
            *(" & ".join(map(latex_text, row)) + NEW_LINE for row in zip(*cells, strict=True)),
            r"\hline",
            r"\end{tabular}}",
            *([rf"\par\medskip\parbox{{\linewidth}}{{\raggedright {NEW_LINE.join(notes)}}}"] if notes else []),
            r"\end{table}",
            "",
        ]
    )


def column_width(name: str, cells: Sequence[str]) -> int:
    """Characters of a column whose heading may be broken between words."""
    return max(map(len, [*name.split(), *cells]), default=0) or 1


def _latex_head(name: str, width: int, aligned: str) -> str:
    """A heading over several lines where it is wider than its column."""
    lines = [latex_text(line) for line in textwrap.wrap(name, width)]
    if len(lines) < 2:
        return "".join(lines)
    return rf"\begin{{tabular}}[b]{{@{{}}{aligned}@{{}}}}" + NEW_LINE.join(lines) + r"\end{tabular}"


def latex_text(text: str) -> str:
    """Escaped; a character that LaTeX does not know without a package becomes a question mark."""
    known = (LATEX.get(sign, sign) for sign in text)
    plain = "".join(sign if sign.isascii() and sign.isprintable() else "?" for sign in known)
    return re.sub(r"-(?=-)", "-{}", plain)  # two would be a dash


FORMATS: dict[str, tuple[str, Callable[[Table], str]]] = {
    "markdown": (".md", to_markdown),
    "csv": (".csv", to_csv),
    "latex": (".tex", to_latex),
}


def write_tables(tables: Sequence[Table], folder: Path) -> list[Path]:
    """Every table in every format, as `<key>.md`, `.csv` and `.tex`."""
    written = []
    for table in tables:
        for suffix, render in FORMATS.values():
            path = folder / f"{table.key}{suffix}"
            write_whole(path, render(table))
            written.append(path)
    return written
