"""Figures of one run: predicted against true scores, and what the augmentation does to a few videos."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

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
    figure.savefig(path, dpi=120)


def swap_strip(before: Tensor, after: Tensor, boxes: Tensor, scaled: Tensor, names: Sequence[str], path: Path) -> None:
    """For each video two rows, before and after the augmentation, over frames spread through its window.

    Args:
        before, after: (B, 3, T, H, W) uint8.
        boxes, scaled: (B, T, 4), drawn yellow and red on the rows before.
        names: (B) titles.
        path: of the PNG.
    """
    videos, frames = len(before), before.shape[2]
    shown = np.unique(np.linspace(0, frames - 1, 6).round().astype(int))
    figure = Figure(figsize=(1.5 * len(shown), 1.55 * 2 * videos + 0.3), layout="constrained")
    panels = figure.subplots(2 * videos, len(shown), squeeze=False)
    for video in range(videos):
        for column, t in enumerate(shown):
            upper, lower = panels[2 * video][column], panels[2 * video + 1][column]
            _show(upper, before[video, :, t])
            _draw_box(upper, boxes[video, t], BOX)
            _draw_box(upper, scaled[video, t], SCALED_BOX)
            _show(lower, after[video, :, t])
        panels[2 * video][0].set_ylabel(f"{names[video]}\nbefore", fontsize=7)
        panels[2 * video + 1][0].set_ylabel("after", fontsize=7)
    figure.suptitle("yellow: box    red: scaled box, what is kept    below: what the network is trained on", fontsize=8)
    figure.savefig(path, dpi=130)


def _show(panel: Axes, frame: Tensor) -> None:
    """`frame` (3, H, W) uint8."""
    panel.imshow(frame.permute(1, 2, 0).cpu().numpy(), interpolation="nearest")
    panel.set_xticks([])
    panel.set_yticks([])


def _draw_box(panel: Axes, box: Tensor, colour: str) -> None:
    """An inclusive box covers its border pixels whole; `imshow` puts pixel centres on whole numbers."""
    x1, y1, x2, y2 = box.tolist()
    if x1 <= x2 and y1 <= y2:
        panel.add_patch(
            Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1 + 1, y2 - y1 + 1, fill=False, edgecolor=colour, linewidth=1.2)
        )
