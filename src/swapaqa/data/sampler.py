"""Samplers: whole batches over all processes, with the epoch in every key."""

from collections.abc import Iterator

import torch
from torch.utils.data import BatchSampler, Sampler

from swapaqa.errors import InputError
from swapaqa.seeds import keyed_generator

Key = tuple[int, int]  # epoch, position: a worker that lives on through epochs still knows which one it serves


class KeyedPermutation(Sampler[Key]):
    """A permutation of `size` positions that depends on seed and epoch alone. Lightning sets the epoch."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Key]:
        generator = keyed_generator(self.seed, "order", self.epoch)
        for position in torch.randperm(self.size, generator=generator).tolist():
            yield self.epoch, position


class WholeBatches(BatchSampler):  # a BatchSampler, so that Lightning finds `sampler` and sets its epoch
    """Batches of `batch_size` over all processes, of which `rank` of `world_size` takes every world_size-th key.

    So one and eight processes train on the same batches. What is left at the end of an epoch makes a smaller batch if
    it has `least` keys or more, over all processes, else it joins the batch before. Where `least` does not depend on
    the number of processes, the last batch too is the same for any number, but for `size % world_size` videos where
    they do not divide.

    `done`: (epoch, batches) that were trained on before the run was cut off: that epoch goes on after them.
    """

    def __init__(
        self,
        sampler: KeyedPermutation,
        batch_size: int,
        rank: int,
        world_size: int,
        done: tuple[int, int] = (0, 0),
        least: int = 1,
    ) -> None:
        if batch_size % world_size:
            divides = batch_size // world_size * world_size + world_size
            raise InputError(
                f"data.batch_size={batch_size} is the batch over all processes and does not divide by their number, "
                f"{world_size}; say batch=scaled (docs/cluster.md), or data.batch_size={divides}"
            )
        if len(sampler) < world_size:
            raise InputError(
                f"{len(sampler)} training videos are fewer than the {world_size} processes: set trainer.devices=1"
            )
        super().__init__(sampler, batch_size, drop_last=False)  # type: ignore[arg-type]  # keys, not ints
        self.sampler: KeyedPermutation = sampler  # type: ignore[assignment]
        self.size = len(sampler)
        self.rank = rank
        self.world_size = world_size
        self.done = done
        self.least = least
        sampler.set_epoch(done[0])  # loader processes start to read before Lightning sets the epoch

    def _sizes(self) -> list[int]:
        whole, rest = divmod(self.size, self.batch_size)
        rest -= rest % self.world_size  # at most world_size - 1 videos of an epoch wait for the next one's permutation
        sizes = [self.batch_size] * whole
        if rest and (rest >= self.least or not sizes or self.batch_size == self.world_size):
            sizes.append(rest)
        elif rest:
            sizes[-1] += rest
        return sizes

    def __len__(self) -> int:
        return len(self._sizes())

    def __iter__(self) -> Iterator[list[Key]]:  # type: ignore[override]
        keys, epoch = list(self.sampler), self.sampler.epoch
        skipped = self.done[1] if epoch == self.done[0] else 0
        start = 0
        for batch, size in enumerate(self._sizes()):
            if batch >= skipped:
                yield keys[start : start + size][self.rank :: self.world_size]
            start += size
