"""Boxes from trackers, measured and looked at: `python -m src.boxes measure`, `python -m src.boxes strip VIDEO...`.

`measure` follows the divers of the demo data, whose true centres are known, and prints the overlap with the true boxes
and the speed. `strip` draws what a tracker finds in videos, from a first box that motion gives unless `--first` does.
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from swapaqa.config import run_recipe
from swapaqa.data.demo import DemoSettings, draw_dive, draw_video
from swapaqa.data.motion import find_first_box
from swapaqa.data.tracker import Method, overlap, track_boxes
from swapaqa.data.video import frame_count, read_frames
from swapaqa.errors import InputError

METHODS: tuple[Method, ...] = ("csrt", "kcf")  # those that need no weights
DEMO = DemoSettings(train=2, test=2, shifted=2, cue_strength=1.0, keyframes=4, seed=0)
SIDE = 0.205 * DEMO.size  # of the demo's boxes
COLOURS = {"csrt": (255, 210, 0), "kcf": (0, 230, 255)}  # RGB
SHOWN, TILE = 6, 100  # frames of a strip, and the height of one in pixels

console = Console()


class Measured(NamedTuple):
    """One video followed by one tracker."""

    overlap: np.ndarray  # (T,) intersection over union with the true boxes
    confidence: np.ndarray  # (T,)
    tracking: float  # seconds
    searching: float  # seconds for the first box


def measure(videos: int, lost_below: float) -> None:
    """Print a row for each tracker, from the true first box and from the one that motion gives."""
    table = Table(title=f"{videos} demo videos, {DEMO.frames} frames of {DEMO.size}x{DEMO.size}, first frame left out")
    for column in (
        "tracker", "first box", "IoU mean", "worst video", "first frame", "frames lost", "confid- ence/IoU",
        "frames /s", "search ms",
    ):  # fmt: skip
        table.add_column(column, justify="right")
    for method in METHODS:
        for first in ("given", "motion"):
            found = [follow_demo(index, method, first == "given") for index in range(1, videos + 1)]
            table.add_row(method, first, *summary(found, lost_below))
    console.print(table)


def follow_demo(index: int, method: Method, given: bool) -> Measured:
    """Follow the diver of demo video `index`."""
    rng = np.random.default_rng((DEMO.seed, index))
    frames, centres = draw_video(rng, draw_dive(rng, DEMO.cue_strength), DEMO)
    true = np.concatenate([centres - SIDE / 2, centres + SIDE / 2 - 1], axis=1)
    start = time.perf_counter()
    first = true[0] if given else find_first_box(frames)
    searched = time.perf_counter()
    tracked = track_boxes(frames, first, method)
    done = time.perf_counter()
    return Measured(overlap(tracked.boxes, true), tracked.confidence, done - searched, searched - start)


def summary(found: list[Measured], lost_below: float) -> list[str]:
    """The numbers of one row, without the first frame, which is given."""
    overlaps = np.stack([video.overlap for video in found])[:, 1:]
    confidence = np.stack([video.confidence for video in found])[:, 1:]
    speed = overlaps.size / sum(video.tracking for video in found)
    return [
        f"{overlaps.mean():.3f}",
        f"{overlaps.mean(axis=1).min():.3f}",
        f"{np.mean([video.overlap[0] for video in found]):.3f}",
        f"{(confidence < lost_below).mean():.1%}",
        f"{np.corrcoef(confidence.ravel(), overlaps.ravel())[0, 1]:.2f}",
        f"{speed:.0f}",
        f"{1000 * np.mean([video.searching for video in found]):.0f}",
    ]


def strip(videos: list[Path], first: list[float] | None, most: int, out: Path) -> None:
    """Draw the boxes of both trackers into a few frames of every video, a row a video, and write a PNG."""
    rows = []
    for path in videos:
        frames = read_frames(path, range(min(frame_count(path), most)))
        box = find_first_box(frames) if first is None else np.array(first)
        tracks = {}
        for method in METHODS:
            start = time.perf_counter()
            tracks[method] = track_boxes(frames, box, method)
            speed = (len(frames) - 1) / (time.perf_counter() - start)
            confidence = " ".join(f"{value:.1f}" for value in tracks[method].confidence[shown_frames(len(frames))])
            console.print(f"{path.name}: {method}, {speed:.0f} frames/s; confidence where shown: {confidence}")
        rows.append(draw_row(frames, {method: tracked.boxes for method, tracked in tracks.items()}))
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    out.parent.mkdir(parents=True, exist_ok=True)
    # 256 colours at most would dither; coarser levels keep a PNG of photographs small
    cv2.imwrite(str(out), np.vstack(padded)[..., ::-1] // 8 * 8 + 4, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    console.print(f"written to {out} ({out.stat().st_size // 1000} kB)", soft_wrap=True)


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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m src.boxes", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="command")
    measured = commands.add_parser("measure", help="overlap and speed of the trackers on the demo data")
    measured.add_argument("--videos", type=int, default=60)
    measured.add_argument("--lost-below", type=float, default=0.4, help="confidence that counts as lost")
    measured.set_defaults(run=lambda given: measure(given.videos, given.lost_below))
    drawn = commands.add_parser("strip", help="draw what the trackers find in videos")
    drawn.add_argument("videos", nargs="+", type=Path)
    drawn.add_argument("--first", type=float, nargs=4, metavar=("X1", "Y1", "X2", "Y2"), help="box in the first frame")
    drawn.add_argument("--frames", type=int, default=103, help="how many frames are followed")
    drawn.add_argument("--out", type=Path, default=Path("outputs/boxes/strip.png"))
    drawn.set_defaults(run=lambda given: strip(given.videos, given.first, given.frames, given.out))
    given = parser.parse_args()
    if "videos" in given and isinstance(given.videos, list):
        for path in given.videos:
            if not path.exists():
                raise InputError(f"{path}: no such video")
    given.run(given)


if __name__ == "__main__":
    run_recipe(main)
