"""Masks from pictures: read, placed as the frames are, in a sample, through the swap, and what is wrong with them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from swapaqa.augment.none import NoAugmentation
from swapaqa.augment.swap import ScaledBackgroundSwap, swap_background
from swapaqa.batch import Pair, channels_first
from swapaqa.boxes.mask_images import MaskImages
from swapaqa.boxes.source import BoxRequest, MaskSource
from swapaqa.data.boxes import BoxSource, DarkLabelBoxes
from swapaqa.data.datamodule import VideoData
from swapaqa.data.geometry import Crop, Geometry, Resize
from swapaqa.errors import InputError
from swapaqa.seeds import keyed_generator

HEIGHT, WIDTH, FRAMES = 10, 16, 5


def mask_at(left: int, top: int = 2) -> np.ndarray:
    """An L of 1 on 0: not convex, so a box around it holds background."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top : top + 5, left] = mask[top + 4, left : left + 3] = 1
    return mask


def write_masks(folder: Path, masks: list[np.ndarray], first: int = 0, mode: str = "P") -> Path:
    folder.mkdir(parents=True)
    for number, mask in enumerate(masks, first):
        picture = Image.fromarray(mask)
        if mode == "P":
            picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])  # DAVIS: red is object 1, green is object 2
        picture.convert(mode).save(folder / f"{number:05d}.png")
    return folder


def request(folder: Path, frames: Any = range(FRAMES), total: int = FRAMES) -> BoxRequest:
    return BoxRequest([folder.parent / "absent", folder], (HEIGHT, WIDTH), frames, folder, (), lambda: total)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_masks(tmp_path / "dive", [mask_at(left) for left in range(FRAMES)])


@pytest.mark.parametrize("mode", ["P", "L", "1", "RGB"])
def test_what_is_not_zero_is_the_athlete_in_every_kind_of_picture(mode: str, tmp_path: Path) -> None:
    masks = [255 * mask_at(left) if mode in ("L", "1") else mask_at(left) for left in range(FRAMES)]
    folder = write_masks(tmp_path / "dive", masks, mode="P" if mode == "RGB" else mode)
    for path in folder.iterdir() if mode == "RGB" else ():
        Image.open(path).convert("RGB").save(path)
    found = list(MaskImages(1.0, None).read_masks(request(folder, [1, 3, 4])))
    assert [mask.dtype for mask in found] == [bool] * 3
    assert np.array_equal(np.stack(found), np.stack([mask_at(left) for left in (1, 3, 4)]) == 1)


def test_boxes_lie_around_the_masks_and_between_them_where_one_is_empty(tmp_path: Path) -> None:
    masks = [np.zeros((HEIGHT, WIDTH), np.uint8), mask_at(1), mask_at(3) * 0, mask_at(5), mask_at(9)]
    boxes = MaskImages(1.0, None).read(request(write_masks(tmp_path / "dive", masks)))
    assert boxes.tolist() == [[1, 2, 3, 6], [1, 2, 3, 6], [3, 2, 5, 6], [5, 2, 7, 6], [9, 2, 11, 6]]


def test_objects_are_chosen_by_their_numbers(tmp_path: Path, box_source: Callable[..., BoxSource]) -> None:
    both = [mask_at(1) + 2 * mask_at(8) for _ in range(FRAMES)]
    wanted = request(write_masks(tmp_path / "dive", both))
    assert MaskImages(1.0, None).read(wanted)[0].tolist() == [1, 2, 10, 6]
    assert box_source("masks", ids=[2]).read(wanted)[0].tolist() == [8, 2, 10, 6]
    assert MaskImages(1.0, None, ids=[1, 2]).read(wanted)[0].tolist() == [1, 2, 10, 6]
    with pytest.raises(InputError, match=r"no object of boxes\.ids=\[3\].*frames 0 to 4; they show 1, 2$"):
        MaskImages(1.0, None, ids=[3]).read(wanted)


def test_names_count_from_frame_start(tmp_path: Path) -> None:
    folder = write_masks(tmp_path / "dive", [mask_at(left) for left in range(FRAMES)], first=1)
    assert MaskImages(1.0, None, frame_start=1).read(request(folder, [4]))[0].tolist() == [4, 2, 6, 6]
    with pytest.raises(InputError, match=r"00005\.png.*frame 5.*5 frames.*say boxes\.frame_start=1"):
        MaskImages(1.0, None).read(request(folder, [1, 2]))


def damage(folder: Path, how: str) -> None:
    path = folder / "00002.png"
    if how == "missing":
        path.unlink()
    elif how == "cut off":
        path.write_bytes(path.read_bytes()[:50])
    elif how == "zeros":
        path.write_bytes(bytes(100))
    elif how == "other kind":
        Image.fromarray(mask_at(2)).save(path, format="BMP")
    elif how == "a folder":
        path.unlink()
        path.mkdir()
    elif how == "size":
        Image.fromarray(mask_at(2)[:-1]).save(path)
    elif how == "transparent":
        Image.fromarray(mask_at(2)).convert("RGBA").save(path)
    elif how == "jpeg":
        for image in list(folder.iterdir()):
            Image.open(image).convert("L").save(image.with_suffix(".jpg"))
            image.unlink()
    elif how == "empty":
        for image in folder.iterdir():
            Image.fromarray(0 * mask_at(2)).save(image)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("missing", r"00002\.png: is missing; every frame of the window has a mask"),
        ("cut off", r"00002\.png: not a readable PNG"),
        ("zeros", r"00002\.png: not a readable PNG"),
        ("other kind", r"00002\.png: not a readable PNG"),
        ("a folder", r"00002\.png: no regular file"),
        ("size", r"00002\.png: a mask of 16x9 pixels, and the video has 16x10"),
        ("transparent", r"00002\.png: a picture of Pillow's mode RGBA and no mask"),
        ("jpeg", r"\.jpg: masks are \.png files"),
        ("empty", r"the masks of frames 0 to 4 are all empty"),
    ],
)
def test_a_wrong_mask_is_one_line_that_names_it(how: str, words: str, folder: Path) -> None:
    damage(folder, how)
    with pytest.raises(InputError, match=words) as caught:
        MaskImages(1.0, None).read(request(folder))
    assert "\n" not in str(caught.value)


def test_a_gap_outside_of_the_window_does_not_matter(folder: Path) -> None:
    damage(folder, "missing")
    assert MaskImages(1.0, None).read(request(folder, [0, 1])).shape == (2, 4)


def test_impossible_keys_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"boxes\.frame_start=-1"):
        MaskImages(1.0, None, frame_start=-1)
    with pytest.raises(InputError, match=r"boxes\.ids=\[0\]"):
        MaskImages(1.0, None, ids=[0])
    with pytest.raises(InputError, match=r"absent: no such folder of masks.*boxes\.root="):
        MaskImages(1.0, None).find([tmp_path / "absent"])


@pytest.mark.parametrize("resize", ["antialias", "linear"])
@pytest.mark.parametrize("size", [(10, 16), (31, 47), (97, 64)])
def test_a_mask_is_placed_as_a_picture_of_itself(size: tuple[int, int], resize: Resize) -> None:
    """Resized with the frames' own filter, and the athlete's where half of the pixel or more is."""
    mask = np.random.default_rng(0).random(size) < 0.4
    geometry = Geometry(20, 32, crop=16, random_crop=True, flip=0.5, resize=resize)
    for placement in (Crop(0, 0, False), Crop(3, 11, True), Crop(4, 16, False)):
        picture = np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)
        expected = geometry.crop_frames(picture[None], placement)[0].mean(axis=2) >= 127.5
        assert np.array_equal(geometry.crop_mask(mask, placement), expected)


def test_which_source_has_masks_is_seen_from_its_methods() -> None:
    assert isinstance(MaskImages(1.0, None), MaskSource)
    assert not isinstance(DarkLabelBoxes(2.0, None), MaskSource)


@pytest.fixture
def masked_tree(aqa7_tree: Callable[..., Path]) -> Path:
    """`aqa7_tree` with the mask of each video's bright square, without its upper left quarter."""
    root = aqa7_tree(frames=16, size=(40, 64))
    for index in range(1, 11):
        lefts, masks = np.linspace(2, 64 - 10 - 2, 16).round().astype(int), []
        for left in lefts:
            mask = np.zeros((40, 64), np.uint8)
            mask[13:23, left : left + 10] = 1
            mask[13:18, left : left + 5] = 0
            masks.append(mask)
        write_masks(root / "masks" / "diving" / f"{index:03d}", masks)
    return root


Open = Callable[..., VideoData]


def opened(open_data: Open, root: Path, **changes: Any) -> VideoData:
    data = open_data(root, boxes=MaskImages(1.0, str(root / "masks")), **changes)
    data.setup()
    return data


def test_a_sample_has_its_mask_where_the_athlete_is_seen(masked_tree: Path, open_data: Open) -> None:
    data = opened(open_data, masked_tree, geometry=Geometry(40, 64, 40, True, 0.5))
    for key in [(epoch, position) for epoch in range(3) for position in (1, 3)]:  # image folders
        sample = data.training_set()[key]
        assert (sample.mask.dtype, sample.mask.shape) == (torch.bool, (8, 40, 40))
        assert sample.region is sample.mask
        bright = sample.video.min(dim=-1).values > 150  # the edges of a JPEG are soft
        assert not (sample.mask & ~bright).any()
        rows, columns = np.where(sample.mask[3])
        if columns.min() > 0 and columns.max() < 39:  # wholly inside of the crop
            assert int(sample.mask[3].sum()) == 75
            assert sample.boxes[3].tolist() == [columns.min(), rows.min(), columns.max(), rows.max()]


def test_boxes_alone_carry_no_mask(aqa7_tree: Callable[..., Path], open_data: Open) -> None:
    data = open_data(aqa7_tree())
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert batch.mask.shape == (4, 0, 32, 32)
    assert batch.region is batch.boxes


@pytest.mark.parametrize(("voters", "workers"), [(0, 0), (3, 2)])
def test_the_hook_swaps_by_the_masks(voters: int, workers: int, masked_tree: Path, open_data: Open) -> None:
    swap = ScaledBackgroundSwap(ratio=1.5)
    data = opened(open_data, masked_tree, augment=swap, voters=voters, workers=workers)
    batch = channels_first(next(iter(data.train_dataloader())))
    after = data.augmented(batch, epoch=0, step=0)
    befores, afters = (list(one) if isinstance(one, Pair) else [one] for one in (batch, after))
    video, mask = (torch.cat([getattr(one, name) for one in befores]) for name in ("video", "mask"))
    plan = swap.draw(len(video), keyed_generator(data.seed, "augment", 0, 0))
    expected = swap_background(video, mask, plan.donors, ratio=1.5)
    assert torch.equal(torch.cat([one.video for one in afters]), expected)
    assert not torch.equal(video, expected)
    share = torch.cat([one.replaced for one in afters])
    torch.testing.assert_close(share, swap.replaced_share(mask, (32, 32), plan))
    assert 0.8 < share.min() < share.max() <= 1


def test_both_kinds_of_sources_are_read_the_same_without_an_augmentation(
    masked_tree: Path, open_data: Open, box_source: Callable[..., BoxSource]
) -> None:
    boxed = open_data(masked_tree, boxes=box_source("darklabel"), augment=NoAugmentation())
    boxed.setup()
    masked = opened(open_data, masked_tree, augment=NoAugmentation())
    for one, other in zip(boxed.val_dataloader()[0], masked.val_dataloader()[0], strict=True):
        assert torch.equal(one.video, other.video)
        assert torch.equal(one.labels.label, other.labels.label)
