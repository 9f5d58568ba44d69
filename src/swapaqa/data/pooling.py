"""Batches on their way through the augmentation: what an augmentation offers, and pairs as one pool of videos."""

from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import torch
from pytorch_lightning import LightningDataModule, Trainer
from torch import Tensor

from swapaqa.batch import Pair, Sample, channels_first, map_columns, map_samples, pooled, take_rows, unpooled
from swapaqa.data.upload import Upload
from swapaqa.seeds import keyed_generator


class Augmentation(Protocol):
    """What an augmentation of a batch of videos offers; `swapaqa.augment` has several.

    `boxes` is the batch's region: boxes (B, T, 4), or masks (B, T, H, W) bool from a source of masks.
    """

    mixes_targets: ClassVar[bool]  # blends labels too, which has no meaning for every method
    replaces_pixels: ClassVar[bool]  # False only for the one that does nothing

    @property
    def pool(self) -> Literal["local", "global"]: ...  # donors from this process's videos, or from all of the batch

    def draw(self, batch_size: int, generator: torch.Generator) -> Any: ...

    def apply(
        self, video: Tensor, boxes: Tensor, targets: dict[str, Tensor], plan: Any
    ) -> tuple[Tensor, dict[str, Tensor]]: ...

    def replaced_share(self, boxes: Tensor, size: tuple[int, int], plan: Any) -> Tensor: ...


class Preview(NamedTuple):
    """A few training videos before and after the augmentation, (B, C, T, H, W)."""

    before: Sample
    after: Sample


class AugmentedData(LightningDataModule):
    """The hook in which a training batch is augmented, on whatever device it is; a base of `VideoData`."""

    augment: Augmentation
    seed: int
    done: tuple[int, int] = (0, 0)  # epoch, and its batches before the run was cut off

    def __init__(self) -> None:
        super().__init__()
        self.upload = Upload()

    def state_dict(self) -> dict[str, Any]:
        """Where in an epoch a checkpoint is."""
        assert self.trainer is not None
        return {"epoch": self.trainer.current_epoch, "batches": self.trainer.fit_loop.batch_idx + 1}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.done = (state_dict["epoch"], state_dict["batches"])

    def place(self) -> tuple[int, int]:
        """Rank of this process, and number of processes."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def transfer_batch_to_device(
        self,
        batch: Sample | Pair,
        device: torch.device,
        dataloader_idx: int,  # noqa: ARG002
    ) -> Sample | Pair:
        return self.upload(batch, device)

    def on_after_batch_transfer(self, batch: Sample | Pair, dataloader_idx: int) -> Sample | Pair:  # noqa: ARG002
        """Bytes as (B, C, T, H, W); in training, augmented. Pairs are pooled: 2N videos exchange backgrounds."""
        trainer = self.trainer
        if trainer is None or not trainer.training:
            return channels_first(batch)
        step = trainer.fit_loop.batch_idx + 1  # Lightning counts a batch after its transfer
        return self.augmented(channels_first(batch), trainer.current_epoch, step)

    def augmented(self, batch: Sample | Pair, epoch: int, step: int) -> Sample | Pair:
        """The batch under the augmentation drawn for (seed, epoch, step); videos (B, C, T, H, W)."""
        generator = keyed_generator(self.seed, "augment", epoch, step)
        rank, world = self.place()
        if self.augment.pool == "local" or world == 1 or self.trainer is None:
            return self._apply(batch, generator)
        whole = self._apply(self._gathered(batch, self.trainer), generator)
        return map_samples(whole, lambda sample: take_rows(sample, slice(rank, None, world)))

    def _apply(self, batch: Sample | Pair, generator: torch.Generator) -> Sample | Pair:
        pool = pooled(batch)
        plan = self.augment.draw(len(pool.video), generator)
        targets = {name: getattr(pool.labels, name) for name in ("score", "label", "judges")}
        video, targets = self.augment.apply(pool.video, pool.region, targets, plan)
        size = (pool.video.shape[3], pool.video.shape[4])
        share = self.augment.replaced_share(pool.region, size, plan)
        pool = pool._replace(video=video, replaced=share, labels=pool.labels._replace(**targets))
        return pool if isinstance(batch, Sample) else unpooled(pool)

    def _gathered(self, batch: Sample | Pair, trainer: Trainer) -> Sample | Pair:
        """The batch of all processes, in the order that one process would have: process r holds every world-th row.

        Videos travel as bytes. Every process then swaps the whole batch and keeps its rows: the swap is so cheap
        beside the network that sending the results round would cost more.
        """

        def whole(column: Tensor) -> Tensor:
            gathered = trainer.strategy.all_gather(column.contiguous())  # (world, B, ...)
            return gathered.transpose(0, 1).flatten(0, 1)

        def repeated(ids: list[str]) -> list[str]:  # others' are not needed to augment: ours stand in their places
            return [own for own in ids for _ in range(world)]

        def gather(sample: Sample) -> Sample:
            channels_last = sample._replace(video=sample.video.movedim(1, -1))  # as it lies in memory
            gathered = map_columns(channels_last, whole, repeated)
            return gathered._replace(video=gathered.video.movedim(-1, 1))

        world = trainer.world_size
        return map_samples(batch, gather)


def describe_shares(shares: dict[str, float]) -> str:
    """`mean 71.3 % (diving 71.3 %)`."""
    per_action = ", ".join(f"{name} {share:.1%}" for name, share in shares.items() if name != "mean")
    return f"{np.round(100 * shares['mean'], 1):g} % ({per_action})"
