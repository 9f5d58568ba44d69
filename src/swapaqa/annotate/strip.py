"""What the trackers find in a few videos, drawn into frames side by side."""

import time
from pathlib import Path

import cv2
import numpy as np

from swapaqa.annotate.measure import METHODS
from swapaqa.boxes.motion import find_first_box
from swapaqa.boxes.tracker import track_boxes
from swapaqa.video.frames import frame_count, read_frames

COLOURS = {"csrt": (255, 210, 0), "kcf": (0, 230, 255)}  # RGB
SHOWN, TILE = 6, 100  # frames of a strip, and the height of one in pixels


def draw_strips(videos: list[Path], first: list[float] | None, most: int) -> tuple[np.ndarray, list[str]]:
    """The boxes of both trackers in a few frames of every video, a row a video (H, W, 3) RGB, and a line for each."""
    rows, lines = [], []
    for path in videos:
        frames = read_frames(path, range(min(frame_count(path), most)))
        box = find_first_box(frames) if first is None else np.array(first)
        tracks = {}
        for method in METHODS:
            start = time.perf_counter()
            tracks[method] = track_boxes(frames, box, method)
            speed = (len(frames) - 1) / (time.perf_counter() - start)
            confidence = " ".join(f"{value:.1f}" for value in tracks[method].confidence[shown_frames(len(frames))])
            lines.append(f"{path.name}: {method}, {speed:.0f} frames/s; confidence where shown: {confidence}")
        rows.append(draw_row(frames, {method: tracked.boxes for method, tracked in tracks.items()}))
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    return np.vstack(padded), lines


def shown_frames(count: int) -> np.ndarray:
    """Indices of the frames that a strip shows, spread over `count`."""
    return np.linspace(0, count - 1, SHOWN).round().astype(int)


def draw_row(frames: np.ndarray, tracks: dict[str, np.ndarray]) -> np.ndarray:
    """A few of `frames` (T, H, W, 3) side by side, with the boxes (T, 4) of every tracker in its colour."""
    scale = TILE / frames.shape[1]
    tiles = []
    for t in shown_frames(len(frames)):
        tile = cv2.resize(frames[t], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for method, boxes in tracks.items():
            x1, y1, x2, y2 = (round(value * scale) for value in boxes[t])
            cv2.rectangle(tile, (x1, y1), (x2, y2), COLOURS[method], 1)
        tiles.append(np.pad(tile, ((0, 0), (0, 3), (0, 0)), constant_values=255))
    return np.hstack(tiles)
