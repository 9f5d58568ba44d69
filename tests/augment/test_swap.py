"""The swap against loops over pixels, the worked examples of the paper's reading, and its invariants."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from swapaqa.augment import swap as swap_module
from swapaqa.augment.swap import (
    ScaledBackgroundSwap,
    SwapPlan,
    pixel_bounds,
    scale_boxes,
    swap_background,
)
from swapaqa.errors import InputError

VARIANTS = ("paper", "official", "clean")
DTYPES = (torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64)
RATIOS = st.integers(1, 64).map(lambda sixteenths: sixteenths / 16)  # exact in binary, so are the bounds
quick = settings(max_examples=40, deadline=None)


def random_case(seed: int, dtype: torch.dtype = torch.uint8, size: tuple[int, int] = (9, 11)):
    """video (3, 2, 4, H, W), boxes in eighths of a pixel (some partly or wholly off the frame), donors."""
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    video = torch.randint(0, 256, (3, 2, 4, height, width), generator=generator).to(dtype)
    low = torch.randint(-8 * 12, 8 * 20, (3, 4, 2), generator=generator) / 8
    extent = torch.randint(0, 8 * 14, (3, 4, 2), generator=generator) / 8
    donors = torch.randperm(3, generator=generator)
    return video, torch.cat([low, low + extent], dim=-1), donors


def scaled_side(low: float, high: float, ratio: float, length: int) -> tuple[float, float]:
    """Eq. (2) along one axis, as written in the paper."""
    centre, half = (low + high) / 2, ratio * (high - low) / 2
    return max(centre - half, 0), min(centre + half, length)


def loop_mask(box: list[float], ratio: float, size: tuple[int, int], truncate: bool) -> Tensor:
    """Eq. (1) and (3) pixel by pixel: (H, W) bool, empty for a box that holds no pixel centre's place."""
    height, width = size
    x1, y1, x2, y2 = box
    mask = torch.zeros(height, width, dtype=torch.bool)
    if x2 < 0 or x1 > width - 1 or y2 < 0 or y1 > height - 1:
        return mask
    left, right = scaled_side(x1, x2, ratio, width)
    top, bottom = scaled_side(y1, y2, ratio, height)
    if truncate:
        left, top = math.floor(left), math.floor(top)
    for row in range(height):
        for column in range(width):
            mask[row, column] = left <= column <= right and top <= row <= bottom
    return mask


def loop_swap(video: Tensor, boxes: Tensor, donors: Tensor, ratio: float, variant: str, fill: float) -> Tensor:
    """Eq. (4) pixel by pixel, for `paper` and `official`."""
    fused = video.clone()
    size = (video.shape[3], video.shape[4])
    truncate = variant == "official"
    for sample, donor in enumerate(donors.tolist()):
        for frame in range(video.shape[2]):
            own = loop_mask(boxes[sample, frame].tolist(), ratio, size, truncate)
            hole = loop_mask(boxes[donor, frame].tolist(), 1.0, size, truncate)
            for row in range(size[0]):
                for column in range(size[1]):
                    if own[row, column]:
                        continue
                    painted = truncate and hole[row, column]
                    value = fill if painted else video[donor, :, frame, row, column]
                    fused[sample, :, frame, row, column] = value
    return fused


def grid(text: str) -> Tensor:
    return torch.tensor([[int(value) for value in row.split()] for row in text.strip().splitlines()])


@pytest.fixture
def worked_example():
    """The spec's 1.3: two videos of one 6 x 8 frame, ratio 2, each the other's donor."""
    frames = torch.stack([torch.full((6, 8), 1), torch.full((6, 8), 5)]).to(torch.uint8)
    frames[0, 2:4, 2:4] = 2
    frames[1, 1:3, 5:7] = 7
    boxes = torch.tensor([[[2.0, 2, 3, 3]], [[5.0, 1, 6, 2]]])
    return frames[:, None, None], boxes, torch.tensor([1, 0])


PAPER = (
    "5 5 5 5 5 5 5 5\n5 5 5 5 5 7 7 5\n5 5 2 2 5 7 7 5\n5 5 2 2 5 5 5 5\n5 5 5 5 5 5 5 5\n5 5 5 5 5 5 5 5",
    "1 1 1 1 1 1 1 1\n1 1 1 1 1 7 7 1\n1 1 2 2 1 7 7 1\n1 1 2 2 1 1 1 1\n1 1 1 1 1 1 1 1\n1 1 1 1 1 1 1 1",
)
OFFICIAL = (
    "5 5 5 5 5 5 5 5\n5 1 1 1 5 0 0 5\n5 1 2 2 5 0 0 5\n5 1 2 2 5 5 5 5\n5 5 5 5 5 5 5 5\n5 5 5 5 5 5 5 5",
    "1 1 1 1 5 5 5 1\n1 1 1 1 5 7 7 1\n1 1 0 0 5 7 7 1\n1 1 0 0 1 1 1 1\n1 1 1 1 1 1 1 1\n1 1 1 1 1 1 1 1",
)


@pytest.mark.parametrize(("variant", "expected"), [("paper", PAPER), ("official", OFFICIAL)])
def test_worked_example(worked_example, variant, expected):
    video, boxes, donors = worked_example
    fused = swap_background(video, boxes, donors, ratio=2, variant=variant)
    assert torch.equal(fused[:, 0, 0].long(), torch.stack([grid(text) for text in expected]))


def test_worked_example_clean_leaves_no_trace_of_the_donors_athlete(worked_example):
    video, boxes, donors = worked_example
    fused = swap_background(video, boxes, donors, ratio=2, variant="clean")
    assert fused[0].unique().tolist() == [2, 5]
    assert fused[1].unique().tolist() == [1, 7]


def test_scaled_boxes_of_the_worked_example(worked_example):
    _, boxes, _ = worked_example
    scaled = scale_boxes(boxes, 2, (6, 8))
    assert scaled.tolist() == [[[1.5, 1.5, 3.5, 3.5]], [[4.5, 0.5, 6.5, 2.5]]]
    assert scaled.dtype == torch.float32


@pytest.mark.parametrize(("truncate", "first", "pixels"), [(False, 23, 179), (True, 22, 180)])
def test_fixed_box_of_80_percent_on_224(truncate, first, pixels):
    box = torch.tensor([22.4, 22.4, 201.6, 201.6])
    bounds = pixel_bounds(box, 1.0, (224, 224), truncate=truncate)
    assert bounds.tolist() == [first, first, 202, 202]  # the last pixel is 201
    assert bounds[2] - bounds[0] == pixels
    share = {179: 0.639, 180: 0.646}[pixels]
    assert (pixels / 224) ** 2 == pytest.approx(share, abs=5e-4)


def test_fixed_box_at_125_percent_covers_the_frame():
    box = torch.tensor([22.4, 22.4, 201.6, 201.6])
    assert pixel_bounds(box, 1.25, (224, 224), truncate=False).tolist() == [0, 0, 224, 224]


def test_scaled_boxes_end_at_the_frame():
    boxes = torch.tensor([[-1.0, -2, 1, 2], [7, 5, 9, 5.5]])
    assert scale_boxes(boxes, 3.0, (6, 8)).tolist() == [[0, 0, 3, 6], [5, 4.5, 8, 6]]
    shrunk_off = scale_boxes(torch.tensor([-10.0, 1, 2, 3]), 0.2, (6, 8))
    assert shrunk_off[0] > shrunk_off[2]  # Eq. (2) itself leaves nothing of it


def test_scaling_is_exact():
    box = torch.tensor([20.0, 0.0, 40.0, 20.0])
    assert scale_boxes(box, 1.1, (100, 100)).tolist() == [19.0, 0.0, 41.0, 21.0]
    awkward = torch.tensor([0.1, 0.7, 10.3, 20.9], dtype=torch.float64)
    assert torch.equal(scale_boxes(awkward, 1.0, (100, 100)), awkward)
    assert scale_boxes(torch.tensor([1, 1, 3, 3]), 2.0, (9, 9)).dtype == torch.float32


@pytest.mark.parametrize("variant", ["paper", "official"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), ratio=RATIOS, dtype=st.sampled_from(DTYPES))
def test_every_pixel_as_in_the_loops(variant, seed, ratio, dtype):
    video, boxes, donors = random_case(seed, dtype, size=(5, 6))
    fused = swap_background(video, boxes, donors, ratio=ratio, variant=variant, fill=200)
    assert torch.equal(fused, loop_swap(video, boxes, donors, ratio, variant, fill=200))


# Boxes off the frame: H = 6, W = 8, ratio 1 (the facts of the spec's 1.2, without the wrapped indices).
@pytest.mark.parametrize(
    ("box", "columns", "rows"),
    [
        ((-3, 1, -1, 3), (), ()),
        ((-0.9, 1, 2, 3), (0, 1, 2), (1, 2, 3)),
        ((-8, 1, -5, 3), (), ()),
        ((2, -4, 4, -2), (), ()),
        ((8, 1, 12, 3), (), ()),
        ((2, 6, 4, 9), (), ()),
        ((-2, -2, 1, 1), (0, 1), (0, 1)),
        ((6, 4, 20, 20), (6, 7), (4, 5)),
        ((-50, -50, 50, 50), range(8), range(6)),
        ((0, 0, 0, 0), (0,), (0,)),
        ((-1e30, 1, 1e30, 3), range(8), (1, 2, 3)),
    ],
)
@pytest.mark.parametrize("truncate", [False, True])
def test_boxes_at_the_edge(box, columns, rows, truncate):
    left, top, right, bottom = pixel_bounds(torch.tensor(box), 1.0, (6, 8), truncate=truncate).tolist()
    inside = [(row, column) for row in range(top, bottom) for column in range(left, right)]
    assert inside == [(row, column) for row in rows for column in columns]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("box", [(-3, 1, -1, 3), (8, 1, 9, 3), (2, -4, 4, -2), (2, 6, 4, 9)])
def test_a_box_off_the_frame_is_an_empty_foreground_however_it_is_scaled(variant, box):
    video = torch.tensor([10, 20], dtype=torch.uint8).view(2, 1, 1, 1, 1).repeat(1, 1, 1, 6, 8)
    boxes = torch.tensor([box, (2, 2, 4, 4)], dtype=torch.float32).unsqueeze(1)
    assert scale_boxes(boxes[0, 0], 3.0, (6, 8)).tolist() == [1, 1, 0, 0]
    fused = swap_background(video, boxes, torch.tensor([1, 0]), ratio=3.0, variant=variant, fill=99)
    assert (fused[0] != 10).all()
    # and as a donor's box it leaves no hole: only the donor's pixels around the own foreground
    assert set(fused[1].unique().tolist()) <= {10, 20}


def test_official_cleans_an_athlete_who_is_partly_outside():
    video = torch.zeros(2, 1, 1, 6, 8, dtype=torch.uint8)
    video[1] = 5
    boxes = torch.tensor([[[6.0, 4, 7, 5]], [[-2, -2, 2, 2]]])
    fused = swap_background(video, boxes, torch.tensor([1, 0]), ratio=1, variant="official", fill=9)
    assert (fused[0, 0, 0, :3, :3] == 9).all()
    assert (fused[0] == 9).sum() == 9


@quick
@given(seed=st.integers(0, 2**32), ratio=RATIOS, dtype=st.sampled_from(DTYPES))
def test_inside_is_the_own_video_outside_the_donor(seed, ratio, dtype):
    video, boxes, donors = random_case(seed, dtype)
    inside = swap_module.inside_bounds(pixel_bounds(boxes, ratio, (9, 11), truncate=False), (9, 11))
    fused = swap_background(video, boxes, donors, ratio=ratio)
    assert torch.equal(fused, torch.where(inside, video, video[donors]))


@quick
@given(seed=st.integers(0, 2**32), ratios=st.tuples(RATIOS, RATIOS))
def test_a_larger_ratio_keeps_more(seed, ratios):
    _, boxes, _ = random_case(seed)
    smaller, larger = (
        swap_module.inside_bounds(pixel_bounds(boxes, ratio, (9, 11), truncate=False), (9, 11))
        for ratio in sorted(ratios)
    )
    assert (larger | ~smaller).all()


@pytest.mark.parametrize("variant", ["paper", "clean"])
@quick
@given(seed=st.integers(0, 2**32), ratio=RATIOS, dtype=st.sampled_from((torch.uint8, torch.float32)))
def test_flips_commute(variant, seed, ratio, dtype):
    """Of width, height and time. Not for `official`, whose extra column is always the left one."""
    video, boxes, donors = random_case(seed, dtype)
    height, width = 9, 11
    x1, y1, x2, y2 = boxes.unbind(-1)
    fused = swap_background(video, boxes, donors, ratio=ratio, variant=variant)
    mirrored = torch.stack([width - 1 - x2, y1, width - 1 - x1, y2], dim=-1)
    upside_down = torch.stack([x1, height - 1 - y2, x2, height - 1 - y1], dim=-1)
    for dim, flipped in ((4, mirrored), (3, upside_down), (2, boxes.flip(1))):
        again = swap_background(video.flip(dim), flipped, donors, ratio=ratio, variant=variant)
        assert torch.equal(again, fused.flip(dim))


@pytest.mark.parametrize("variant", VARIANTS)
@quick
@given(
    seed=st.integers(0, 2**32),
    order=st.permutations(range(5)),
    dtype=st.sampled_from(DTYPES),
    frames=st.integers(1, 4),
    step=st.integers(1, 2),
)
def test_any_stride_order_dtype_and_length(variant, seed, order, dtype, frames, step):
    video, boxes, donors = random_case(seed, dtype)
    video, boxes = video[:, :, :frames], boxes[:, :frames]
    expected = swap_background(video.contiguous(), boxes, donors, ratio=2, variant=variant)
    back = torch.tensor(order).argsort().tolist()
    wide = video.permute(*order).contiguous().repeat_interleave(step, dim=-1)[..., ::step].permute(*back)
    before = wide.clone()
    fused = swap_background(wide, boxes, donors, ratio=2, variant=variant)
    assert fused.dtype == dtype
    assert fused.stride() == torch.empty_like(wide).stride()
    assert torch.equal(fused, expected)
    assert torch.equal(wide, before)


@pytest.mark.parametrize("variant", VARIANTS)
@quick
@given(seed=st.integers(0, 2**32), ratio=RATIOS, dtype=st.sampled_from(DTYPES))
def test_the_devices_form_is_the_same(variant, seed, ratio, dtype):
    video, boxes, donors = random_case(seed, dtype)
    stored = video.permute(0, 2, 3, 4, 1).contiguous().permute(0, 4, 1, 2, 3)  # as the loader's batch
    pasted = swap_background(stored, boxes, donors, ratio=ratio, variant=variant, fill=[3, 200])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(swap_module, "_paste", swap_module._select)
        selected = swap_background(stored, boxes, donors, ratio=ratio, variant=variant, fill=[3, 200])
    assert torch.equal(pasted, selected)
    assert selected.stride() == stored.stride()


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_is_read_back_from_a_device(variant):
    """Meta tensors have no values: any read-back would raise."""
    video = torch.empty(4, 7, 16, 20, 3, dtype=torch.uint8, device="meta").permute(0, 4, 1, 2, 3)
    boxes = torch.empty(4, 7, 4, device="meta")
    augment = ScaledBackgroundSwap(variant=variant)
    plan = augment.draw(4, torch.Generator().manual_seed(0))
    fused, _ = augment.apply(video, boxes, {}, plan)
    assert fused.shape == video.shape
    assert fused.stride() == video.stride()
    assert augment.replaced_share(boxes, (16, 20), plan).device.type == "meta"


@pytest.mark.parametrize("way", ["_paste", "_select"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_out_is_filled_and_returned(variant, way, monkeypatch):
    monkeypatch.setattr(swap_module, "_paste", getattr(swap_module, way))
    video, boxes, donors = random_case(1)
    out = torch.full_like(video, 77)
    fused = swap_background(video, boxes, donors, ratio=2, variant=variant, out=out)
    assert fused is out
    assert torch.equal(out, swap_background(video, boxes, donors, ratio=2, variant=variant))


@pytest.mark.parametrize("wrong", ["itself", "shape", "dtype"])
def test_a_wrong_out_is_refused(wrong):
    video, boxes, donors = random_case(1)
    out = {"itself": video, "shape": video[:2].clone(), "dtype": video.float()}[wrong]
    with pytest.raises(ValueError, match="out must"):
        swap_background(video, boxes, donors, ratio=2, out=out)


def test_bits_of_nan_are_moved_unchanged():
    video, boxes, _ = random_case(2, torch.float32)
    video[0, 0, 0] = float("nan")
    fused = swap_background(video, boxes, torch.tensor([0, 1, 2]), ratio=2)
    assert torch.equal(fused.view(torch.int32), video.view(torch.int32))


@pytest.mark.parametrize("box", [(5, 1, 3, 4), (1, 5, 4, 3), (float("nan"), 1, 2, 3), (0, 0, float("inf"), 3)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_reversed_and_nan_boxes_are_refused(box, variant):
    video, boxes, donors = random_case(3)
    boxes[1, 2] = torch.tensor(box)
    with pytest.raises(InputError, match="video 1 of the batch, frame 2"):
        swap_background(video, boxes, donors, ratio=2, variant=variant)


def test_shapes_and_donors_are_checked():
    video, boxes, donors = random_case(4)
    for arguments in ((video[0], boxes, donors), (video, boxes[:, :3], donors), (video, boxes, donors[:2])):
        with pytest.raises(ValueError, match=r"must be|needs boxes"):
            swap_background(*arguments, ratio=2)
    for wrong in ([0, 1, 3], [0, -1, 2]):
        with pytest.raises(ValueError, match="positions in a batch of 3"):
            swap_background(video, boxes, torch.tensor(wrong), ratio=2)


def test_fill_is_checked_and_rounded():
    video, boxes, donors = random_case(5)
    video = video[:, :1].repeat(1, 3, 1, 1, 1)
    boxes[:] = torch.tensor([2.0, 2, 5, 5])
    boxes[0] = torch.tensor([0.0, 0, 0, 0])
    mean = [123.675, 116.28, 103.53]
    fused = swap_background(video, boxes, torch.tensor([1, 2, 0]), ratio=1, variant="official", fill=mean)
    assert fused[0, :, 0, 3, 3].tolist() == [124, 116, 104]
    floats = swap_background(video.float(), boxes, torch.tensor([1, 2, 0]), ratio=1, variant="official", fill=mean)
    assert floats[0, :, 0, 3, 3].tolist() == pytest.approx(mean)
    for value in (0, 255):
        painted = swap_background(video, boxes, torch.tensor([1, 2, 0]), ratio=1, variant="official", fill=value)
        assert painted[0, :, 0, 3, 3].tolist() == [value] * 3
    for wrong in ([1, 2], 256, -1, float("nan")):
        with pytest.raises(InputError, match=r"aug\.fill"):
            swap_background(video, boxes, donors, ratio=1, variant="official", fill=wrong)


@pytest.mark.parametrize("ratio", [0, -1.0, float("nan"), float("inf")])
def test_a_ratio_that_cannot_scale_is_refused(ratio):
    video, boxes, donors = random_case(6)
    with pytest.raises(InputError, match=r"aug\.ratio"):
        ScaledBackgroundSwap(ratio=ratio)
    with pytest.raises(InputError, match=r"aug\.ratio"):
        swap_background(video, boxes, donors, ratio=ratio)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match=r"aug\.variant='papre'.*paper, official, clean"):
        ScaledBackgroundSwap(variant="papre")
    with pytest.raises(InputError, match=r"aug\.donors='other'.*derangement, randperm, partner"):
        ScaledBackgroundSwap(donors="other")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_draw_can_be_replayed_and_targets_never_change(variant):
    video, boxes, _ = random_case(7)
    targets = {"score": torch.rand(3), "index": torch.arange(3)}
    before = {name: value.clone() for name, value in targets.items()}
    augment = ScaledBackgroundSwap(variant=variant)
    plan = augment.draw(3, torch.Generator().manual_seed(5))
    called, labels = augment(video, boxes, targets, torch.Generator().manual_seed(5))
    for _ in range(2):
        replayed, again = augment.apply(video, boxes, targets, plan)
        assert torch.equal(replayed, called)
        assert again is targets
    assert labels is targets
    assert all(torch.equal(targets[name], value) for name, value in before.items())


def test_the_augmentation_paints_the_donors_athlete_with_its_fill():
    video = torch.arange(2, dtype=torch.uint8).view(2, 1, 1, 1, 1).repeat(1, 1, 1, 6, 8)
    boxes = torch.tensor([[[1.0, 1, 2, 2]], [[5.0, 3, 6, 4]]])
    augment = ScaledBackgroundSwap(ratio=1.0, variant="official", fill=77)
    fused, _ = augment(video, boxes, {}, torch.Generator().manual_seed(0))
    assert fused[0, 0, 0, 3:5, 5:7].unique().tolist() == [77]
    assert (fused == 77).sum() == 8


def test_a_batch_of_one_stays():
    video, boxes, _ = random_case(8)
    for variant in VARIANTS:
        fused, _ = ScaledBackgroundSwap(variant=variant)(video[:1], boxes[:1], {}, torch.Generator())
        assert torch.equal(fused, video[:1])


def test_partners_exchange_backgrounds():
    video = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1, 1).repeat(1, 1, 1, 6, 8)
    boxes = torch.tensor([2.0, 2, 3, 3]).repeat(4, 1, 1)
    fused, _ = ScaledBackgroundSwap(donors="partner")(video, boxes, {}, torch.Generator())
    assert fused[:, 0, 0, 0, 0].tolist() == [2, 3, 0, 1]
    assert fused[:, 0, 0, 2, 2].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("variant", VARIANTS)
@quick
@given(seed=st.integers(0, 2**32), ratio=st.integers(16, 64).map(lambda sixteenths: sixteenths / 16))
def test_replaced_share_is_what_counting_says(variant, seed, ratio):
    _, boxes, donors = random_case(seed)
    video = torch.arange(3 * 4 * 99, dtype=torch.float32).view(3, 1, 4, 9, 11) + 1
    augment = ScaledBackgroundSwap(ratio=ratio, variant=variant, fill=-1.0)
    plan = SwapPlan(donors)
    fused, _ = augment.apply(video, boxes, {}, plan)
    counted = (fused != video).float().mean(dim=(1, 2, 3, 4))
    share = augment.replaced_share(boxes, (9, 11), plan)
    assert share.dtype == torch.float32
    torch.testing.assert_close(share, counted, atol=1e-6, rtol=0)


def test_replaced_share_of_the_fixed_box():
    boxes = torch.tensor([22.4, 22.4, 201.6, 201.6]).repeat(2, 5, 1)
    plan = SwapPlan(torch.tensor([1, 0]))
    share = ScaledBackgroundSwap(ratio=1.0).replaced_share(boxes, (224, 224), plan)
    torch.testing.assert_close(share, torch.full((2,), 1 - (179 / 224) ** 2))
    assert ScaledBackgroundSwap(ratio=1.25).replaced_share(boxes, (224, 224), plan).tolist() == [0, 0]
    alone = SwapPlan(torch.tensor([0, 1]))
    assert ScaledBackgroundSwap(ratio=1.0).replaced_share(boxes, (224, 224), alone).tolist() == [0, 0]


@pytest.mark.parametrize("size", [32, 64, 112, 224])
def test_an_80_percent_box_at_ratio_one_and_a_quarter_covers_every_frame_size(size: int) -> None:
    """float32 boxes miss the border by 1e-7 of a pixel, which must not cost a column."""
    box = torch.tensor([0.1, 0.1, 0.9, 0.9], dtype=torch.float64).mul(size).float().view(1, 1, 4)
    assert pixel_bounds(box, 1.25, (size, size), truncate=False).tolist() == [[[0, 0, size, size]]]


def test_an_augmentation_draws_by_its_generator_alone() -> None:
    augment = ScaledBackgroundSwap()
    plans = [augment.draw(16, torch.Generator().manual_seed(seed)).donors.tolist() for seed in (3, 3, 4)]
    assert plans[0] == plans[1] != plans[2]


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_augmentation_with_a_soft_edge_mixes_pixels_and_counts_their_shares(dtype: torch.dtype) -> None:
    """A box of 3 x 3 pixels in 9 x 11, edge 1: a ring of 25 pixels is mixed, of which nine parts in all are its own."""
    video = torch.zeros(2, 3, 4, 9, 11, dtype=dtype)
    video[1] = 90
    boxes = torch.tensor([3.0, 3, 5, 5]).expand(2, 4, 4)
    augment, plan = ScaledBackgroundSwap(ratio=1.0, edge=1), SwapPlan(torch.tensor([1, 0]))
    swapped, _ = augment.apply(video, boxes, {}, plan)
    assert swapped.dtype == dtype
    assert swapped[1, 0, 0, 4, 1:8].tolist() == [0, 30, 60, 90, 60, 30, 0]  # whole columns of three rows
    assert swapped[1, 0, 0, 2, 2].item() == 10  # the corner has one of nine
    for edge in (1, 2):
        shares = ScaledBackgroundSwap(ratio=1.0, edge=edge).replaced_share(boxes, (9, 11), plan)
        assert shares.tolist() == pytest.approx([1 - 9 / 99] * 2)
    assert (swapped[1].double().mean() / 90).item() == pytest.approx(9 / 99, abs=1e-3)


@pytest.mark.parametrize("edge", [1, 3])
def test_bytes_are_mixed_alike_on_a_device_and_on_a_processor(edge: int) -> None:
    """`_mixed` is the device's line, frame by frame the same integers."""
    generator = torch.Generator().manual_seed(edge)
    own, donor = torch.randint(0, 256, (2, 3, 4, 9, 11), generator=generator).to(torch.uint8)
    whole = (2 * edge + 1) ** 2
    counts = torch.randint(0, whole + 1, (4, 9, 11), generator=generator)
    expected = torch.floor((own.double() * counts + donor.double() * (whole - counts)) / whole + 0.5)
    on_a_device = swap_module._mixed(own, donor, counts, whole)
    assert on_a_device.dtype == torch.uint8
    assert torch.equal(on_a_device.double(), expected)
    swap_module._mix(own, donor, counts, edge)
    assert torch.equal(donor, on_a_device)
