"""Poses in files: where the athlete's joints are in the frames of a video, COCO's seventeen.

    <root>/<video_id>.json      as COCO has keypoints, or the list of them alone, as AlphaPose and COCO's results are

An entry is a person in a frame: `keypoints`, 51 numbers (x, y in pixels of the source frame, and how sure the detector
is), its `score`, and the frame as `image_id`, a number or the name of an image. Of several people in a frame the one
with the highest score is the athlete. Joints of a frame without anybody are unsure by 0. Frames of a file count from 0,
those of an image folder as its images do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NotRequired

import numpy as np
from typing_extensions import TypedDict  # pydantic's, before Python 3.12

from swapaqa.boxes.tracks import frame_number
from swapaqa.data.feature_files import spellings
from swapaqa.data.geometry import Crop, Geometry
from swapaqa.errors import InputError
from swapaqa.files.file_form import Number, Whole, first_fault
from swapaqa.files.foreign_file import read_json
from swapaqa.video.frames import frame_count
from swapaqa.video.image_folder import open_folder

JOINTS = 17
OTHER_SIDE = [0, *(place + (1 if place % 2 else -1) for place in range(1, JOINTS))]  # left for right
SIDE = "pose"  # (T, JOINTS, 3): x and y on the grid of the network's input, and how sure; 0 where nobody was seen
OWN = "own"  # of data.poses: the folder `poses` in the data set's
REMEDY = "export it again, as COCO's keypoints"


class Person(TypedDict):
    """A person in a frame."""

    image_id: Whole | str
    keypoints: list[Number]
    score: NotRequired[Number | None]


class Image(TypedDict):
    """A frame of COCO's."""

    id: Whole
    file_name: str


class Images(TypedDict):
    """A file of COCO's."""

    images: list[Image]
    annotations: list[Person]


@dataclass(frozen=True)
class PoseFiles:
    """The pose files in a folder."""

    root: str

    def find(self, video_id: str) -> Path:
        """The file of a video. InputError if there is none."""
        place = Path(self.root).expanduser()
        for name in spellings(video_id):
            if (path := place / f"{name}.json").is_file():
                return path
        raise InputError(
            f"{place / video_id}.json: no such file; data.poses names a folder of COCO's keypoints, one file a video"
        )

    def read(self, video_id: str, media: Path, frames: Sequence[int], accept_incomplete: bool) -> np.ndarray:
        """(T, JOINTS, 3) of the frames of a video, pixels of the source frame.

        Raises:
            InputError: there is no file, it is damaged, or about other frames than the video has.
        """
        path = self.find(video_id)
        poses = _poses(str(path), path.stat().st_mtime_ns)
        start, total = (open_folder(media).first if media.is_dir() else 0), frame_count(media, accept_incomplete)
        outside = [frame for frame in poses if not start <= frame < start + total]
        if outside:
            raise InputError(
                f"{path}: frame {outside[0]} is not in the video's {total} frames, if the first one is number {start}; "
                "number them so, or take the file of this video"
            )
        nobody = np.zeros((JOINTS, 3), np.float32)
        return np.stack([poses.get(start + frame, nobody) for frame in frames])


def placed(pose: np.ndarray, size: tuple[int, int], geometry: Geometry, crop: Crop) -> np.ndarray:
    """(T, JOINTS, 3) on frames of `size` (H, W) -> the same on the crop; mirrored, a left joint is a right one."""
    points = np.concatenate([pose[..., :2]] * 2, axis=2).reshape(-1, 4)  # boxes of one place
    moved = geometry.crop_boxes(points, size, crop)[:, :2].reshape(*pose.shape[:2], 2)
    found = np.concatenate([moved, pose[..., 2:]], axis=2).astype(np.float32)
    return found[:, OTHER_SIDE] if crop.flip else found


@lru_cache(maxsize=512)
def _poses(path: str, _changed: int) -> dict[int, np.ndarray]:
    """The athlete's joints (JOINTS, 3) float32 by frame, as the file counts."""
    content = read_json(Path(path), REMEDY)
    of_images = isinstance(content, dict)
    fault = first_fault(Images if of_images else list[Person], content)
    if fault:
        raise InputError(f"{path}: is not COCO's keypoints ({fault}); {REMEDY}")
    names: dict[Any, str] = {image["id"]: image["file_name"] for image in content["images"]} if of_images else {}
    best: dict[int, tuple[float, np.ndarray]] = {}
    for person in content["annotations"] if of_images else content:
        frame = _frame(person, names, of_images, path)
        joints = np.array(person["keypoints"], np.float32)
        if joints.shape != (3 * JOINTS,) or not np.isfinite(joints).all():
            raise InputError(f"{path}, frame {frame}: {len(joints)} numbers, and {3 * JOINTS} are needed; {REMEDY}")
        joints = joints.reshape(JOINTS, 3)
        given = person.get("score")
        score = float(joints[:, 2].mean()) if given is None else float(given)
        if frame not in best or score > best[frame][0]:
            best[frame] = (score, joints)
    return {frame: joints for frame, (_, joints) in best.items()}


def _frame(person: Person, names: dict[Any, str], of_images: bool, path: str) -> int:
    image = person["image_id"]
    if of_images and image not in names:
        raise InputError(f"{path}: an annotation is of image {image}, which the file does not list; {REMEDY}")
    named = names[image] if of_images else image
    return frame_number(named, path) if isinstance(named, str) else named
