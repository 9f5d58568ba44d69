"""Masks of one video in a JSON file: COCO's with an image a frame, or YouTube-VIS' with a list of masks an object.

A mask is run lengths (packed or not) or polygons. Objects are numbered by an annotation's `track_id`, else
`instance_id`, else by the `category_id`. An image's frame is the last number in its `file_name`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NotRequired

import cv2
import numpy as np
from typing_extensions import TypedDict  # pydantic's, before Python 3.12

from swapaqa.boxes.run_lengths import filled, unpacked
from swapaqa.boxes.tracks import frame_number
from swapaqa.errors import InputError
from swapaqa.files.file_form import Number, Whole, first_fault
from swapaqa.files.foreign_file import read_json

REMEDY = "export it again, as COCO or YouTube-VIS"
FINER = 5  # odd, so that a pixel has a middle


class RunLengths(TypedDict):
    """COCO's: the size is (H, W)."""

    size: tuple[Whole, Whole]
    counts: list[Whole] | str


Segmentation = RunLengths | list[list[Number]]


class Numbered(TypedDict):
    """What says which object an annotation is of."""

    id: NotRequired[Whole | None]
    track_id: NotRequired[Whole | None]
    instance_id: NotRequired[Whole | None]
    category_id: NotRequired[Whole | None]


class ImageAnnotation(Numbered):
    """A mask of COCO's."""

    image_id: Whole
    segmentation: Segmentation


class Image(TypedDict):
    """A frame of COCO's."""

    id: Whole
    file_name: str


class Images(TypedDict):
    """A file of COCO's."""

    images: list[Image]
    annotations: list[ImageAnnotation]


class ObjectAnnotation(Numbered):
    """YouTube-VIS': the masks of an object, one a frame."""

    segmentations: list[Segmentation | None]


class Video(TypedDict):
    """A video of YouTube-VIS', by the names of its frames."""

    file_names: NotRequired[list[str] | None]


class Videos(TypedDict):
    """A file of YouTube-VIS'."""

    videos: list[Video]
    annotations: list[ObjectAnnotation]


class MaskFile(NamedTuple):
    """The masks of one file by frame, as the file counts."""

    frames: set[int]  # that the file is about
    objects: dict[int, list[tuple[int, np.ndarray]]]  # by frame: number of an object and its mask (H, W) bool


def read_mask_json(path: Path, size: tuple[int, int]) -> MaskFile:
    """The masks of a video of `size` (H, W).

    Raises:
        InputError: naming the file and annotation: not that format, masks of another size, damaged run lengths, two
            images of one frame.
    """
    content = read_json(path, REMEDY)
    of_videos = isinstance(content, dict) and content.get("videos") is not None
    fault = first_fault(Videos if of_videos else Images, content)
    if fault:
        raise InputError(f"{path}: is neither COCO's nor YouTube-VIS' ({fault}); {REMEDY}")
    return _of_video(content, size, path) if of_videos else _of_images(content, size, path)


def _of_images(content: Images, size: tuple[int, int], path: Path) -> MaskFile:
    frames: dict[int, int] = {}
    taken: set[int] = set()
    for image in content["images"]:
        frame = frame_number(image["file_name"], f"{path}, image {image['id']}")
        if image["id"] in frames or frame in taken:
            raise InputError(f"{path}: has two images of number {image['id']} or of frame {frame}; one video is read")
        frames[image["id"]] = frame
        taken.add(frame)
    found = MaskFile(taken, {})
    for annotation in content["annotations"]:
        place = f"{path}, annotation {annotation.get('id')}"
        mask = mask_of(annotation["segmentation"], size, place)
        if annotation["image_id"] not in frames:
            raise InputError(f"{place}: is of image {annotation['image_id']}, which the file does not list; {REMEDY}")
        found.objects.setdefault(frames[annotation["image_id"]], []).append((_number(annotation, place), mask))
    return found


def _of_video(content: Videos, size: tuple[int, int], path: Path) -> MaskFile:
    if len(content["videos"]) != 1:
        raise InputError(f"{path}: holds {len(content['videos'])} videos; one file a video is read")
    lengths = [len(annotation["segmentations"]) for annotation in content["annotations"]]
    names = content["videos"][0].get("file_names")
    numbers = [frame_number(name, str(path)) for name in names] if names else list(range(max(lengths, default=0)))
    found = MaskFile(set(numbers), {})
    for annotation in content["annotations"]:
        place = f"{path}, annotation {annotation.get('id')}"
        if len(annotation["segmentations"]) != len(numbers):
            raise InputError(
                f"{place}: has masks of {len(annotation['segmentations'])} frames of {len(numbers)}; {REMEDY}"
            )
        for frame, segmentation in zip(numbers, annotation["segmentations"], strict=True):
            if segmentation is not None:
                mask = mask_of(segmentation, size, place)
                found.objects.setdefault(frame, []).append((_number(annotation, place), mask))
    return found


def _number(annotation: Numbered, place: str) -> int:
    for number in (annotation.get("track_id"), annotation.get("instance_id"), annotation.get("category_id")):
        if number is not None:
            return number
    raise InputError(f"{place}: has none of track_id, instance_id, category_id; {REMEDY}")


def mask_of(segmentation: Segmentation, size: tuple[int, int], place: str) -> np.ndarray:
    """(H, W) bool of `size`, from COCO's run lengths or polygons. InputError at `place`."""
    if isinstance(segmentation, list):
        return fill_polygons(segmentation, size, place)
    height, width = segmentation["size"]
    if (height, width) != size:
        raise InputError(
            f"{place}: a mask of {width}x{height} pixels, and the video has {size[1]}x{size[0]}; masks lie on the "
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
