"""Extract clip features: `python -m src.extract data=aqa7 backbone.pretrained=model_rgb.pth out=features/aqa7`.

Every video is encoded once as an evaluation sees it, one `.npy` a video, and with `aug=swap copies=8` every training
video eight times more as the first eight epochs of a training would see it. `manifest.json` says what made them. The
same command goes on where it was stopped; `shard=0 shards=4` to `shard=3 shards=4` share the work.
"""

import hydra
from omegaconf import DictConfig

from swapaqa.running.program import one_line_errors, run_program


@hydra.main(version_base="1.3", config_path="pkg://swapaqa.conf", config_name="extract")
@one_line_errors
def main(cfg: DictConfig) -> None:
    from swapaqa.running.feature_extraction import start  # here, as --help, --cfg and a misspelt key need no Lightning

    start(cfg)


if __name__ == "__main__":
    run_program(main)
