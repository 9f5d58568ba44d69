"""docs/extend_augmentation.md as a stranger uses it: its files written, its commands run, its classes looked at."""

import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from swapaqa.augment.swap import pixel_bounds
from swapaqa.data.box_source import BoxRequest, MaskSource
from tests.forked import REPOSITORY, run_forked

PAGE = (REPOSITORY / "docs" / "extend_augmentation.md").read_text()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The page's package and yamls, in a folder of their own."""
    files = re.findall(r"^\*\*(\S+)\*\*\n\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(files) == 4
    for name, content in files:
        path = tmp_path / "my_project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "my_project"


def commands(mine: Path, out: Path) -> list[list[str]]:
    """The words of the page's commands, behind `python -m`."""
    lines = re.findall(r"^python -m (.*)$", PAGE, re.MULTILINE)
    return [shlex.split(line.replace("$MINE", str(mine)).replace("outputs/grey", str(out))) for line in lines]


@pytest.mark.slow
def test_the_pages_commands_run(
    installed: Path, tmp_path: Path, train_environment: Callable[[Path], dict[str, str]], small_demo: list[str]
) -> None:
    small = [word for word in small_demo if "max_epochs" not in word] + ["trainer.max_epochs=1"]
    one, several, report = commands(installed, tmp_path / "grey")
    path = os.pathsep.join([str(installed), *filter(None, [os.environ.get("PYTHONPATH")])])
    found = train_environment(tmp_path) | {"PYTHONPATH": path}
    assert (one[0], several[:2], report[0]) == ("src.train", ["src.train", "--multirun"], "src.report")
    done = run_forked("src.train", [*one[1:], *small, f"hydra.run.dir={tmp_path}/run"], found)
    assert done.returncode == 0, done.stderr
    assert result(tmp_path / "run")["config"]["boxes"]["_target_"] == "my_parts.ellipses.Ellipses"
    assert 0.5 < result(tmp_path / "run")["replaced_share"]["mean"] < 1
    done = run_forked("src.train", [*several[1:], *small], found)
    assert done.returncode == 0, done.stderr
    assert {result(tmp_path / "grey" / job)["seed"] for job in ("0", "1")} == {0, 1}
    shown = run_forked("src.report", report[1:], found)
    assert shown.returncode == 0, shown.stderr
    assert "Boxes: ellipse at ratio 2" in shown.stdout


def result(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


def test_the_source_keeps_the_ellipse_in_each_box(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed))
    from my_parts.ellipses import Ellipses  # type: ignore[import-not-found]

    source = Ellipses(2.0, None)
    assert isinstance(source, MaskSource)
    (installed / "dive.txt").write_text("0,0,4,2,8,6\n")
    (mask,) = source.read_masks(BoxRequest([installed / "dive"], (12, 16), [0]))
    for row in range(12):
        for column in range(16):
            assert mask[row, column] == (((column - 7.5) / 4) ** 2 + ((row - 4.5) / 3) ** 2 <= 1)


def test_the_augmentation_turns_what_is_outside_grey(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed))
    from my_parts.grey_background import GreyBackground  # type: ignore[import-not-found]

    generator = torch.Generator().manual_seed(0)
    video = torch.randint(0, 256, (5, 3, 2, 8, 10), dtype=torch.uint8, generator=generator)
    box, augment = torch.tensor([2.0, 2, 5, 5]), GreyBackground(ratio=1.5, probability=0.5)
    left, top, right, bottom = pixel_bounds(box, 1.5, (8, 10), truncate=False).tolist()
    boxes, masks = box.expand(5, 2, 4), torch.zeros(5, 2, 8, 10, dtype=torch.bool)
    masks[:, :, 2:6, 2:6] = True
    plan = augment.draw(5, torch.Generator().manual_seed(1))
    assert 0 < plan.chosen.sum() < 5
    after, targets = augment.apply(video, boxes, {"score": torch.ones(5)}, plan)
    assert torch.equal(after, augment.apply(video, masks, {}, plan)[0])
    assert torch.equal(after[~plan.chosen], video[~plan.chosen])
    assert torch.equal(after[..., top:bottom, left:right], video[..., top:bottom, left:right])
    outside = after[plan.chosen][..., :top, :]
    assert (outside == outside[:, :1]).all()
    assert targets["score"].tolist() == [1] * 5
    share = 1 - (bottom - top) * (right - left) / 80
    for region in (boxes, masks):
        torch.testing.assert_close(augment.replaced_share(region, (8, 10), plan), share * plan.chosen.float())
