"""`swapaqa boxes measure` and `strip`: the numbers and the picture of docs/boxes_measured.md, made again."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.table import Table

from swapaqa.annotate.known import VARIANTS, Known, known_clips, known_video
from swapaqa.annotate.measure import clip_table, follow_all, outside_counts, summary, suspected, ways
from swapaqa.annotate.measure_check import check_table, fault_table, judge_faults
from swapaqa.annotate.strip import draw_strips
from swapaqa.boxes.detected import Detecting
from swapaqa.errors import InputError
from swapaqa.files.whole_file import write_whole
from swapaqa.programs.box_commands.opening import OUT, console


def add_measurements(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommands."""
    measured = commands.add_parser("measure", help="overlap and speed of trackers and keyframes on the demo data")
    measured.add_argument("--videos", type=int, default=60)
    measured.add_argument("--variant", choices=VARIANTS, help="what the demo videos show beside a dive")
    measured.add_argument("--clips", type=Path, help="folder of clips with boxes in --drawn, to measure them too")
    measured.add_argument("--drawn", type=Path, help="folder of their boxes, NAME.txt")
    measured.add_argument("--check", action="store_true", help="instead: what check says of boxes with known faults")
    measured.add_argument("--weights", help="ONNX file of a detector, in the place of OpenCV's HOG")
    measured.add_argument("--lost-below", type=float, default=0.4, help="confidence that counts as lost")
    measured.set_defaults(run=measure)
    strips = commands.add_parser("strip", help="draw what the trackers find in videos")
    strips.add_argument("videos", nargs="+", type=Path)
    strips.add_argument("--first", type=float, nargs=4, metavar=("X1", "Y1", "X2", "Y2"), help="box in the first frame")
    strips.add_argument("--frames", type=int, default=103, help="how many frames are followed")
    strips.add_argument("--out", type=Path, default=OUT / "strip.png")
    strips.set_defaults(run=strip)


def measure(given: argparse.Namespace, _: list[str]) -> None:
    """Print a row for each way to boxes: trackers from one box, and three keyframes with and without a tracker."""
    if bool(given.clips) != bool(given.drawn):
        raise InputError("--clips and --drawn: name the folder of the clips and that of their boxes")
    sets = known_sets(given)
    if given.check:
        judged = {
            name: [one for rng, video in numbered(videos) for one in judge_faults(video, given.lost_below, rng)]
            for name, videos in sets.items()
        }
        console.print(check_table(judged), fault_table(judged), sep="\n")
        return
    detecting = Detecting((given.weights,) if given.weights else (), 3, (0,), 1)
    for name, videos in sets.items():
        rows = {way: follow_all(numbered(videos), *way, given.lost_below, detecting) for way in ways()}
        if name == str(given.clips):
            console.print(clip_table(rows, [video.name for video in videos]))
            continue
        table = Table(title=f"{len(videos)} videos of '{name}', the first frame left out")
        for column in (
            "tracker",
            "from",
            "IoU mean",
            "worst",
            "harm",
            "first",
            "lost",
            "corr.",
            "s a video",
            "outside",
        ):
            table.add_column(column, justify="right")
        for (method, start), found in rows.items():
            table.add_row(method or "linear", start, *summary(found, given.lost_below), outside_counts(found))
        console.print(table)
        everything = [video for found in rows.values() for video in found]
        console.print("what check says of all these tracks:", *suspected(everything), sep="\n")


def known_sets(given: argparse.Namespace) -> dict[str, list[Known]]:
    """The videos to be measured, by the name of their set: variants of the demo, and clips with drawn boxes."""
    variants = [given.variant] if given.variant else [] if given.clips and not given.check else ["demo"]
    variants += ["broadcast"] if given.check and not given.variant else []
    sets = {name: [known_video(i, VARIANTS[name]) for i in range(1, given.videos + 1)] for name in variants}
    if given.clips:
        sets[str(given.clips)] = list(known_clips(given.clips, given.drawn))
    return sets


def numbered(videos: Sequence[Known]) -> Iterator[tuple[np.random.Generator, Known]]:
    """Each video with a generator of its own."""
    return ((np.random.default_rng((0, number, 1)), video) for number, video in enumerate(videos, 1))


def strip(given: argparse.Namespace, _: list[str]) -> None:
    """Draw the boxes of both trackers into a few frames of every video, a row a video, and write a PNG."""
    for path in given.videos:
        if not path.exists():
            raise InputError(f"{path}: no such video")
    picture, lines = draw_strips(given.videos, given.first, given.frames)
    for line in lines:
        console.print(line)
    # 256 colours at most would dither; coarser levels keep a PNG of photographs small
    png = cv2.imencode(".png", picture[..., ::-1] // 8 * 8 + 4, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
    write_whole(given.out, png.tobytes())
    console.print(f"written to {given.out} ({given.out.stat().st_size // 1000} kB)", soft_wrap=True)
