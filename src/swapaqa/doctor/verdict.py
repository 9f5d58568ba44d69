"""Whether a training would run on a data set, and the numbers on the screen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from swapaqa.console import open_console
from swapaqa.data.source import VideoSource
from swapaqa.doctor.problem import KINDS, Problem
from swapaqa.errors import LINE, InputError, one_line

SHOWN = 20  # problems on the screen; all are in the file


def without_exemplars(source: VideoSource) -> list[Problem]:
    """Why the training videos cannot be exemplars, as a method that compares videos needs them."""
    try:
        source.exemplar_bank(source.read_split("train"), seed=0)
    except InputError as error:
        return [Problem("list", "train", "", str(error))]
    return []


def left_over(counts: Mapping[str, int], problems: Sequence[Problem]) -> list[Problem]:
    """With `data.skip_unreadable`: the splits of which nothing would be left."""
    bad = {(problem.split, problem.video_id) for problem in problems if problem.blocks and problem.video_id}
    lost = Counter(split for split, _ in bad)
    empty = [split for split, count in counts.items() if count and lost[split] >= count]
    return [Problem("list", split, "", f"{split}: no readable video is left") for split in empty]


def can_train(problems: Sequence[Problem], skip_unreadable: bool) -> bool:
    """Whether a training would run: with `data.skip_unreadable`, problems of single videos do not stop it."""
    return not any(problem.blocks and not (skip_unreadable and problem.video_id) for problem in problems)


def show(counts: dict[str, int], problems: Sequence[Problem], verdict: bool, path: Path) -> None:
    """Print the numbers by split and kind, the first problems and the verdict."""
    table = Table(title="doctor")
    for column in ("split", "videos", *(kind for kind in KINDS if any(p.kind == kind and p.split for p in problems))):
        table.add_column(column)
    for split, count in counts.items():
        kinds = Counter(problem.kind for problem in problems if problem.split == split)
        table.add_row(split, str(count), *(str(kinds[str(column.header)]) for column in table.columns[2:]))
    console = open_console()
    console.print(table)
    for problem in problems[:SHOWN]:
        word = "problem" if problem.blocks else "warning"
        console.print(
            f"{word}, {problem.kind}: {one_line(problem.message, LINE)}", markup=False, highlight=False, soft_wrap=True
        )
    if len(problems) > SHOWN:
        console.print(f"and {len(problems) - SHOWN} more")
    console.print(f"{'can' if verdict else 'cannot'} train; everything is in {path}", soft_wrap=True)
