"""Pretrain a backbone's adapters on videos alone: `python -m src.pretrain data=aqa7 backbone.pretrained=model_rgb.pth`.

No score is learnt from. The file that it leaves, `backbone.pt` in the run's folder, is what every method starts from
with `backbone=i3d_pecop backbone.pretrained=`.
"""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from swapaqa.command import spelled
from swapaqa.configuration.checking import check
from swapaqa.console import quieten
from swapaqa.errors import InputError
from swapaqa.programs.train import run
from swapaqa.running.program import one_line_errors, run_program


@hydra.main(version_base="1.3", config_path="pkg://swapaqa.conf", config_name="pretrain")
@one_line_errors
def main(cfg: DictConfig) -> None:
    quieten()
    if HydraConfig.get().mode is RunMode.MULTIRUN:
        raise InputError(f"pretrain has no sweeps: give {spelled('pretrain')} once for each, without --multirun")
    check(cfg)
    run(cfg, Path(HydraConfig.get().runtime.output_dir), in_sweep=False)


if __name__ == "__main__":
    run_program(main)
