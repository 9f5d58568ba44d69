"""`swapaqa boxes check`: contact sheets and a table, the most suspicious boxes first."""

import argparse
import sys
from pathlib import Path

from rich.progress import track

from swapaqa.annotate.examine import examine, questions_about
from swapaqa.annotate.listing import list_videos
from swapaqa.annotate.sheet import TABLE, worst_table, write_sheets, write_table
from swapaqa.boxes.darklabel import DarkLabelBoxes
from swapaqa.boxes.ledger import Ledger, is_changed
from swapaqa.pool import cores, in_processes
from swapaqa.programs.box_commands.opening import SHOWN, console, open_data


def add_check(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
    checked = commands.add_parser("check", help="contact sheets and a table, the most suspicious boxes first")
    checked.add_argument("--tolerate", type=float, default=0.1, help="share of suspicious videos to train with")
    checked.add_argument("--out", type=Path, help="folder of sheets and table; outputs/boxes/<data>")
    checked.set_defaults(run=check)
    checked.add_argument("--processes", type=int, default=cores())


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
