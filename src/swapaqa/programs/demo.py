"""Demonstrate the swap: `python -m src.demo compare` and `python -m src.demo swap`.

`compare` trains twice, without and with the swap, and prints both side by side on the two test lists of the demo data:
`test`, whose backgrounds tell the score as in training, and `shifted`, whose backgrounds tell nothing.

`swap` shows what an augmentation does to a few videos, as a picture strip and as a film. The augmentation, its settings
and the boxes are those of the configuration, so every key of `src.train` works here too:

    python -m src.demo swap
    python -m src.demo swap --id diving/003 --id diving/017 aug.ratio=1 --also aug.ratio=2 --also aug=cutmix
    python -m src.demo swap --video a.mp4 --video b.mp4 boxes=fixed boxes.share=0.4 aug.ratio=1.5 aug.variant=clean
"""

import argparse
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from swapaqa.command import spelled
from swapaqa.console import open_console
from swapaqa.recording.result_file import RESULT_FILE
from swapaqa.running.program import run_program

SETTINGS = {"without": "aug=none", "with": "aug=swap"}
SPLITS = {"test": "backgrounds as in training", "shifted": "backgrounds that tell nothing"}

console = open_console()


def compare(overrides: list[str]) -> None:
    """Train both settings with the same `overrides` and print their scores."""
    folder = Path("outputs") / "demo" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    results = {}
    for setting, choice in SETTINGS.items():
        console.print(f"CoRe {setting} the scaled background swap ({choice})", style="bold")
        run = folder / setting
        command = [
            sys.executable,
            "-m",
            "swapaqa",
            "train",
            choice,
            f"hydra.run.dir={run}",
            f"name=demo_{setting}",
            *overrides,
        ]
        if subprocess.run(command, check=False).returncode:
            sys.exit(f"error: this run failed: {' '.join(command)}")
        results[setting] = json.loads((run / RESULT_FILE).read_text())
    console.print(comparison(results))
    console.print(f"figures and results: {folder}", soft_wrap=True)


def comparison(results: dict[str, dict[str, Any]]) -> Table:
    """Spearman and R-l2 at the last epoch, a setting a row."""
    table = Table(title="Does the model read the athlete or the background? (last epoch)")
    table.add_column("scaled background swap")
    for split, meaning in SPLITS.items():
        table.add_column(f"{split}: {meaning}\nSpearman (R-l2 x100)", justify="right")
    for setting, result in results.items():
        found = [result["metrics"]["last"]["splits"][split]["average"] for split in SPLITS]
        table.add_row(setting, *(f"{m['spearman']:.3f} ({m['relative_l2_x100']:.2f})" for m in found))
    return table


def swap(given: argparse.Namespace, overrides: list[str]) -> None:
    """Write the pictures that the arguments ask for, and say where they are."""
    from swapaqa.running.swap_pictures import show_swap  # here, as --help needs none of what it imports

    for path in show_swap(given, overrides):
        console.print(f"written: {path}", soft_wrap=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog=spelled("demo"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Overrides of src.train, such as seed=1 or aug.ratio=3, may follow every command.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    compared = commands.add_parser("compare", help="train without and with the swap on the demo data")
    compared.set_defaults(run=lambda _, overrides: compare(overrides))
    strip = commands.add_parser("swap", help="a picture strip and a film of what an augmentation does")
    strip.add_argument("--video", action="append", default=[], help="a video file; name two or more")
    strip.add_argument("--id", action="append", default=[], help="a video of the data set, such as diving/003")
    strip.add_argument("--also", action="append", default=[], help="one more row: 'aug.ratio=2 aug.variant=clean'")
    strip.add_argument("--background", action="store_true", help="show what each video gives as a donor")
    strip.add_argument("--out", type=Path, default=Path("outputs/swap"), help="folder of swap.png and swap.mp4")
    strip.set_defaults(run=swap)
    given, overrides = parser.parse_known_args()  # what is left are overrides, wherever they stand
    for word in overrides:
        if "=" not in word:
            parser.error(f"{word}: neither an option nor an override such as aug.ratio=2")
    given.run(given, overrides)


if __name__ == "__main__":
    run_program(main)
