"""Pictures of Grad-CAM after the paper's Fig. 2: maps over the frames of a video, as a strip and as a film.

Every map is drawn relative to its own highest value in the video, so colours compare places and moments under one
checkpoint, not strengths between two. The colour map is perceptually uniform: equal steps look equal.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from swapaqa.files.whole_file import whole
from swapaqa.pictures.figures import BOX, SCALED_BOX, draw_region, draw_region_in_pixels, save_figure
from swapaqa.video.film import write_film

COLOURS = mpl.colormaps["viridis"]
SEAM = "#000000"  # around a box, which its colour alone would not set off from the brightest of a map
GREY_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R BT.601 luma
SHOWN = 8  # frames of a strip
LEFT, RIGHT, TOP = 0.62, 0.82, 0.5  # margins of a strip, inches
FILM_ROWS = 288  # of a video in a film, about
BAND = 22  # rows of a line of text in a film
FRAME_RATE = 12.0


class Scene(NamedTuple):
    """A test video as the network sees it. `title`: a line."""

    title: str
    video: Tensor  # (3, T, H, W) uint8
    boxes: Tensor  # (T, 4), or masks (T, H, W) bool
    scaled_boxes: Tensor  # the same, scaled


class SceneMap(NamedTuple):
    """The map of a scene under one checkpoint, with short lines of text about it."""

    lines: tuple[str, ...]
    map: Tensor  # (T, H, W), not negative


def overlay(video: Tensor, found: Tensor) -> np.ndarray:
    """A map over the frames in grey, relative to its maximum.

    Args:
        video: (3, T, H, W) uint8.
        found: (T, H, W), not negative.

    Returns:
        (T, H, W, 3) uint8 RGB; where the map is 0 the frame is dark, where it is highest it is of the map's colour.
    """
    grey = np.tensordot(GREY_WEIGHTS, video.cpu().numpy(), axes=1)[..., None] / 255  # (T, H, W, 1)
    heat = (found / found.max().clamp(min=1e-30)).cpu().numpy()
    colour = COLOURS(heat)[..., :3]
    part = 0.4 + 0.35 * heat[..., None]
    pictures: np.ndarray = np.rint(255 * ((1 - part) * grey + part * colour)).astype(np.uint8)
    return pictures


def gradcam_strip(scene: Scene, seen: Sequence[SceneMap], path: Path) -> None:
    """Frames spread through the video: a row as they are, with the boxes, and a row of maps for every checkpoint."""
    frames = scene.video.shape[1]
    shown = np.unique(np.linspace(0, frames - 1, SHOWN).round().astype(int))
    pictures = [scene.video.permute(1, 2, 3, 0).cpu().numpy(), *(overlay(scene.video, one.map) for one in seen)]
    width, height = 1.45 * len(shown) + LEFT + RIGHT, 1.45 * len(pictures) + TOP
    figure = Figure(figsize=(width, height))  # laid out by hand: the panels are squares
    inside = {"left": LEFT / width, "right": 1 - RIGHT / width, "top": 1 - TOP / height, "bottom": 0.01}
    spaces = {"wspace": 0.04, "hspace": 0.04}
    panels = figure.subplots(len(pictures), len(shown), squeeze=False, gridspec_kw=inside | spaces)
    for row, picture in zip(panels, pictures, strict=True):
        for panel, t in zip(row, shown, strict=True):
            _show(panel, picture[t], scene, t)
    for panel, t in zip(panels[0], shown, strict=True):
        panel.set_title(f"frame {t + 1}", fontsize=8)
    for row, lines in zip(panels, [("the video",), *(one.lines for one in seen)], strict=True):
        row[0].set_ylabel("\n".join(lines), fontsize=7)
    rows = (1 - TOP / height - 0.01) * len(seen) / len(pictures)
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 100), COLOURS), figure.add_axes((1 - 0.7 / width, 0.01, 0.12 / width, 0.97 * rows))
    )
    bar.set_label("Grad-CAM, % of the row's maximum", fontsize=7)
    bar.ax.tick_params(labelsize=7)
    figure.suptitle(
        f"{scene.title}    yellow: the athlete's box    red: the scaled box", fontsize=9, y=1 - 0.06 / height, va="top"
    )
    save_figure(figure, path, dpi=130, facecolor="white")


def _show(panel: Axes, picture: np.ndarray, scene: Scene, t: int) -> None:
    panel.imshow(picture, interpolation="nearest")
    panel.set_xticks([])
    panel.set_yticks([])
    for box, colour in ((scene.scaled_boxes[t], SCALED_BOX), (scene.boxes[t], BOX)):
        draw_region(panel, box, SEAM, linewidth=2.2)
        draw_region(panel, box, colour)


def gradcam_film(scene: Scene, seen: Sequence[SceneMap], path: Path) -> None:
    """The same side by side as a film, every frame of the video; small videos are enlarged to about `FILM_ROWS`.

    VP9, which browsers play, or mpeg4 where this build of OpenCV lacks it.
    """
    scale = max(1, round(FILM_ROWS / scene.video.shape[2]))
    pictures = [scene.video.permute(1, 2, 3, 0).cpu().numpy(), *(overlay(scene.video, one.map) for one in seen)]
    titles = [(scene.title, "yellow: the athlete's box", "red: the scaled box"), *(one.lines for one in seen)]

    def frame(t: int) -> np.ndarray:
        columns = []
        for picture, lines in zip(pictures, titles, strict=True):
            large = np.ascontiguousarray(picture[t].repeat(scale, axis=0).repeat(scale, axis=1)[..., ::-1])
            for box, colour in ((scene.scaled_boxes[t], SCALED_BOX), (scene.boxes[t], BOX)):
                draw_region_in_pixels(large, box, SEAM, scale, thickness=4)
                draw_region_in_pixels(large, box, colour, scale, thickness=2)
            columns.append(np.vstack([_written(lines, large.shape[1]), large]))
        beside = np.hstack(columns)
        return np.vstack([beside, _footer(f"frame {t + 1} of {len(pictures[0])}", beside.shape[1])])

    with whole(path, path.suffix) as unfinished:
        write_film(unfinished, map(frame, range(len(pictures[0]))), ["vp09", "mp4v"], FRAME_RATE)


def _written(lines: Sequence[str], width: int) -> np.ndarray:
    """Lines of light text on a dark band (rows, width, 3)."""
    band = np.full((BAND * len(lines) + 6, width, 3), 24, np.uint8)
    for number, line in enumerate(lines, 1):
        corner = (6, BAND * number - 5)
        cv2.putText(band, line, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (235, 235, 235), 1, cv2.LINE_AA)
    return band


def _footer(text: str, width: int) -> np.ndarray:
    """The number of the frame, and the colours from no mass to the highest of a map."""
    band = _written([text], width)
    length = min(160, width // 3)
    left = width - length - 46
    ramp = COLOURS(np.linspace(0, 1, length))[:, 2::-1] * 255
    band[7:21, left : left + length] = ramp.astype(np.uint8)
    for word, at in (("0", left - 14), ("max", left + length + 6)):
        cv2.putText(band, word, (at, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (235, 235, 235), 1, cv2.LINE_AA)
    return band
