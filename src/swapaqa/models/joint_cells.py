"""The assessment architecture of joint relation graphs (Pan et al., TPAMI 2021): four cells, joined by operations.

A cell holds the relations of all joints over time, (N, T, J, M, C). Each later one is a sum of what operations make of
those before it: which ones a selector says, or a mixture of all.
"""

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from swapaqa.models.joint_graph import DROPOUT, JOINTS, WIDTH, JointRelations
from swapaqa.models.sample_dropout import SampleDropout

EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
HOPS, HIDDEN = 3, 256
OPERATIONS = ("greatest", "reduced", "convolved", "greatest_in_time", "attended", "itself", "nothing")

Selection = Literal["structure", "choice"]  # operations whose selector is 1, or a mixture of all by softmax


class Edge(nn.Module):
    """What one cell gives a later one, of one modality.

    Args:
        times, joints, relations: T, J and M.
    """

    def __init__(self, times: int, joints: int, relations: int) -> None:
        super().__init__()
        sizes = {"joint": joints, "relation": relations, "time": times}
        self.widen, self.reduce, self.expand = (
            nn.ParameterDict({name: _drawn(size) for name, size in sizes.items()}) for _ in range(3)
        )
        self.convolution = nn.Conv3d(1, 1, 3, padding=1, bias=False)
        self.attention = nn.Sequential(nn.Linear(WIDTH, WIDTH // 2), nn.Tanh(), nn.Linear(WIDTH // 2, 1))

    def forward(self, cell: Tensor, weight: Tensor, structure: bool, greatest_time: Tensor) -> Tensor:
        """(N, T, J, M, C) by weights (7,) of the operations; `greatest_time` (T,) of the fourth -> the same shape."""
        parts = (self.greatest, self.reduced, self.convolved, None, self.attended, lambda values: values)
        total = torch.zeros_like(cell)
        for place, operation in enumerate(parts):
            if structure and not bool(weight[place] == 1):
                continue
            if operation is None:
                found = cell.amax(dim=1, keepdim=True) * greatest_time[:, None, None, None]
            else:
                found = operation(cell)
            total = total + found if structure else total + weight[place] * found
        return total

    def greatest(self, cell: Tensor) -> Tensor:
        """Over joints, widened by a vector, and then over relations, widened by another."""
        widened = cell.amax(dim=2, keepdim=True) * self.widen["joint"][:, None, None]
        whole: Tensor = widened.amax(dim=3, keepdim=True) * self.widen["relation"][:, None]
        return whole

    def reduced(self, cell: Tensor) -> Tensor:
        """Weighted sums over joints, relations and time, widened by a vector each."""
        names = ("joint", "relation", "time")
        one = torch.einsum("ntjmc,j,m,t->nc", cell, *(self.reduce[name] for name in names))
        wide: Tensor = torch.einsum("nc,j,m,t->ntjmc", one, *(self.expand[name] for name in names))
        return wide

    def convolved(self, cell: Tensor) -> Tensor:
        """Every channel by the same kernel over time, joints and relations."""
        apart = cell.movedim(4, 1).flatten(0, 1)[:, None]
        found: Tensor = self.convolution(apart)[:, 0].unflatten(0, (len(cell), -1)).movedim(1, 4)
        return found

    def attended(self, cell: Tensor) -> Tensor:
        """Weighted by a softmax over all times, joints and relations."""
        share = self.attention(cell).flatten(1).softmax(dim=1).view(*cell.shape[:4], 1)
        attended: Tensor = cell * share
        return attended


def _drawn(size: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(size).uniform_(-1, 1) / size**0.5)


class CellRelations(nn.Module):
    """Fusion of the first and the last cell: (N,) scores.

    As published, the edges (1, 2) and (1, 3) widen their greatest values in time by the vector of the edge (0, 1), and
    dropout is on the score itself.

    Args:
        features, modalities: see `JointRelations`.
        times: T.
        selection: see `Selection`.
    """

    def __init__(self, features: int, modalities: int, times: int, selection: Selection) -> None:
        super().__init__()
        self.selection = selection
        self.relations = JointRelations(features, modalities, HOPS, encoders="four")
        relations = 3 + 3 * HOPS
        self.edges = nn.ModuleList(Edge(times, JOINTS, relations) for _ in EDGES * modalities)  # of the first, ...
        self.selector = nn.Parameter(torch.zeros(len(EDGES), len(OPERATIONS)))
        self.fuse = nn.Sequential(nn.ReLU(), nn.Linear(2 * WIDTH, HIDDEN), SampleDropout(DROPOUT))
        self.regress = nn.Sequential(nn.ReLU(), nn.Linear(HIDDEN, 1), SampleDropout(DROPOUT))

    def cells(self, first: Tensor, edges: Sequence[Edge]) -> Tensor:
        """The last of the cells that begin with `first` (N, T, J, M, C), the same shape."""
        structure = self.selection == "structure"
        weights = self.selector if structure else self.selector.softmax(dim=1)
        found: list[Tensor | None] = [first, None, None, None]
        for (one, other), edge, weight in zip(EDGES, edges, weights, strict=True):
            lender = edges[0] if (one, other) in ((1, 2), (1, 3)) else edge
            given = edge(found[one], weight, structure, lender.widen["time"])
            before = found[other]
            found[other] = given if before is None else before + given
        last = found[-1]
        assert last is not None
        return last

    def fused(self, whole: Tensor, joints: Tensor) -> Tensor:
        """(N, 2 WIDTH), after the first ReLU."""
        firsts = self.relations(whole, joints)
        edges, count = cast(Sequence[Edge], self.edges), len(EDGES)
        lasts = [self.cells(first, edges[place * count :][:count]) for place, first in enumerate(firsts)]
        ends = torch.cat([torch.stack(list(some)).sum(dim=0) for some in (firsts, lasts)], dim=4)
        return ends.mean(dim=(1, 2, 3)).relu()

    def forward(self, whole: Tensor, joints: Tensor) -> Tensor:
        score: Tensor = self.regress(self.fuse(self.fused(whole, joints)))[:, 0]
        return score.to(torch.promote_types(score.dtype, torch.float32))


def standardised_error(found: Tensor, truth: Tensor) -> Tensor:
    """100 times the mean squared difference of values standardised over the batch (N,), with unbiased variances.

    1e-6 stands inside the root, as published, so that it is 200 (1 - 1 / N) (1 - Pearson's r) up to that.
    """
    one, other = ((values - values.mean()) / (values.var() + 1e-6).sqrt() for values in (found, truth))
    return 100 * (one - other).square().mean()
