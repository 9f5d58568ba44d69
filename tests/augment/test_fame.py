"""FAME against its steps written as loops, and the numbers of the spec."""

import colorsys
import math

import pytest
import torch
from torch import Tensor

from swapaqa.augment.fame import (
    FAME,
    FamePlan,
    blur_size,
    colour_index,
    foreground_mask,
    gaussian_blur,
    hue_saturation_value,
    largest,
    mean_frame,
    motion,
    refine_by_colour,
    stretch,
)
from swapaqa.errors import InputError

CROP = 32  # blur of 3 pixels


@pytest.fixture
def video() -> Tensor:
    """(2, 3, 4, 13, 11) bytes: noise with a bright square that moves."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 120, (2, 3, 4, 13, 11), dtype=torch.uint8, generator=generator)
    for frame in range(4):
        frames[:, 0, frame, 3 + frame : 8 + frame, 2:6] += 100
    return frames


def loop_blur(picture: list[list[float]], width: int, sigma: float) -> list[list[float]]:
    height, columns, half = len(picture), len(picture[0]), width // 2
    weights = [math.exp(-((step - half) ** 2) / (2 * sigma**2)) for step in range(width)]

    def reflect(index: int, length: int) -> int:
        index = abs(index)
        return 2 * (length - 1) - index if index >= length else index

    def at(row: int, column: int) -> float:
        total = 0.0
        for down in range(width):
            for across in range(width):
                pixel = picture[reflect(row + down - half, height)][reflect(column + across - half, columns)]
                total += weights[down] * weights[across] * pixel
        return total / sum(weights) ** 2

    return [[at(row, column) for column in range(columns)] for row in range(height)]


def loop_stretch(picture: list[list[float]]) -> list[list[float]]:
    low = min(map(min, picture))
    high = max(map(max, picture)) - low
    return [[(value - low) / (high + 1e-8) for value in row] for row in picture]


def loop_largest(picture: list[list[float]], count: int, sign: int = 1) -> set[tuple[int, int]]:
    places = [(row, column) for row in range(len(picture)) for column in range(len(picture[0]))]
    return set(sorted(places, key=lambda place: -sign * picture[place[0]][place[1]])[:count])


def loop_index(red: float, green: float, blue: float, wrap: float) -> int:
    turns, _, value = colorsys.rgb_to_hsv(red, green, blue)
    saturation = (max(red, green, blue) - min(red, green, blue)) / (max(red, green, blue) + 1e-8)
    angle = turns * 2 * math.pi * wrap
    across = round(9 * (saturation * math.cos(angle) + 1) / 2 + 1)
    along = round(9 * (saturation * math.sin(angle) + 1) / 2 + 1)
    return across + 10 * (along - 1) + 100 * (round(9 * value + 1) - 1)


def loop_mask(clip: Tensor, beta: float, hue: str) -> Tensor:
    """The whole method for one clip (3, T, H, W) of bytes, in Python floats."""
    _, frames, height, width = clip.shape
    pixels = (clip.double() / 255).tolist()
    kernel, sigma = blur_size(CROP)
    difference = [[0.0] * width for _ in range(height)]
    indices = [[0] * width for _ in range(height)]
    for row in range(height):
        for column in range(width):
            colours = [[pixels[c][t][row][column] for t in range(frames)] for c in range(3)]
            steps = [abs(own[t] - own[t + 1]) for own in colours for t in range(frames - 1)]
            difference[row][column] = sum(steps) / (frames - 1)
            mean = [sum(own) / frames for own in colours]
            indices[row][column] = loop_index(*mean, wrap=2 * math.pi if hue == "official" else 1.0)
    moving = loop_stretch(loop_blur(difference, kernel, sigma))
    fore, back = [0.0] * 1000, [1.0] * 1000
    for row, column in loop_largest(moving, int(0.5 * height * width)):
        fore[indices[row][column]] += 1
    for row, column in loop_largest(moving, int(0.1 * height * width), sign=-1):
        back[indices[row][column]] += 1
    fore = [count / (sum(fore) + 1e-8) for count in fore]
    back = [count / (sum(back) + 1e-8) for count in back]
    refined = [[fore[index] / (fore[index] + back[index]) for index in row] for row in indices]
    chosen = loop_largest(loop_stretch(loop_blur(refined, kernel, sigma)), int(beta * height * width))
    mask = torch.zeros(height, width, dtype=torch.bool)
    for row, column in chosen:
        mask[row, column] = True
    return mask


@pytest.mark.parametrize("hue", ["official", "corrected"])
@pytest.mark.parametrize("beta", [0.5, 0.3])
def test_mask_as_in_the_loops(video, hue, beta):
    mask = foreground_mask(video, beta=beta, crop_size=CROP, hue=hue)
    expected = torch.stack([loop_mask(clip, beta, hue) for clip in video])
    assert torch.equal(mask, expected)


def test_steps_as_in_the_loops(video):
    picture = motion(video)[0]
    steps = (video[0, :, 1:].double() - video[0, :, :-1]).abs().sum(dim=0) / 255  # (T - 1, H, W)
    torch.testing.assert_close(picture, steps.mean(dim=0).float())
    torch.testing.assert_close(motion(video / 255)[0], picture)
    blurred = torch.tensor(loop_blur(picture.tolist(), 5, 5 / 3))
    torch.testing.assert_close(gaussian_blur(motion(video), 5, 5 / 3)[0], blurred)
    torch.testing.assert_close(stretch(motion(video))[0], torch.tensor(loop_stretch(picture.tolist())))
    assert stretch(motion(video)).amin() == 0
    torch.testing.assert_close(mean_frame(video), (video.double() / 255).mean(dim=2).float())


@pytest.mark.parametrize(("crop", "width", "sigma"), [(112, 11, 3.6667), (128, 13, 4.3333), (224, 23, 7.6667)])
def test_size_of_the_blur(crop, width, sigma):
    assert blur_size(crop) == (width, pytest.approx(sigma, abs=1e-4))
    assert blur_size(256) == (25, 25 / 3)


@pytest.mark.parametrize(("side", "pixels"), [(112, 6272), (224, 25088)])
def test_the_mask_has_an_exact_count(side, pixels):
    generator = torch.Generator().manual_seed(3)
    moving = torch.randint(0, 256, (1, 3, 3, side, side), dtype=torch.uint8, generator=generator)
    still = torch.zeros(1, 3, 3, side, side, dtype=torch.uint8)
    for clip in (moving, still):
        assert foreground_mask(clip, beta=0.5, crop_size=side).sum() == pixels
    assert int(0.1 * 224 * 224) == 5017


def test_colour_bins_stay_within_the_thousand():
    steps = torch.linspace(0, 1, 41, dtype=torch.float64)
    cube = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij")).view(1, 3, 41, -1).float()
    index = colour_index(cube, "official")
    assert (index.amin().item(), index.amax().item()) == (4, 998)
    corrected = colour_index(cube, "corrected")
    assert corrected.amin() >= 0
    assert corrected.amax() < 1000


def test_hue_saturation_value():
    frame = torch.rand(1, 3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    hue, saturation, value = hue_saturation_value(frame)
    for row in range(5):
        for column in range(6):
            turns, sat, val = colorsys.rgb_to_hsv(*frame[0, :, row, column].tolist())
            assert hue[0, row, column].item() == pytest.approx(2 * math.pi * turns)
            assert saturation[0, row, column].item() == pytest.approx(sat)
            assert value[0, row, column].item() == pytest.approx(val)
    grey = torch.full((1, 3, 1, 1), 0.25)
    assert [part.item() for part in hue_saturation_value(grey)] == [0, 0, 0.25]


def test_a_colour_that_no_seed_has_is_background():
    index = torch.tensor([[[5, 5, 7, 9]]])
    seeds = torch.tensor([[[True, True, False, False]]])
    refined = refine_by_colour(index, seeds, torch.tensor([[[False, False, True, False]]]))
    assert refined[0, 0, 0] > 0.99
    assert refined[0, 0, 2:].tolist() == [0, 0]


def test_largest_takes_the_first_of_equal_pixels():
    maps = torch.tensor([[[0.5, 1.0], [0.5, 0.5]]])
    assert largest(maps, 2).tolist() == [[[True, True], [False, False]]]


def test_one_mask_for_all_frames_and_pixels_untouched(video):
    fused, _ = FAME(crop_size=CROP).apply(video, torch.zeros(2, 4, 4), {}, FamePlan(torch.tensor([1, 0])))
    mask = foreground_mask(video, beta=0.5, crop_size=CROP)
    assert fused.dtype == torch.uint8
    assert torch.equal(fused, torch.where(mask[:, None, None], video, video.flip(0)))


def test_floats_give_the_same_mask(video):
    for dtype in (torch.float32, torch.float64):
        mask = foreground_mask(video.to(dtype) / 255, beta=0.5, crop_size=CROP)
        assert torch.equal(mask, foreground_mask(video, beta=0.5, crop_size=CROP))


def test_any_stride_order(video):
    stored = video.permute(0, 2, 3, 4, 1).contiguous().permute(0, 4, 1, 2, 3)
    plan = FamePlan(torch.tensor([1, 0]))
    boxes = torch.zeros(2, 4, 4)
    fused, _ = FAME(crop_size=CROP).apply(stored, boxes, {}, plan)
    assert fused.stride() == stored.stride()
    assert torch.equal(fused, FAME(crop_size=CROP).apply(video, boxes, {}, plan)[0])


def test_a_draw_can_be_replayed_and_targets_never_change(video):
    augment, boxes = FAME(crop_size=CROP, donors="randperm"), torch.zeros(2, 4, 4)
    targets = {"score": torch.rand(2)}
    plan = augment.draw(2, torch.Generator().manual_seed(9))
    called, labels = augment(video, boxes, targets, torch.Generator().manual_seed(9))
    assert torch.equal(augment.apply(video, boxes, targets, plan)[0], called)
    assert labels is targets
    alone, _ = FAME(crop_size=CROP)(video[:1], boxes[:1], {}, torch.Generator())
    assert torch.equal(alone, video[:1])


def test_replaced_share_is_what_counting_says():
    video = torch.arange(2 * 3 * 4 * 143, dtype=torch.float64).view(2, 3, 4, 13, 11) / (2 * 3 * 4 * 143)
    plan = FamePlan(torch.tensor([1, 0]))
    augment = FAME(crop_size=CROP, beta=0.3)
    boxes = torch.zeros(2, 4, 4)
    fused, _ = augment.apply(video, boxes, {}, plan)
    counted = (fused != video).float().mean(dim=(1, 2, 3, 4))
    torch.testing.assert_close(augment.replaced_share(boxes, (13, 11), plan), counted)
    alone = FamePlan(torch.tensor([0, 1]))
    assert augment.replaced_share(boxes, (13, 11), alone).tolist() == [0, 0]


def test_nothing_is_read_back_from_a_device():
    """Meta tensors have no values: any read-back would raise."""
    video = torch.empty(3, 3, 4, 16, 16, device="meta")
    fused, _ = FAME(crop_size=CROP)(video, torch.zeros(3, 4, 4), {}, torch.Generator().manual_seed(0))
    assert fused.shape == video.shape


def test_what_fame_cannot_work_on_is_refused(video):
    arguments = {"beta": 0.5, "crop_size": CROP}
    normalised = (video.float() / 255 - 0.45) / 0.225
    for wrong, message in (
        (normalised, "before normalisation"),
        (torch.full((1, 3, 2, 8, 8), float("nan")), "before normalisation"),
        (video[:, :, :1], "two frames"),
        (video[:, :1], "RGB"),
    ):
        with pytest.raises(InputError, match=message):
            foreground_mask(wrong, **arguments)
    with pytest.raises(InputError, match=r"aug\.crop_size"):
        foreground_mask(video, beta=0.5, crop_size=300)


@pytest.mark.parametrize(
    "settings",
    [{"beta": 0}, {"beta": 1.0}, {"beta": math.nan}, {"hue": "red"}, {"crop_size": 0}, {"donors": "x"}],
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(InputError, match=f"aug.{next(iter(settings))}"):
        FAME(**settings)
