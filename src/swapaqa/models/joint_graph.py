"""Joint relation graphs (Pan et al., ICCV 2019): what neighbouring joints have in common, and by what they differ.

Plain modules, as the authors' later codes have them (TPAMI 2021, and a program for continual learning of 2024); the
method is in `jrg.py`. A joint's neighbours at h hops are mixed by learned weights that are 0 off the skeleton.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from swapaqa.models.sample_dropout import SampleDropout

JOINTS = 17  # COCO's, from the nose to the right ankle
BONES = (
    (0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (0, 5), (0, 6), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12),
    (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip
WIDTH, DROPOUT = 128, 0.1  # of an encoded relation
KINDS = ("whole", "whole_change", "common", "differ", "change")

Encoders = Literal["four", "five"]  # differences in space and time share one (TPAMI), or have one each (continual)


def hop_masks(hops: int) -> Tensor:
    """(hops, JOINTS, JOINTS) of 0 and 1: pairs that so many bones join and no fewer; the first has the joints too."""
    joined = torch.eye(JOINTS, dtype=torch.bool)
    bones = joined.clone()
    for one, other in BONES:
        bones[one, other] = bones[other, one] = True
    masks, known = [], torch.zeros_like(joined)
    for _ in range(hops):
        joined = (joined.float() @ bones.float()) > 0
        masks.append(joined & ~known)
        known |= joined
    return torch.stack(masks).float()


def following(values: Tensor, dim: int) -> Tensor:
    """What stands one step later along `dim`; at the last step the last."""
    count = values.shape[dim]
    return values.index_select(dim, torch.arange(1, count + 1, device=values.device).clamp(max=count - 1))


def common(joints: Tensor, graph: Tensor) -> Tensor:
    """c_i = sum over j of G[j, i] x_j: (N, J, T, S) under (J, J) -> the same shape."""
    return torch.einsum("ji,njts->nits", graph, joints)


def differences(joints: Tensor, others: Tensor, graph: Tensor, weight: Tensor) -> Tensor:
    """d_i = sum over j of w_j G[i, j] (y_j - x_i), of joints x and others y (N, J, T, S), weights (J,)."""
    share = graph * weight  # (i, j)
    return torch.einsum("ij,njts->nits", share, others) - share.sum(dim=1)[:, None, None] * joints


class JointGraphs(nn.Module):
    """The relations of a video's joints, not encoded yet.

    Args:
        hops: neighbourhoods.
    """

    masks: Tensor

    def __init__(self, hops: int) -> None:
        super().__init__()
        self.register_buffer("masks", hop_masks(hops), persistent=False)
        self.spatial, self.temporal = (nn.Parameter(torch.rand(hops, JOINTS, JOINTS)) for _ in range(2))
        self.spatial_weight, self.temporal_weight = (nn.Parameter(torch.rand(hops, JOINTS)) for _ in range(2))

    def forward(self, whole: Tensor, joints: Tensor) -> dict[str, list[Tensor]]:
        """The whole scene (N, T, S) and its joints (N, J, T, S) -> by kind, (N, T, J, S) each."""
        spatial, temporal = (self.spatial * self.masks).abs(), (self.temporal * self.masks).abs()
        later = following(joints, 2)
        found = {
            "common": [joints, *(common(joints, graph) for graph in spatial)],
            "differ": [differences(joints, joints, *pair) for pair in zip(spatial, self.spatial_weight, strict=True)],
            "change": [differences(joints, later, *pair) for pair in zip(temporal, self.temporal_weight, strict=True)],
        }
        scene = {"whole": whole, "whole_change": (following(whole, 1) - whole).abs()}
        of_scene = {kind: [values[:, :, None].expand(-1, -1, JOINTS, -1)] for kind, values in scene.items()}
        return of_scene | {kind: [one.transpose(1, 2) for one in some] for kind, some in found.items()}


class RelationEncoders(nn.Module):
    """One layer for each kind of relation: (N, T, J, S) of all -> (N, T, J, M, WIDTH).

    Args:
        features: S.
        encoders: see `Encoders`.
    """

    def __init__(self, features: int, encoders: Encoders) -> None:
        super().__init__()
        self.encoders = encoders
        kinds = KINDS if encoders == "five" else KINDS[:-1]
        self.layers = nn.ModuleDict(
            {kind: nn.Sequential(nn.Linear(features, WIDTH), SampleDropout(DROPOUT), nn.ReLU()) for kind in kinds}
        )

    def forward(self, relations: dict[str, list[Tensor]]) -> Tensor:
        encoded = []
        for kind in KINDS:
            layer = self.layers[kind if kind in self.layers else "differ"]
            encoded += [layer(one) for one in relations[kind]]
        return torch.stack(encoded, dim=3)


class JointRelations(nn.Module):
    """Graphs, and the encoders of each modality: (N, T, S), (N, J, T, S) -> (N, T, J, M, WIDTH) of each.

    Args:
        features: length of all modalities' features together, which stand behind each other.
        modalities: 2 of colour and flow; 1.
        hops: M = 3 + 3 hops.
        encoders: see `Encoders`.
    """

    def __init__(self, features: int, modalities: int, hops: int, encoders: Encoders) -> None:
        super().__init__()
        self.graphs = JointGraphs(hops)
        own = features // modalities
        self.modalities = nn.ModuleList(RelationEncoders(own, encoders) for _ in range(modalities))

    def forward(self, whole: Tensor, joints: Tensor) -> Sequence[Tensor]:
        relations, count = self.graphs(whole, joints), len(self.modalities)
        return [
            encode({kind: [one.chunk(count, dim=-1)[place] for one in some] for kind, some in relations.items()})
            for place, encode in enumerate(self.modalities)
        ]


class MeanRelations(nn.Module):
    """Fusion by the mean over time, joints and relations: (N,) scores (the continual form: 15 relations, 4 hops).

    As published the mean stands twice, where the cells' form has the first and the last cell.

    Args:
        features, modalities: see `JointRelations`.
    """

    def __init__(self, features: int, modalities: int) -> None:
        super().__init__()
        self.relations = JointRelations(features, modalities, hops=4, encoders="five")
        self.fuse = nn.Sequential(SampleDropout(0.5), nn.Linear(2 * WIDTH, 512), nn.ReLU())
        self.regress = nn.Sequential(SampleDropout(0.5), nn.Linear(512, 1))

    def feature(self, whole: Tensor, joints: Tensor) -> Tensor:
        """(N, 512)."""
        means = torch.stack([encoded.mean(dim=(1, 2, 3)) for encoded in self.relations(whole, joints)]).sum(dim=0)
        fused: Tensor = self.fuse(torch.cat([means, means], dim=1))
        return fused

    def forward(self, whole: Tensor, joints: Tensor) -> Tensor:
        score: Tensor = self.regress(self.feature(whole, joints))[:, 0]
        return score.to(torch.promote_types(score.dtype, torch.float32))
