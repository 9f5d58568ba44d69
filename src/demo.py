"""See the product work on the demo data: `python -m src.demo compare`.

`compare` trains twice, without and with the swap, and prints both side by side on the two test lists: `test`, whose
backgrounds tell the score as in training, and `shifted`, whose backgrounds tell nothing.
"""

import argparse
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from swapaqa.result import RESULT_FILE

ARMS = {"without": "aug=none", "with": "aug=swap"}
SPLITS = {"test": "backgrounds as in training", "shifted": "backgrounds that tell nothing"}

console = Console()


def compare(overrides: list[str]) -> None:
    """Train both arms with the same `overrides` and print their scores."""
    folder = Path("outputs") / "demo" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    results = {}
    for arm, choice in ARMS.items():
        console.rule(f"CoRe {arm} the scaled background swap ({choice})")
        run = folder / arm
        command = [
            sys.executable,
            "-m",
            "src.train",
            choice,
            f"hydra.run.dir={run}",
            f"name=demo_{arm}",
            *overrides,
        ]
        if subprocess.run(command, check=False).returncode:
            sys.exit(f"error: this run failed: {' '.join(command)}")
        results[arm] = json.loads((run / RESULT_FILE).read_text())
    console.print(comparison(results))
    console.print(f"figures and results: {folder}", soft_wrap=True)


def comparison(results: dict[str, dict]) -> Table:
    """Spearman and R-l2 at the last epoch, an arm a row."""
    table = Table(title="Does the model read the athlete or the background? (last epoch)")
    table.add_column("scaled background swap")
    for split, meaning in SPLITS.items():
        table.add_column(f"{split}: {meaning}\nSpearman (R-l2 x100)", justify="right")
    for arm, result in results.items():
        found = [result["metrics"]["last"]["splits"][split]["average"] for split in SPLITS]
        table.add_row(arm, *(f"{m['spearman']:.3f} ({m['relative_l2_x100']:.2f})" for m in found))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m src.demo", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="command")
    arms = commands.add_parser("compare", help="train without and with the swap on the demo data")
    arms.add_argument("overrides", nargs="*", help="further overrides of src.train, such as seed=1")
    arms.set_defaults(run=lambda given: compare(given.overrides))
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    main()
