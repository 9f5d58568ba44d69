"""Videos of which the athlete's boxes are known: the demo's, and clips of somebody who drew boxes by hand."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from swapaqa.annotate.box_file import read_rows
from swapaqa.annotate.follow import read_small, shrink
from swapaqa.boxes.objects import interpolate_keyframes
from swapaqa.boxes.shots import shot_starts
from swapaqa.boxes.source import BoxRow
from swapaqa.boxes.tracks import OUTSIDE
from swapaqa.data.demo_files import DemoSettings, draw
from swapaqa.data.demo_scene import box_side
from swapaqa.data.demo_shots import keyframes_of
from swapaqa.errors import InputError
from swapaqa.video.frames import frame_count

DEMO = DemoSettings(train=2, test=2, shifted=2, cue_strength=1.0, keyframes=4, seed=0)
LONGER = replace(DEMO, frames=32)
VARIANTS = {
    "demo": DEMO,
    "still": LONGER,
    "pans": replace(LONGER, pan=1.0),
    "people": replace(LONGER, distractors=2),
    "cuts": replace(LONGER, cuts=1.0),
    "broadcast": replace(LONGER, pan=1.0, distractors=2, cuts=1.0),  # data=demo_broadcast
}
KEYFRAMES = 3  # first, middle and last frame


class Known(NamedTuple):
    """A video of which the truth is known."""

    name: str
    frames: np.ndarray  # (T, H, W, 3)
    boxes: np.ndarray  # (T, 4); NaN where the athlete is not shown
    keys: np.ndarray  # frames in which a box is drawn

    @property
    def shown(self) -> np.ndarray:
        there: np.ndarray = ~np.isnan(self.boxes[:, 0])
        return there

    @property
    def side(self) -> float:
        """Pixels of a typical box: the root of the median area."""
        sides = self.boxes[self.shown, 2:] - self.boxes[self.shown, :2] + 1
        return float(np.sqrt(np.median(sides.prod(axis=1))))

    @property
    def everywhere(self) -> np.ndarray:
        """The boxes (T, 4) where the athlete is shown, interpolated between, the nearest one held outside."""
        return interpolate_keyframes(np.flatnonzero(self.shown), self.boxes[self.shown], range(len(self.boxes)))


def known_video(index: int, demo: DemoSettings) -> Known:
    """Demo video `index`: keyframes are the first, middle and last one that show the athlete, and those at cuts."""
    rng = np.random.default_rng((demo.seed, index))
    _, drawn = draw(rng, "diving", "train", demo)
    centres, side = drawn.centres, box_side(demo.scene)
    boxes = np.concatenate([centres - side / 2, centres + side / 2 - 1], axis=1)
    return Known(str(index), drawn.frames, boxes, keyframes_of(~np.isnan(centres[:, 0]), drawn.starts, KEYFRAMES))


def known_clips(clips: Path, drawn: Path) -> Iterator[Known]:
    """The clips of a folder, each with the boxes `drawn`/NAME.txt, made smaller as for a tracker.

    Raises:
        InputError: boxes without a clip, no boxes at all.
    """
    files = sorted(drawn.glob("*.txt"))
    if not files:
        raise InputError(f"{drawn}: no box files in it; name a folder of NAME.txt for the clips in {clips}")
    for file in files:
        media = next((path for path in sorted(clips.iterdir()) if path.stem == file.stem), None)
        if media is None:
            raise InputError(f"{file}: no clip {file.stem} in {clips}")
        frames, scale = read_small(media, range(frame_count(media)))
        boxes = drawn_truth(read_rows(file), len(frames))
        boxes[:] = [shrink(box, scale) for box in boxes]
        there = ~np.isnan(boxes[:, 0])
        yield Known(file.stem, frames, boxes, keyframes_of(there, shot_starts(frames), KEYFRAMES))


def drawn_truth(rows: Sequence[BoxRow], count: int) -> np.ndarray:
    """The boxes (T, 4) of `count` frames between the keyframes of one athlete; NaN beside them and where he is outside.

    `rows` in the order of their frames.
    """
    drawn = [row for row in rows if row.label != OUTSIDE]
    keys, boxes = np.array([row.frame for row in drawn]), np.array([row.box for row in drawn])
    truth = interpolate_keyframes(keys, boxes, range(count))
    truth[: keys[0]], truth[keys[-1] + 1 :] = np.nan, np.nan
    for gone in (row.frame for row in rows if row.label == OUTSIDE):
        truth[gone : keys[keys > gone].min(initial=count)] = np.nan
    return truth
