"""Pretrain a backbone's adapters on videos alone: `python -m src.pretrain data=aqa7 backbone.pretrained=model_rgb.pth`.

No score is learnt from. The file that it leaves, `backbone.pt` in the run's folder, is what every method starts from
with `backbone=i3d_pecop backbone.pretrained=`.
"""

import hydra
from omegaconf import DictConfig

from swapaqa.running.program import one_line_errors, run_program


@hydra.main(version_base="1.3", config_path="pkg://swapaqa.conf", config_name="pretrain")
@one_line_errors
def main(cfg: DictConfig) -> None:
    from swapaqa.running.start import start_pretraining  # here, as --help, --cfg and a misspelt key need no Lightning

    start_pretraining(cfg)


if __name__ == "__main__":
    run_program(main)
