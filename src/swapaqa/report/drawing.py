"""Shared parts of the report's figures: colours that survive print and colour blindness, error bars, words, files."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swapaqa.pictures.figures import save_figure
from swapaqa.runs.runs_table import Estimate

# Okabe and Ito's palette without its yellow, which is unreadable on white; black is kept for averages and truth
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PLAIN, SWAPPED, AVERAGE_COLOUR, PAPER = "#8a8f98", "#0072b2", "#000000", "#d55e00"
LONGEST_NAME = 150  # of a file, which every system takes


class Drawing(NamedTuple):
    """A figure with its words. `name` is that of its files, without a suffix."""

    name: str
    title: str
    caption: str
    figure: Figure

    def about(self, protocol: str, *facts: str) -> "Drawing":
        """The drawing with its facts in the title and in the names of its files."""
        name = re.sub(r"[^\w.]+", "_", "_".join([self.name, *facts, protocol])).strip("_")[:LONGEST_NAME]
        return self._replace(name=name, title=f"{self.title}: {', '.join(facts)}")


def write_drawing(drawing: Drawing, folder: Path) -> Path:
    """Write `<name>.png` and `<name>.pdf` into `folder`, which is made; returns the path of the PNG."""
    path = folder / f"{drawing.name}.png"
    save_figure(drawing.figure, path, dpi=150, facecolor="white")
    drawing.figure.set_layout_engine("none")  # it is laid out, and again would be half of the PDF's time
    # without a date equal numbers make equal files
    save_figure(drawing.figure, path.with_suffix(".pdf"), metadata={"CreationDate": None}, facecolor="white")
    return path


def is_known(found: Estimate | None) -> bool:
    """Whether there is a mean to draw."""
    return found is not None and math.isfinite(found.mean)


def mean_of(found: Estimate | None) -> float:
    """NaN where nothing is known or the value is undefined."""
    return math.nan if found is None else found.mean


def error_bars(found: Sequence[Estimate | None]) -> np.ndarray:
    """(2, N): how far below and above its mean each bar reaches; 0 where there is none."""
    reach = [
        (one.mean - one.ends[0], one.ends[1] - one.mean) if one is not None and is_known(one) else (0.0, 0.0)
        for one in found
    ]
    lengths: np.ndarray = np.clip(np.array(reach, dtype=float).reshape(-1, 2).T, 0, None)
    return lengths


def spread_words(found: Sequence[Estimate | None]) -> str:
    """How many seeds a figure is of, and what its error bars are."""
    known = [one for one in found if one is not None and is_known(one)]
    counts = {one.seeds for one in known}
    intervals = any(one.deviation is None and one.interval for one in known)
    if not counts or counts == {1}:
        return "One seed each" + ("; error bars: 95 % interval over the test videos." if intervals else ".")
    low, high = min(counts), max(counts)
    span = f"{low}" if low == high else f"{low} to {high}"
    single = "; of one seed the 95 % interval over the test videos" if intervals else ""
    return f"Mean of {span} seeds, error bars: standard deviation over seeds{single}."


def missing_words(names: Sequence[str]) -> str:
    """The sentence of a caption that names what is left out; empty if nothing is."""
    return (
        f" Missing or undefined, and left out: {', '.join(' '.join(name.split()) for name in names)}." if names else ""
    )


def tidy(axes: Axes) -> None:
    """A light grid behind the data, no frame on the right and on top."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
