"""`data.target`: what is regressed, where the files give a difficulty and where they do not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from swapaqa.data.aqa7 import AQA7
from swapaqa.errors import InputError

Open = Callable[..., AQA7]


def test_completeness_is_refused_where_no_difficulty_is_given(open_data: Open, aqa7_tree: Callable[..., Path]) -> None:
    root = aqa7_tree()
    with pytest.raises(InputError, match=r"data\.target=completeness.*difficulty.*data\.target=score"):
        open_data(root, target="completeness").setup()
    open_data(root, target="score").setup()


def test_trampoline_is_refused_by_name_with_the_reason(open_data: Open, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trampoline.*length of its videos"):
        open_data(tmp_path, action="trampoline")


def test_a_split_by_competition_is_refused_with_the_reason(open_data: Open, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.split=by_event.*class, index, score"):
        open_data(tmp_path, split="by_event")


@pytest.mark.slow
def test_the_demo_knows_the_completeness(
    tmp_path: Path, train_inside: Callable[..., Any], small_demo: list[str]
) -> None:
    done = train_inside(tmp_path, *small_demo, "data.target=completeness", "trainer.max_epochs=1")
    assert done.returncode == 0, done.stderr
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert float(state["max_label"]) == 30
