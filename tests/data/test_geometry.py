"""Frames and boxes move together: a box drawn into pixels is found again where its coordinates say."""

import numpy as np
import pytest
import torch
from numpy.random import Generator
from PIL import Image

from swapaqa.data.geometry import Crop, Geometry, Resize, Window, centre_corner, resize_frame
from swapaqa.errors import InputError


def picture_with_box(rng: Generator, size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    """(1, H, W, 3): dark noise with a bright filled box, its bounds inclusive."""
    frame = rng.integers(0, 40, (*size, 3), dtype=np.uint8)
    x1, y1, x2, y2 = box
    frame[y1 : y2 + 1, x1 : x2 + 1] = rng.integers(215, 256, 3)
    return frame[None]


def found_box(frame: np.ndarray) -> list[int]:
    rows, columns = np.where(frame.mean(axis=-1) > 127)
    return [columns.min(), rows.min(), columns.max(), rows.max()]


def random_box(rng: Generator, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """At least a quarter of the picture wide and high."""
    height, width = size
    x1, y1 = rng.integers(0, width // 2), rng.integers(0, height // 2)
    return x1, y1, rng.integers(x1 + width // 4, width), rng.integers(y1 + height // 4, height)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("target", [(40, 60), (81, 33), (20, 30), (79, 111), (40, 61)])
def test_box_is_found_again_after_resize_and_flip(target: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = (40, 60)
    box = random_box(rng, size)
    crop = min(target)
    geometry = Geometry(*target, crop=crop, random_crop=True, flip=0.5)
    placement = geometry.draw(torch.Generator().manual_seed(seed))
    frame = geometry.crop_frames(picture_with_box(rng, size, box), placement)[0]
    expected = geometry.crop_boxes(np.array([box]), size, placement)[0].clip(0, crop - 1)
    if np.any(expected[:2] >= expected[2:]):
        pytest.skip("this draw leaves the box outside the crop")
    larger = max(1, target[0] / size[0], target[1] / size[1])
    tolerance = 0 if target == size else (larger + 1) / 2  # half a source pixel is half bright, and rounding
    assert np.abs(found_box(frame) - expected).max() <= tolerance


@pytest.mark.parametrize("flip", [False, True])
def test_scale_one_is_exact(flip: bool) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 12, 20, 3), dtype=np.uint8)
    geometry = Geometry(12, 20, crop=10, random_crop=True, flip=0.5)
    placed = geometry.crop_frames(frames, Crop(1, 3, flip))
    mirrored = frames[:, :, ::-1] if flip else frames
    assert np.array_equal(placed, mirrored[:, 1:11, 3:13])
    assert placed.flags.c_contiguous
    assert placed.dtype == np.uint8


def test_flip_takes_x_to_width_minus_one_minus_x() -> None:
    geometry = Geometry(10, 20, crop=10, random_crop=True, flip=0.5)
    boxes = np.array([[0.0, 2, 5, 7], [3.5, 0, 19, 9]])
    flipped = geometry.crop_boxes(boxes, (10, 20), Crop(0, 0, True))
    assert flipped.tolist() == [[14, 2, 19, 7], [0, 0, 15.5, 9]]


def test_resize_moves_pixel_centres() -> None:
    geometry = Geometry(20, 40, crop=20, random_crop=True, flip=0.5)
    placed = geometry.crop_boxes(np.array([[0.0, 0, 9, 9]]), (10, 10), Crop(0, 0, False))
    assert placed.tolist() == [[1.5, 0.5, 37.5, 18.5]]  # (x + 0.5) s - 0.5 with s = 4 across and 2 down


def test_crop_subtracts_its_corner_and_clamps_nothing() -> None:
    geometry = Geometry(20, 20, crop=8, random_crop=True, flip=0.5)
    boxes = np.array([[0.0, 0, 3, 3], [15, 2, 30, 40]])
    placed = geometry.crop_boxes(boxes, (20, 20), Crop(5, 10, False))
    assert placed.tolist() == [[-10, -5, -7, -2], [5, -3, 20, 35]]


@pytest.mark.parametrize("resize", ["antialias", "linear"])
@pytest.mark.parametrize("size", [(31, 47), (40, 60), (64, 20), (97, 641), (53, 53)])
def test_flipping_before_or_after_the_resize_is_the_same(size: tuple[int, int], resize: Resize) -> None:
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (1, *size, 3), dtype=np.uint8)
    geometry = Geometry(40, 60, crop=40, random_crop=True, flip=0.5, resize=resize)
    after = geometry.crop_frames(frames, Crop(0, 10, True))
    before = geometry.crop_frames(np.ascontiguousarray(frames[:, :, ::-1]), Crop(0, 10, False))
    rounding = {"antialias": 0, "linear": 1}  # of the weights
    assert np.abs(after.astype(int) - before).max() <= rounding[resize]
    boxes = np.array([[3.0, 4, 12, 20]])
    own_flip = np.array([[size[1] - 1 - 12.0, 4, size[1] - 1 - 3.0, 20]])
    assert np.allclose(
        geometry.crop_boxes(boxes, size, Crop(0, 10, True)),
        geometry.crop_boxes(own_flip, size, Crop(0, 10, False)),
    )


def test_a_generator_replays_its_draw() -> None:
    geometry = Geometry(256, 455, crop=224, random_crop=True, flip=0.5)
    generators = [torch.Generator().manual_seed(seed) for seed in (3, 3, 4, 5, 6)]
    draws = [tuple(geometry.draw(generator) for _ in range(20)) for generator in generators]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 4


def test_placements_cover_their_whole_range() -> None:
    geometry = Geometry(12, 14, crop=10, random_crop=True, flip=0.5)
    generator = torch.Generator().manual_seed(0)
    draws = {geometry.draw(generator) for _ in range(600)}
    assert draws == {Crop(top, left, flip) for top in range(3) for left in range(5) for flip in (False, True)}


def test_flip_probability_is_kept_at_its_ends() -> None:
    generator = torch.Generator().manual_seed(0)
    for flip in (0.0, 1.0):
        geometry = Geometry(12, 14, crop=10, random_crop=True, flip=flip)
        assert {geometry.draw(generator).flip for _ in range(50)} == {bool(flip)}


def test_a_draw_of_zero_is_below_every_probability_but_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor(0.0))
    for flip in (0.0, 1e-9):
        geometry = Geometry(12, 14, crop=10, random_crop=True, flip=flip)
        assert geometry.draw(torch.Generator()).flip == (flip > 0)


def test_evaluation_takes_the_centre_and_never_flips() -> None:
    assert Geometry(256, 455, crop=224, random_crop=True, flip=1.0).centre() == Crop(16, 116, False)
    assert Geometry(455, 256, crop=224, random_crop=True, flip=1.0).centre() == Crop(116, 16, False)
    fixed = Geometry(64, 64, crop=32, random_crop=False, flip=0.0)
    assert fixed.draw(torch.Generator()) == fixed.centre() == Crop(16, 16, False)


def test_half_a_pixel_of_the_centre_goes_to_the_even_number() -> None:
    """As `int(round((whole - crop) / 2.0))` of torchvision and torch-videovision."""
    margins = {1: 0, 3: 2, 5: 2, 7: 4, 11: 6, 229: 114, 231: 116, 4: 2, 0: 0}
    assert {margin: centre_corner(224 + margin, 224, "half_even") for margin in margins} == margins
    assert [centre_corner(224 + margin, 224, "down") for margin in (1, 3, 11, 231, 4)] == [0, 1, 5, 115, 2]


@pytest.mark.parametrize("target", [(256, 455), (455, 256), (90, 100), (31, 17), (400, 800)])
@pytest.mark.parametrize("source", [(240, 320), (97, 641), (256, 455)])
def test_the_antialiased_resize_is_pillows_to_the_bit(source: tuple[int, int], target: tuple[int, int]) -> None:
    frames = np.random.default_rng(2).integers(0, 256, (2, *source, 3), dtype=np.uint8)
    height, width = target
    expected = [np.asarray(Image.fromarray(f).resize((width, height), Image.Resampling.BILINEAR)) for f in frames]
    geometry = Geometry(height, width, crop=min(target), random_crop=False, flip=0.0)
    top, left, _ = geometry.centre()
    crop = (slice(top, top + geometry.crop), slice(left, left + geometry.crop))
    placed = geometry.crop_frames(frames, geometry.centre())
    assert np.array_equal(placed, np.stack(expected)[:, *crop])


@pytest.mark.parametrize("resize", ["antialias", "linear"])
def test_a_geometry_resizes_as_it_is_told(resize: Resize) -> None:
    frame = np.random.default_rng(3).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    geometry = Geometry(40, 60, crop=40, random_crop=False, flip=0.0, resize=resize)
    placed = geometry.crop_frames(frame[None], Crop(0, 20, False))[0]
    assert np.array_equal(placed, resize_frame(frame, (40, 60), resize)[:, 20:])
    other = resize_frame(frame, (40, 60), "linear" if resize == "antialias" else "antialias")
    assert not np.array_equal(placed, other[:, 20:])


@pytest.mark.parametrize("shape", [(40, 60, 3), (40, 60)])
@pytest.mark.parametrize("resize", ["antialias", "linear"])
def test_a_frame_of_the_size_is_itself(shape: tuple[int, ...], resize: Resize) -> None:
    frame = np.zeros(shape, np.uint8)
    assert resize_frame(frame, (40, 60), resize) is frame


def test_float32_boxes_are_placed_in_float64() -> None:
    geometry = Geometry(17, 31, crop=10, random_crop=True, flip=0.5)
    boxes = np.array([[0.1, 3.7, 11.3, 13.9]], np.float32)
    placed = geometry.crop_boxes(boxes, (13, 19), Crop(2, 3, False))
    assert np.array_equal(placed, geometry.crop_boxes(boxes.astype(np.float64), (13, 19), Crop(2, 3, False)))


@pytest.mark.parametrize("flip", [False, True])
def test_a_mask_is_placed_as_a_picture_of_itself(flip: bool) -> None:
    """Of a pixel of the result half has to show the athlete: shrunk by two, two of four source pixels."""
    mask = np.zeros((8, 12), bool)
    mask[2:4, 4:6] = True  # a whole pixel
    mask[4:6, 4] = True  # half of one
    mask[6, 4] = True  # a quarter of one
    geometry = Geometry(4, 6, crop=4, random_crop=True, flip=0.5, resize="linear")
    placed = geometry.crop_mask(mask, Crop(0, 1, flip))
    assert placed.dtype == bool
    column = 2 if flip else 1
    expected = np.zeros((4, 4), bool)
    expected[1:3, column] = True
    assert np.array_equal(placed, expected)


def test_the_antialiased_resize_sees_every_pixel_and_the_linear_one_four() -> None:
    """Columns of 0 and 255 in turn, shrunk to a quarter, are grey; four pixels of them are not."""
    stripes = np.zeros((32, 64, 3), np.uint8)
    stripes[:, ::4] = 255
    shrunk = resize_frame(stripes, (32, 16), "antialias")
    assert np.abs(shrunk[:, 1:-1].astype(int) - 64).max() <= 1
    assert resize_frame(stripes, (32, 16), "linear").max() == 0


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"crop": 65}, "crop=65"),
        ({"crop": 0}, "crop=0"),
        ({"width": 10}, "crop=32"),
        ({"flip": 1.5}, "flip=1.5"),
        ({"flip": -0.1}, "flip=-0.1"),
        ({"flip": float("nan")}, "flip=nan"),
    ],
)
def test_impossible_settings_are_refused(changes: dict, word: str) -> None:
    settings = {"height": 64, "width": 64, "crop": 32, "random_crop": True, "flip": 0.5}
    with pytest.raises(InputError, match=rf"data\.geometry\.{word}"):
        Geometry(**settings | changes)


def test_the_smallest_and_the_largest_crop_and_both_certain_flips_are_possible() -> None:
    for crop in (1, 48):
        for flip in (0, 1):
            assert Geometry(64, 48, crop=crop, random_crop=False, flip=flip).centre().flip is False


def test_places_between_two_frames_go_down_or_to_the_nearer_one() -> None:
    """Six places over frames 10 to 17: every 1.4 frames."""
    assert list(Window(10, 18).indices(6, 0)) == [10, 11, 13, 14, 16, 17]
    assert list(Window(10, 18, down=True).indices(6, 0)) == [10, 11, 12, 14, 15, 17]
    assert list(Window(10, 18, down=True).indices(6, 2)) == [12, 13, 14, 16, 17, 19]
