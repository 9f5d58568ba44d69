"""`swapaqa boxes draw`: the page in the browser."""

import argparse
import webbrowser
from pathlib import Path
from typing import cast
from urllib.parse import quote

import numpy as np
import torch
from hydra.utils import instantiate

from swapaqa.annotate.desk import Desk
from swapaqa.annotate.follow import Settings, settings_of
from swapaqa.annotate.page_file import write_page
from swapaqa.annotate.server import PageServer
from swapaqa.annotate.sheet import TABLE, read_severities
from swapaqa.augment.swap import ScaledBackgroundSwap, SwapPlan, Variant
from swapaqa.boxes.source import MaskSource
from swapaqa.programs.box_commands.opening import configuration, console, open_data


def add_draw(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the subcommand."""
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


def draw(given: argparse.Namespace, overrides: list[str]) -> None:
    """Serve the drawing page until it is stopped, or write it as a file."""
    opened = open_data(overrides, "darklabel", False, True)
    table = given.check or opened.out / TABLE
    settings = tracker_settings(given.method, given.detect)
    masks = opened.asked if isinstance(opened.asked.boxes, MaskSource) else None
    desk = Desk(opened.source, settings, read_severities(table), given.allow, table.parent, swapped, masks)
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


def swapped(pictures: np.ndarray, regions: np.ndarray, ratio: float, variant: str) -> np.ndarray:
    """The training's own swap for the page's preview, see `swapaqa.annotate.desk.Desk`."""
    video = torch.from_numpy(pictures).permute(0, 3, 1, 2)[:, :, None]
    augment = ScaledBackgroundSwap(ratio, cast(Variant, variant))
    plan = SwapPlan(torch.tensor([1, 0]))
    found, _ = augment.apply(video, torch.from_numpy(regions)[:, None], {}, plan)
    return found[0, :, 0].permute(1, 2, 0).numpy()


def tracker_settings(method: str, detect: str | None) -> Settings:
    """The settings of conf/boxes/tracker.yaml for a tracker without weights.

    `detect`: the ONNX file of a detector, an empty word for OpenCV's HOG; None for neither.
    """
    detector = [] if detect is None else ["boxes.first_box=detector", f"boxes.weights=[{detect}]"]
    source = instantiate(configuration(["boxes=tracker", f"boxes.method={method}", *detector]).boxes)
    return settings_of(source)
