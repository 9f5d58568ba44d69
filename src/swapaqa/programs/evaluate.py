"""Score a checkpoint: `python -m src.evaluate checkpoint=... data=aqa7`, or one video: `checkpoint=... video=dive.mp4`.

A checkpoint carries its configuration, so the same model is built again from it alone. Methods with exemplars score
without the training videos where the checkpoint has their features (`model.store_exemplars=true` in training); else
the training videos are read once more.

`baseline=event|difficulty|both|all data=mtl_aqa` reads lists and no video: what the test scores can be predicted from
without a pixel, see `swapaqa.probing.baselines`.

`probe=background` exchanges backgrounds between test videos and takes the athlete away, and says which of the two the
prediction follows: `probe.json`, see `swapaqa.probing`.

Several processes share the videos: `python -m torch.distributed.run --standalone --nproc-per-node 2 -m src.evaluate
checkpoint=... trainer.devices=2 trainer.strategy=ddp`. Each video counts once, and one folder holds the result.
"""

import hydra
from omegaconf import DictConfig

from swapaqa.running.program import one_line_errors, run_program


@hydra.main(version_base="1.3", config_path="pkg://swapaqa.conf", config_name="evaluate")
@one_line_errors
def main(cfg: DictConfig) -> None:
    from swapaqa.running.evaluation import start  # here, as --help, --cfg and a misspelt key need no Lightning

    start(cfg)


if __name__ == "__main__":
    run_program(main)
