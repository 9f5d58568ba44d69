"""Where a checkpoint looks: `python -m src.gradcam checkpoint=A/checkpoints/last.ckpt also=B/checkpoints/last.ckpt`.

Grad-CAM of the predicted score on the backbone's last block (`swapaqa.models.gradcam`), for every test video. Written
are `gradcam.json` with the share of each map's mass that lies in the athlete's box, and for some videos a strip and
a film of the maps over the frames, the checkpoints side by side, as in the paper's Fig. 2. A report on a folder that
holds the result shows them. One checkpoint alone works too.

The boxes are those that a checkpoint was trained with, or the data set's default; `boxes=` names others.
"""

import hydra
from omegaconf import DictConfig

from swapaqa.running.program import one_line_errors, run_program


@hydra.main(version_base="1.3", config_path="pkg://swapaqa.conf", config_name="gradcam")
@one_line_errors
def main(cfg: DictConfig) -> None:
    from swapaqa.running.gradcam_study import start  # here, as --help, --cfg and a misspelt key need no Lightning

    start(cfg)


if __name__ == "__main__":
    run_program(main)
