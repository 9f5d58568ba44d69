"""aug.pool=global: processes that share a batch augment it as one process would."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.data import default_collate

from swapaqa.augment.swap import ScaledBackgroundSwap
from swapaqa.batch import Pair, channels_first, take_rows
from swapaqa.data.sampler import KeyedPermutation, WholeBatches
from tests.stepped import check_side, with_steps


class Meeting:
    """What a strategy's all_gather does, between threads in place of processes."""

    def __init__(self, world: int) -> None:
        self.brought: list[Tensor | None] = [None] * world
        self.barrier = Barrier(world, timeout=60)

    def all_gather(self, rank: int, column: Tensor) -> Tensor:
        self.brought[rank] = column
        self.barrier.wait()
        whole = torch.stack(self.brought)
        self.barrier.wait()
        return whole


def first_batch(data, rank: int, world: int):
    sampler = WholeBatches(KeyedPermutation(len(data.items["train"]), data.seed), data.batch_size, rank, world)
    dataset = data.training_set()
    return channels_first(default_collate([dataset[key] for key in next(iter(sampler))]))


def augmented_by(data, rank: int, world: int, meeting: Meeting):
    strategy = SimpleNamespace(all_gather=lambda column: meeting.all_gather(rank, column))
    data.trainer = SimpleNamespace(global_rank=rank, world_size=world, strategy=strategy)
    return data.augmented(first_batch(data, rank, world), epoch=2, step=5)


@pytest.mark.parametrize("voters", [0, 3])
@pytest.mark.parametrize("world", [2, 4])
def test_a_global_pool_gives_every_process_its_rows_of_what_one_process_makes(
    aqa7_tree, open_data, voters: int, world: int
) -> None:
    root, augment = aqa7_tree(train=8), ScaledBackgroundSwap(ratio=1.5, pool="global")

    def open_one():
        data = with_steps(open_data(root, augment=augment, voters=voters, batch_size=8))
        data.setup()
        return data

    alone = open_one()
    whole = alone.augmented(first_batch(alone, 0, 1), epoch=2, step=5)
    meeting, processes = Meeting(world), [open_one() for _ in range(world)]
    with ThreadPoolExecutor(world) as pool:
        parts = list(pool.map(lambda rank: augmented_by(processes[rank], rank, world, meeting), range(world)))
    for rank, part in enumerate(parts):
        pairs = zip(whole, part, strict=True) if isinstance(whole, Pair) else [(whole, part)]
        for expected, got in pairs:
            rows = take_rows(expected, slice(rank, None, world))
            for column, own in zip(tree_leaves(rows._asdict()), tree_leaves(got._asdict()), strict=True):
                assert torch.equal(own, column) if isinstance(column, Tensor) else own == column
            assert list(got.video_id) == list(expected.video_id[rank::world])
            check_side(got.side, got.video_id)
