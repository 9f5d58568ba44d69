"""What is said on a terminal, in a pipe and in a file."""

import io
import warnings
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from rich.table import Table

from swapaqa.console import open_console, quieten
from swapaqa.running.progress_bar import ProgressBar


def wide_table() -> Table:
    table = Table(title="a title")
    for number in range(12):
        table.add_column(f"column number {number}")
    table.add_row(*["a value of some length"] * 12)
    return table


def test_tables_are_whole_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    written = io.StringIO()
    with patch("sys.stdout", written):
        open_console().print(wide_table())
    lines = written.getvalue().splitlines()
    assert "a value of some length │ " * 11 in "".join(lines)
    assert "…" not in written.getvalue()
    assert max(map(len, lines)) < 400  # and no line is filled up to the console's width


def test_a_width_that_is_asked_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    with patch("sys.stdout", io.StringIO()):
        assert open_console().width == 70


def test_the_bar_counts_epochs_from_1() -> None:
    bar = ProgressBar()
    bar._trainer = SimpleNamespace(max_epochs=25)  # type: ignore[assignment]
    assert bar._get_train_description(0).split() == ["Epoch", "1/25"]
    assert bar._get_train_description(24).split() == ["Epoch", "25/25"]


def test_only_the_warning_that_contradicts_resuming_is_silent() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        quieten()
        warnings.warn(
            "You're resuming from a checkpoint that ended before the epoch ended and your dataloader is not resumable.",
            stacklevel=1,
        )
        warnings.warn("Spearman is undefined: the 6 predictions are constant", stacklevel=1)
        warnings.warn("Your dataloader has no workers, resumable or not", stacklevel=1)
    assert [str(one.message) for one in said] == ["Your dataloader has no workers, resumable or not"]
