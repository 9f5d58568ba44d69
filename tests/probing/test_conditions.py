"""What is shown under each condition, pixel by pixel."""

import pytest
import torch
from torch import Tensor

from swapaqa.probing.conditions import covered_share, exchange_background, isolate_athlete, remove_athlete

SIZE = (24, 32)


def video(background: int, athlete: int, left: int) -> tuple[Tensor, Tensor]:
    """(3, 4, 24, 32) with an athlete of 8 x 6 pixels, twice as wide and high as his box."""
    frames = torch.full((3, 4, *SIZE), background, dtype=torch.uint8)
    frames[:, :, 8:14, left : left + 8] = athlete
    box = torch.tensor([left + 2.0, 9.0, left + 5.0, 12.0])  # grown twice: left + 0.5, 7.5, left + 6.5, 13.5
    return frames, box.expand(4, 4)


def inside(left: int) -> Tensor:
    """(24, 32): the pixels of the box at ratio 2.4, left - 0.1 ... left + 7.1, 6.9 ... 14.1."""
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[7:15, left : left + 8] = True
    return mask


def test_exchanged_is_the_own_box_before_a_background_without_athlete() -> None:
    own, boxes = video(10, 250, left=4)
    other, other_boxes = video(90, 200, left=20)
    shown = exchange_background(own, boxes, other, other_boxes, ratio=2.4)
    assert torch.equal(shown[..., inside(4)], own[..., inside(4)])
    assert (shown[..., ~inside(4)] == 90).all()  # the donor's athlete is nowhere
    assert torch.equal(own, video(10, 250, left=4)[0])  # what was given is untouched


def test_exchanged_keeps_frames_apart() -> None:
    own, boxes = video(10, 250, left=4)
    other, other_boxes = video(90, 200, left=20)
    other[:, 2, :, :3] = 33
    shown = exchange_background(own, boxes, other, other_boxes, ratio=2.4)
    assert (shown[:, 2, :, :3] == 33).all()
    assert (shown[:, 1, :, :3] == 90).all()


def test_removed_is_the_own_background_everywhere() -> None:
    own, boxes = video(60, 250, left=12)
    own[:, :, :2] = torch.arange(32, dtype=torch.uint8)
    shown = remove_athlete(own, boxes, ratio=2.4)
    assert torch.equal(shown[..., ~inside(12)], own[..., ~inside(12)])
    assert shown[..., 7:15, 12:20].max() <= 62
    assert (remove_athlete(own, boxes, ratio=1)[..., 8:14, 12:20] == 250).any()  # a tight box leaves limbs


def test_alone_is_grey_outside_the_box() -> None:
    own, boxes = video(10, 250, left=4)
    shown = isolate_athlete(own, boxes, ratio=2.4)
    assert torch.equal(shown[..., inside(4)], own[..., inside(4)])
    outside = shown[..., ~inside(4)]
    assert (outside == torch.tensor([124, 116, 104], dtype=torch.uint8).view(3, 1, 1)).all()


def test_stride_order_does_not_matter() -> None:
    own, boxes = video(10, 250, left=4)
    other, other_boxes = video(90, 200, left=20)
    last = [one.movedim(0, -1).contiguous().movedim(-1, 0) for one in (own, other)]  # as the loader has them
    assert torch.equal(
        exchange_background(last[0], boxes, last[1], other_boxes, 2.0),
        exchange_background(own, boxes, other, other_boxes, 2.0),
    )
    assert torch.equal(remove_athlete(last[0], boxes, 2.0), remove_athlete(own, boxes, 2.0))
    assert torch.equal(isolate_athlete(last[0], boxes, 2.0), isolate_athlete(own, boxes, 2.0))


def test_a_box_of_the_whole_frame_leaves_grey() -> None:
    own, _ = video(10, 250, left=4)
    whole = torch.tensor([0.0, 0.0, 31.0, 23.0]).expand(4, 4)
    assert len(remove_athlete(own, whole, 1.0).flatten(1).unique(dim=1).T) == 1
    assert covered_share(whole, 1.0, SIZE) == 1
    assert covered_share(torch.tensor([[40.0, 0, 50, 23]]), 2.0, SIZE) == 0
    _, boxes = video(10, 250, left=4)
    assert covered_share(boxes, 2.4, SIZE) == pytest.approx(8 * 8 / (24 * 32))


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.4])
def test_a_mask_that_is_the_whole_box_shows_the_same(ratio: float) -> None:
    own, boxes = video(10, 250, left=4)
    other, other_boxes = video(90, 200, left=20)
    (mask, other_mask) = (torch.zeros(4, *SIZE, dtype=torch.bool) for _ in range(2))
    mask[:, 9:13, 6:10] = other_mask[:, 9:13, 22:26] = True
    shown = exchange_background(own, boxes, other, other_boxes, ratio)
    assert torch.equal(exchange_background(own, mask, other, other_mask, ratio), shown)
    assert torch.equal(remove_athlete(own, mask, ratio), remove_athlete(own, boxes, ratio))
    assert torch.equal(isolate_athlete(own, mask, ratio), isolate_athlete(own, boxes, ratio))
    assert covered_share(mask, ratio, SIZE) == covered_share(boxes, ratio, SIZE)


def test_what_lies_between_a_mask_and_its_box_is_background() -> None:
    own, _ = video(10, 250, left=4)
    own[:, :, 8, 4] = 77  # a corner of the athlete's box in which he is not
    mask = own[0] == 250
    assert (remove_athlete(own, mask, 1.0)[:, :, 8, 4] == 77).all()
    assert set(remove_athlete(own, mask, 1.0).unique().tolist()) == {10, 77}
    assert set(isolate_athlete(own, mask, 1.0)[:, mask].unique().tolist()) == {250}
    assert covered_share(mask, 1.0, SIZE) == pytest.approx(47 / (24 * 32))
