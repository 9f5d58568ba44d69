"""Check a data set before a night's training: `python -m src.doctor data=aqa7 data.root=...`.

Takes the same overrides as a training (`boxes=`, `data.frames=`, ...), reads every video as that training would, in
`data.workers` processes, and does not stop at the first problem. Prints a summary, writes `doctor.json` into the run's
folder, and leaves with 0 if the training can run on this data, 1 if not, 2 for a wrong configuration.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from swapaqa.running.program import one_line_errors, run_program

REPORT_FILE = "doctor.json"


@hydra.main(version_base="1.3", config_path="pkg://swapaqa.conf", config_name="train")
@one_line_errors
def main(cfg: DictConfig) -> None:
    # here, as --help, --cfg and a misspelt key need no Lightning
    from swapaqa.configuration.checking import check
    from swapaqa.configuration.data_sets import make_data
    from swapaqa.doctor.examination import examine
    from swapaqa.doctor.verdict import can_train, left_over, show, without_exemplars
    from swapaqa.files.whole_file import write_whole

    check(cfg)
    data = make_data(cfg.data)
    counts, problems = examine(data.source, data.workers)
    problems += without_exemplars(data.source) if data.voters and counts["train"] else []
    problems += left_over(counts, problems) if data.skip_unreadable else []
    verdict = can_train(problems, data.skip_unreadable)
    path = Path(HydraConfig.get().runtime.output_dir) / REPORT_FILE
    report = {"can_train": verdict, "videos": counts, "problems": [asdict(problem) for problem in problems]}
    write_whole(path, json.dumps(report, indent=1))
    show(counts, problems, verdict, path)
    if not verdict:
        sys.exit(1)


if __name__ == "__main__":
    run_program(main)
