"""The donor of each video's background: one rule for the whole copy-paste family."""

from typing import Literal, get_args

import torch
from torch import Tensor

from swapaqa.errors import InputError

DonorRule = Literal["derangement", "randperm", "partner"]
Pool = Literal["local", "global"]  # donors from the videos of one process, or from the batch of all processes


def check_donor_rule(rule: str) -> None:
    """InputError unless `rule` is one of `DonorRule`."""
    if rule not in get_args(DonorRule):
        raise InputError(f"aug.donors={rule!r} is not a rule for donors: say one of {', '.join(get_args(DonorRule))}")


def draw_donors(batch_size: int, rule: DonorRule, generator: torch.Generator) -> Tensor:
    """(B,) int64 on the CPU: position in the batch of the video that gives each video its background.

    `derangement`: uniform over the permutations without fixed points, so nobody is their own donor. A batch
    of one has no such permutation: the video is its own donor and stays as it is.
    `randperm`: uniform over all permutations, as the published code draws; one video a batch keeps itself on
    average.
    `partner`: nothing is drawn. The batch is N queries, then their N exemplars, and the two of a pair
    exchange backgrounds: donor of i is (i + N) mod 2N. InputError for an odd batch.
    """
    if rule == "partner":
        if batch_size % 2:
            raise InputError(
                f"aug.donors=partner exchanges backgrounds within pairs, and a batch of {batch_size} has no "
                "pairs: use it with a model trained on pairs (model=core), or aug.donors=derangement"
            )
        return torch.arange(batch_size).roll(-(batch_size // 2))
    if rule == "randperm":
        return torch.randperm(batch_size, generator=generator)
    return _derangement(batch_size, generator)


def _derangement(batch_size: int, generator: torch.Generator) -> Tensor:
    identity = torch.arange(batch_size)
    if batch_size < 2:
        return identity
    while True:  # rejection keeps it uniform; 1/e of all permutations pass, so 2.7 draws on average at any size
        donors = torch.randperm(batch_size, generator=generator)
        if not (donors == identity).any():
            return donors


def zero_if_own_donor(share: Tensor, donors: Tensor) -> Tensor:
    """share (B,) on any device, donors (B,) on the CPU -> share, 0 where a video is its own donor."""
    alone = donors == torch.arange(len(donors))
    return share.masked_fill(alone.to(share.device, non_blocking=True), 0.0)
