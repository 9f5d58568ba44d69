"""Encodings of an evaluation, counted from the real lists and compared with what the published code would do."""

import importlib
import sys
from pathlib import Path

import pytest

from swapaqa.bench.evaluation import ROWS, Encodings, count_encodings, encodings_table
from swapaqa.errors import InputError
from swapaqa.running.assembly import assemble

CONF = Path(__file__).parents[1] / "conf"


def test_counts_of_mtl_aqa(real_data) -> None:
    data = assemble(["data=mtl_aqa", "backbone=tiny", f"data.root={real_data / 'mtl_aqa'}"]).data
    encodings, votes = count_encodings(data, "test")
    assert votes == 3454  # 14 of 353 dives have fewer than ten exemplars
    assert encodings._replace(first_use=0) == Encodings(6908, 3807, 0, 1412, 353)
    assert 990 < encodings.first_use - 353 < 1025  # 1,010 are expected of random draws


def test_counts_where_every_exemplar_votes(aqa7_tree) -> None:
    root = aqa7_tree(train=6, test=4)
    data = assemble(["data=aqa7", "backbone=tiny", f"data.root={root}", "model.voters=all"]).data
    assert count_encodings(data, "test") == (Encodings(2 * 4 * 6, 4 + 4 * 6, 4 + 6, 4 + 6, 4), 24)


def test_a_method_without_votes_is_refused() -> None:
    data = assemble(["data=mtl_aqa", "backbone=tiny", "model=usdl"]).data
    with pytest.raises(InputError, match="without exemplars"):
        count_encodings(data, "test")


def test_ratios() -> None:
    table = encodings_table(Encodings(100, 50, 20, 25, 10), flop=10**12, faster=1.5)
    cells = [list(column.cells) for column in table.columns]
    assert cells[0] == list(ROWS)
    assert cells[2:] == [
        ["100", "50", "20", "25", "10"],
        ["1.00", "2.00", "5.00", "4.00", "10.00"],
        ["1.00", "3.00", "7.50", "6.00", "15.00"],
    ]


def test_the_command(aqa7_tree, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(CONF.parent))  # recipes are run from there, not installed
    words = ["data=aqa7", "backbone=tiny", f"data.root={aqa7_tree()}", "data.geometry.crop=32", "data.frames=16"]
    monkeypatch.setattr(sys, "argv", ["bench", "evaluation", *words, "--rounds", "1", "--warm-ups", "0"])
    monkeypatch.setenv("COLUMNS", "400")
    importlib.import_module("swapaqa.programs.bench").main()
    shown = capsys.readouterr().out
    assert "24 votes" in shown
    assert "times as fast as the published form" in shown
    assert [line.split("│")[1].strip() for line in shown.splitlines() if line[:1] == "│"] == list(ROWS)
