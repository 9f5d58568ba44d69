"""The label differences of all pairs of videos, in ascending order and by rank, without writing the pairs down.

N videos have up to N (N - 1) / 2 pairs. Where labels are sorted, the differences from one video to those after it
ascend, so a binary search for each video counts the pairs up to a value: O(N log N) time, O(N) memory. The difference
of a rank lies between two values that are bisected until they are one; after each count both move to differences that
exist, so the result is one of them, to the bit.
"""

import math

import torch
from torch import Tensor


class PairDifferences:
    """|label - label'| of all pairs of videos of one group: a sorted sequence, `differences[rank]`, `len(differences)`.

    Args:
        label: (N,) float64.
        group: (N,) int64; only videos of one group make pairs.
    """

    def __init__(self, label: Tensor, group: Tensor) -> None:
        order = label.argsort()
        order = order[group[order].argsort(stable=True)]  # by group, and by label within it
        label, group = label[order].double(), group[order]
        new = torch.ones(len(label), dtype=torch.bool)
        new[1:] = (label[1:] != label[:-1]) | (group[1:] != group[:-1])
        start = new.nonzero()[:, 0]
        group = group[start]
        self.label = label[start]  # (M,) each label of a group once
        self.before = torch.cat([start, start.new_tensor([len(label)])])  # (M + 1,) videos before the m-th
        self.count = self.before.diff()  # (M,) videos that have it
        self.first = torch.arange(1, len(start) + 1)  # (M,) the next greater label, where it is of this group
        self.last = torch.searchsorted(group, group, right=True)  # (M,) one past the group's greatest label
        self.equal = int((self.count * (self.count - 1) // 2).sum())  # pairs of equal labels

    def __len__(self) -> int:
        return self._pairs(self.last)

    def __getitem__(self, rank: int) -> float:
        if not 0 <= rank < len(self):
            raise IndexError(f"{rank} of {len(self)} differences")
        first, last = self.first, self.last
        low, high = 0.0, self._largest_within(last)
        while low < high:
            middle = min((low + high) / 2, math.nextafter(high, 0))  # below `high`, though the mean may round up to it
            end = self._end(middle, first, last)
            if self._pairs(end) > rank:
                high, last = self._largest_within(end), end
            else:
                low, first = self._smallest_beyond(end), end
        return low

    def _end(self, value: float, first: Tensor, last: Tensor) -> Tensor:
        """(M,) for each label one past the greatest of its group that is at most `value` above it.

        `first`, `last`: (M,) bounds of the result, which a search for another value has left.
        """
        while (searched := first < last).any():
            middle = (first + last) >> 1  # a quarter of the time of // 2
            there = self.label.index_select(0, middle.clamp_max(len(self.label) - 1))
            near = searched & (there - self.label <= value)
            first, last = torch.where(near, middle + 1, first), torch.where(near, last, middle)
        return first

    def _pairs(self, end: Tensor) -> int:
        """How many pairs have both labels before `end` of the smaller one."""
        return self.equal + int((self.count * (self.before[end] - self.before[1:])).sum())

    def _largest_within(self, end: Tensor) -> float:
        return float((self.label[end - 1] - self.label).max())

    def _smallest_beyond(self, end: Tensor) -> float:
        beyond = end < self.last
        return float((self.label[end[beyond]] - self.label[beyond]).min())
