"""Masks in the place of boxes: grown and swapped as loops over pixels say, and boxes themselves where they are full."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from swapaqa.augment import swap as swap_module
from swapaqa.augment.background import fill_box
from swapaqa.augment.mix import VideoCutMix, VideoMixup
from swapaqa.augment.region import (
    _counted_by_sums,
    _scaled_by_sums,
    count_inside,
    inside,
    mask_bounds,
    near_counts,
    region_pixels,
    scale_mask,
)
from swapaqa.augment.swap import ScaledBackgroundSwap, SwapPlan, swap_background
from swapaqa.errors import InputError

VARIANTS = ("paper", "official", "clean")
SIZE = (9, 11)
RATIOS = st.integers(1, 64).map(lambda sixteenths: sixteenths / 16)
quick = settings(max_examples=40, deadline=None)


def random_masks(seed: int) -> Tensor:
    """(3, 4, 9, 11) bool: a few blobs each, and an empty and a full one."""
    rng = np.random.default_rng(seed)
    masks = rng.random((3, 4, *SIZE)) < rng.choice([0.03, 0.3], (3, 4, 1, 1))
    masks[0, 1], masks[2, 3] = False, True
    return torch.from_numpy(masks)


def random_case(seed: int, dtype: torch.dtype = torch.uint8) -> tuple[Tensor, Tensor, Tensor]:
    """Videos (3, 2, 4, 9, 11) in the loader's memory order, masks, donors."""
    generator = torch.Generator().manual_seed(seed)
    video = torch.randint(0, 256, (3, 4, *SIZE, 2), generator=generator).to(dtype).permute(0, 4, 1, 2, 3)
    return video, random_masks(seed), torch.randperm(3, generator=generator)


def loop_scale(mask: np.ndarray, ratio: float) -> np.ndarray:
    """One mask (H, W), pixel by pixel: how far the box's sides move, and whether the mask has some or all around."""
    rows, columns = np.where(mask)
    scaled = np.zeros_like(mask)
    if not len(rows):
        return scaled
    moved_y, moved_x = ((found.max() - found.min()) * (ratio - 1) / 2 for found in (rows, columns))
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if ratio >= 1:
                scaled[y, x] = any(
                    abs(y - row) <= moved_y and abs(x - column) <= moved_x
                    for row, column in zip(rows, columns, strict=True)
                )
            else:  # it stays where no background, nor the frame's edge, has come in
                down, across = int(np.ceil(-moved_y)), int(np.ceil(-moved_x))
                scaled[y, x] = all(
                    0 <= y + dy < mask.shape[0] and 0 <= x + dx < mask.shape[1] and mask[y + dy, x + dx]
                    for dy in range(-down, down + 1)
                    for dx in range(-across, across + 1)
                )
    return scaled


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), ratio=RATIOS)
def test_every_pixel_of_a_grown_mask_as_in_the_loops(seed: int, ratio: float) -> None:
    masks = random_masks(seed)[:2]
    expected = np.stack([loop_scale(mask, ratio) for mask in masks.flatten(0, 1).numpy()])
    assert np.array_equal(scale_mask(masks, ratio).flatten(0, 1).numpy(), expected)
    assert np.array_equal(_scaled_by_sums(masks, ratio).flatten(0, 1).numpy(), expected)


@quick
@given(seed=st.integers(0, 2**32), edge=st.integers(1, 12))
def test_a_device_counts_as_the_processor_does(seed: int, edge: int) -> None:
    masks = random_masks(seed)
    assert torch.equal(near_counts(masks, edge), _counted_by_sums(masks, edge))


@quick
@given(seed=st.integers(0, 2**32), ratio=RATIOS)
def test_a_device_grows_larger_masks_as_the_processor_does(seed: int, ratio: float) -> None:
    rng = np.random.default_rng(seed)
    masks = torch.from_numpy(rng.random((2, 3, *rng.integers(1, 60, 2))) < rng.choice([0.001, 0.02, 0.6]))
    assert torch.equal(scale_mask(masks, ratio), masks if ratio == 1 else _scaled_by_sums(masks, ratio))


def test_a_mask_at_ratio_one_is_itself() -> None:
    masks = random_masks(0)
    assert scale_mask(masks, 1.0) is masks


@quick
@given(seed=st.integers(0, 2**32), ratio=RATIOS, variant=st.sampled_from(("paper", "clean")))
def test_a_full_rectangle_is_swapped_as_its_box(seed: int, ratio: float, variant: str) -> None:
    """Not `official`, which paints one more row and column of boxes with fractional edges, which masks have not."""
    video, _, donors = random_case(seed)
    rng = np.random.default_rng(seed)
    low = np.stack([rng.integers(0, 11, (3, 4)), rng.integers(0, 9, (3, 4))], axis=-1)
    high = low + np.stack([rng.integers(0, 11 - low[..., 0]), rng.integers(0, 9 - low[..., 1])], axis=-1)
    boxes = torch.from_numpy(np.concatenate([low, high], axis=-1)).float()
    masks = inside(region_pixels(boxes, 1.0, SIZE), SIZE).squeeze(1)
    of_boxes = swap_background(video, boxes, donors, ratio=ratio, variant=variant)
    assert torch.equal(swap_background(video, masks, donors, ratio=ratio, variant=variant), of_boxes)
    boxed, masked = (count_inside(region_pixels(region, ratio, SIZE)) for region in (boxes, masks))
    assert torch.equal(boxed, masked)


@quick
@given(seed=st.integers(0, 2**32), ratios=st.tuples(RATIOS, RATIOS))
def test_a_larger_ratio_keeps_more_of_a_mask_and_never_loses_it(seed: int, ratios: tuple[float, float]) -> None:
    masks = random_masks(seed)
    smaller, larger = (scale_mask(masks, ratio) for ratio in sorted(ratios))
    assert (larger | ~smaller).all()
    assert (scale_mask(masks, max(1.0, ratios[0])) | ~masks).all()
    assert not scale_mask(masks, ratios[0])[0, 1].any()  # an empty one stays empty


def loop_swap(video: Tensor, masks: Tensor, donors: Tensor, ratio: float, variant: str, fill: float) -> Tensor:
    """Eq. (4) pixel by pixel. `clean`: the donor's box filled, of which a pixel is taken where he is."""
    fused = video.clone()
    for sample, donor in enumerate(donors.tolist()):
        for frame in range(video.shape[2]):
            own = loop_scale(masks[sample, frame].numpy(), ratio)
            hole = masks[donor, frame]
            filled = video[donor, :, frame].clone()
            fill_box(filled, mask_bounds(hole).tolist(), torch.full((2,), fill).to(video.dtype))
            for row in range(SIZE[0]):
                for column in range(SIZE[1]):
                    value = video[donor, :, frame, row, column]
                    if hole[row, column] and variant != "paper":
                        value = fill if variant == "official" else filled[:, row, column]
                    if not own[row, column]:
                        fused[sample, :, frame, row, column] = value
    return fused


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), ratio=RATIOS, dtype=st.sampled_from((torch.uint8, torch.float32)))
def test_every_pixel_of_a_masked_swap_as_in_the_loops(
    variant: str, seed: int, ratio: float, dtype: torch.dtype
) -> None:
    video, masks, donors = random_case(seed, dtype)
    fused = swap_background(video, masks, donors, ratio=ratio, variant=variant, fill=200)
    assert torch.equal(fused, loop_swap(video, masks, donors, ratio, variant, 200))
    assert fused.stride() == video.stride()


@pytest.mark.parametrize("variant", VARIANTS)
@quick
@given(seed=st.integers(0, 2**32), ratio=RATIOS, dtype=st.sampled_from((torch.uint8, torch.bfloat16)))
def test_the_devices_form_of_a_masked_swap_is_the_same(
    variant: str, seed: int, ratio: float, dtype: torch.dtype
) -> None:
    video, masks, donors = random_case(seed, dtype)
    pasted = swap_background(video, masks, donors, ratio=ratio, variant=variant, fill=[3, 200])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(swap_module, "_paste", swap_module._select)
        selected = swap_background(video, masks, donors, ratio=ratio, variant=variant, fill=[3, 200])
    assert torch.equal(pasted, selected)


def loop_soft(kept: np.ndarray, edge: int, own: np.ndarray, donor: np.ndarray) -> np.ndarray:
    """A frame of one channel, pixel by pixel: the nearest whole number to the mixture by the share of kept pixels."""
    height, width = kept.shape
    mixed = np.zeros_like(own)
    for y in range(height):
        for x in range(width):
            near = [
                bool(kept[min(max(row, 0), height - 1), min(max(column, 0), width - 1)])
                for row in range(y - edge, y + edge + 1)
                for column in range(x - edge, x + edge + 1)
            ]
            share = Fraction(sum(near), len(near))
            mixed[y, x] = round(share * int(own[y, x]) + (1 - share) * int(donor[y, x]))
    return mixed


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("edge", [1, 4])
def test_every_pixel_of_a_soft_edge_as_in_the_loops(edge: int, masked: bool, variant: str) -> None:
    video, masks, donors = random_case(edge)
    boxes = torch.tensor([2.0, 1, 5, 4]).expand(3, 4, 4) + torch.arange(4)[None, :, None]
    region = masks if masked else boxes
    settings = {"ratio": 1.5, "variant": variant, "fill": 7}
    background = swap_background(video, torch.zeros_like(region) if masked else boxes, donors, **settings)
    kept = inside(region_pixels(region, 1.5, SIZE, truncate=variant == "official"), SIZE)[:, 0]
    if not masked:  # what the donor alone would be: the hard swap of a box without pixels, but for its athlete
        background = swap_module._paste(
            video, torch.zeros(3, 4, 4, dtype=torch.int64),
            None if variant == "paper" else region_pixels(boxes, 1.0, SIZE, truncate=variant == "official"),
            donors, variant, torch.tensor([7, 7], dtype=torch.uint8), torch.empty_like(video),
        )  # fmt: skip
    elif variant != "paper":
        background = swap_module._paste(
            video, torch.zeros_like(masks), masks, donors, variant, torch.tensor([7, 7], dtype=torch.uint8),
            torch.empty_like(video),
        )  # fmt: skip
    found = swap_background(video, region, donors, edge=edge, **settings)
    for sample, frame, channel in np.ndindex(3, 4, 2):
        at = (sample, channel, frame)
        expected = loop_soft(kept[sample, frame].numpy(), edge, video[at].numpy(), background[at].numpy())
        assert np.array_equal(found[at].numpy(), expected)
    share = ScaledBackgroundSwap(1.5, variant, edge=edge).replaced_share(region, SIZE, SwapPlan(donors))
    near = [
        [loop_soft(kept[s, t].numpy(), edge, np.full(SIZE, 10**6), np.zeros(SIZE, int)).mean() for t in range(4)]
        for s in range(3)
    ]
    own_donor = donors == torch.arange(3)
    assert torch.allclose(share, (1 - torch.tensor(near).mean(1) / 1e6).float().masked_fill(own_donor, 0), atol=1e-5)


def test_a_soft_edge_of_floats_is_that_of_bytes_and_no_edge_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    video, masks, donors = random_case(3)
    soft = swap_background(video, masks, donors, ratio=1.5, edge=2)
    floats = swap_background(video.float(), masks, donors, ratio=1.5, edge=2)
    assert (floats - soft.float()).abs().max() <= 0.5 + 1e-4
    assert torch.equal(swap_background(video, masks, donors, ratio=1.5, edge=0),
                       swap_background(video, masks, donors, ratio=1.5))  # fmt: skip
    monkeypatch.setattr(swap_module, "_paste", swap_module._select)
    assert torch.equal(swap_background(video, masks, donors, ratio=1.5, edge=2), soft)


@pytest.mark.parametrize("edge", [-1, 65])
def test_a_soft_edge_that_is_none_is_refused(edge: int) -> None:
    with pytest.raises(InputError, match=f"aug.edge={edge}: pixels"):
        ScaledBackgroundSwap(edge=edge)


@quick
@given(seed=st.integers(0, 2**32), ratio=RATIOS)
def test_flips_of_masks_commute(seed: int, ratio: float) -> None:
    video, masks, donors = random_case(seed)
    fused = swap_background(video, masks, donors, ratio=ratio)
    for dim in (2, 3, 4):
        again = swap_background(video.flip(dim), masks.flip(dim - 1), donors, ratio=ratio)
        assert torch.equal(again, fused.flip(dim))


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_mask_is_read_back_from_a_device(variant: str) -> None:
    """Meta tensors have no values: any read-back would raise."""
    video = torch.empty(4, 7, 16, 20, 3, dtype=torch.uint8, device="meta").permute(0, 4, 1, 2, 3)
    masks = torch.empty(4, 7, 16, 20, dtype=torch.bool, device="meta")
    augment = ScaledBackgroundSwap(ratio=2.0, variant=variant)
    plan = augment.draw(4, torch.Generator().manual_seed(0))
    assert augment.apply(video, masks, {}, plan)[0].shape == video.shape
    assert augment.replaced_share(masks, (16, 20), plan).device.type == "meta"


@quick
@given(seed=st.integers(0, 2**32), ratio=RATIOS)
def test_replaced_share_of_masks_is_what_counting_says(seed: int, ratio: float) -> None:
    _, masks, donors = random_case(seed)
    video = torch.arange(3 * 4 * 99, dtype=torch.float32).view(3, 1, 4, *SIZE) + 1
    augment, plan = ScaledBackgroundSwap(ratio=ratio), SwapPlan(donors)
    fused, _ = augment.apply(video, masks, {}, plan)
    counted = (fused != video).float().mean(dim=(1, 2, 3, 4))
    torch.testing.assert_close(augment.replaced_share(masks, SIZE, plan), counted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("augment", [VideoMixup(), VideoCutMix()])
def test_the_other_augmentations_take_a_mask_where_they_take_boxes(augment: VideoMixup | VideoCutMix) -> None:
    video, masks, _ = random_case(1)
    plan = augment.draw(3, torch.Generator().manual_seed(0))
    assert torch.equal(augment.apply(video, masks, {}, plan)[0], augment.apply(video, masks.float(), {}, plan)[0])
    assert augment.replaced_share(masks, SIZE, plan).shape == (3,)


def test_a_mask_of_other_frames_is_refused() -> None:
    video, masks, donors = random_case(2)
    for wrong in (masks[:, :3], masks[..., :5], masks[:2], masks.to(torch.uint8)):
        with pytest.raises(ValueError, match="or a mask of its frames"):
            swap_background(video, wrong, donors, ratio=1.0)
