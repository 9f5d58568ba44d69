"""Boxes for a data set: make them with a tracker, check them, import them, draw them (docs/boxes.md).

    python -m src.boxes make data=aqa7 source=tracker
    python -m src.boxes check data=aqa7
    python -m src.boxes import data=aqa7 annotations/
    python -m src.boxes draw data=aqa7 data.action=diving

Every key of `src.train` that says what the data is (`data=`, `data.root=`, `boxes.method=`, ...) works here too.
`make`, `check` and `import` take all actions of a data set unless `data.action=` names one.

`measure` and `strip` repeat the numbers and the picture of docs/boxes.md.
"""

import argparse
import os
import sys
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import quote

import cv2
import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.progress import track
from rich.table import Table

from swapaqa.annotate.desk import Desk
from swapaqa.annotate.examine import examine, questions_about
from swapaqa.annotate.follow import Settings, settings_of
from swapaqa.annotate.importing import FORMATS, Reading, import_video
from swapaqa.annotate.known import VARIANTS, Known, known_clips, known_video
from swapaqa.annotate.listing import list_videos
from swapaqa.annotate.make import is_due, jobs_of, run_jobs
from swapaqa.annotate.matching import box_files, named_videos
from swapaqa.annotate.measure import clip_table, follow_all, outside_counts, summary, suspected, ways
from swapaqa.annotate.measure_check import check_table, fault_table, judge_faults
from swapaqa.annotate.page_file import write_page
from swapaqa.annotate.server import PageServer
from swapaqa.annotate.sheet import TABLE, read_severities, worst_table, write_sheets, write_table
from swapaqa.annotate.strip import draw_strips
from swapaqa.annotate.workers import in_processes
from swapaqa.augment.swap import ScaledBackgroundSwap, SwapPlan, Variant
from swapaqa.boxes.darklabel import DarkLabelBoxes
from swapaqa.boxes.detected import Detecting
from swapaqa.boxes.ledger import Ledger, is_changed
from swapaqa.boxes.tracker_boxes import TrackerBoxes
from swapaqa.command import spelled
from swapaqa.configuration.checking import check as check_config
from swapaqa.configuration.data_sets import make_source
from swapaqa.console import open_console
from swapaqa.data.source import VideoSource
from swapaqa.errors import InputError
from swapaqa.files.whole_file import write_whole
from swapaqa.running.program import compose_quietly, run_program
from swapaqa.video.cache import cache_root

OUT = Path("outputs/boxes")
STOPPED = 130  # exit status after Ctrl-C, as of every program
SHOWN = 10  # videos on the screen; all are in the files

console = open_console()


class Opened(NamedTuple):
    """A data set, and the overrides that open it again."""

    source: VideoSource
    overrides: list[str]
    out: Path  # where reports about it go

    def command(self, recipe: str) -> str:
        return " ".join([spelled(recipe), *self.overrides])


def configuration(overrides: list[str], every_action: bool = False) -> DictConfig:
    """The configuration of `src.train` with these overrides, checked."""
    cfg = compose_quietly([*overrides, "aug=none"], "boxes")
    named = any(override.startswith("data.action=") for override in overrides)
    if every_action and not named and "action" in cfg.data:
        cfg.data.action = "all"
    check_config(cfg)
    return cfg


def open_data(overrides: list[str], source: str, every_action: bool, writes: bool) -> Opened:
    """The data set that `overrides` name, with the box source `source` unless they name another.

    Data in the cache is shared by all runs: boxes for it are written into the outputs.
    """
    if not any(override.startswith("boxes=") for override in overrides):
        overrides = [*overrides, f"boxes={source}"]
    cfg = configuration(overrides, every_action)
    opened = make_source(cfg.data)
    name = next((override.removeprefix("data=") for override in overrides if override.startswith("data=")), "demo")
    if writes and OmegaConf.select(cfg, "boxes.root") is None and opened.folder.is_relative_to(cache_root()):
        overrides = [*overrides, f"boxes.root={OUT / name}"]
        opened = make_source(configuration(overrides, every_action).data)
        console.print(f"{opened.folder} is a cache: boxes are written to {OUT / name}", soft_wrap=True)
    return Opened(opened, overrides, OUT / name)


def make(given: argparse.Namespace, overrides: list[str]) -> None:
    """Track every video that has no boxes, show what is to be expected first, and leave with 1 if some failed."""
    named = [override.removeprefix("source=") for override in overrides if override.startswith("source=")]
    if named not in ([], ["tracker"]):
        raise InputError(f"source={named[-1]}: make works with source=tracker; files of other programs: import")
    opened = open_data(
        [override for override in overrides if not override.startswith("source=")], "tracker", True, True
    )
    source = opened.source.boxes
    if not isinstance(source, TrackerBoxes):
        raise InputError("make follows athletes with a tracker: leave boxes= out, or say boxes=tracker")
    ledger, label = Ledger(opened.source.boxes_folder), settings_of(source).label
    listed = list_videos(opened.source)
    due = [video for video in listed if is_due(ledger.state(video.path), video.path, given.fill, given.again)]
    console.print(f"{len(due)} of {len(listed)} videos are to be tracked with {label}; the others have boxes")
    jobs, failed = jobs_of(opened.source, source, due, ledger, given.masks)
    lost = run_jobs(jobs, given.processes, ledger, label, failed) if jobs else []
    for video_id, problem in failed[:SHOWN]:
        console.print(f"{video_id}: {problem}", style="red", soft_wrap=True)
    console.print(f"{len(due) - len(failed)} made, {len(failed)} failed, {len(lost)} with gaps")
    overrides = [
        override
        for override in opened.overrides
        if not override.startswith(("boxes=", "boxes.")) or "root=" in override
    ]
    ready = opened._replace(overrides=overrides)
    console.print(f"next: {ready.command('boxes check')}\nthen: {ready.command('boxes draw')}", soft_wrap=True)
    console.print(f"then: {ready.command('train')} boxes=darklabel", soft_wrap=True)
    sys.exit(1 if failed else 0)


def check(given: argparse.Namespace, overrides: list[str]) -> None:
    """Examine the boxes of every video; leave with 0 if a training should start, with 1 if not."""
    opened = open_data(overrides, "darklabel", True, False)
    source, out = opened.source.boxes, given.out or opened.out
    if source.frame == "input":
        console.print("this box source reads no files: nothing to check")
        return
    ledger = Ledger(opened.source.boxes_folder)
    listed = {video.record.video_id: video for video in list_videos(opened.source)}
    questions, found = questions_about(opened.source, list(listed.values()))
    for examined in track(
        in_processes(examine, questions, given.processes), "examining", len(questions), console=console
    ):
        state = ledger.state(listed[examined.video_id].path) if isinstance(source, DarkLabelBoxes) else ""
        found.append(examined._replace(state=state))
    write_table(found, out / TABLE)
    sheets = write_sheets(found, out)
    console.print(worst_table(found))
    changed = [video.path for video in listed.values() if is_changed(video.path)]
    if changed:
        console.print(
            f"{len(changed)} box files are not as this program wrote them, by a correction or by damage: "
            f"{', '.join(map(str, changed[:SHOWN]))}",
            style="yellow", soft_wrap=True,
        )  # fmt: skip
    without = sum(bool(video.problem) for video in found)
    suspicious = sum(video.suspicious and not video.problem for video in found)
    console.print(
        f"{len(found)} videos: {without} whose boxes cannot be read, {suspicious} suspicious "
        f"({given.tolerate:.0%} are tolerated)\nsheets: {', '.join(map(str, sheets))}\ntable: {out / TABLE}",
        soft_wrap=True,
    )
    ready = not without and suspicious <= given.tolerate * len(found)
    verdict = "training can start" if ready else f"not ready for training; correct with: {opened.command('boxes draw')}"
    console.print(verdict, style="green" if ready else "red", soft_wrap=True)
    sys.exit(0 if ready else 1)


def import_boxes(given: argparse.Namespace, overrides: list[str]) -> None:
    """Put files of other programs where the loader looks, report what was assumed, leave with 1 if some failed."""
    opened = open_data(overrides, "darklabel", True, True)
    listed = {video.record.video_id: video for video in list_videos(opened.source)}
    sources = box_files([Path(name) for name in given.files])
    if given.video and len(sources) != 1:
        raise InputError(f"--video names the video of one file, and {len(sources)} are given")
    size = (given.size[1], given.size[0]) if given.size else None
    columns = tuple(given.columns.split(",")) if given.columns else None
    reading = Reading("darklabel" if columns else given.format, columns, given.frame_start, size)
    table = Table(title="imported")
    for column in ("file", "to", "format", "boxes", "athletes", "frames", "window", "assumed"):
        table.add_column(column, overflow="fold")
    ledger, failed = Ledger(opened.source.boxes_folder), 0
    for source in sources:
        for name in [given.video] if given.video else named_videos(source):
            try:
                table.add_row(*import_video(opened.source, source, name, listed, reading, given.replace, ledger))
            except InputError as error:
                failed += 1
                console.print(str(error), style="red", soft_wrap=True)
    console.print(table)
    console.print(f"{table.row_count} imported, {failed} failed; next: {opened.command('boxes check')}", soft_wrap=True)
    sys.exit(1 if failed else 0)


def draw(given: argparse.Namespace, overrides: list[str]) -> None:
    """Serve the drawing page until it is stopped, or write it as a file."""
    opened = open_data(overrides, "darklabel", False, True)
    table = given.check or opened.out / TABLE
    desk = Desk(
        opened.source, tracker_settings(given.method, given.detect), read_severities(table), given.allow, table.parent
    )
    if given.html:
        write_page(desk, given.id or list(desk.listed)[:3], given.html)
        console.print(f"written: {given.html} ({given.html.stat().st_size / 1e6:.1f} MB)", soft_wrap=True)
        return
    server = PageServer(desk, given.port)
    console.print(f"boxes are saved in {desk.folder}; Ctrl-C ends the program", soft_wrap=True)
    at = server.url + "".join(f"#{quote(video_id)}" for video_id in given.id[:1])
    console.print(f"open {at}", soft_wrap=True)
    if not given.no_browser:
        webbrowser.open(at)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        console.print("ended; everything that the page called saved is in the files")


def swapped(pictures: np.ndarray, boxes: np.ndarray, ratio: float, variant: str) -> np.ndarray:
    """Of two pictures (2, S, S, 3) the first one with the background of the second, by the training's own swap."""
    video = torch.from_numpy(pictures).permute(0, 3, 1, 2)[:, :, None]
    augment = ScaledBackgroundSwap(ratio, cast(Variant, variant))
    plan = SwapPlan(torch.tensor([1, 0]))
    found, _ = augment.apply(video, torch.from_numpy(boxes)[:, None], {}, plan)
    return found[0, :, 0].permute(1, 2, 0).numpy()


def tracker_settings(method: str, detect: str | None) -> Settings:
    """The settings of conf/boxes/tracker.yaml for a tracker without weights.

    `detect`: the ONNX file of a detector, an empty word for OpenCV's HOG; None for neither.
    """
    detector = [] if detect is None else ["boxes.first_box=detector", f"boxes.weights=[{detect}]"]
    source = instantiate(configuration(["boxes=tracker", f"boxes.method={method}", *detector]).boxes)
    return settings_of(source)


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


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=spelled("boxes"), description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()

    made = commands.add_parser("make", help="boxes for a whole data set by a tracker")
    made.add_argument("--fill", action="store_true", help="also track between boxes drawn by hand, which stay")
    made.add_argument("--again", action="store_true", help="replace what a tracker wrote and nobody has changed")
    made.add_argument("--masks", action="store_true", help="write the masks of a segmenting detector too")
    made.set_defaults(run=make)
    checked = commands.add_parser("check", help="contact sheets and a table, the most suspicious boxes first")
    checked.add_argument("--tolerate", type=float, default=0.1, help="share of suspicious videos to train with")
    checked.add_argument("--out", type=Path, help="folder of sheets and table; outputs/boxes/<data>")
    checked.set_defaults(run=check)
    for command in (made, checked):
        command.add_argument("--processes", type=int, default=cores)

    imported = commands.add_parser("import", help="put files of other programs where the loader looks")
    imported.add_argument("--format", choices=FORMATS, help="instead of finding it out")
    imported.add_argument("--columns", help="DarkLabel's specifiers, such as fn,cname,id,x1,y1,w,h")
    imported.add_argument("--frame-start", type=int, help="number of a video's first frame in the files")
    imported.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="of the annotated frames")
    imported.add_argument("--video", help="id of the video of the one file")
    imported.add_argument("--replace", action="store_true", help="write over boxes that are there")
    imported.set_defaults(run=import_boxes)

    drawn = commands.add_parser("draw", help="a page in the browser to draw and correct boxes")
    drawn.add_argument("--port", type=int, default=0, help="any free one unless given")
    drawn.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    drawn.add_argument("--method", choices=("csrt", "kcf"), default="csrt", help="tracker of the proposals")
    drawn.add_argument("--detect", nargs="?", const="", metavar="FILE.onnx",
                       help="find athletes in whom nobody drew a box by this detector, or by OpenCV's HOG")  # fmt: skip
    drawn.add_argument("--check", type=Path, help="table of `check`, whose order the list takes")
    drawn.add_argument("--allow", type=Path, action="append", default=[], help="folder that links of the data lead to")
    drawn.add_argument("--html", type=Path, help="write the page as this file instead of serving it")
    drawn.add_argument("--id", action="append", default=[], help="a video to open, or for --html, such as diving/003")
    drawn.set_defaults(run=draw)

    add_measurements(commands)
    return parser


def add_measurements(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands that repeat what docs/boxes.md shows."""
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


def main() -> None:
    parser = arguments()
    given, rest = parser.parse_known_args()  # what is left are overrides, and the files of import
    overrides = [
        override
        for override in rest
        if "=" in override and not override.startswith("-") and not Path(override).exists()
    ]
    given.files = [override for override in rest if override not in overrides]
    if given.files and (given.run is not import_boxes or given.files[0].startswith("-")):
        parser.error(f"{given.files[0]}: neither an option nor an override such as data=aqa7")
    if given.run is import_boxes and not given.files:
        parser.error("import: which files? Name files or folders")
    try:
        given.run(given, overrides)
    except KeyboardInterrupt:
        console.print("stopped; what is written stays, and the same command goes on")
        sys.exit(STOPPED)


if __name__ == "__main__":
    run_program(main)
