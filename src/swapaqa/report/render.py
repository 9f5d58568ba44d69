"""Tables as text: for the terminal, Markdown, CSV, and LaTeX with booktabs that can be submitted."""

import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from swapaqa.errors import LINE, InputError, one_line
from swapaqa.files.spreadsheet import guarded, guarded_comment
from swapaqa.files.whole_file import write_whole
from swapaqa.report.table import AS_PRINTED, Cell, Table, Value, cell_text, number_text

LONGEST_CELL, LONGEST_NOTE = 100, 1000  # characters in LaTeX, whose lengths end at 5.7 metres
FITS_SCRIPTSIZE = 130  # characters over a page
EXTRAS = ("deviation", "low", "high")
NEW_LINE = r" \\ "
PROTOCOL = "protocol"  # a column of every table of runs
BEST, SECOND = r"\textbf", r"\underline"
LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", "±": r"$\pm$",
    "[": "{[}", "*": "{*}",  # both mean something behind the end of a row
    "`": r"\`{}", '"': "{''}",  # with their neighbours they would make another sign
}  # fmt: skip
MARKDOWN = str.maketrans({"|": r"\|", "*": r"\*", "<": "&lt;", "\n": " ", "\r": " "})


def chosen(
    tables: Sequence[Table], rows: Sequence[str], protocols: Sequence[str], keys: Sequence[str] = ()
) -> list[Table]:
    """The tables of these keys with the rows whose labels hold one of `rows` and which are of one of `protocols`.

    Published rows, which name no protocol, stay whatever the protocol. Nothing given chooses everything.

    Raises:
        InputError: nothing is so.
    """
    found = [_with_rows(table, rows, protocols) for table in tables if not keys or table.key in keys]
    found = [table for table in found if any(_protocol(table, row) != AS_PRINTED for row in table.rows)]
    if tables and not found:
        there = {_protocol(table, row) for table in tables for row in table.rows} - {AS_PRINTED}
        raise InputError(
            f"no row of a table is {' or '.join([*rows, *protocols, *keys])}; there are the protocols "
            f"{', '.join(sorted(there))} and the tables {', '.join(table.key for table in tables)}"
        )
    return found


def _with_rows(table: Table, rows: Sequence[str], protocols: Sequence[str]) -> Table:
    def is_chosen(row: tuple[Cell, ...]) -> bool:
        named = " ".join(cell for cell in row if isinstance(cell, str)).lower()
        return (not protocols or _protocol(table, row) in (*protocols, AS_PRINTED)) and (
            not rows or any(word.lower() in named for word in rows)
        )

    return table._replace(rows=tuple(row for row in table.rows if is_chosen(row)))


def _protocol(table: Table, row: tuple[Cell, ...]) -> str:
    """Of a row; of a table without protocols the empty one."""
    return str(row[table.columns.index(PROTOCOL)]) if PROTOCOL in table.columns else ""


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
    """GitHub's tables, with the title as a heading; pandas would need one more package for it."""
    shown = table.frame.map(lambda cell: cell_text(cell).translate(MARKDOWN))
    rows = [
        [column.translate(MARKDOWN) for column in table.columns],
        ["---"] * len(table.columns),
        *shown.values.tolist(),
    ]
    parts = [
        f"## {table.title.translate(MARKDOWN)}",
        "\n".join(f"| {' | '.join(row)} |" for row in rows),
        table.caption.translate(MARKDOWN),
        "\n".join(f"- {note.translate(MARKDOWN)}" for note in table.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def to_csv(table: Table) -> str:
    """Title, caption and notes behind #; NA where a number is missing, NaN where undefined.

    Deviations over seeds and the ends of intervals are columns of their own, behind those that have some.
    """
    about = "".join(
        f"# {guarded_comment(' '.join(line.split()))}\n" for line in (table.title, table.caption, *table.notes)
    )
    columns = {}
    for position, name in enumerate(table.columns):
        cells = [row[position] for row in table.rows]
        columns[guarded(name)] = [_csv_word(cell) for cell in cells]
        for extra in EXTRAS:
            values = [_extra(cell, extra) for cell in cells]
            if any(value is not None for value in values):
                columns[guarded(f"{name} {extra}")] = [_csv_number(value) for value in values]
    body: str = pd.DataFrame(columns).to_csv(index=False, lineterminator="\n")
    return about + body


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
    """A floating table with rules of `\\usepackage{booktabs}`. A wide one is smaller and runs over both margins.

    The best number of a column is bold and the second underlined, among the rows of one protocol; published rows are
    ranked with them where the table has one protocol. Rows with a citation key end in `\\cite`.
    """
    columns = [one_line(name, LONGEST_CELL) for name in table.columns]
    words = (table.title, table.caption, *table.notes)
    plain = [[one_line(cell_text(cell), LONGEST_CELL) for cell in row] for row in table.rows]
    widths = [column_width(name, [row[i] for row in plain]) for i, name in enumerate(columns)]
    aligned = "".join("r" if any(isinstance(row[i], Value) for row in table.rows) else "l" for i in range(len(widths)))
    marks = ranks(table)
    cells = [
        [_latex_cell(table, row, i, marks.get((number, i))) for i in range(len(columns))]
        for number, row in enumerate(table.rows)
    ]
    heads = [_latex_head(*head) for head in zip(columns, widths, aligned, strict=True)]
    size = r"\scriptsize" if sum(widths) <= FITS_SCRIPTSIZE else r"\tiny"
    title, caption, *notes = (latex_text(one_line(text, LONGEST_NOTE)) for text in words)
    notes += [rf"{BEST}{{bold}}: the best of its column, {SECOND}{{underlined}}: the second"] if marks else []
    frame = pd.DataFrame(cells, columns=pd.Index(heads, dtype=object), dtype=object)
    body = frame.style.hide(axis="index").to_latex(hrules=True, column_format=aligned).rstrip()
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{title}. {caption}}}",
            rf"\centering{size}\setlength{{\tabcolsep}}{{3pt}}\renewcommand{{\arraystretch}}{{1.2}}",
            rf"\makebox[\linewidth][c]{{{body}}}",
            *([rf"\par\medskip\parbox{{\linewidth}}{{\raggedright {NEW_LINE.join(notes)}}}"] if notes else []),
            r"\end{table}",
            "",
        ]
    )


def ranks(table: Table) -> dict[tuple[int, int], str]:
    """By row and column, the command around the best number of its column, and around the second best.

    Numbers that read alike are alike; of numbers of which none is worse none is marked.
    """
    found: dict[tuple[int, int], str] = {}
    for position, column in enumerate(table.columns):
        if column not in table.higher_is_better:
            continue
        for group in _ranked_together(table):
            known = {
                n: cell
                for n in group
                if isinstance(cell := table.rows[n][position], Value) and not math.isnan(cell.mean)
            }
            rounded = {n: round(cell.mean, cell.decimals) for n, cell in known.items()}
            order = sorted(set(rounded.values()), reverse=table.higher_is_better[column])
            for value, command in zip(order[: len(order) and 2], (BEST, SECOND), strict=False):
                found |= {(n, position): command for n, one in rounded.items() if one == value and len(order) > 1}
    return found


def _ranked_together(table: Table) -> list[list[int]]:
    groups: dict[str, list[int]] = {}
    for number, row in enumerate(table.rows):
        groups.setdefault(_protocol(table, row), []).append(number)
    printed = groups.pop(AS_PRINTED, [])
    only = next(iter(groups.values()), [])
    return [[*only, *printed]] if len(groups) < 2 else list(groups.values())


def _latex_cell(table: Table, row: tuple[Cell, ...], position: int, command: str | None) -> str:
    cell = row[position]
    text = latex_text(one_line(cell_text(cell), LONGEST_CELL))
    if command and isinstance(cell, Value):
        number = latex_text(number_text(cell))
        return text.replace(number, f"{command}{{{number}}}", 1)
    name = str(cell).removesuffix(" (the paper's)")
    if position == 0 and name in table.citations:
        label = name.partition(" [")[0]
        return f"{latex_text(label)}~\\cite{{{table.citations[name]}}}"
    return text


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


FORMATS: Mapping[str, tuple[str, Callable[[Table], str]]] = {
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
