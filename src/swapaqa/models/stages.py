"""Stages of a performance on the clips of its video: from where they begin, or from what a network says of clips.

Five classes follow each other (before, jump, drop, entry, after), so that four borders say all. Pure functions.
"""

import torch
from torch import Tensor

CLASSES = ("before", "jump", "drop", "entry", "after")
ROUNDED = 1e-4  # of a clip: by how much a share of float32 may be off
STAGES = len(CLASSES) - 1  # that are looked at: all but the first


def clip_borders(shares: Tensor, clips: int) -> Tensor:
    """The first clip of each class after the first, of clips that lie evenly from the first frame to the last.

    Args:
        shares: (N, S) where they begin, 0 at the first frame and 1 at the last, none before the one ahead of it.
        clips: n.

    Returns:
        (N, S) int64, 0 to n - 1.
    """
    return (shares.double() * (clips - 1) - ROUNDED).ceil().long().clamp(0, clips - 1)


def clip_classes(borders: Tensor, clips: int) -> Tensor:
    """(N, S) `clip_borders` -> (N, n) int64, the class of every clip, from 0."""
    place = torch.arange(clips, device=borders.device)
    return (place >= borders[:, :, None]).sum(dim=1)


def ordered_borders(log_prob: Tensor) -> Tensor:
    """The borders of the most probable sequence of classes in their order, each of one clip at least.

    Args:
        log_prob: (N, n, S + 1) of the classes of n clips; n of S + 1 at least.

    Returns:
        (N, S) int64, from 1 to n - 1, each greater than the one ahead of it.
    """
    count, clips, classes = log_prob.shape
    total = torch.cat([log_prob.new_zeros(count, 1, classes), log_prob.cumsum(dim=1)], dim=1)  # (N, n + 1, S + 1)
    best, chosen = total[:, :, 0], []
    for later in range(1, classes):
        # best[t]: of the first t clips with the classes up to `later`; its own begin at one of the places before t
        gain = best - total[:, :, later]
        gain = gain.masked_fill(torch.arange(clips + 1, device=gain.device) < later, -torch.inf)
        value, place = gain.cummax(dim=1)
        best = torch.cat([torch.full_like(best[:, :1], -torch.inf), value[:, :-1] + total[:, 1:, later]], dim=1)
        chosen.append(torch.cat([place[:, :1], place[:, :-1]], dim=1))  # of each t, where class `later` begins
    end, borders = torch.full((count, 1), clips, device=log_prob.device), []
    for place in reversed(chosen):
        end = place.gather(1, end)
        borders.append(end)
    return torch.cat(borders[::-1], dim=1)


def stage_clips(borders: Tensor, clips: int, jump: int) -> Tensor:
    """Which clips belong to each stage: every one has some, where its neighbours lent it one.

    Args:
        borders: (N, STAGES) of jump, drop, entry and after.
        clips: n.
        jump: clips of the first stage, the last ones before the drop, whatever is before them (MSRN).

    Returns:
        (N, STAGES, n) bool.
    """
    _, drop, entry, after = borders.unbind(dim=1)
    first = torch.stack([drop - jump, drop, entry, after], dim=1).clamp(0, clips - 1)
    stop = torch.stack([drop, entry, after, torch.full_like(after, clips)], dim=1)
    place = torch.arange(clips, device=borders.device)
    return (place >= first[..., None]) & (place < torch.maximum(stop, first + 1)[..., None])
