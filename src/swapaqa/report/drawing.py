"""What the report's figures share: colours that survive print and colour blindness, numbers of seeds, files."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swapaqa.measures.record import Description
from swapaqa.pictures.figures import save_figure
from swapaqa.report.arms import estimate

# Okabe and Ito's palette without its yellow, which is unreadable on white; black is kept for averages and truth
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PLAIN, SWAPPED, AVERAGE, PAPER = "#8a8f98", "#0072b2", "#000000", "#d55e00"

BySeed = Mapping[int, float]  # the values of one metric; none: no run is complete


class Drawing(NamedTuple):
    """A figure with its words. `name` is that of its files, without a suffix."""

    name: str
    title: str
    caption: str
    figure: Figure


def write_drawing(drawing: Drawing, folder: Path) -> Path:
    """Write `<name>.png` and `<name>.pdf` into `folder`, which is made; returns the path of the PNG."""
    path = folder / f"{drawing.name}.png"
    save_figure(drawing.figure, path, dpi=150, facecolor="white")
    # without a date equal numbers make equal files
    save_figure(drawing.figure, path.with_suffix(".pdf"), metadata={"CreationDate": None}, facecolor="white")
    return path


def mean_and_std(values: BySeed) -> tuple[float, float]:
    """Mean and sample standard deviation over the seeds, 0 of one.

    The mean is NaN without a value, and where one is NaN: the correlation of constant predictions.
    """
    found = estimate(list(values.values()))
    return (math.nan, 0.0) if found is None else (found.mean, found.deviation or 0.0)


def is_known(values: BySeed) -> bool:
    """Whether there is a mean to draw."""
    return math.isfinite(mean_and_std(values)[0])


def average_over(columns: Sequence[BySeed], metric: Description) -> dict[int, float]:
    """By seed, the average of the columns (one an action), for the seeds that all have."""
    common = set.intersection(*(set(column) for column in columns)) if columns else set()
    return {seed: metric.over_actions([column[seed] for column in columns]) for seed in sorted(common)}


def seeds_words(values: Sequence[BySeed]) -> str:
    """`one seed`, `3 seeds; bars: standard deviation over seeds`, for the caption of a figure of these values."""
    counts = {len(one) for one in values if is_known(one)}
    if not counts or counts == {1}:
        return "One seed each."
    low, high = min(counts), max(counts)
    span = f"{low}" if low == high else f"{low} to {high}"
    return f"Mean of {span} seeds, error bars: standard deviation over seeds."


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
