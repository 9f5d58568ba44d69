"""docs/zoo.md: it has every row of the paper's tables and every method, and what it says of each is so."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import hydra
import pytest
import torch
from omegaconf import DictConfig

from swapaqa.bench.methods import cost
from swapaqa.models.published import SYSTEMS
from swapaqa.report.published import DIFFERENCE, paper_numbers
from tests.forked import REPOSITORY

Config = Callable[..., DictConfig]

BACKBONES = {
    "c3d": "c3d",
    "mscadc": "dilated_c3d",
    "tecn": "resnet50_frames",
    "pcln": "resnet50_frames",
}  # by what the name of a method begins with

PAGE = (REPOSITORY / "docs" / "zoo.md").read_text()
COLUMNS = ("row", "tables", "model", "experiment", "parameters", "speed", "code", "checkpoint", "needs")
NO_ROW = {  # methods that are in none of the tables
    "PCLN", "RICA2", "DAE-MT", "T2CR", "TSA", "I3D-LSTM", "I3D-AVG-MTL", "I3D-MSCADC", "Ridge", "SVR", "MLP",
}  # fmt: skip


def table() -> Iterator[dict[str, str]]:
    lines = PAGE[PAGE.index("| row |") :].partition("\n\n")[0].splitlines()
    for line in lines[2:]:
        yield dict(zip(COLUMNS, (cell.strip() for cell in line.strip("|").split("|")), strict=True))


ROWS = {row["row"]: row for row in table()}
MADE = {name: row for name, row in ROWS.items() if row["model"].startswith("`")}


def words(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def options(group: str) -> set[str]:
    return {path.stem for path in (REPOSITORY / "conf" / group).glob("*.yaml")}


def test_it_has_every_row_of_both_tables() -> None:
    printed: dict[str, list[str]] = {}
    for name, number in (("aqa7_spearman", "1"), ("mtl_aqa_spearman", "2")):
        for row in paper_numbers().tables[name].rows:
            if row.system != DIFFERENCE:
                printed.setdefault(row.system, []).append(number)
    assert {name: row["tables"].split(", ") for name, row in ROWS.items() if name not in NO_ROW} == printed


def test_it_has_every_method_and_preset_and_no_other() -> None:
    assert {name for row in MADE.values() for name in words(row["model"])} == options("model")
    presets = {name for row in MADE.values() for name in words(row["experiment"])}
    studies = {name for name in options("experiment") if name.startswith("box_source")} | {"none"}
    assert presets == options("experiment") - studies


@pytest.mark.parametrize("row", MADE)
def test_presets_are_of_the_method(row: str, config: Config) -> None:
    (model,) = words(MADE[row]["model"])
    for preset in words(MADE[row]["experiment"]):
        assert config(f"experiment={preset}").model._target_ == config(f"model={model}").model._target_


@pytest.mark.parametrize("row", MADE)
def test_parameters_are_those_of_the_code(row: str, config: Config) -> None:
    (name,) = words(MADE[row]["model"])
    own = next((kind for start, kind in BACKBONES.items() if name.startswith(start)), "i3d")
    with torch.device("meta"):  # sizes only
        model: Any = hydra.utils.instantiate(config(f"model={name}", "data=mtl_aqa", f"backbone={own}").model)
    parameters = model.named_parameters()
    count = sum(parameter.numel() for key, parameter in parameters if not key.startswith("encoder.network."))
    assert MADE[row]["parameters"] == f"{count:,}"


COUNTED = [
    "C3D-LSTM",
    "GDLT",
    "TECN",
    "SSPR",
    "JRG",
    "TSA",
    "MSCADC-MTL",
    "CoRe+PECop",
    "T2CR",
]  # one of each backbone and clip plan


@pytest.mark.slow
@pytest.mark.parametrize("row", COUNTED)
def test_operations_are_those_that_are_counted(row: str) -> None:
    costs = [cost([f"experiment={preset}"]) for preset in words(MADE[row]["experiment"])]
    shown = dict.fromkeys(f"{own.flop / 1e12:.3f}" for own in costs if own.flop)
    assert MADE[row]["speed"] == ", ".join(shown)


def test_rows_of_one_backbone_cost_the_same() -> None:
    """All that stand on I3D in clips of 16 or 8 frames over the whole window: GDLT's is counted."""
    of_i3d = {row["speed"] for name, row in MADE.items() if name not in COUNTED[:1] + COUNTED[2:]}
    others = {"0.462", "0.577", "0.556 and its tubes", "0.842"}  # C3D-AVG-MTL, MUSDL+PECop, TSA-Net, TECN and PCLN
    others |= {"0.556, 0.126"}  # RICA2, with FineDiving's clips
    assert of_i3d - others - {""} == {MADE["GDLT"]["speed"]}  # "": Ridge and SVR, on features only


def test_checkpoints_are_those_that_are_read() -> None:
    whole = {"i3d": "I3D and head"}
    kinds = {
        system.model: whole.get(system.backbone, "network and heads") if system.i3d else "head alone"
        for system in SYSTEMS
    }
    assert {words(row["model"])[0]: row["checkpoint"] for row in MADE.values() if row["checkpoint"]} == kinds
