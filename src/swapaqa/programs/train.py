"""Train a method: `python -m src.train`, `python -m src.train model=core data=aqa7 aug.ratio=2.0`.

A single run on one device trains in this process. A job of a sweep, and a run on several devices, trains in processes
of its own, which read the resolved configuration from the job's folder.
"""

import warnings

import hydra
from omegaconf import DictConfig

from swapaqa.running.program import one_line_errors, run_program


@hydra.main(version_base="1.3", config_path="pkg://swapaqa.conf", config_name="train")
@one_line_errors
def main(cfg: DictConfig) -> None:
    from swapaqa.running.start import start  # here, as --help, --cfg and a misspelt key need no Lightning

    start(cfg)


if __name__ == "__main__":
    # the launcher of ours has the plugin's own name
    warnings.filterwarnings("ignore", r"\s*'hydra/launcher/ray' is validated", UserWarning)
    run_program(main)
