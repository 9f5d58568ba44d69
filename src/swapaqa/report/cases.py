"""The same test videos under two settings, after the paper's Fig. 8 (ratio 1 and ratio 2).

A test video is scored as it is, never swapped. The pictures show what the swap of each setting makes of it, with the
background of another of the shown videos: that is what the network was trained on.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from swapaqa.augment.region import scale_region
from swapaqa.data.pooling import Augmentation
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.pictures.figures import SCALED_BOX, draw_region, show_frame
from swapaqa.report.captions import protocol_words
from swapaqa.report.drawing import Drawing
from swapaqa.report.figures import question_scopes, ratio_facts
from swapaqa.report.truth import Prediction, paired
from swapaqa.runs.factors import parted
from swapaqa.runs.run import Run, Sweep
from swapaqa.seeds import keyed_generator

FRAMES = 5  # shown of each video
CASES = 3  # videos, of one action each where there are as many
PAPER_RATIOS = (1.0, 2.0)


class Shown(NamedTuple):
    """What a run's configuration says of the videos that are shown."""

    source: VideoSource
    augment: Augmentation


OpenData = Callable[[Mapping[str, Any]], Shown]  # of a run, from its configuration


class Case(NamedTuple):
    """One test video under both settings. `place`: why it was chosen."""

    place: str
    first: Prediction
    second: Prediction

    @property
    def gain(self) -> float:
        """By how many points the second setting is nearer to the truth."""
        return self.first.error - self.second.error


class Study(NamedTuple):
    """The cases of one data set, method and source of boxes at two ratios.

    `drawing`: None where there are no pictures, for the `reason`.
    """

    title: str
    names: tuple[str, str]
    cases: list[Case]
    drawing: Drawing | None
    reason: str | None


class Strip(NamedTuple):
    """What one setting's swap makes of one video."""

    video: Tensor  # (3, T, H, W) uint8
    boxes: Tensor  # (T, 4), the scaled boxes, or masks (T, H, W) bool


def choose_cases(first: Sequence[Prediction], second: Sequence[Prediction], count: int) -> list[Case]:
    """`count` videos that both have, spread evenly from the largest gain to the largest loss; one: the median.

    Chosen by rank, so that no video is picked because it looks good. Fewer where there are fewer videos.
    """
    cases = [Case("", *pair) for pair in zip(*paired(first, second), strict=True)]
    cases.sort(key=lambda case: -case.gain)
    last = len(cases) - 1
    ranks = np.unique(np.linspace(0, last, count).round().astype(int)) if count > 1 else np.array([last // 2])
    return [cases[rank]._replace(place=f"rank {rank + 1} of {len(cases)} by gain") for rank in ranks if cases]


def find_studies(sweeps: Sequence[Sweep], protocol: str, open_data: OpenData) -> list[Study]:
    """A study for every data set, method and source of boxes that was run at two ratios; none for a list of settings.

    The ratios are 1 and 2, or the two lowest; the seed of an action is the lowest that both have.
    """
    found = []
    for scope in question_scopes(parted(sweeps)[1])["ratios"]:
        by_ratio = {setting.ratio: runs for setting, runs in scope.settings.items() if setting.ratio is not None}
        ratios, facts = sorted(by_ratio), ratio_facts(scope)
        low, high = PAPER_RATIOS if set(PAPER_RATIOS) <= set(ratios) else ratios[:2]
        pairs = matching(by_ratio[low], by_ratio[high], protocol)
        study = study_of(pairs, (f"ratio {low:g}", f"ratio {high:g}"), protocol, open_data)
        drawing = study.drawing and study.drawing.about(protocol, *facts)
        found.append(study._replace(title=f"{study.title}: {', '.join(facts)}", drawing=drawing))
    return found


def matching(first: Sequence[Run], second: Sequence[Run], protocol: str) -> list[tuple[Run, Run]]:
    """For each action the two runs of the lowest common seed that have predictions."""
    found: dict[str | None, tuple[int, Run, Run]] = {}
    for one, other in product(first, second):
        action, seed = one.action, one.seed
        same = (action, seed) == (other.action, other.seed)
        if not same or seed is None or not (one.predictions(protocol) and other.predictions(protocol)):
            continue
        if action not in found or seed < found[action][0]:
            found[action] = (seed, one, other)
    return [(one, other) for _, one, other in found.values()]


def study_of(pairs: Sequence[tuple[Run, Run]], names: tuple[str, str], protocol: str, open_data: OpenData) -> Study:
    """The cases of pairs of runs (one pair an action) with their pictures, or the reason why there are none."""
    cases: list[Case] = []
    strips: list[tuple[Strip, Strip]] = []
    reason = None if pairs else f"no action has complete runs at both {names[0]} and {names[1]}"
    for pair in pairs:
        first, second = (rows_of(run, protocol) for run in pair)
        chosen = choose_cases(first, second, max(1, CASES // len(pairs)))
        cases += chosen
        try:
            if reason is None:
                ids = [case.first.video_id for case in chosen]
                strips += zip(*(read_strips(run, ids, open_data) for run in pair), strict=True)
        except (InputError, OSError) as error:
            reason = str(error)
    drawing = None if reason else case_strips(cases, strips, names, protocol_words(protocol))
    return Study(f"The same videos at {names[0]} and {names[1]} (Fig. 8)", names, cases, drawing, reason)


def rows_of(run: Run, protocol: str) -> list[Prediction]:
    """The test videos of one run."""
    action = str(run.configured("data.action") or "")
    return [Prediction(name, action, *row) for name, row in run.predictions(protocol).items()]


def read_strips(run: Run, video_ids: Sequence[str], open_data: OpenData) -> list[Strip]:
    """Test videos of a run under its augmentation; a video alone borrows the background of the first other one.

    The donors depend on the number of videos alone, so two runs show the same.

    Raises:
        InputError: saying what is not there.
    """
    assert run.config is not None
    source, augment = open_data(run.config)
    records = {record.video_id: record for record in source.read_split("test")}
    for video_id in video_ids:
        if video_id not in records:
            raise InputError(f"data.root={source.root}: the test list there has no {video_id}")
    others = [video_id for video_id in records if video_id not in video_ids]
    shown = [*video_ids, *(others[:1] if len(video_ids) == 1 else [])]
    samples = [source.pixel_reader.read(source.item(records[name])) for name in shown]
    video = torch.stack([sample.video for sample in samples]).movedim(-1, 1)  # (B, 3, T, H, W)
    boxes = torch.stack([sample.region for sample in samples])
    plan = augment.draw(len(video), keyed_generator(0, "cases"))
    swapped, _ = augment.apply(video, boxes, {}, plan)
    scaled = scale_region(boxes, run.configured("aug.ratio"), (video.shape[3], video.shape[4]))
    return [Strip(swapped[number], scaled[number]) for number in range(len(video_ids))]


def case_strips(
    cases: Sequence[Case], strips: Sequence[tuple[Strip, Strip]], names: tuple[str, str], protocol: str
) -> Drawing:
    """For each case a row under each setting: frames, and beside them true score, predicted score and error.

    Args:
        cases: the videos.
        strips: of each case, under both settings.
        names: of the settings.
        protocol: the sentence that says which epoch the predictions are from.
    """
    rows = 2 * len(cases)
    figure = Figure(figsize=(9.6, 1.42 * rows + 0.2), layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03))
    widths = [1.0] * FRAMES + [1.25]
    panels = figure.subplots(rows, FRAMES + 1, squeeze=False, width_ratios=widths)
    for number, (case, pair) in enumerate(zip(cases, strips, strict=True)):
        for side, (name, strip, found) in enumerate(zip(names, pair, (case.first, case.second), strict=True)):
            row = panels[2 * number + side]
            _draw_row(row[:FRAMES], strip)
            row[0].set_ylabel(name, fontsize=9)
            _write_scores(row[FRAMES], found, case if side == 0 else None)
    caption = (
        f"{protocol} Test videos are scored as they are; the frames show what the swap of each setting makes of them, "
        "with another video's background. Red: the scaled box, what is kept. The videos are those at evenly spaced "
        f"ranks of the gain in error from {names[0]} to {names[1]} (where an action shows one video: the median), not "
        "chosen by eye."
    )
    return Drawing("cases", f"The same videos at {names[0]} and {names[1]} (Fig. 8)", caption, figure)


def _draw_row(panels: Sequence[Axes], strip: Strip) -> None:
    times = np.linspace(0, strip.video.shape[1] - 1, FRAMES).round().astype(int)
    for panel, time in zip(panels, times, strict=True):
        show_frame(panel, strip.video[:, time])
        draw_region(panel, strip.boxes[time], SCALED_BOX)


def _write_scores(panel: Axes, found: Prediction, heading: Case | None) -> None:
    """The numbers of a row, and over the first row of a case what it is."""
    panel.set_axis_off()
    if heading is not None:
        panel.text(0.02, 0.98, f"{found.video_id}\n{heading.place}", fontsize=8, va="top", fontweight="bold")
    lines = f"true {found.true:.2f}\npredicted {found.predicted:.2f}\nerror {found.error:.2f}"
    panel.text(0.02, 0.6, lines, fontsize=9, va="top")
