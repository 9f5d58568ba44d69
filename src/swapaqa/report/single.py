"""The report of one run: what was run, its predictions against the truth, its videos, and what they cannot carry."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from swapaqa.measures.ours import STANDARD
from swapaqa.report.captions import protocol_words
from swapaqa.report.drawing import Drawing
from swapaqa.report.figures import predictions
from swapaqa.report.table import Cell, Table, Value, cell_text
from swapaqa.report.truth import Prediction, scatter_panel
from swapaqa.runs.run import Run, Sweep
from swapaqa.runs.settings import PROTOCOLS, label, setting_of

LEAST_VIDEOS = 10  # of a number; with fewer an unrelated order of them has a rho above 0.56 once in twenty
MOST_VIDEOS = 30  # of the table, which begins with the largest errors


class SingleRun(NamedTuple):
    """One run of a report that has no other. `lines`: its scores; `warnings`: what they cannot carry."""

    name: str
    lines: tuple[str, ...]
    warnings: tuple[str, ...]
    drawing: Drawing | None
    table: Table | None


def single_run(sweeps: Sequence[Sweep], protocol: str) -> SingleRun | None:
    """The run, if the report is of one finished run."""
    runs = [(sweep, run) for sweep in sweeps for run in sweep.runs]
    if len(runs) != 1 or runs[0][1].result is None:
        return None
    sweep, run = runs[0]
    found = {split: predictions([run], protocol, split).get(run.seed or 0, []) for split in run.splits(protocol)}
    found = {split: rows for split, rows in found.items() if rows}
    return SingleRun(
        name_of(run, sweep),
        score_lines(run, protocol),
        few_videos(run),
        scatter(found, protocol) if found else None,
        videos_table(found, protocol) if found else None,
    )


def name_of(run: Run, sweep: Sweep) -> str:
    """`core + swap, darklabel, ratio 2, on demo, diving, seed 0`."""
    assert run.facts is not None
    words = [label(setting_of(run, run.facts, sweep)), f"on {run.facts.data}", run.action, f"seed {run.seed}"]
    return ", ".join(word for word in words if word)


def score_lines(run: Run, protocol: str) -> tuple[str, ...]:
    """`test: Spearman's ρ 0.4729 [-0.20, 0.76], R-ℓ2 ×100 8.23 [4.38, 13.91] (12 videos; last epoch)`, a split each."""
    lines = []
    for split in run.splits(protocol):
        numbers = [
            f"{m.label} {cell_text(Value(value, None, m.decimals, '', run.confidence(m.name, protocol, split)))}"
            for m in STANDARD
            if (value := run.metric(m.name, protocol, split)) is not None
        ]
        videos = len(run.predictions(protocol, split))
        lines.append(f"{split}: {', '.join(numbers)} ({videos} videos; {PROTOCOLS.get(protocol, protocol)})")
    return tuple(lines)


def few_videos(run: Run) -> tuple[str, ...]:
    """A sentence for every split and action of too few test videos for a number."""
    counts = {
        (split, action): run.videos(protocol, split, action)
        for protocol in run.protocols
        for split in run.splits(protocol)
        for action in run.actions(protocol, split)
    }
    return tuple(
        f"{count} {split} videos of {action} carry no number: below {LEAST_VIDEOS}, a correlation says next to nothing "
        "about the method."
        for (split, action), count in counts.items()
        if count is not None and count < LEAST_VIDEOS
    )


def scatter(found: dict[str, list[Prediction]], protocol: str) -> Drawing:
    """Predicted against true scores, a panel a split."""
    figure = Figure(figsize=(min(9.6, 4.9 * len(found)), 4.9), layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for panel, (split, rows) in zip(panels, found.items(), strict=True):
        values = [number for row in rows for number in (row.true, row.predicted)]
        scatter_panel(panel, rows, np.array([min(values), max(values)]))
        panel.set_title(f"{split}, {len(rows)} videos", fontsize=10)
    caption = f"{protocol_words(protocol)} A point a video; black: the true score, grey: 5 points to both sides."
    return Drawing(f"scatter_{protocol}", "Predicted against true scores", caption, figure)


def videos_table(found: dict[str, list[Prediction]], protocol: str) -> Table:
    """The test videos, those with the largest errors first."""
    rows: list[tuple[Cell, ...]] = []
    for split, videos in found.items():
        for one in sorted(videos, key=lambda video: -video.error)[:MOST_VIDEOS]:
            numbers = (one.true, one.predicted, one.predicted - one.true)
            rows.append((one.video_id, split, one.action, *(Value(number, None, 2) for number in numbers)))
    notes = [
        f"{split}: the {MOST_VIDEOS} largest errors of {len(videos)} videos"
        for split, videos in found.items()
        if len(videos) > MOST_VIDEOS
    ]
    return Table(
        "videos",
        "Test videos by error",
        f"{protocol_words(protocol)} In points; the largest errors first.",
        ("video", "split", "action", "true", "predicted", "error"),
        tuple(rows),
        tuple(notes),
    )
