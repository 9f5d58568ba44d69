"""Persons in a picture: by a detector of the user's in an ONNX file, or by OpenCV's HOG, whose weights it has built in.

HOG with a linear SVM is Dalal and Triggs 2005; it knows people who stand.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from swapaqa.boxes.detector_outputs import AS_BYTES, STRETCHED, decode_masks, decode_outputs, recognise_layout
from swapaqa.errors import InputError

GREY = 114  # around a picture that keeps its shape, as all YOLOs were trained
USUAL_SIDE = 640  # of networks that take any size
LEAST_SCORE = 0.1  # below, a detection is not looked at: ByteTrack's lower threshold
MOST_OVERLAP = 0.45  # IoU of two detections of two persons
HOG_SIDE = 480  # pixels of the short side: HOG's person is 128 pixels high


class Detections(NamedTuple):
    """What a detector finds in one frame."""

    boxes: np.ndarray  # (K, 4) float64, inclusive pixels
    scores: np.ndarray  # (K,) from 0 to 1
    masks: np.ndarray | None = None  # (K, H, W) bool of the frame, of a network that gives them


class Detector(Protocol):
    """Finds persons."""

    def __call__(self, frame: np.ndarray) -> Detections:
        """Persons in a frame (H, W, 3) uint8 RGB."""


class Fitted(NamedTuple):
    """A picture on the grid of a network: scaled, and moved by what is around it."""

    picture: np.ndarray  # (H, W, 3)
    scale: tuple[float, float]  # of x and y
    moved: tuple[float, float]  # pixels to the right and down


def make_detector(weights: Sequence[str], class_ids: Sequence[int]) -> Detector:
    """An ONNX detector, or HOG without weights.

    Raises:
        InputError: more than one file, a file that is missing or of no known detector.
    """
    if len(weights) > 1:
        raise InputError(f"boxes.weights={list(weights)}: first_box=detector takes one ONNX file, or none for HOG")
    return OnnxDetector(Path(weights[0]).expanduser(), class_ids) if weights else HogDetector()


class OnnxDetector:
    """A network whose layout is recognised by its outputs, see `detector_outputs`.

    Args:
        path: the ONNX file.
        class_ids: the classes that count; 0 is COCO's person.
    """

    def __init__(self, path: Path, class_ids: Sequence[int]) -> None:
        if not path.is_file():
            raise InputError(f"boxes.weights: {path}: no such file")
        self.path, self.class_ids = path, list(class_ids)
        try:
            self.network = cv2.dnn.readNetFromONNX(str(path))
            self.size = input_size(self.network.dump())
            shapes = [output.shape for output in self._run(np.zeros((*self.size, 3), np.float32))]
        except cv2.error as error:
            raise InputError(f"boxes.weights: {path}: OpenCV cannot run it ({error.err}); export it anew") from error
        try:
            self.layout, self.dimensions = recognise_layout(shapes, self.size), {len(shape) for shape in shapes}
        except InputError as error:
            raise InputError(f"boxes.weights: {path}: {error}") from error

    @property
    def gives_masks(self) -> bool:
        return self.layout == "yolov8" and self.dimensions == {3, 4}

    def __call__(self, frame: np.ndarray) -> Detections:
        return self._look(frame, masks=False)

    def segment(self, frame: np.ndarray) -> Detections:
        """Persons with their masks, each within its box.

        Raises:
            InputError: the network gives none.
        """
        self.check_masks()
        return self._look(frame, masks=True)

    def check_masks(self) -> None:
        """InputError unless the network gives masks."""
        if not self.gives_masks:
            raise InputError(f"boxes.weights: {self.path}: gives no masks; take a network such as YOLOv8-seg")

    def _look(self, frame: np.ndarray, masks: bool) -> Detections:
        fitted = fit_picture(frame, self.size, stretch=self.layout in STRETCHED, centred=self.layout not in AS_BYTES)
        rgb = fitted.picture.astype(np.float32)
        picture = rgb[..., ::-1] if self.layout in AS_BYTES else rgb / np.float32(255)
        outputs = self._run(picture)
        found = decode_outputs(outputs, self.layout, self.size)
        kept = np.flatnonzero(np.isin(found.classes, self.class_ids) & (found.scores >= LEAST_SCORE))
        edges = (found.boxes[kept] - np.array(fitted.moved * 2)) / np.array(fitted.scale * 2)
        all_found = Detections(edges - [0, 0, 1, 1], found.scores[kept])
        best = best_apart(all_found)
        persons = Detections(all_found.boxes[best], all_found.scores[best])
        if not masks or found.mixture is None:
            return persons
        on_input = decode_masks(outputs, found.mixture[kept[best]], self.size)
        own = [
            within(laid_back(mask, fitted, frame.shape[:2]), box)
            for mask, box in zip(on_input, persons.boxes, strict=True)
        ]
        return persons._replace(masks=np.stack(own) if own else np.zeros((0, *frame.shape[:2]), bool))

    def _run(self, picture: np.ndarray) -> list[np.ndarray]:
        self.network.setInput(np.ascontiguousarray(picture.transpose(2, 0, 1))[None])
        return list(self.network.forward(self.network.getUnconnectedOutLayersNames()))


class HogDetector:
    """OpenCV's HOG and its default people detector."""

    def __init__(self) -> None:
        self.hog = cv2.HOGDescriptor()
        self.hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())  # type: ignore[attr-defined]

    def __call__(self, frame: np.ndarray) -> Detections:
        scale = max(1.0, HOG_SIDE / min(frame.shape[:2]))
        picture = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        found, margins = self.hog.detectMultiScale(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), winStride=(8, 8))
        if not len(found):
            return Detections(np.empty((0, 4)), np.empty(0))
        x, y, w, h = (np.asarray(found, np.float64) / scale).T
        scores = 1 / (1 + np.exp(-2 * np.ravel(margins)))
        return suppressed(Detections(np.stack([x, y, x + w - 1, y + h - 1], axis=1), scores))


def input_size(description: str) -> tuple[int, int]:
    """(H, W) that a network takes, from the text of OpenCV's `Net.dump`; the usual one where it takes any."""
    fixed = re.search(r"<Input> \w+ (?:\w+ )?\[\d+ x 3 x (\d+) x (\d+)\]", description)
    return (int(fixed[1]), int(fixed[2])) if fixed else (USUAL_SIDE, USUAL_SIDE)


def fit_picture(frame: np.ndarray, size: tuple[int, int], stretch: bool, centred: bool) -> Fitted:
    """A frame (H, W, 3) on a grid of `size` (H, W): stretched, or in its own shape with grey around or behind it."""
    height, width = frame.shape[:2]
    across, down = size[1] / width, size[0] / height
    if not stretch:
        across = down = min(across, down)
    shape = (round(width * across), round(height * down))
    small = cv2.resize(frame, shape, interpolation=cv2.INTER_LINEAR)
    left, top = ((size[1] - shape[0]) // 2, (size[0] - shape[1]) // 2) if centred else (0, 0)
    grid = np.full((*size, 3), GREY, np.uint8)
    grid[top : top + shape[1], left : left + shape[0]] = small
    return Fitted(grid, (shape[0] / width, shape[1] / height), (left, top))


def laid_back(mask: np.ndarray, fitted: Fitted, size: tuple[int, int]) -> np.ndarray:
    """A mask (H, W) bool on the grid of a network -> the same on its frame of `size` (H, W)."""
    (across, down), (left, top) = fitted.scale, fitted.moved
    shape = (round(size[1] * across), round(size[0] * down))
    inner = mask[int(top) : int(top) + shape[1], int(left) : int(left) + shape[0]].astype(np.float32)
    return cv2.resize(inner, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) >= 0.5


def within(mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A mask (H, W) bool without what lies outside of a box (4,)."""
    kept = np.zeros_like(mask)
    x1, y1, x2, y2 = np.round(box).astype(int).tolist()
    rows, columns = slice(max(0, y1), max(0, y2 + 1)), slice(max(0, x1), max(0, x2 + 1))
    kept[rows, columns] = mask[rows, columns]
    return kept


def suppressed(found: Detections) -> Detections:
    """Without boxes that overlap a better one, the best first."""
    best = best_apart(found)
    return Detections(found.boxes[best], found.scores[best])


def best_apart(found: Detections) -> np.ndarray:
    """Which boxes overlap no better one (non-maximum suppression), the best first: (K,) int."""
    sizes = found.boxes[:, 2:] - found.boxes[:, :2] + 1
    corners = np.concatenate([found.boxes[:, :2], sizes], axis=1)
    kept = cv2.dnn.NMSBoxes(corners.tolist(), found.scores.tolist(), LEAST_SCORE, MOST_OVERLAP)
    return np.array(kept, int).ravel()
