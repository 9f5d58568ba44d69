"""Figures of one run: predicted against true scores, and what the augmentation does to a few videos."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from swapaqa.files.whole_file import whole, write_whole
from swapaqa.video.film import write_film

mpl.use("Agg")

BOX, SCALED_BOX = "#ffd400", "#ff2a2a"  # the colours of the paper's Fig. 5


def scatter(tables: Mapping[str, tuple[Tensor, Tensor]], titles: Mapping[str, str], path: Path) -> None:
    """Predicted against true scores, one panel a split; the line is where they are equal.

    `tables`: by split, (predicted, true), both (N,) in points. `titles`: by split.
    """
    figure = Figure(figsize=(4.2 * len(tables), 4.2), layout="constrained")
    panels = figure.subplots(1, len(tables), squeeze=False)[0]
    for panel, (split, (predicted, true)) in zip(panels, tables.items(), strict=True):
        ends = [float(min(predicted.min(), true.min())), float(max(predicted.max(), true.max()))]
        panel.plot(ends, ends, color="black", linewidth=1)
        panel.scatter(true, predicted, s=14, alpha=0.7)
        panel.set(xlabel="true score", ylabel="predicted score", title=titles[split])
        panel.set_aspect("equal", adjustable="datalim")
    save_figure(figure, path, dpi=120)


def save_figure(
    figure: Figure, path: Path, dpi: float | Literal["figure"] = "figure", facecolor: str = "auto",
    metadata: Mapping[str, None] | None = None,
) -> None:  # fmt: skip
    """`figure.savefig` of a whole file, in the format that the suffix of `path` names."""
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:], dpi=dpi, facecolor=facecolor, metadata=metadata)
    write_whole(path, content.getbuffer())


class Augmented(NamedTuple):
    """What one augmentation made of a few videos."""

    title: str
    video: Tensor  # (B, 3, T, H, W) uint8
    boxes: Tensor | None  # (B, T, 4) scaled boxes or (B, T, H, W) bool masks, None for an augmentation without


def swap_strip(
    before: Tensor,
    boxes: Tensor,
    results: Sequence[Augmented],
    names: Sequence[str],
    path: Path,
    below: str = "after the augmentation",
) -> None:
    """For each video a row as it was and a row for every result, over six frames spread through its window.

    Args:
        before: (B, 3, T, H, W) uint8.
        boxes: (B, T, 4), or masks (B, T, H, W) bool, drawn yellow; the scaled ones of the first result are drawn red.
        results: of one or several augmentations of the same videos.
        names: (B) titles.
        path: of the PNG.
        below: what the rows of the results show.
    """
    videos, rows = len(before), 1 + len(results)
    shown = np.unique(np.linspace(0, before.shape[2] - 1, 6).round().astype(int))
    figure = Figure(figsize=(1.5 * len(shown), 1.55 * rows * videos + 0.3), layout="constrained")
    panels = figure.subplots(rows * videos, len(shown), squeeze=False)
    for video in range(videos):
        for column, t in enumerate(shown):
            own = panels[rows * video : rows * (video + 1), column]
            show_frame(own[0], before[video, :, t])
            draw_region(own[0], boxes[video, t], BOX)
            if results[0].boxes is not None:
                draw_region(own[0], results[0].boxes[video, t], SCALED_BOX)
            for panel, result in zip(own[1:], results, strict=True):
                show_frame(panel, result.video[video, :, t])
        for row, title in enumerate([names[video], *(result.title for result in results)]):
            panels[rows * video + row][0].set_ylabel(title, fontsize=7)
    figure.suptitle(f"yellow: box    red: scaled box, what is kept    below: the same frames {below}", fontsize=8)
    save_figure(figure, path, dpi=130)


def swap_video(before: Tensor, boxes: Tensor, results: Sequence[Augmented], path: Path, frame_rate: float = 12) -> None:
    """The same as a film: a row as the videos were, with boxes, and a row for every result; arguments as `swap_strip`.

    Small videos are enlarged to about 256 rows. Written with OpenCV's mpeg4.
    """
    scale = max(1, round(256 / before.shape[3]))
    columns = len(before)

    def picture(t: int) -> np.ndarray:
        top = [_enlarged(before[video, :, t], scale) for video in range(columns)]
        for video, frame in enumerate(top):
            draw_region_in_pixels(frame, boxes[video, t], BOX, scale)
            if results[0].boxes is not None:
                draw_region_in_pixels(frame, results[0].boxes[video, t], SCALED_BOX, scale)
        below = [[_enlarged(result.video[video, :, t], scale) for video in range(columns)] for result in results]
        return np.vstack([np.hstack(row) for row in [top, *below]])

    with whole(path, path.suffix) as unfinished:
        write_film(unfinished, map(picture, range(before.shape[2])), ["mp4v"], frame_rate)


def _enlarged(frame: Tensor, scale: int) -> np.ndarray:
    """(3, H, W) RGB -> (H scale, W scale, 3) in OpenCV's BGR."""
    picture = frame.permute(1, 2, 0).cpu().numpy()[..., ::-1]
    return np.ascontiguousarray(picture.repeat(scale, axis=0).repeat(scale, axis=1))


def draw_region_in_pixels(picture: np.ndarray, region: Tensor, colour: str, scale: int, thickness: int = 1) -> None:
    """A box (4,) or the outline of a mask (H, W) bool of a frame of which `picture`, in OpenCV's BGR, is `scale` times
    as large.
    """
    blue_green_red = [int(colour[i : i + 2], 16) for i in (5, 3, 1)]
    if region.ndim == 2:
        large = region.cpu().numpy().repeat(scale, axis=0).repeat(scale, axis=1).astype(np.uint8)
        outlines, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, blue_green_red, thickness)
        return
    x1, y1, x2, y2 = region.tolist()
    if x1 <= x2 and y1 <= y2:
        corners = [round(x1 * scale), round(y1 * scale)], [round((x2 + 1) * scale) - 1, round((y2 + 1) * scale) - 1]
        cv2.rectangle(picture, *corners, blue_green_red, thickness)


def show_frame(panel: Axes, frame: Tensor) -> None:
    """`frame` (3, H, W) uint8."""
    panel.imshow(frame.permute(1, 2, 0).cpu().numpy(), interpolation="nearest")
    panel.set_xticks([])
    panel.set_yticks([])


def draw_region(panel: Axes, region: Tensor, colour: str, linewidth: float = 1.2) -> None:
    """A box (4,) or the outline of a mask (H, W) bool.

    An inclusive box covers its border pixels whole; `imshow` puts pixel centres on whole numbers.
    """
    if region.ndim == 2:
        framed = np.pad(region.cpu().numpy(), 1)  # so that an outline closes where it touches the frame's edge
        if framed.any():
            columns, rows = (np.arange(length) - 1 for length in framed.shape[::-1])
            limits = panel.axis()  # of the picture
            panel.contour(columns, rows, framed, levels=[0.5], colors=[colour], linewidths=linewidth)
            panel.axis(limits)
        return
    x1, y1, x2, y2 = region.tolist()
    if x1 <= x2 and y1 <= y2:
        panel.add_patch(
            Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1 + 1, y2 - y1 + 1, fill=False, edgecolor=colour, linewidth=linewidth)
        )
