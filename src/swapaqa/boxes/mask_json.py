"""Masks of one video in a JSON file: COCO's with an image a frame, or YouTube-VIS' with a list of masks an object.

A mask is run lengths (packed or not) or polygons. Objects are numbered by an annotation's `track_id`, else
`instance_id`, else by the `category_id`. An image's frame is the last number in its `file_name`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from swapaqa.boxes.run_lengths import filled, unpacked
from swapaqa.boxes.tracks import frame_number
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import read_json

REMEDY = "export it again, as COCO or YouTube-VIS"
FINER = 5  # odd, so that a pixel has a middle
NUMBERS = ("track_id", "instance_id", "category_id")


class MaskFile(NamedTuple):
    """The masks of one file by frame, as the file counts."""

    frames: set[int]  # that the file is about
    objects: dict[int, list[tuple[int, np.ndarray]]]  # by frame: number of an object and its mask (H, W) bool


def read_mask_json(path: Path, size: tuple[int, int]) -> MaskFile:
    """The masks of a video of `size` (H, W).

    Raises:
        InputError: naming the file and annotation: not that format, masks of another size, damaged run lengths.
    """
    content = read_json(path, REMEDY)
    try:
        videos = content.get("videos")
        return _of_video(content, size, path) if videos is not None else _of_images(content, size, path)
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path}: is neither COCO's nor YouTube-VIS' ({error!r}); {REMEDY}") from error


def _of_images(content: dict[str, Any], size: tuple[int, int], path: Path) -> MaskFile:
    frames = {
        image["id"]: frame_number(image["file_name"], f"{path}, image {image['id']}") for image in content["images"]
    }
    found = MaskFile(set(frames.values()), {})
    for annotation in content["annotations"]:
        place = f"{path}, annotation {annotation.get('id')}"
        mask = mask_of(annotation["segmentation"], size, place)
        if annotation["image_id"] not in frames:
            raise InputError(f"{place}: is of image {annotation['image_id']}, which the file does not list; {REMEDY}")
        found.objects.setdefault(frames[annotation["image_id"]], []).append((_number(annotation, place), mask))
    return found


def _of_video(content: dict[str, Any], size: tuple[int, int], path: Path) -> MaskFile:
    if len(content["videos"]) != 1:
        raise InputError(f"{path}: holds {len(content['videos'])} videos; one file a video is read")
    names = content["videos"][0].get("file_names")
    objects: dict[int, list[tuple[int, np.ndarray]]] = {}
    longest = 0
    for annotation in content["annotations"]:
        place = f"{path}, annotation {annotation.get('id')}"
        for t, segmentation in enumerate(annotation["segmentations"]):
            frame = frame_number(names[t], place) if names else t
            if segmentation is not None:
                objects.setdefault(frame, []).append((_number(annotation, place), mask_of(segmentation, size, place)))
        longest = max(longest, len(annotation["segmentations"]))
    frames = {frame_number(name, str(path)) for name in names} if names else set(range(longest))
    return MaskFile(frames, objects)


def _number(annotation: dict[str, Any], place: str) -> int:
    for key in NUMBERS:
        if annotation.get(key) is not None:
            return int(annotation[key])
    raise InputError(f"{place}: has none of {', '.join(NUMBERS)}; {REMEDY}")


def mask_of(segmentation: Any, size: tuple[int, int], place: str) -> np.ndarray:
    """(H, W) bool of `size`, from COCO's run lengths or polygons. InputError at `place`."""
    if isinstance(segmentation, list):
        return fill_polygons(segmentation, size, place)
    own = tuple(int(side) for side in segmentation["size"])
    if own != size:
        raise InputError(
            f"{place}: a mask of {own[-1]}x{own[0]} pixels, and the video has {size[1]}x{size[0]}; masks lie on the "
            "video's own pixels: make them from these frames"
        )
    try:
        counts = segmentation["counts"]
        return filled(unpacked(counts) if isinstance(counts, str) else counts, size, by_columns=True)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{place}: damaged run lengths ({error}); {REMEDY}") from error


def fill_polygons(polygons: Sequence[Sequence[float]], size: tuple[int, int], place: str) -> np.ndarray:
    """(H, W) bool: pixels whose middles lie in one of `polygons`, each x, y, x, y, ... in edges.

    OpenCV fills what an outline touches, so it is drawn FINER times as large, and the middles are taken.
    """
    mask = np.zeros((size[0] * FINER, size[1] * FINER), np.uint8)
    for polygon in polygons:
        try:
            corners = np.array(polygon, np.float64).reshape(-1, 2)
        except ValueError:
            corners = np.empty((0, 2))
        if len(corners) < 3 or not np.isfinite(corners).all() or np.abs(corners).max() > 1e6:
            raise InputError(f"{place}: a polygon without three corners x, y, ...; correct or delete it")
        cv2.fillPoly(mask, [np.round((corners * FINER - 0.5) * 16).astype(np.int32)], 1, shift=4)
    return mask[FINER // 2 :: FINER, FINER // 2 :: FINER].astype(bool)
