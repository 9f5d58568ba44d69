"""What detectors in ONNX files answer, by the layout of their outputs, as boxes, scores and classes.

| layout | outputs | exported by |
| --- | --- | --- |
| `yolox` | (1, N, 5 + C): offsets in cells, log sizes, objectness, classes; N cells of strides 8, 16, 32 | YOLOX |
| `yolov5` | (1, N, 5 + C): centre, size, objectness, classes; three anchors a cell | YOLOv5, YOLOv7 |
| `yolov8` | (1, 4 + C, N): centre, size, classes; of segmentation, 32 more and a second output | YOLOv8, 11, 12 |
| `end_to_end` | (1, N, 6): corners, score, class | YOLOv10, exports with NMS |
| `rtdetr` | (1, N, 4 + C): centre, size as shares of the frame, classes | RT-DETR by Ultralytics |
| `detr` | (1, N, C) logits and (1, N, 4) centre, size as shares | RT-DETR, DETR by transformers |
| `named` | labels (1, N), boxes (1, N, 4) corners, scores (1, N) | RT-DETR by its authors |

Sources: the export scripts of Megvii-BaseDetection/YOLOX, ultralytics, lyuwenyu/RT-DETR and transformers.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import cv2
import numpy as np

from swapaqa.errors import InputError

Layout = Literal["yolox", "yolov5", "yolov8", "end_to_end", "rtdetr", "detr", "named"]
STRIDES, ANCHORS = (8, 16, 32), 3
QUERIES = 1000  # a transformer, or what is left after NMS, has no more boxes
MASK_VALUES = 32  # a box of a segmenting YOLO
STRETCHED = ("rtdetr", "detr", "named")  # trained on frames made square; the others keep their shape in a frame of grey
AS_BYTES = ("yolox",)  # BGR from 0 to 255; the others RGB from 0 to 1


class Found(NamedTuple):
    """Boxes of one picture."""

    boxes: np.ndarray  # (K, 4) x1 y1 x2 y2, edges in pixels of the network's input
    scores: np.ndarray  # (K,) from 0 to 1
    classes: np.ndarray  # (K,) int
    mixture: np.ndarray | None = None  # (K, MASK_VALUES) of a segmenting network: how its pictures make each mask


def recognise_layout(shapes: Sequence[tuple[int, ...]], size: tuple[int, int]) -> Layout:
    """The layout of a network whose outputs have these shapes for an input of `size` (H, W).

    Raises:
        InputError: none of the known ones.
    """
    flat = [shape for shape in shapes if len(shape) in (2, 3) and shape[0] == 1]
    cells = sum((size[0] // stride) * (size[1] // stride) for stride in STRIDES)
    if len(flat) == 3 and sorted(map(len, flat)) == [2, 2, 3]:
        return "named"
    if len(flat) == 2 and 4 in (flat[0][-1], flat[1][-1]) and flat[0][1] == flat[1][1]:
        return "detr"
    if len(flat) == 1 and len(flat[0]) == 3:
        _, first, last = flat[0]
        if last == 6 and first <= QUERIES:
            return "end_to_end"
        if last > 5 and first in (cells, ANCHORS * cells):
            return "yolox" if first == cells else "yolov5"
        if last > 4 and first <= QUERIES and last < first:
            return "rtdetr"
        if 4 < first < last:
            return "yolov8"
    raise InputError(
        f"its outputs {', '.join(map(str, shapes))} are of no known detector (YOLOX, YOLOv5 to 12, RT-DETR); export "
        "one of these, with its own export script, for a batch of 1"
    )


def decode_outputs(outputs: Sequence[np.ndarray], layout: Layout, size: tuple[int, int]) -> Found:
    """The boxes that `outputs` hold, for an input of `size` (H, W), whatever their scores."""
    flat = [output[0].astype(np.float64) for output in outputs if output.ndim in (2, 3)]
    if layout == "named":
        return _named(flat)
    if layout == "detr":
        logits, boxes = flat if flat[1].shape[-1] == 4 else flat[::-1]
        return _best(_in_pixels(boxes, size), 1 / (1 + np.exp(-logits)))
    (values,) = flat
    if layout == "end_to_end":
        return Found(values[:, :4], values[:, 4], values[:, 5].astype(int))
    if layout == "rtdetr":
        return _best(_in_pixels(values[:, :4], size), values[:, 4:])
    if layout == "yolov8":
        masks = any(output.ndim == 4 for output in outputs)
        classes = len(values) - 4 - (MASK_VALUES if masks else 0)
        found = _best(_corners(values[:4].T), values[4 : 4 + classes].T)
        return found._replace(mixture=values[4 + classes :].T) if masks else found
    boxes = _off_the_grid(values[:, :4], size) if layout == "yolox" else values[:, :4]
    return _best(_corners(boxes), values[:, 4:5] * values[:, 5:])


def decode_masks(outputs: Sequence[np.ndarray], mixture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The masks (K, H, W) bool of detections on an input of `size` (H, W): from K rows of `Found.mixture`.

    A mask is a weighted sum of the network's pictures, as in YOLACT (Bolya et al. 2019), above zero.
    """
    pictures = next(output[0] for output in outputs if output.ndim == 4)  # (MASK_VALUES, h, w)
    small = np.tensordot(mixture, pictures, axes=1).astype(np.float32)  # (K, h, w)
    grown = [cv2.resize(one, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) > 0 for one in small]
    return np.stack(grown) if grown else np.zeros((0, *size), bool)


def _named(flat: Sequence[np.ndarray]) -> Found:
    (boxes,) = (output for output in flat if output.ndim == 2)
    first, second = (output for output in flat if output.ndim == 1)
    whole = bool((first == first.round()).all()) and not bool((second == second.round()).all())
    labels, scores = (first, second) if whole or first.max() > 1 else (second, first)
    return Found(boxes, scores, labels.astype(int))


def _best(boxes: np.ndarray, scores: np.ndarray) -> Found:
    """Every box (K, 4) with the best of its classes (K, C)."""
    return Found(boxes, scores.max(axis=1), scores.argmax(axis=1))


def _corners(boxes: np.ndarray) -> np.ndarray:
    """Centre and size (K, 4) -> corners."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _in_pixels(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    scaled: np.ndarray = _corners(boxes) * np.array([size[1], size[0]] * 2)
    return scaled


def _off_the_grid(raw: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """YOLOX: offsets and log sizes in cells (N, 4) -> centre and size in pixels; those that are pixels stay."""
    if raw[:, 2:].min() > 0 and raw[:, :2].max() > max(size) / 4:  # exported with --decode_in_inference
        return raw
    cells, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: size[0] // stride, : size[1] // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((x.size, 1), stride))
    scale = np.concatenate(strides)
    return np.concatenate([(raw[:, :2] + np.concatenate(cells)) * scale, np.exp(raw[:, 2:]) * scale], axis=1)
