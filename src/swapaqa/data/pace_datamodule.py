"""The DataModule of a pretraining: clips of changed pace from the training videos of a data set."""

from typing import Any, final

import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from swapaqa.batch import PaceClip
from swapaqa.data.datamodule import VideoData
from swapaqa.data.pace import PaceClips, PacePlan
from swapaqa.data.sampler import KeyedPermutation, WholeBatches
from swapaqa.errors import InputError


@final
class PaceData(LightningDataModule):
    """Batches of `PaceClip`, the same for any number of processes.

    Args:
        videos: of the data set; only its training videos are read.
        plan: of a clip.
        repeats: of every video in an epoch.

    Raises:
        InputError: fewer than one repeat.
    """

    def __init__(self, videos: VideoData, plan: PacePlan, repeats: int) -> None:
        super().__init__()
        if repeats < 1:
            raise InputError(f"pretext.repeats={repeats}: at least 1 is needed")
        self.videos, self.plan, self.repeats = videos, plan, repeats
        self.done = (0, 0)

    def setup(self, stage: str | None = None) -> None:
        """Read the lists and find every file, once."""
        self.videos.setup(stage)

    def clips(self) -> PaceClips:
        """The clips of all epochs."""
        source = self.videos.source
        return PaceClips(source.pixel_reader, self.videos.items["train"], self.plan, self.repeats, self.videos.seed)

    def train_dataloader(self) -> DataLoader[Any]:
        clips, trainer = self.clips(), self.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        order = KeyedPermutation(len(clips), self.videos.seed)
        batches = WholeBatches(order, self.videos.batch_size, rank, world_size, self.done)
        workers = self.videos.workers
        pinned = torch.cuda.is_available()
        return DataLoader(
            clips, batch_sampler=batches, num_workers=workers, persistent_workers=workers > 0, pin_memory=pinned
        )

    def on_after_batch_transfer(self, batch: PaceClip, dataloader_idx: int) -> PaceClip:  # noqa: ARG002
        """(B, T, H, W, C) -> (B, C, T, H, W), a view."""
        return batch._replace(video=batch.video.movedim(-1, 1))

    def state_dict(self) -> dict[str, Any]:
        """Where in an epoch a checkpoint is."""
        assert self.trainer is not None
        return {"epoch": self.trainer.current_epoch, "batches": self.trainer.fit_loop.batch_idx + 1}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.done = (state_dict["epoch"], state_dict["batches"])
