"""`swapaqa boxes make`: boxes for a whole data set by a tracker."""

import argparse
import sys

from swapaqa.annotate.follow import settings_of
from swapaqa.annotate.listing import list_videos
from swapaqa.annotate.make import is_due, jobs_of, run_jobs
from swapaqa.boxes.ledger import Ledger
from swapaqa.boxes.tracker_boxes import TrackerBoxes
from swapaqa.errors import InputError
from swapaqa.pool import cores
from swapaqa.programs.box_commands.opening import SHOWN, console, open_data


def add_make(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    made = commands.add_parser("make", help="boxes for a whole data set by a tracker")
    made.add_argument("--fill", action="store_true", help="also track between boxes drawn by hand, which stay")
    made.add_argument("--again", action="store_true", help="replace what a tracker wrote and nobody has changed")
    made.add_argument("--masks", action="store_true", help="write the masks of a segmenting detector too")
    made.set_defaults(run=make)
    made.add_argument("--processes", type=int, default=cores())


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
