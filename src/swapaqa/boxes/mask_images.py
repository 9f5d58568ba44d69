"""Masks as pictures, one a frame, in the layout of DAVIS, which SAM 2's own script writes, or in a file a video:

    <root>/<video>/00000.png 00001.png ...         root: boxes.root, else <data.root>/boxes
    <root>/<video>.json                            COCO or YouTube-VIS, see `mask_json`
    <root>/<video>.xml or .zip                     CVAT for video 1.1, see `cvat_masks`

The number in a name is that of the frame, from `frame_start` on. Where a mask is zero there is background; what is not
zero is an object, and of pictures with a palette (DAVIS, SAM 2) or in grey its number is the object's.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from swapaqa.boxes.cvat_masks import read_cvat_masks
from swapaqa.boxes.mask_json import read_mask_json
from swapaqa.boxes.objects import interpolate_keyframes, names
from swapaqa.boxes.source import BoxRequest
from swapaqa.boxes.tracks import existing
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import check_regular, reason
from swapaqa.video.image_folder import ImageFolder, open_folder

SUFFIX = ".png"
JSON, CVAT = (".json",), (".xml", ".zip")
WITH_NUMBERS, IN_COLOURS = ("1", "L", "P", "I", "I;16", "I;16B"), "RGB"  # Pillow's modes


@dataclass(frozen=True)
class MaskImages:
    """A source of masks, see `swapaqa.boxes.source.MaskSource`.

    Attributes:
        ratio, root: as in `BoxSource`.
        ids: which objects count, by their numbers; all that are not background if empty.
        frame_start: the number in the name of the first frame's mask.
    """

    ratio: float
    root: str | None
    ids: Sequence[int] = ()
    frame_start: int = 0
    frame: Literal["source"] = "source"

    def __post_init__(self) -> None:
        if self.frame_start < 0:
            raise InputError(f"boxes.frame_start={self.frame_start}: the number of the first frame, mostly 0 or 1")
        if 0 in self.ids:
            raise InputError(f"boxes.ids={list(self.ids)}: 0 is the background; name the numbers of objects")

    def find(self, files: Sequence[Path]) -> Path:
        """The first of `files` that is a folder, else the first that is a file of masks."""
        named = [file.parent / f"{file.name}{suffix}" for file in files for suffix in (*JSON, *CVAT)]
        found = next((file for file in files if file.is_dir()), None) or existing(named)
        if found is None:
            raise InputError(
                f"{files[0]}: no such folder of masks, one {SUFFIX} a frame, nor {', '.join((*JSON, *CVAT))}; name the "
                "folder of these with boxes.root=, or take another source of boxes (docs/boxes.md)"
            )
        return found

    def read(self, request: BoxRequest) -> np.ndarray:
        """(T, 4): around the masks."""
        return boxes_around(self.read_masks(request), request)

    def read_masks(self, request: BoxRequest) -> Iterator[np.ndarray]:
        """T masks (H, W) bool.

        Raises:
            InputError: naming the picture that is missing, damaged, of another size or no mask; no object of `ids`.
        """
        path = self.find(request.files)
        there, others = False, set[int]()
        for mask, numbers in self._of_folder(path, request) if path.is_dir() else self._of_file(path, request):
            there = there or bool(mask.any())
            others |= set() if there else numbers
            yield mask
        if others and not there:
            raise InputError(
                f"{path}: no object of boxes.ids={list(self.ids)} in the masks of frames "
                f"{min(request.frames)} to {max(request.frames)}; they show {names(others)}"
            )

    def _of_folder(self, path: Path, request: BoxRequest) -> Iterator[tuple[np.ndarray, set[int]]]:
        """Mask of each frame, and which objects its picture shows."""
        images = open_folder(path)
        self._check_frames(images, request)
        for frame in request.frames:
            objects = self._read(images, frame, request.size)
            mask = np.isin(objects, list(self.ids)) if self.ids else objects != 0
            yield mask, set(np.unique(objects).tolist()) - {0}

    def _of_file(self, path: Path, request: BoxRequest) -> Iterator[tuple[np.ndarray, set[int]]]:
        """As `_of_folder`, from a file of run lengths or polygons."""
        if path.suffix in JSON:
            found = read_mask_json(path, request.size)
        else:
            found = read_cvat_masks(path, request.size, max(request.frames) + self.frame_start)
        for frame in request.frames:
            if frame + self.frame_start not in found.frames:
                raise InputError(
                    f"{path}: says nothing of frame {frame + self.frame_start}; every frame of the window has an "
                    "image, without annotations where the athlete is not there, and the first of the video is number "
                    f"boxes.frame_start={self.frame_start}"
                )
            objects = found.objects.get(frame + self.frame_start, [])
            chosen = [mask for number, mask in objects if not self.ids or number in self.ids]
            mask = np.logical_or.reduce(chosen) if chosen else np.zeros(request.size, bool)
            yield mask, {number for number, _ in objects}

    def _check_frames(self, images: ImageFolder, request: BoxRequest) -> None:
        """InputError where the masks are of more frames than the video has: they count from another number."""
        last = images.first + len(images) - 1
        if request.total is not None and last > max(request.frames) + self.frame_start:
            total = request.total()
            if last - self.frame_start >= total:
                raise InputError(
                    f"{images.folder / images.names[-1]}: is the mask of frame {last}, and the video has {total} "
                    f"frames, if the first one is number {self.frame_start}; say boxes.frame_start={images.first}, or "
                    "take the masks of this video"
                )

    def _read(self, images: ImageFolder, frame: int, size: tuple[int, int]) -> np.ndarray:
        """(H, W) numbers of objects, 0 of the background."""
        path = self._path(images, frame)
        check_regular(path)
        try:
            with Image.open(path, formats=["PNG"]) as picture:
                found, mode = picture.size[::-1], picture.mode
                fits = found == size and (mode in WITH_NUMBERS or (mode == IN_COLOURS and not self.ids))
                values = np.asarray(picture) if fits else None  # what does not fit may be huge
        except Exception as error:  # damaged bytes raise whatever they happen to spell
            raise InputError(f"{path}: not a readable PNG ({reason(error)}); make it again") from error
        if values is not None:
            return values if values.ndim == 2 else values.max(axis=2)
        if found != size:
            raise InputError(
                f"{path}: a mask of {found[1]}x{found[0]} pixels, and the video has {size[1]}x{size[0]}; masks lie on "
                "the video's own pixels: make them from these frames"
            )
        if mode == IN_COLOURS:
            raise InputError(f"{path}: has colours and no numbers of objects, which boxes.ids={list(self.ids)} names")
        raise InputError(
            f"{path}: a picture of Pillow's mode {mode} and no mask; save it with a palette, in grey or in RGB, 0 as "
            "background"
        )

    def _path(self, images: ImageFolder, frame: int) -> Path:
        number = frame + self.frame_start - images.first
        there = 0 <= number < len(images)
        path = images[number] if there else images.folder / f"{frame + self.frame_start:05d}{SUFFIX}"
        if path.suffix.lower() != SUFFIX:
            raise InputError(f"{path}: masks are {SUFFIX} files: a format with losses changes the numbers of objects")
        if not path.exists():
            raise InputError(
                f"{path}: is missing; every frame of the window has a mask, an empty one where the athlete is not "
                f"there, and the first of the video is number boxes.frame_start={self.frame_start}"
            )
        return path


def boxes_around(masks: Iterable[np.ndarray], request: BoxRequest) -> np.ndarray:
    """T masks (H, W) bool -> (T, 4) float64: what `read` of a source of masks returns.

    Where a mask is empty the boxes beside it are interpolated, as between keyframes.

    Raises:
        InputError: all masks are empty.
    """
    found = [_box_around(mask) for mask in masks]
    there = [t for t, box in enumerate(found) if box is not None]
    if not there:
        raise InputError(
            f"{request.files[0]}: the masks of frames {min(request.frames)} to {max(request.frames)} are all empty, so "
            "where the athlete is cannot be said; make them again, or leave the video out"
        )
    keyframes = np.array([found[t] for t in there], np.float64)
    return interpolate_keyframes(np.array(request.frames)[there], keyframes, request.frames)


def _box_around(mask: np.ndarray) -> tuple[int, int, int, int] | None:
    """(H, W) bool -> x1 y1 x2 y2, inclusive; None of an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])) if len(rows) else None
