"""Checkpoints that are one file a part: C3D-AVG-MTL and MSCADC-MTL as their programs save them."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor

from swapaqa.errors import InputError
from swapaqa.models.scorer import Scorer
from swapaqa.running.checkpoint import read_checkpoint
from tests.models.test_published import composed, opened
from tests.published_files import fill

ATTRIBUTES = {
    "position": "position", "armstand": "armstand", "rotation": "rot_type", "half_somersaults": "ss_no",
    "half_twists": "tw_no",
}  # fmt: skip
WORDS = {
    "c3d_avg_mtl": ["model=c3d_avg_mtl", "data=mtl_aqa", "backbone=c3d", "backbone.size=16", "model.words=40"],
    "mscadc": [
        "model=mscadc",
        "data=mtl_aqa",
        "backbone=dilated_c3d",
        "backbone.size=24",
        "backbone.width=2",
        "model.words=40",
        "model.width=2",
    ],
}
PARTS = {"c3d_avg_mtl": 5, "mscadc": 4}


def told(name: str) -> str:
    found = re.fullmatch(r"(watch|tell)\.layers\.(\d)\.(.*)_l0", name)
    return f"rnn{1 + (found[1] == 'tell')}.{found[3]}_l{found[2]}" if found else name


def of_context(name: str) -> str:
    numbered = re.fullmatch(r"context\.(convolutions|norms)\.(\d)\.(\w+)", name)
    if numbered:
        return f"cntxt_{'conv' if numbered[1] == 'convolutions' else 'bn'}{int(numbered[2]) + 1}.{numbered[3]}"
    for ours, theirs in ATTRIBUTES.items():
        name = name.replace(f"read.{ours}.", f"head_conv3_{theirs}.")
    names = {
        "context.narrow.": "head_conv1.", "context.join.": "cntxt_conv6.", "context.join_norm.": "head_bn1.",
        "context.refine.": "head_conv2.", "context.refine_norm.": "head_bn2.", "read.": "head_conv3.",
    }  # fmt: skip
    return next((theirs + name.removeprefix(ours) for ours, theirs in names.items() if name.startswith(ours)), name)


def avg_mtl(name: str) -> tuple[str, str]:
    part, _, rest = name.removeprefix("head.").partition(".")
    if part == "attributes":
        _, attribute, kind = rest.split(".")
        return "dive_classifier", f"fc_{ATTRIBUTES[attribute]}.{kind}"
    if part == "caption":
        return "caption", told(rest)
    return ("my_fc6", f"fc.{rest}") if part == "fc6" else ("score_regressor", f"fc_final_score.{rest}")


def mscadc(name: str) -> tuple[str, str]:
    part, _, rest = name.removeprefix("head.").partition(".")
    if rest.startswith("caption."):
        return "caption", told(rest.removeprefix("caption."))
    return {"score": "score_regressor", "attributes": "position_classifier", "captions": "caption"}[part], of_context(
        rest
    )


HEADS: dict[str, Callable[[str], tuple[str, str]]] = {"c3d_avg_mtl": avg_mtl, "mscadc": mscadc}


def model_of(system: str) -> Scorer:
    model: Scorer = instantiate(composed(Path("none"), WORDS[system])[0].model)
    fill(model)
    return model.eval()


def write(model: Scorer, system: str, folder: Path, epoch: int, parallel: bool) -> list[Path]:
    """The files of one epoch."""
    prefix = "module." if parallel else ""
    parts: dict[str, dict[str, Tensor]] = {"CNN": dict(model.encoder.network.state_dict())}
    for name, value in model.state_dict().items():
        if name.startswith("head."):
            part, theirs = HEADS[system](name)
            parts.setdefault(part, {})[theirs] = value
    paths = []
    for part, state in parts.items():
        paths.append(folder / f"model_{part}_{epoch}.pth")
        torch.save({prefix + key: value for key, value in state.items()}, paths[-1])
    return paths


@pytest.mark.parametrize(
    ("system", "parallel"),
    [
        pytest.param("c3d_avg_mtl", True, marks=pytest.mark.slow),
        pytest.param("c3d_avg_mtl", False, marks=pytest.mark.slow),
        pytest.param("mscadc", False, marks=pytest.mark.slow),
        ("mscadc", True),
    ],
)
def test_every_weight_arrives_under_its_name_from_any_of_the_files(system: str, parallel: bool, tmp_path: Path) -> None:
    ours = model_of(system)
    paths = write(ours, system, tmp_path, 94, parallel)
    assert len(paths) == PARTS[system]
    write(model_of(system), system, tmp_path, 95, parallel)  # of another epoch
    before = {key: value for key, value in ours.state_dict().items() if not key.endswith("num_batches_tracked")}
    for path in paths[:: len(paths) - 1]:
        found = opened(path, WORDS[system])
        after = found.state_dict()
        assert all(torch.equal(value, after[key]) for key, value in before.items())
        assert found.epoch == 94


@pytest.mark.parametrize("system", WORDS)
def test_what_is_missing_or_of_another_method_is_one_line(system: str, tmp_path: Path) -> None:
    network, *heads = write(model_of(system), system, tmp_path, 3, False)
    with pytest.raises(InputError, match=rf"saved by .*; say experiment={system}_as_published"):
        opened(network, [])
    with pytest.raises(InputError, match=rf"and not of this model; say model={system} backbone="):
        opened(network, ["model=usdl", "data=mtl_aqa", "backbone=tiny"])
    torch.save([1], heads[0])
    with pytest.raises(InputError, match="holds no state dict"):
        read_checkpoint(str(network))
    heads[0].unlink()
    network.unlink()
    with pytest.raises(InputError, match=r"put all files of its epoch beside it, model_CNN_3\.pth among them"):
        read_checkpoint(str(heads[1]))
