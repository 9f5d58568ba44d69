"""What the examples of `docs/extend.md` compute."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch.nn import Parameter

from swapaqa.augment.swap import pixel_bounds
from swapaqa.boxes.source import BoxRequest, MaskSource
from swapaqa.models.rates import Progress
from tests.page import install


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's package, importable, and its yamls."""
    monkeypatch.syspath_prepend(install(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_aqa"]:
        del sys.modules[name]


def test_the_source_keeps_the_ellipse_in_each_box(here: Path) -> None:
    from my_aqa.ellipses import Ellipses  # type: ignore[import-not-found]

    source = Ellipses(2.0, None)
    assert isinstance(source, MaskSource)
    (here / "dive.txt").write_text("0,0,4,2,8,6\n")
    (mask,) = source.read_masks(BoxRequest([here / "dive"], (12, 16), [0]))
    for row in range(12):
        for column in range(16):
            assert mask[row, column] == (((column - 7.5) / 4) ** 2 + ((row - 4.5) / 3) ** 2 <= 1)


@pytest.mark.usefixtures("here")
def test_the_augmentation_turns_what_is_outside_grey() -> None:
    from my_aqa.grey_background import GreyBackground  # type: ignore[import-not-found]

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


def test_the_optimiser_of_the_page_steps_as_its_paper(here: Path) -> None:
    made = OmegaConf.load(here / "my_conf" / "optim" / "lion.yaml")
    made.learning_rate = made.backbone_learning_rate = 0.1
    optimisation = instantiate(made, _convert_="all")
    head, backbone = Parameter(torch.tensor([1.0, 2.0])), Parameter(torch.tensor([3.0]))
    optimizer = optimisation.make_optimizer({"head": [head], "backbone": [backbone]})
    head.grad, backbone.grad = torch.tensor([4.0, -5.0]), torch.tensor([0.0])
    optimizer.step()
    torch.testing.assert_close(head.data, torch.tensor([0.99 - 0.1, 1.98 + 0.1]))  # 1 - 0.1 * 0.1, and a step of 0.1
    torch.testing.assert_close(backbone.data, torch.tensor([2.97]))
    assert optimisation.lr_schedule(Progress(5, 10, 2)) == pytest.approx(0.55)
