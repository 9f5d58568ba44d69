"""`swapaqa boxes import`: files of other programs, put where the loader looks."""

import argparse
import sys
from pathlib import Path

from rich.table import Table

from swapaqa.annotate.importing import FORMATS, Reading, import_video
from swapaqa.annotate.listing import list_videos
from swapaqa.annotate.matching import box_files, named_videos
from swapaqa.boxes.ledger import Ledger
from swapaqa.errors import InputError
from swapaqa.programs.box_commands.opening import console, open_data


def add_import(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    imported = commands.add_parser("import", help="put files of other programs where the loader looks")
    imported.add_argument("--format", choices=FORMATS, help="instead of finding it out")
    imported.add_argument("--columns", help="DarkLabel's specifiers, such as fn,cname,id,x1,y1,w,h")
    imported.add_argument("--frame-start", type=int, help="number of a video's first frame in the files")
    imported.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="of the annotated frames")
    imported.add_argument("--video", help="id of the video of the one file")
    imported.add_argument("--replace", action="store_true", help="write over boxes that are there")
    imported.set_defaults(run=import_boxes, takes_files=True)


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
