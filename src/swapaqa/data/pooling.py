"""The interface of an augmentation, and a batch under it: pairs are one pool of videos, processes may be one too."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from swapaqa.batch import Pair, Sample, map_columns, map_samples, pooled, unpooled


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


def augmented(batch: Sample | Pair, augment: Augmentation, generator: torch.Generator) -> Sample | Pair:
    """The batch under what is drawn of `generator`; videos (B, C, T, H, W). Pairs are one pool of 2N videos."""
    pool = pooled(batch)
    plan = augment.draw(len(pool.video), generator)
    targets = {name: getattr(pool.labels, name) for name in ("score", "label", "judges")}
    video, targets = augment.apply(pool.video, pool.region, targets, plan)
    size = (pool.video.shape[3], pool.video.shape[4])
    share = augment.replaced_share(pool.region, size, plan)
    pool = pool._replace(video=video, replaced=share, labels=pool.labels._replace(**targets))
    return pool if isinstance(batch, Sample) else unpooled(pool)


def gathered(batch: Sample | Pair, all_gather: Callable[[Tensor], Tensor], world_size: int) -> Sample | Pair:
    """The batch of all processes, in the order that one process would have: process r holds every world_size-th row.

    Videos travel as bytes. Every process then swaps the whole batch and keeps its rows: the swap is so cheap
    beside the network that sending the results round would cost more.

    Args:
        all_gather: a column (B, ...) of this process -> those of all (world_size, B, ...).
    """

    def whole(column: Tensor) -> Tensor:
        return all_gather(column.contiguous()).transpose(0, 1).flatten(0, 1)

    def repeated(ids: list[str]) -> list[str]:  # others' are not needed to augment: ours stand in their places
        return [own for own in ids for _ in range(world_size)]

    def gather(sample: Sample) -> Sample:
        channels_last = sample._replace(video=sample.video.movedim(1, -1))  # as it lies in memory
        found = map_columns(channels_last, whole, repeated)
        return found._replace(video=found.video.movedim(-1, 1))

    return map_samples(batch, gather)


def describe_shares(shares: dict[str, float]) -> str:
    """`mean 71.3 % (diving 71.3 %)`."""
    per_action = ", ".join(f"{name} {share:.1%}" for name, share in shares.items() if name != "mean")
    return f"{np.round(100 * shares['mean'], 1):g} % ({per_action})"
