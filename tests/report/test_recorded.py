"""Two recorded sweeps of the demo and a list of settings: every number that the first report on them said stands.

`recorded/expected` was written by the report at commit 3f2afbc (2026-11-29), from the same run folders. Of each sweep
one job was never started. Tables may gain columns and other words; a number under its heading stays what it was.
"""

import csv
import json
from pathlib import Path

import pytest

from swapaqa.report.render import to_csv
from swapaqa.report.tables import build_tables
from swapaqa.runs.compare import Protocol, compare
from swapaqa.runs.run_folders import read_sweeps

RECORDED = Path(__file__).parent / "recorded"
EXPECTED = sorted(RECORDED.glob("expected/*.csv"))
LABELS = ("system", "model", "ratio", "cell", "protocol", "seeds")
RENAMED = {"cell": "setting", "cells_evidence": "settings_evidence"}
EXTRAS = (" deviation", " low", " high")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


def number(row: dict[str, str], column: str) -> str:
    """What stands under a heading, which names the split where there are several."""
    base = next((column.removesuffix(extra) for extra in EXTRAS if column.endswith(extra)), column)
    names = (column, f"{base}, test{column.removeprefix(base)}")
    found = [row[name] for name in names if name in row]
    return found[0] if found else "NA"


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.stem)
def test_every_number_of_the_tables_stands(path: Path) -> None:
    sweep, _, key = path.stem.partition("__")
    tables = {table.key: table for table in build_tables(read_sweeps([RECORDED / sweep]))}
    found = rows(to_csv(tables[RENAMED.get(key, key)]))
    expected = rows(path.read_text())
    assert len(found) == len(expected) > 1
    for before, now in zip(expected, found, strict=True):
        for column, value in before.items():
            where = f"{path.stem}: {list(before.values())[:3]}: {column}"
            if column in LABELS:
                assert now[RENAMED.get(column, column)] == value, where
            elif value in ("NA", "NaN"):
                assert number(now, column) == value, where
            else:
                assert float(number(now, column)) == pytest.approx(float(value), abs=1e-6), where


def test_every_comparison_says_the_same() -> None:
    for question, answer in json.loads((RECORDED / "expected" / "compare.json").read_text()).items():
        ours, others, *protocol = question.split()
        said = compare(f"{RECORDED}/{ours}", f"{RECORDED}/{others}", Protocol(*protocol))
        assert said.replace(f"{RECORDED}/", "") == answer
