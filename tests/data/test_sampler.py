"""Whole batches: the same for one and many processes, every video at most once an epoch, no lonely last one."""

import pytest

from swapaqa.data.sampler import Key, KeyedPermutation, WholeBatches
from swapaqa.errors import InputError


def batches(
    size: int, batch_size: int, world: int = 1, epoch: int = 0, least: int | None = None
) -> list[list[set[Key]]]:
    """By batch, the keys of each process; by default at least two of a process, as for a swap of its own videos."""
    least = 2 * world if least is None else least
    permutation = KeyedPermutation(size, seed=0)
    samplers = [WholeBatches(permutation, batch_size, rank, world, least=least) for rank in range(world)]
    permutation.set_epoch(epoch)
    ranks = [list(sampler) for sampler in samplers]
    assert len({len(own) for own in ranks}) == 1  # else the processes would wait for each other for ever
    return [[set(keys) for keys in batch] for batch in zip(*ranks, strict=True)]


@pytest.mark.parametrize("size", [8, 9, 23, 24, 64])
def test_processes_share_the_batches_of_one_process(size: int) -> None:
    alone = [set.union(*ranks) for ranks in batches(size, 8)]
    for world in (2, 4):
        shared = batches(size, 8, world)
        joined = [set.union(*ranks) for ranks in shared]
        dropped = set.union(*alone) - set.union(*joined)
        assert len(dropped) == size % world
        assert [batch - dropped for batch in alone[: len(joined) - 1]] == joined[:-1]
        assert set.union(*alone) == set.union(*joined) | dropped
        for ranks in shared:
            assert len({len(keys) for keys in ranks}) == 1  # every process has as many
            assert sum(map(len, ranks)) == len(set.union(*ranks))  # and other ones


@pytest.mark.parametrize("size", [1, 2, 5, 8, 9, 17, 100])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_every_video_once_an_epoch(size: int, batch_size: int) -> None:
    keys = [key for ranks in batches(size, batch_size, epoch=4) for key in ranks[0]]
    assert sorted(keys) == [(4, position) for position in range(size)]
    assert len(WholeBatches(KeyedPermutation(size, 0), batch_size, 0, 1, least=2)) == len(batches(size, batch_size))


@pytest.mark.parametrize(
    ("size", "batch_size", "sizes"),
    [
        (16, 8, [8, 8]),
        (17, 8, [8, 9]),  # one video alone could not be swapped
        (18, 8, [8, 8, 2]),
        (5, 8, [5]),
        (1, 8, [1]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_the_last_batch(size: int, batch_size: int, sizes: list[int]) -> None:
    assert [len(ranks[0]) for ranks in batches(size, batch_size)] == sizes


def test_the_last_batch_of_two_processes_has_two_videos_each() -> None:
    assert [[len(keys) for keys in ranks] for ranks in batches(18, 8, 2)] == [[4, 4], [5, 5]]
    assert [[len(keys) for keys in ranks] for ranks in batches(20, 8, 2)] == [[4, 4], [4, 4], [2, 2]]


@pytest.mark.parametrize("size", [12, 20, 28, 300])
def test_with_donors_from_all_processes_the_last_batch_too_is_that_of_one_process(size: int) -> None:
    alone = [set.union(*ranks) for ranks in batches(size, 8, least=2)]
    for world in (2, 4):
        assert [set.union(*ranks) for ranks in batches(size, 8, world, least=2)] == alone


@pytest.mark.parametrize(("size", "sizes"), [(17, [8, 8, 1]), (16, [8, 8]), (19, [8, 8, 3]), (1, [1])])
def test_where_nothing_is_swapped_a_last_video_alone_is_a_batch(size: int, sizes: list[int]) -> None:
    assert [len(ranks[0]) for ranks in batches(size, 8, least=1)] == sizes
    for world in (2, 4):
        if size >= world:
            shared = [sum(map(len, ranks)) for ranks in batches(size, 8, world, least=1)]
            rest = sizes[-1] if sizes[-1] < 8 else 0
            whole = rest - rest % world  # the others wait for the next epoch
            assert shared == [8] * (size // 8) + [whole] * (whole > 0)


def test_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        permutation = KeyedPermutation(40, seed)
        permutation.set_epoch(epoch)
        return [position for _, position in permutation]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


@pytest.mark.parametrize(("batch_size", "world", "better"), [(7, 2, "8"), (2, 8, "8"), (9, 4, "12")])
def test_a_batch_that_does_not_divide_is_refused(batch_size: int, world: int, better: str) -> None:
    with pytest.raises(InputError, match=rf"data\.batch_size={batch_size} .*batch=scaled .*data\.batch_size={better}$"):
        WholeBatches(KeyedPermutation(40, 0), batch_size, 0, world)


def test_fewer_videos_than_processes_are_refused() -> None:
    with pytest.raises(InputError, match="3 training videos"):
        WholeBatches(KeyedPermutation(3, 0), 8, 0, 4)
