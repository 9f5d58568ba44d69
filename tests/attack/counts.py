"""The counts of an attack, for the terminal and for docs/reliability.md."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.attack.pool import Tried
from tests.attack.reading import RIGHT, Verdict

Row = tuple[str, ...]


class Counts:
    """A table: its title, its columns, its rows, and how many of what it counts went wrong."""

    def __init__(self, title: str, columns: Sequence[str], rows: Sequence[Row], wrong: int) -> None:
        self.title, self.columns, self.rows, self.wrong = title, tuple(columns), list(rows), wrong

    def show(self, console: Console) -> None:
        table = Table(title=self.title)
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)

    def markdown(self) -> str:
        lines = [f"| {' | '.join(self.columns)} |", f"|{' --- |' * len(self.columns)}"]
        lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in self.rows]
        return "\n".join([f"{self.title}.", "", *lines, ""])


def counted(tried: Sequence[Tried], title: str, by: str) -> Counts:
    """Verdicts by `by`, the name of a field of `Tried`, with a row of sums; columns that count nothing are left out."""
    verdicts = [v for v in Verdict if v in RIGHT or any(one.outcome.verdict is v for one in tried)]
    rows = []
    for name in dict.fromkeys(getattr(one, by) for one in tried):
        found = Counter(one.outcome.verdict for one in tried if getattr(one, by) == name)
        rows.append((name, str(found.total()), *(str(found[v] or "") for v in verdicts)))
    total = Counter(one.outcome.verdict for one in tried)
    rows.append(("all", str(total.total()), *(str(total[v]) for v in verdicts)))
    wrong = sum(number for verdict, number in total.items() if verdict not in RIGHT)
    return Counts(title, (by, "inputs", *verdicts), rows, wrong)


def faults(tried: Sequence[Tried]) -> list[str]:
    """A line for each kind of fault: whose, what, how often, and where its smallest input is kept."""
    wrong = [one for one in tried if one.outcome.verdict not in RIGHT]
    times = Counter((one.reader, one.outcome.verdict.value, one.outcome.signature, one.kept) for one in wrong)
    return [
        f"{reader}: {verdict}: {what} ({number}): {kept}"
        for (reader, verdict, what, kept), number in sorted(times.items())
    ]
