"""A job's process: `python -m swapaqa.running.worker FOLDER [COUNT]` trains the run whose `config.yaml` lies in FOLDER.

With COUNT above 1 it starts that many processes of itself and waits for them. Started by `src.train`, not by hand: the
environment vouches for the configuration.
"""

import logging
import os
import sys
from pathlib import Path

from swapaqa.running import orphans

if __name__ == "__main__" and orphans.PARENT in os.environ:
    orphans.watch_parent()  # before the imports, which take seconds

from swapaqa.console import quieten
from swapaqa.running import processes
from swapaqa.running.here import run_here
from swapaqa.running.jobs import trusted_config
from swapaqa.running.program import run_program

LOG_FORMAT = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"  # Hydra's


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    first = os.environ.get("RANK", "0") == "0"
    handlers: list[logging.Handler] = [logging.StreamHandler(), *([logging.FileHandler(folder / "train.log")] * first)]
    logging.basicConfig(level=logging.INFO if first else logging.WARNING, format=LOG_FORMAT, handlers=handlers)
    quieten()
    if count > 1:
        sys.exit(processes.run_group(folder, count))
    run_here(trusted_config(folder), folder)


def start() -> None:
    """`main`, with every error as one line."""
    run_program(main)


if __name__ == "__main__":
    start()
